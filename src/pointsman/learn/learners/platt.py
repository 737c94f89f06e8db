"""Curves from raw scores to probabilities (Platt 1999), pulled towards "the score is the probability already".

Two numbers per model, a slope and a shift of the log-odds, fitted on scores of rows that were held out. A few hundred
labels cannot support a freer curve; with some thousand, an isotonic one is blended in.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.heads.calibration import GRID

Floats: TypeAlias = NDArray[np.float64]

PULL = 10.0
"""Rows that the identity weighs as much as: with 50 labels it leads, with 1,000 it is forgotten."""
EDGE = 0.05
"""Raw scores closer than this to 0 and 1 are bent, so that what lies outside keeps its order and stays a probability."""
_FINEST = 1e-3
_STEPS = 30


def log_odds(raw: Floats) -> Floats:
    """Of a raw score; rising everywhere, finite everywhere."""
    low = EDGE * np.exp(np.minimum(0.0, (raw - EDGE) / EDGE))
    high = EDGE * np.exp(np.minimum(0.0, (1.0 - EDGE - raw) / EDGE))
    bent = np.where(raw < EDGE, low, np.where(raw > 1.0 - EDGE, 1.0 - high, raw))
    return np.log((bent + _FINEST) / (1.0 - bent + _FINEST))


def curve(raw: Floats, quality: Floats, weight: Floats) -> Floats:
    """The curve of one model on the grid of `classify.heads.calibration`."""
    shift, slope = _fitted(log_odds(raw), quality, weight)
    return _logistic(shift + slope * log_odds(GRID))


def _fitted(odds: Floats, quality: Floats, weight: Floats) -> tuple[float, float]:
    """Newton's method on the log loss and the pull; the slope stays above 0.2, so that order is kept."""
    found = np.array([0.0, 1.0])
    design = np.column_stack([np.ones_like(odds), odds])
    for _ in range(_STEPS):
        p = _logistic(design @ found)
        slope = design.T @ (weight * (p - quality)) + PULL * 0.25 * (found - (0.0, 1.0))
        bend = (design * (weight * p * (1 - p))[:, None]).T @ design + PULL * 0.25 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        found = found - np.clip(step, -1.0, 1.0)
        found[1] = max(found[1], 0.2)
        if float(np.abs(step).max()) < 1e-7:
            break
    return float(found[0]), float(found[1])


def _logistic(odds: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-odds))
