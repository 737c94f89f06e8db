"""Does a score of 0.8 mean right eight times in ten? The expected calibration error, and how much of it is chance.

Scores are put into ten bins of equal size (Nguyen and O'Connor 2015); the error is the mean distance, weighted by rows,
between what was said and what came in a bin. Even perfect scores have some: at 200 rows about .05. So beside each error
stands its noise floor: the same scores, with outcomes drawn as if they were exactly true, at the same number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

BINS = 10
DRAWS = 200
"""Resamples for the floor; their mean is known to a tenth of itself."""


@dataclass(frozen=True)
class Reliability:
    """Of one model's scores."""

    ece: float
    floor: float
    """Mean error of perfectly calibrated scores with as many rows."""
    rows: int


def reliability(p: Floats, outcome: Floats, seed: int = 0, draws: int = DRAWS) -> Reliability:
    """Of scores and outcomes in [0, 1]; rows without an outcome are left out."""
    known = np.isfinite(outcome) & np.isfinite(p)
    p, outcome = p[known], outcome[known]
    if not len(p):
        return Reliability(float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    drawn = np.array([ece(p, _as_if_true(p, outcome, rng)) for _ in range(draws)])
    return Reliability(ece(p, outcome), float(drawn.mean()), len(p))


def ece(p: Floats, outcome: Floats, bins: int = BINS) -> float:
    """Mean over rows of the distance between said and come in the row's bin. Bins hold equally many rows."""
    order = np.argsort(p, kind="stable")
    edges = np.linspace(0, len(p), min(bins, len(p)) + 1).round().astype(int)
    starts = edges[:-1]
    gaps = np.abs(np.add.reduceat(p[order] - outcome[order], starts))
    return float(gaps.sum() / len(p))


def _as_if_true(p: Floats, outcome: Floats, rng: np.random.Generator) -> Floats:
    """Outcomes as perfect scores would have them: coins where outcomes are 0 and 1, else the real deviations shuffled."""
    if np.isin(outcome, (0.0, 1.0)).all():
        return (rng.random(len(p)) < p).astype(np.float64)
    away = outcome - p
    return p + rng.permutation(away - away.mean())
