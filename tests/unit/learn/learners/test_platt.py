"""Curves from scores to probabilities."""

import numpy as np
import pytest

from pointsman.classify.heads.calibration import GRID, Curves
from pointsman.learn.learners.platt import curve, curves, log_odds


def said(knots: np.ndarray, raw: float) -> float:
    return float(Curves(knots[:, None])(np.array([[raw]]))[0, 0])


def test_a_curve_rises_everywhere_and_stays_a_probability():
    rng = np.random.default_rng(0)
    knots = curve(rng.random(200), (rng.random(200) < 0.5).astype(float), np.ones(200))

    assert (np.diff(knots) > 0).all()
    assert ((knots > 0) & (knots < 1)).all()


def test_without_rows_a_score_is_the_probability():
    knots = curve(np.zeros(0), np.zeros(0), np.zeros(0))

    assert said(knots, 0.7) == pytest.approx(0.7, abs=0.01)


def test_scores_that_promise_too_much_are_lowered():
    rng = np.random.default_rng(1)
    raw = 0.5 + 0.4 * rng.random(2000)
    knots = curve(raw, (rng.random(2000) < raw - 0.3).astype(float), np.ones(2000))

    assert said(knots, 0.7) == pytest.approx(0.4, abs=0.05)


def test_log_odds_rise_beyond_what_a_probability_can_be():
    assert (np.diff(log_odds(GRID)) >= 0).all()
    assert np.isfinite(log_odds(np.array([-100.0, 100.0]))).all()


def test_models_share_a_slope_so_that_their_difference_keeps_its_order():
    rng = np.random.default_rng(2)
    raw = np.repeat(rng.random((300, 1)), 2, axis=1) * 0.5 + 0.25
    knots = curves(raw, (rng.random((300, 2)) < raw * [1.0, 0.8]).astype(float), np.ones(300))
    odds = np.log(knots / (1 - knots))

    assert np.ptp(odds[:, 0] - odds[:, 1]) < 1e-6
