"""Hashed words and word pairs of a text: the vocabulary without a vocabulary.

Read from UTF-8 bytes with a handful of array operations, so that 16 KiB cost a fraction of a millisecond. Letters are
read without case; a number is known by its count of digits; a punctuation mark stands alone; a letter beyond ASCII is a
word by itself, so that scripts without spaces give characters and pairs of characters.

Why hashes? An artifact then holds one row of weights per bucket and no text of yours.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int64]

BITS = 16
"""Buckets as a power of two. 1,500 labelled questions hold 90,000 different words and pairs, so most buckets are shared;
four times as many buckets ranked no better on held-out questions, and an artifact has a row of weights for each."""
BUCKETS = 1 << BITS
HEAD, TAIL = 2048, 1024
"""Bytes that are read at either end: they tell what a text is about, and bound what a page costs."""
VERSION = 2
"""Changes when the same text gives other buckets."""

_SPACE, _LETTER, _DIGIT, _MARK, _WIDE, _REST = range(6)


def _classes() -> NDArray[np.uint8]:
    table = np.full(256, _MARK, dtype=np.uint8)
    table[:33] = _SPACE
    table[127] = _SPACE
    for first, last in (("a", "z"), ("A", "Z")):
        table[ord(first): ord(last) + 1] = _LETTER
    table[ord("0"): ord("9") + 1] = _DIGIT
    table[0x80:0xC0] = _REST  # continues the character before it
    table[0xC0:] = _WIDE
    return table


def _codes() -> NDArray[np.uint64]:
    """A random number per byte; capitals share their letter's, digits share one."""
    table = np.random.default_rng(20240607).integers(1, 1 << 63, 256, dtype=np.uint64) | np.uint64(1)
    table[ord("A"): ord("Z") + 1] = table[ord("a"): ord("z") + 1]
    table[ord("0"): ord("9") + 1] = table[ord("0")]
    return table


KIND_OF = _classes()
"""What each byte is."""
CODE_OF = _codes()
_POWERS = np.cumprod(np.full(64, 0x9E3779B97F4A7C15, dtype=np.uint64), dtype=np.uint64)
"""A byte's weight by its place in the word; from the 64th on they are all the same."""
_PLACES = np.arange(HEAD + TAIL + 1)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_PAIR = np.uint64(0xA24BAED4963EE407)
_HALF = np.uint64(32)
_SHIFT = np.uint64(64 - BITS)
_NOTHING: Ids = np.zeros(0, dtype=np.int64)


def window(data: bytes) -> bytes:
    """The two ends of a long text."""
    return data if len(data) <= HEAD + TAIL else data[:HEAD] + b" " + data[-TAIL:]


def ids(data: bytes) -> tuple[Ids, Ids]:
    """The different buckets of a text's words and pairs, ascending, and how often each occurs; empty for a text without any."""
    words, paired = _words(window(data))
    if not len(words):
        return _NOTHING, _NOTHING
    pairs = (words[:-1] * _PAIR + words[1:])[paired]
    found = np.sort(_buckets(np.concatenate((words, pairs))))
    is_first = np.empty(len(found), dtype=np.bool_)
    is_first[0] = True
    np.not_equal(found[1:], found[:-1], out=is_first[1:])
    firsts = np.flatnonzero(is_first)
    return found[firsts], _lengths(firsts, len(found))


def _lengths(starts: Ids, end: int) -> Ids:
    """From each start to the next; as `numpy.diff` with `append`, at a fifth of the price for the short arrays here."""
    made = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=made[:-1])
    made[-1] = end - starts[-1]
    return made


def _buckets(hashes: NDArray[np.uint64]) -> Ids:
    mixed = (hashes ^ (hashes >> _HALF)) * _MIX
    return ((mixed ^ (mixed >> _HALF)) * _MIX >> _SHIFT).astype(np.int64)


def _words(data: bytes) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """A hash per word, and whether it pairs with the next (marks pair with nothing)."""
    raw = np.frombuffer(data, dtype=np.uint8)
    kind = KIND_OF[raw]
    kind[kind == _REST] = _WIDE
    begins = np.empty(len(raw), dtype=np.bool_)
    if not len(raw):
        return np.zeros(0, dtype=np.uint64), begins
    begins[0] = True
    np.not_equal(kind[1:], kind[:-1], out=begins[1:])
    begins |= (kind == _MARK) | (raw >= 0xC0)
    starts = np.flatnonzero(begins)
    kinds = kind[starts]
    place = _PLACES[: len(raw)] - np.repeat(starts, _lengths(starts, len(raw)))
    hashes = np.add.reduceat(CODE_OF[raw] * _POWERS[np.minimum(place, 63)], starts)
    kept = kinds != _SPACE
    hashes, kinds = hashes[kept], kinds[kept]
    return hashes, (kinds[:-1] != _MARK) & (kinds[1:] != _MARK)
