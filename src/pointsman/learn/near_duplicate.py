"""Which prompts are nearly the same, so that a copy never stands on both sides of a fold.

MinHash (Broder 1997) over runs of three words: two texts share a slot of their signatures as often as their sets of runs
overlap (Jaccard). Signatures are compared only where a band of them agrees, so the work grows with the number of
prompts and not with its square; what a band proposes, the exact overlap decides.

Why words and no meaning? A fold must not know a prompt's wording by heart. Two questions about the same thing in other
words are what a router is to learn from.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]

OVERLAP = 0.7
"""Share of common runs from which two prompts are near-duplicates: a changed name or number in a paragraph, not a template
with other contents."""
RUN = 3
"""Words in a run."""
WINDOW = 8 * 1024
"""Characters of head, and again of tail, that are read: what classifiers see."""
BANDS, ROWS = 8, 4
"""At an overlap of .7 a pair is proposed with 89 %, of .8 with 98 %, of .9 and more always."""

# Words; in scripts without spaces every character is one.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_PRIME = np.uint64((1 << 31) - 1)


def groups(prompts: Sequence[str]) -> list[str]:
    """A name for each prompt; near-duplicates share it, directly or through others between them."""
    runs = [runs_of(prompt) for prompt in prompts]
    leader = list(range(len(prompts)))
    signatures = _signatures(runs)
    for band in range(BANDS):
        first: dict[bytes, int] = {}
        for row in range(len(prompts)):
            key = signatures[row, band * ROWS:(band + 1) * ROWS].tobytes()
            other = first.setdefault(key, row)
            if other != row and _find(leader, row) != _find(leader, other) and overlap(runs[row], runs[other]) >= OVERLAP:
                one, two = sorted((_find(leader, row), _find(leader, other)))
                leader[two] = one
    return [f"near {_find(leader, row)}" for row in range(len(prompts))]


def runs_of(prompt: str) -> Hashes:
    """The distinct runs of three words, hashed; of shorter texts the whole. Case, spacing and marks play no part."""
    text = prompt if len(prompt) <= 2 * WINDOW else f"{prompt[:WINDOW]}\n{prompt[-WINDOW:]}"
    words = _WORD.findall(text.casefold())
    if len(words) < RUN:
        # Marks are all that some texts have.
        whole = " ".join(words) or text.strip()
        return np.array([zlib.crc32(whole.encode("utf-8", "replace"))], dtype=np.uint64)
    hashed = np.array([zlib.crc32(word.encode("utf-8", "replace")) for word in words], dtype=np.uint64)
    mixed = hashed[:-2] * np.uint64(0x9E3779B1) ^ hashed[1:-1] * np.uint64(0x85EBCA77) ^ hashed[2:] * np.uint64(0xC2B2AE3D)
    return np.unique(mixed >> np.uint64(16) & np.uint64(0xFFFFFFFF))


def overlap(one: Hashes, other: Hashes) -> float:
    """Common runs as a share of all runs of both."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _signatures(runs: Sequence[Hashes]) -> NDArray[np.uint32]:
    """(n, bands x rows): the smallest value of each hash function over a prompt's runs."""
    draw = np.random.default_rng(0x6D696E)  # the same functions always: groups depend on the prompts alone
    slope = draw.integers(1, 1 << 31, BANDS * ROWS).astype(np.uint64)[:, None]
    shift = draw.integers(0, 1 << 31, BANDS * ROWS).astype(np.uint64)[:, None]
    found = np.empty((len(runs), BANDS * ROWS), dtype=np.uint32)
    for row, one in enumerate(runs):
        found[row] = (((one & np.uint64(0x7FFFFFFF)) * slope + shift) % _PRIME).min(axis=1)
    return found


def _find(leader: list[int], row: int) -> int:
    while leader[row] != row:
        leader[row] = leader[leader[row]]
        row = leader[row]
    return row
