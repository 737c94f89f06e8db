"""Calibration errors, and how much of them is chance."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.reliability import ece, reliability  # noqa: E402


def test_ece_is_the_mean_gap_of_equal_bins():
    p = np.array([0.1] * 50 + [0.9] * 50)
    outcome = np.array([0.0] * 40 + [1.0] * 10 + [1.0] * 45 + [0.0] * 5)

    assert ece(p, outcome, bins=2) == pytest.approx((0.1 + 0.0) / 2)


def test_true_scores_have_no_more_than_the_floor():
    draw = np.random.default_rng(0)
    p = draw.random(2000)
    found = reliability(p, (draw.random(2000) < p).astype(float))

    assert found.ece - found.floor < 0.01
    assert found.rows == 2000


def test_false_scores_stand_out():
    draw = np.random.default_rng(0)
    p = draw.random(2000)
    found = reliability(np.clip(p + 0.2, 0, 1), (draw.random(2000) < p).astype(float))

    assert found.ece - found.floor > 0.1


def test_the_floor_falls_with_the_rows():
    draw = np.random.default_rng(1)
    p = draw.random(4000)
    outcome = (draw.random(4000) < p).astype(float)

    assert reliability(p[:100], outcome[:100]).floor > 2 * reliability(p, outcome).floor


def test_graded_outcomes_have_a_smaller_floor_than_coins():
    draw = np.random.default_rng(2)
    p = draw.random(500)
    graded = np.clip(p + draw.normal(0, 0.05, 500), 0, 1)

    assert reliability(p, graded).floor < reliability(p, (draw.random(500) < p).astype(float)).floor / 2


def test_rows_without_an_outcome_are_left_out_and_none_is_not_a_number():
    assert reliability(np.array([0.5, 0.5]), np.array([1.0, np.nan])).rows == 1
    assert np.isnan(reliability(np.array([0.5]), np.array([np.nan])).ece)


def test_the_same_seed_gives_the_same_floor():
    p = np.linspace(0, 1, 100)

    assert reliability(p, p > 0.5, seed=3) == reliability(p, p > 0.5, seed=3)
