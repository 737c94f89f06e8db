"""The bounds of climbing, whatever an answer is worth."""

from __future__ import annotations

from pointsman.cascade.benefit import Benefit, Judgement, Prospect
from pointsman.cascade.deferral import WHOLE, Deferral, Hold
from pointsman.testing.script import by_threshold

PROSPECTS = {"small": Prospect(0.5, 0.1, 0.2, 10), "medium": Prospect(0.7, 0.4, 1.0, 40), "large": Prospect(0.9, 1.0, 5.0, 100)}
WEAK = [Judgement("small", 0.05)]


def a_deferral(**values) -> Deferral:
    return Deferral({"small": Hold(), "medium": Hold()}, PROSPECTS, Benefit(PROSPECTS, enough=0.5), **values)


def climbs(deferral, judgements=WEAK, above=("medium", "large"), tried=("small",), made=0, left_s=60.0):
    return deferral.next(judgements, above, tried, made, left_s)


def test_a_weak_answer_is_climbed_from_to_the_most_worthwhile_rung():
    assert climbs(a_deferral()) in ("medium", "large")


def test_no_more_climbs_than_allowed():
    assert climbs(a_deferral(max_climbs=1), made=1) is None


def test_no_climb_beyond_the_money_spent_attempts_included():
    assert climbs(a_deferral(budget_nano_usd=110)) is not None
    assert climbs(a_deferral(budget_nano_usd=109), above=("large",)) is None
    assert climbs(a_deferral(budget_nano_usd=149), above=("large",), tried=("small", "medium")) is None


def test_an_unknown_price_is_beyond_any_bound():
    unknown = Deferral({"small": Hold()}, {"small": Prospect(0.5), "large": Prospect(0.9)}, accept_at={"small": 0.6}, budget_nano_usd=1000)
    assert climbs(unknown, above=("large",)) is None


def test_no_climb_to_what_comes_after_the_deadline():
    assert climbs(a_deferral(), above=("large",), left_s=5.0) is None
    assert climbs(a_deferral(), above=("large",), left_s=5.1) == "large"
    assert climbs(a_deferral(), left_s=0.0) is None


def test_by_threshold_the_next_rung_is_climbed_to():
    deferral = by_threshold({"small": 0.6})
    assert deferral.mode == "threshold"
    assert climbs(deferral, [Judgement("small", 0.59)]) == "medium"
    assert climbs(deferral, [Judgement("small", 0.6)]) is None
    assert deferral.holds["small"].tokens == WHOLE
    assert deferral.holds["small"].is_whole


def test_an_abstention_is_accepted_or_climbed_from():
    silent = [Judgement("small", None)]
    assert climbs(a_deferral(), silent) is None
    assert a_deferral().is_accepted(silent[0])
    assert climbs(a_deferral(climbs_on_abstain=True), silent) is not None


def test_on_a_rung_entered_only_to_be_judged_an_abstention_is_no_reason_to_stay():
    lower = Deferral({"small": Hold()}, PROSPECTS, Benefit(PROSPECTS, enough=0.7))
    assert not lower.is_accepted(Judgement("small", None))
    assert climbs(lower, [Judgement("small", None)]) is not None


def test_beside_a_silent_rung_the_most_worthwhile_one_is_started():
    assert a_deferral().beside(("medium", "large"), ("small",), 60.0) == "large"
    assert a_deferral().beside(("medium", "large"), ("small",), 2.0) == "medium"
    assert by_threshold({"small": 0.5}).beside(("medium", "large"), ("small",), 60.0) == "medium"
    assert a_deferral(budget_nano_usd=15).beside(("medium", "large"), ("small",), 60.0) is None
