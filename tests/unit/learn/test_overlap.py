"""How far two tiers succeed together, found again where it was put in."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.cascade.benefit import OVERLAP  # noqa: E402
from pointsman.learn.metrics import Interval  # noqa: E402
from pointsman.learn.overlap import FEWEST_ROWS, Overlap, by_task, overlap_of, overlaps_of  # noqa: E402


def outcomes(rows, k, seed=0):
    """Two tiers that are both right with  k min(a, b) + (1 - k) a b."""
    draw = np.random.default_rng(seed)
    a, b = draw.uniform(0.2, 0.7, rows), draw.uniform(0.5, 0.95, rows)
    both = k * np.minimum(a, b) + (1 - k) * a * b
    low = draw.random(rows) < a
    high = draw.random(rows) < np.where(low, both / a, (b - both) / (1 - a))
    return low.astype(float), high.astype(float), a, b


@pytest.mark.parametrize("k", [0.0, 0.3, 0.9])
def test_with_many_queries_it_is_found_again(k):
    assert overlap_of(*outcomes(20_000, k)) == pytest.approx(k, abs=0.06)


def test_with_few_it_is_what_was_known_without_them():
    assert overlap_of(*outcomes(10, 0.0), towards=0.8) == pytest.approx(0.8, abs=0.15)


def test_an_expectation_that_is_wrong_for_both_is_no_overlap():
    low, high, a, b = outcomes(20_000, 0.2)
    assert overlap_of(low, high, a - 0.15, b - 0.15) == pytest.approx(0.2, abs=0.1)


def test_it_stays_between_chance_and_all():
    low, high, a, b = outcomes(500, 0.0)
    assert overlap_of(low, 1 - low, a, 1 - a) == 0.0
    assert overlap_of(low, low, a, a) == pytest.approx(1.0, abs=0.2)
    assert 0.0 <= overlap_of(np.ones(100), np.ones(100), np.ones(100), np.ones(100)) <= 1.0
    assert high.sum() > 0
    assert b.sum() > 0


def test_each_pair_is_told_over_all_tasks_and_on_those_with_enough_queries():
    low, high, a, b = outcomes(400, 1.0)
    task = ("code",) * 340 + ("text",) * (FEWEST_ROWS - 1) + ("",)
    found = overlaps_of(("small", "large"), np.column_stack([low, high]), np.column_stack([a, b]), task)

    assert [(one.tier, one.higher, one.task, one.rows) for one in found] == [("small", "large", "", 400), ("small", "large", "code", 340)]
    assert all(one.value.low <= one.value.value <= one.value.high for one in found)
    assert found[1].otherwise == found[0].value.value
    made = by_task(found)
    assert made[""]["small"]["large"] == pytest.approx(found[0].value.value, abs=1e-3)
    assert made["code"] == made[""]


def an_overlap(higher, value, task="", otherwise=OVERLAP):
    return Overlap("a", higher, task, 100, Interval(value, value - 0.1, value + 0.1), otherwise)


def test_what_is_not_surely_something_else_is_not_said():
    assert by_task([an_overlap("b", 0.55)]) == {}
    assert by_task([an_overlap("b", 0.55), an_overlap("c", 0.9)]) == {"": {"a": {"c": 0.9}}}


def test_a_task_has_the_pairs_that_are_told_of_it_and_the_rest_of_all():
    made = by_task([an_overlap("b", 0.9), an_overlap("c", 0.1), an_overlap("b", 0.3, "code", 0.9), an_overlap("c", 0.12, "code", 0.1)])

    assert made == {"": {"a": {"b": 0.9, "c": 0.1}}, "code": {"a": {"b": 0.3, "c": 0.1}}}


def test_nothing_is_said_of_few_queries():
    assert overlaps_of(("small", "large"), np.ones((FEWEST_ROWS - 1, 2)), None) == []
