"""What an engine tells about its prefix cache: blocks of tokens that came, and that are gone."""

from __future__ import annotations

import msgspec

Hash = int | bytes
"""How an engine calls a block: opaque, and covering everything before it."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """Blocks that follow each other, the first one after `parent`."""

    hashes: tuple[Hash, ...]
    parent: Hash | None
    """None = they begin a prompt."""
    tokens: tuple[int, ...]
    size: int
    """Tokens of a block."""


class Removed(msgspec.Struct, frozen=True, gc=False):
    hashes: tuple[Hash, ...]


class Cleared(msgspec.Struct, frozen=True, gc=False):
    """Nothing is held any more."""


class Missed(msgspec.Struct, frozen=True, gc=False):
    """Events were lost: what is held from before is unknown."""


CacheEvent = Stored | Removed | Cleared | Missed
