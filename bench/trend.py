"""Does a figure grow with the work done? A slope that a few odd samples do not turn."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from itertools import combinations


def theil_sen(points: Iterable[tuple[float, float]]) -> float:
    """The median of the slopes of all pairs; 0.0 where there is no pair."""
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 != x1]
    return statistics.median(slopes) if slopes else 0.0
