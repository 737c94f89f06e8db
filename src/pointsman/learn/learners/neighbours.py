"""Labelled queries to compare with, and how near the nearest one usually is."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.heads.reading import WIDTH, gridded

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]

MOST = 1024
"""Neighbours that are kept. A score compares with all of them: 1,024 of 384 numbers take 0.1 ms."""
SAMPLE = 3000
"""Rows among which nearest distances are counted."""
RARELY = 0.005
"""Share of one's own rows that each of the two signs of foreignness would refuse: together at most one in a hundred."""
MOST_NEAR, MOST_KNOWN = 0.37, 0.5
"""However alike the labelled queries are, what is this near (a cosine of .7), or half of whose words are known, is not foreign:
a template's next number must not be."""


def landmarks(vectors: Vectors, rng: np.random.Generator) -> tuple[NDArray[np.float16], Vectors]:
    """At most `MOST` rows, and how many rows each stands for (its own included)."""
    chosen = np.sort(rng.choice(len(vectors), min(len(vectors), MOST), replace=False))
    kept = gridded(vectors[chosen])
    if len(chosen) == len(vectors):
        return kept, np.ones(len(chosen), dtype=np.float32)
    owner = np.concatenate([np.argmax(part @ kept.astype(np.float32).T, axis=1) for part in np.array_split(vectors, len(vectors) // 2048 + 1)])
    return kept, np.bincount(owner, minlength=len(chosen)).astype(np.float32)


def limits(vectors: Vectors, known: Floats, rng: np.random.Generator) -> dict[str, float]:
    """Below `nearest` (nearness of the closest labelled query) or `known` (share of known words) a query is foreign."""
    rows = np.sort(rng.choice(len(vectors), min(len(vectors), SAMPLE), replace=False))
    among = vectors[np.sort(rng.choice(rows, min(len(rows), MOST), replace=False))]
    cosine = vectors[rows] @ among.T
    cosine[cosine > 0.9999] = -1.0  # oneself and exact copies
    nearness = np.exp((cosine.max(axis=1) - 1.0) / WIDTH)
    return {"nearest": round(min(MOST_NEAR, float(np.quantile(nearness, RARELY))), 6),
            "known": round(min(MOST_KNOWN, float(np.quantile(known, RARELY))), 6)}
