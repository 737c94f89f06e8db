"""Recorded answers through the machine: who is asked, whose answer is given, and what it costs."""

from dataclasses import replace

import pytest

np = pytest.importorskip("numpy")

from pointsman.core.verdict import Rates  # noqa: E402
from pointsman.learn.cascade import Cascade  # noqa: E402
from pointsman.learn.rungs import rungs_of, simulated  # noqa: E402

TIERS = ("small", "medium", "large")
USD = np.array([1.0, 4.0, 20.0])
SURE = Rates(0.01, 0.01)


def a_cascade(quality, p=(0.5, 0.7, 0.9), score=None, rates=SURE, **values):
    """One query; `score`: what verifiers say, else the truth."""
    quality = np.array([quality], dtype=float)
    ladder = rungs_of(TIERS, quality, USD, seconds=np.array([0.5, 1.0, 4.0]), p=np.array([p], dtype=float))
    said = np.where(quality > 0, 0.99, 0.01) if score is None else np.array([score])
    ladder = replace(ladder.judged_with(said, rates), check_s=np.array([0.1, 0.1, 0.0]), check_usd=np.array([0.5, 0.5, 0.0]))
    return Cascade(ladder, **values)


def asked(ways):
    return [tier for tier, one in zip(TIERS, ways.asked[0], strict=True) if one]


def test_a_good_small_answer_is_given_and_everybody_is_paid():
    ways = a_cascade((1, 1, 1)).benefit(0.2)

    assert asked(ways) == ["small"]
    assert (ways.usd[0], ways.seconds[0], ways.quality[0]) == (1.5, 0.6, 1.0)


def test_a_bad_one_is_climbed_from_rungs_that_promise_little_are_skipped():
    ways = a_cascade((0, 0, 1), p=(0.5, 0.05, 0.95)).benefit(0.1)

    assert asked(ways) == ["small", "large"]
    assert ways.usd[0] == pytest.approx(1 + 0.5 + 20)
    assert ways.seconds[0] == pytest.approx(0.5 + 0.1 + 4.0)


def test_by_threshold_every_rung_is_climbed():
    cascade = a_cascade((0, 0, 1))

    assert asked(cascade.threshold(0.5)) == ["small", "medium", "large"]
    assert asked(cascade.threshold(0.0)) == ["small"]
    assert asked(cascade.threshold(0.5, (0, 2))) == ["small", "large"]


def test_ladders_end_on_top_and_no_higher_than_a_request_may_climb():
    assert a_cascade((1, 1, 1)).ladders() == [(0, 2), (1, 2), (0, 1, 2)]
    assert a_cascade((1, 1, 1), max_climbs=1).ladders() == [(0, 2), (1, 2)]


def test_no_more_climbs_than_allowed_and_the_best_answer_in_hand_is_given():
    ways = a_cascade((0, 0, 1), score=(0.3, 0.2, np.nan), rates=Rates(0.1, 0.1), p=(0.5, 0.5, 0.5), max_climbs=1).threshold(0.5)

    assert asked(ways) == ["small", "medium"]


def test_routing_asks_one_tier_that_is_worth_its_price():
    cascade = a_cascade((1, 1, 1))

    assert asked(cascade.routing(0.0)) == ["large"]
    assert asked(cascade.routing(0.3)) == ["medium"]
    assert asked(cascade.routing(5.0)) == ["small"]


def test_where_looking_is_worth_it_a_lower_tier_is_tried_before_the_decided_one():
    cascade = a_cascade((1, 1, 1), p=(0.8, 0.82, 0.95))

    assert asked(cascade.routing(0.1)) == ["large"]
    assert asked(cascade.both(0.1)) == ["small"]


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5, 3.0])
def test_with_a_verifier_that_says_nothing_routing_and_cascade_is_routing(weight):
    draw = np.random.default_rng(4)
    p = np.sort(draw.random((60, 3)), axis=1)
    ladder = simulated(rungs_of(TIERS, (draw.random((60, 3)) < p).astype(float), USD, p=p), 0.5)
    cascade = Cascade(ladder)

    assert np.array_equal(cascade.both(weight).given, cascade.routing(weight).given)
    assert np.array_equal(cascade.both(weight).usd, cascade.routing(weight).usd)


def test_an_abstention_is_accepted():
    """Where the policy sent it; a rung that was entered only because its answers are judged is no place to stay without."""
    silent = a_cascade((0, 0, 1), score=(np.nan, np.nan, np.nan))

    assert asked(silent.both(3.0)) == asked(silent.routing(3.0)) == ["small"]
    assert asked(silent.both(0.6)) == ["small", "medium"]


def test_the_oracle_knows_the_outcomes():
    assert asked(a_cascade((0, 1, 1)).oracle(0.1)) == ["medium"]
    assert asked(a_cascade((0, 0, 0)).oracle(0.1)) == ["small"]


def test_climbs_are_counted():
    assert a_cascade((0, 0, 1)).threshold(0.5).climbs == 2
    assert a_cascade((0, 0, 1)).always(1).climbs == 0
