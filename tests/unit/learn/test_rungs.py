"""What every rung did, and what a simulated verifier says of it."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.core.verdict import Rates  # noqa: E402
from pointsman.learn.rungs import rungs_of, simulated, words_of  # noqa: E402

TIERS = ("small", "medium", "large")


def a_ladder(rows=1000, seed=0):
    quality = (np.random.default_rng(seed).random((rows, 3)) < (0.4, 0.6, 0.9)).astype(float)
    return rungs_of(TIERS, quality, np.array([1.0, 4.0, 20.0]))


def test_a_ladder_that_nobody_looks_at_has_no_words():
    ladder = a_ladder()

    assert not ladder.is_judged.any()
    assert np.allclose(ladder.price[0], (0.05, 0.2, 1.0))
    assert repr(ladder) == "<Rungs 1000 queries over small < medium < large>"


def test_a_simulated_verifier_errs_as_often_as_it_was_told_to_and_leaves_the_last_rung_alone():
    ladder = a_ladder()
    judged = simulated(ladder, 0.1, seed=3)

    says_good = judged.score[:, :2] > 0.5
    wrong = says_good != (ladder.quality[:, :2] > 0)
    assert 0.08 < wrong.mean() < 0.12
    assert judged.is_judged.tolist()[0] == [True, True, False]


def test_what_a_simulated_verifier_says_is_bounded_by_its_error():
    judged = simulated(a_ladder(), 0.2)

    assert set(np.round(judged.score[:, 0], 2)) == {0.2, 0.8}
    assert np.all(simulated(a_ladder(), 0.5).score[:, 0] == 0.5)


def test_the_same_seed_says_the_same():
    assert np.array_equal(simulated(a_ladder(), 0.1, 5).score, simulated(a_ladder(), 0.1, 5).score, equal_nan=True)
    assert not np.array_equal(simulated(a_ladder(), 0.1, 5).score, simulated(a_ladder(), 0.1, 6).score, equal_nan=True)


def test_a_half_right_answer_is_passed_half_of_the_time():
    half = rungs_of(("a", "b"), np.full((2000, 2), 0.5), np.array([1.0, 2.0]))

    assert 0.45 < (simulated(half, 0.0).score[:, 0] > 0.5).mean() < 0.55


def test_only_tiers_with_rates_are_looked_at():
    ladder = a_ladder(10)
    judged = ladder.judged_with(np.full((10, 3), 0.7), {"medium": Rates(0.1, 0.2)})

    assert judged.is_judged[0].tolist() == [False, True, False]
    assert np.isnan(judged.score[:, 0]).all()
    assert judged.no[0, 1], judged.yes[0, 1] == words_of(Rates(0.1, 0.2))


def test_rows_are_taken_with_all_that_belongs_to_them():
    ladder = simulated(a_ladder(), 0.1)
    few = ladder.take(np.array([3, 5]))

    assert len(few) == 2
    assert np.array_equal(few.score, ladder.score[[3, 5]], equal_nan=True)


def test_gaps_are_refused():
    quality = np.array([[1.0, np.nan]])
    with pytest.raises(ValueError, match="must be there"):
        rungs_of(("a", "b"), quality, np.array([1.0, 2.0]))
