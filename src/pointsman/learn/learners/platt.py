"""Curves from raw scores to probabilities (Platt 1999), pulled towards "the score is the probability already".

A shift of the log-odds per model and a common slope, fitted on scores of rows that were held out. A few hundred labels cannot
support a freer curve.
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


def bent(p: Floats) -> Floats:
    """Probabilities of what may lie a little outside [0, 1]; what lies well inside stays what it is."""
    return _logistic(log_odds(p))


def curves(raw: Floats, quality: Floats, weight: Floats) -> Floats:
    """The curves of all models (n, m; NaN = unknown) on the grid of `classify.heads.calibration`: a shift for each model, one slope.

    Why one slope? With slopes of their own, "harder for both" turns into "better for one": at 300 labels that noise cost a
    ranking by the difference of two models .03 APGR, and won nothing in calibration.
    """
    known = np.isfinite(quality) & np.isfinite(raw)
    odds, came = log_odds(np.where(known, raw, 0.5)), np.where(known, quality, 0.0)
    shifts, slope = _fitted(odds, came, known * weight[:, None])
    return _logistic(shifts + slope * log_odds(GRID)[:, None])


def curve(raw: Floats, quality: Floats, weight: Floats) -> Floats:
    """The curve of one model alone, (n,) each."""
    return curves(raw[:, None], quality[:, None], weight)[:, 0]


def _fitted(odds: Floats, quality: Floats, weight: Floats) -> tuple[Floats, float]:
    """Newton's method on the log loss and the pull, shifts and slope in turn; the slope stays above 0.2, so that order is kept."""
    shifts, slope = np.zeros(odds.shape[1]), 1.0
    for _ in range(_STEPS):
        p = _logistic(shifts + slope * odds)
        step = ((weight * (p - quality)).sum(axis=0) + 0.25 * PULL * shifts) / ((weight * p * (1 - p)).sum(axis=0) + 0.25 * PULL)
        shifts = shifts - np.clip(step, -1.0, 1.0)
        p = _logistic(shifts + slope * odds)
        turn = float((weight * (p - quality) * odds).sum()) + 0.25 * PULL * (slope - 1.0)
        turn /= float((weight * p * (1 - p) * odds * odds).sum()) + 0.25 * PULL
        slope = max(0.2, slope - float(np.clip(turn, -1.0, 1.0)))
        if float(np.abs(step).max()) + abs(turn) < 1e-7:
            break
    return shifts, slope


def _logistic(odds: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-odds))
