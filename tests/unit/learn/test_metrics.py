"""APGR, CPT and their intervals, against figures worked out by hand."""

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("pyarrow")

from pointsman.learn.metrics import curve, intervals  # noqa: E402

WEAK = np.array([1.0, 0.0, 0.0, 1.0])
STRONG = np.array([1.0, 1.0, 1.0, 1.0])


def test_a_constant_score_is_random_mixing():
    mixed = curve(np.zeros(4), WEAK, STRONG)

    assert mixed.apgr == pytest.approx(0.5)
    assert mixed.cpt(0.5) == pytest.approx(0.5)
    assert mixed.cpt(0.8) == pytest.approx(0.8)


def test_the_oracle_recovers_the_gap_first():
    best = curve(STRONG - WEAK, WEAK, STRONG)

    assert best.apgr == pytest.approx(0.75)  # straight up to 1 at half of the calls, then flat
    assert best.cpt(0.5) == pytest.approx(0.25)
    assert best.cpt(1.0) == pytest.approx(0.5)


def test_the_worst_order_is_the_mirror_image():
    assert curve(WEAK - STRONG, WEAK, STRONG).apgr == pytest.approx(0.25)


def test_rows_in_any_order_give_the_same():
    scores = np.array([3.0, 1.0, 1.0, 2.0])
    turn = np.array([2, 0, 3, 1])

    assert curve(scores, WEAK, STRONG).apgr == pytest.approx(curve(scores[turn], WEAK[turn], STRONG[turn]).apgr)


def test_counts_repeat_items():
    counts = np.array([2.0, 1.0, 0.0, 1.0])
    index = [0, 0, 1, 3]
    scores = np.array([0.1, 0.9, 0.5, 0.3])

    assert curve(scores, WEAK, STRONG, counts).apgr == pytest.approx(curve(scores[index], WEAK[index], STRONG[index]).apgr)


def test_intervals_hold_the_value_and_repeat():
    rng = np.random.default_rng(0)
    weak, scores = rng.integers(0, 2, 300).astype(float), rng.random(300)
    figures = (lambda c: c.apgr, lambda c: c.cpt(0.5))

    first = intervals(scores, weak, np.ones(300), figures, draws=50)

    assert first == intervals(scores, weak, np.ones(300), figures, draws=50)
    assert all(i.low <= i.value <= i.high and i.low < i.high for i in first)
