"""A figure on resamples."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.sampled import Sampled  # noqa: E402


def test_an_interval_leaves_out_resamples_in_which_the_figure_does_not_exist():
    found = Sampled(5.0, np.append(np.arange(11.0), np.nan)).interval()

    assert (found.value, found.low, found.high) == (5.0, 0.25, 9.75)
    assert Sampled(5.0, np.array([np.nan])).interval().low == 5.0


def test_what_is_above_in_every_resample_is_hardly_chance():
    draw = np.random.default_rng(0).normal(size=199)

    assert Sampled(1.0, draw + 9).above(Sampled(0.0, draw)).chance() == pytest.approx(0.01)
    assert Sampled(0.0, draw).above(Sampled(0.0, draw[::-1])).chance() > 0.5
    assert Sampled(0.0, np.array([np.nan])).chance() is None


def test_differences_are_taken_resample_by_resample():
    draw = np.random.default_rng(0).normal(size=200)
    found = Sampled(0.1, draw + 0.1).above(Sampled(0.0, draw)).interval()

    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)
