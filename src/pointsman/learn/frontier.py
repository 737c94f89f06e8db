"""Quality over cost: the operating points of a router, their hull, and the figures read from it.

A router is a set of points (mean cost, mean quality), one for each of its settings. Between two points one may mix at
random, so what a router offers is the non-decreasing hull above its points. AIQ (RouterBench, arXiv 2403.12031, section
3) is the mean height of that hull between the cheapest and the dearest model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

_ROUNDING = 1e-12
"""Qualities that differ by less are the same: means of the same rows, added up in another order."""


@dataclass(frozen=True)
class Points:
    """What each setting of a router cost and gave on each row: two arrays (settings, rows)."""

    cost: Floats
    quality: Floats

    def at(self, counts: Floats | None = None) -> tuple[Floats, Floats]:
        """Mean cost and quality of each setting; `counts`: how often each row is there."""
        if counts is None:
            return self.cost.mean(axis=1), self.quality.mean(axis=1)
        total = counts.sum()
        return self.cost @ counts / total, self.quality @ counts / total

    def drawn(self, counts: Floats) -> list[tuple[Floats, Floats]]:
        """`at` for every resample of `counts` (draws, rows), in one pass."""
        total = counts.sum(axis=1)
        return list(zip((self.cost @ counts.T / total).T, (self.quality @ counts.T / total).T, strict=True))


def hull(cost: Floats, quality: Floats) -> tuple[Floats, Floats]:
    """The upper hull of the points, never falling: costs and qualities, both rising."""
    kept: list[tuple[float, float]] = []
    for index in np.lexsort((-quality, cost)):
        x, y = float(cost[index]), float(quality[index])
        if kept and y <= kept[-1][1]:
            continue
        while len(kept) > 1 and _is_below(kept[-2], kept[-1], (x, y)):
            kept.pop()
        kept.append((x, y))
    found = np.array(kept)
    return found[:, 0], found[:, 1]


def aiq(cost: Floats, quality: Floats, low: float, high: float) -> float:
    """Mean height of the hull between two costs. Below the first point nothing is offered: its height is counted."""
    x, y = hull(cost, quality)
    grid = np.unique(np.concatenate([[low, high], x[(x > low) & (x < high)]]))
    height = np.interp(grid, x, y)
    return float(np.sum((height[1:] + height[:-1]) / 2 * np.diff(grid)) / (high - low)) if high > low else float(height[0])


def cost_of(wanted: float, cost: Floats, quality: Floats) -> float | None:
    """What the hull's cheapest mix with that quality costs; None = it is never reached."""
    x, y = hull(cost, quality)
    if y[-1] < wanted - _ROUNDING:
        return None
    if wanted <= y[0] + _ROUNDING:
        return float(x[0])
    at = int(np.searchsorted(y, wanted - _ROUNDING))
    share = (wanted - y[at - 1]) / (y[at] - y[at - 1])
    return float(x[at - 1] + min(1.0, share) * (x[at] - x[at - 1]))


def _is_below(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Does `middle` lie on or under the line between its neighbours?"""
    return (middle[1] - first[1]) * (last[0] - first[0]) <= (last[1] - first[1]) * (middle[0] - first[0])
