"""Kinds of task among the training rows, by k-means over what a query is about and what it looks like.

Several divisions at once, coarse and fine ones, and each of them several times from other beginnings: a single division draws its
borders where chance began, and what lies near one is told the wrong kind's mean. Four draws of each, averaged by the blend, are worth
.003 APGR on development sources; eight are worth no more.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]

DIVISIONS = (12, 40, 128) * 4
ROWS_PER_KIND = 6
"""No division is finer than this many rows per kind: a table of fewer is noise."""
STEPS = 15
SAMPLE = 5000


def centres(points: Vectors, rng: np.random.Generator) -> tuple[Vectors, list[int]]:
    """Centres of all divisions below each other, and how many each has."""
    if len(points) > SAMPLE:
        points = points[np.sort(rng.choice(len(points), SAMPLE, replace=False))]
    most = max(1, len(points) // ROWS_PER_KIND)
    found = [_means(points, min(count, most), rng) for count in DIVISIONS]
    return np.concatenate(found), [len(division) for division in found]


def _means(points: Vectors, count: int, rng: np.random.Generator) -> Vectors:
    """Lloyd's algorithm from random rows."""
    means = points[rng.choice(len(points), count, replace=False)].copy()
    for _ in range(STEPS):
        owner = np.argmax(points @ means.T - 0.5 * np.sum(means * means, axis=1), axis=1)
        sizes = np.bincount(owner, minlength=count)
        sums = np.zeros_like(means)
        np.add.at(sums, owner, points)
        means = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], means).astype(np.float32)
    return means
