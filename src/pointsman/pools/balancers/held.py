"""Which beginnings one endpoint's cache really holds, from what its engine tells.

An engine speaks of blocks of tokens, the balancer of beginnings of text. Between them stand the tokens of one prompt, which the
engine itself was asked for: they lead from block to block, and where a beginning ends, its number is tied to the last block
within it. When that block goes, so does the number.

Where in the tokens does a beginning end? At its share of the text, rounded down to a block: templates and tools shift it a
little, and a block more or less is not worth knowing better.

Why not every hash computed here, as the engine does? Its hashes depend on version, seed and settings. They are taken as they
come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pointsman.core.cache_event import CacheEvent, Cleared, Hash, Missed, Removed, Stored
from pointsman.pools.balancers.beginnings import Beginning

MOST_BLOCKS = 262_144
"""Blocks that are kept track of: four million tokens of 16 a block, some 60 MB. An engine with more is known in part."""


class Held:
    """The blocks of one endpoint, and the beginnings that are tied to them."""

    __slots__ = ("_after", "_keys", "_tied", "is_whole", "size")

    def __init__(self) -> None:
        self.size = 0
        """Tokens of a block; 0 = nothing was told yet."""
        self.is_whole = False
        """Everything since the engine's start, or since it was emptied, was heard: what is not known here is not there."""
        # By (block before, its tokens), as one number: the block. And back.
        self._after: dict[int, Hash] = {}
        self._keys: dict[Hash, int] = {}
        # By block: numbers of the beginnings that end with it.
        self._tied: dict[Hash, set[int]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def hear(self, event: CacheEvent) -> list[int] | None:
        """Takes an event in. The numbers that are not held any more; None = none is known to be."""
        match event:
            case Stored():
                self._store(event)
                return []
            case Removed(hashes):
                return [number for hash_ in hashes for number in self._remove(hash_)]
            case Cleared() | Missed():
                self._after.clear()
                self._keys.clear()
                self._tied.clear()
                self.is_whole = isinstance(event, Cleared)
                return None

    def _store(self, event: Stored) -> None:
        if event.size < 1:
            return
        self.size, parent = event.size, event.parent
        for at, hash_ in enumerate(event.hashes):
            tokens = event.tokens[at * event.size : (at + 1) * event.size]
            if len(tokens) < event.size or len(self._keys) >= MOST_BLOCKS:
                self.is_whole = False
                return
            if hash_ not in self._keys:
                key = hash((parent, tokens))
                self._keys[hash_] = key
                self._after[key] = hash_
            parent = hash_

    def _remove(self, hash_: Hash) -> Iterable[int]:
        key = self._keys.pop(hash_, None)
        if key is not None and self._after.get(key) == hash_:
            del self._after[key]
        return self._tied.pop(hash_, ())

    def chain(self, tokens: Sequence[int]) -> list[Hash]:
        """The blocks that hold the beginning of these tokens, as far as they are there."""
        found: list[Hash] = []
        before: Hash | None = None
        size = self.size
        for end in range(size, len(tokens) + 1, size) if size else ():
            block = self._after.get(hash((before, tuple(tokens[end - size : end]))))
            if block is None:
                break
            found.append(block)
            before = block
        return found

    def tie(self, parts: Sequence[Beginning], tokens: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ties a prompt's beginnings to their blocks: the numbers that are held, longest first, and those that are not.

        A beginning of less than a block is neither.
        """
        if not parts or not self.size:
            return [], []
        chain, text = self.chain(tokens), max(parts[-1][1], 1)
        held, absent = [], []
        for number, until in reversed(parts):
            blocks = len(tokens) * until // text // self.size
            if not blocks:
                continue
            if blocks <= len(chain):
                self._tied.setdefault(chain[blocks - 1], set()).add(number)
                held.append(number)
            else:
                absent.append(number)
        return held, absent

    def __repr__(self) -> str:
        return f"<Held [{len(self._keys)} blocks of {self.size} tokens{'' if self.is_whole else ', in part'}]>"
