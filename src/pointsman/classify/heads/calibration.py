"""From a raw score to a probability: one rising curve per model, as numbers on an even grid."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

FIRST, LAST, KNOTS = -1.0, 2.0, 193
"""The grid of raw scores. A raw score is an unbounded estimate of quality, so nearly all lie in [0, 1]; what lies outside
the grid is taken to lie at its end."""
GRID: Floats = np.linspace(FIRST, LAST, KNOTS)
PER_UNIT = (KNOTS - 1) / (LAST - FIRST)


class Curves:
    """Reads the curves of all models at once, linear between knots."""

    __slots__ = ("_columns", "knots")

    def __init__(self, knots: Floats) -> None:
        self.knots = np.ascontiguousarray(knots, dtype=np.float64)
        self._columns = np.arange(knots.shape[1])

    def __call__(self, raw: Floats) -> Floats:
        """(n, m) raw scores to (n, m) probabilities."""
        place = np.minimum(np.maximum((raw - FIRST) * PER_UNIT, 0.0), KNOTS - 1.000001)
        left = place.astype(np.intp)
        share = place - left
        low = self.knots[left, self._columns]
        return low + share * (self.knots[left + 1, self._columns] - low)
