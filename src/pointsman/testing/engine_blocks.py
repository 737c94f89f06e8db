"""KV memory in blocks of 16 tokens, and which prompt prefixes are still in it.

As vLLM's block pool: a full block of a prompt is known by a hash that covers everything before it. Sequences with the
same prefix share its blocks. A block that nobody holds is free, keeps its content, and is found again until somebody
needs the room; the one that has been free longest is overwritten first.
"""

from __future__ import annotations

from collections import OrderedDict

BLOCK_TOKENS = 16
"""vLLM's `block_size` on GPUs."""
BLOCK_BYTES = BLOCK_TOKENS * 4
"""A simulated token is four bytes of UTF-8 (`openai_shapes`)."""


class BlockPool:
    """`total` blocks, numbered from 0. `caches` False: what is given back is forgotten."""

    def __init__(self, total: int, *, caches: bool = True) -> None:
        self.total, self.caches = total, caches
        # Free blocks, the one to overwrite next first.
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(total))
        # How many sequences hold each block; zero exactly for those in `_free`.
        self._holders = [0] * total
        self._hash_of: list[int | None] = [None] * total
        self._by_hash: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<BlockPool [{self.used}/{self.total} held, {len(self._by_hash)} known]>"

    @property
    def free(self) -> int:
        """Blocks that could be taken now, whatever is still in them."""
        return len(self._free)

    @property
    def used(self) -> int:
        return self.total - len(self._free)

    def known(self, prefix: tuple[int, ...], most: int) -> list[int]:
        """The blocks that hold the beginning of `prefix`, `most` of them at most. Takes nothing."""
        found: list[int] = []
        for hash_ in prefix[:most]:
            block = self._by_hash.get(hash_)
            if block is None:
                break
            found.append(block)
        return found

    def has_room(self, shared: list[int], more: int) -> bool:
        """Whether `shared` (from `known`) and `more` others can be held now."""
        return more <= len(self._free) - sum(self._holders[block] == 0 for block in shared)

    def share(self, blocks: list[int]) -> None:
        """One more sequence holds these."""
        for block in blocks:
            if self._holders[block] == 0:
                del self._free[block]
            self._holders[block] += 1

    def take(self, count: int) -> list[int]:
        """`count` blocks for one sequence; their old content is gone. Check `free` first."""
        taken = []
        for _ in range(count):
            block, _nothing = self._free.popitem(last=False)
            self._forget(block)
            self._holders[block] = 1
            taken.append(block)
        return taken

    def name(self, block: int, hash_: int) -> None:
        """The block now holds that piece of a prompt. The first of equal blocks is the one that is found."""
        if self.caches and hash_ not in self._by_hash:
            self._hash_of[block] = hash_
            self._by_hash[hash_] = block

    def give_back(self, blocks: list[int]) -> None:
        """A sequence lets go. The end of its prefix is overwritten before the beginning, which others may share."""
        for block in reversed(blocks):
            self._holders[block] -= 1
            if self._holders[block] == 0:
                self._free[block] = None

    def _forget(self, block: int) -> None:
        hash_ = self._hash_of[block]
        if hash_ is not None:
            self._hash_of[block] = None
            del self._by_hash[hash_]


def prefix_of(prompt: bytes) -> tuple[int, ...]:
    """The prompt's full blocks as hashes that cover everything before them (within this process)."""
    covered, hashes = 0, []
    for end in range(BLOCK_BYTES, len(prompt) + 1, BLOCK_BYTES):
        covered = hash((covered, prompt[end - BLOCK_BYTES:end]))
        hashes.append(covered)
    return tuple(hashes)


def blocks_for(tokens: int) -> int:
    """Blocks that hold so many tokens."""
    return -(-tokens // BLOCK_TOKENS)
