"""From a goal to the value of `quality`."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.classify.heads.rehearsal import Rehearsal, array  # noqa: E402
from pointsman.learn.scores import Scores  # noqa: E402
from pointsman.learn.setting import setting  # noqa: E402
from pointsman.learn.table import OutcomeTable  # noqa: E402

USD = np.array([1.0, 10.0])


def ground(rows=400, seed=0):
    """The small model's score is true; the large one is always good."""
    draw = np.random.default_rng(seed)
    p = np.column_stack([draw.random(rows), np.full(rows, 0.95)])
    quality = np.column_stack([(draw.random(rows) < p[:, 0]).astype(float), np.ones(rows)])
    table = OutcomeTable([str(n) for n in range(rows)], [""] * rows, ("small", "large"), quality)
    return table, Scores(p, p, np.zeros(rows, bool))


def found(**goal):
    table, scores = ground()
    return setting(table, scores, USD, [0, 1], 1, draws=50, **goal)


def test_a_quality_to_keep_is_kept_at_the_least_cost():
    strict, lax = found(quality=0.95), found(quality=0.8)

    assert strict.is_reached
    assert strict.kept.value >= 0.95
    assert strict.quality > lax.quality
    assert strict.cost.value > lax.cost.value
    assert strict.interval[0] <= strict.quality <= strict.interval[1]
    assert strict.kept.low < strict.kept.value < strict.kept.high


def test_a_rehearsed_artifact_is_set_by_what_it_is_held_to():
    table, scores = ground()
    rehearsed = Scores(scores.p, np.zeros_like(scores.p), scores.foreign, (Rehearsal(array(scores.p, table.quality, np.random.default_rng(0))),))
    plain = Scores(scores.p, np.zeros_like(scores.p), scores.foreign)

    assert setting(table, rehearsed, USD, [0, 1], 1, quality=0.9, draws=5).cost.value < setting(table, plain, USD, [0, 1], 1, quality=0.9, draws=5).cost.value


def test_a_share_of_calls_is_not_exceeded():
    assert 0.25 < found(share=0.3).reference_share.value <= 0.3


def test_a_budget_is_not_exceeded():
    assert 4.5 < found(budget=5.0).cost.value <= 5.0


def test_what_cannot_be_reached_is_said():
    assert not found(budget=0.5).is_reached
    assert found(budget=0.5).quality == 0.0


def test_shares_add_up():
    assert sum(found(quality=0.9).shares.values()) == pytest.approx(1)


def test_too_few_rows_tell_nothing():
    table, scores = ground(19)

    assert setting(table, scores, USD, [0, 1], 1, quality=0.9) is None
