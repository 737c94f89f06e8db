"""Whether a better answer is worth its price, worked out by hand."""

from __future__ import annotations

import msgspec
import pytest

from pointsman.cascade.benefit import Benefit, Judgement, Prospect, Words, posterior


def a_ladder(*p, price_weight=0.2, delay_weight=0.0, overlap=None, delays=None, enough=1.0):
    count = len(p)
    overlaps = {} if overlap is None else {f"t{i}": {f"t{j}": overlap for j in range(i + 1, count)} for i in range(count)}
    return Benefit(
        {f"t{i}": Prospect(each, (i + 1) / count, None if delays is None else delays[i], 10 * (i + 1)) for i, each in enumerate(p)},
        price_weight, delay_weight, overlaps, enough)


def test_a_score_multiplies_the_odds():
    assert posterior(0.5, 0.9) == pytest.approx(0.9)
    assert posterior(0.8, 0.2) == pytest.approx(0.5)
    assert posterior(0.6, 0.5) == pytest.approx(0.6)


def test_no_verdict_makes_an_answer_certain():
    assert posterior(0.9, 1.0) == pytest.approx(0.999)
    assert posterior(0.9, 0.0) == pytest.approx(0.001, abs=1e-3)


def test_a_bad_answer_below_says_that_the_query_is_hard():
    nested = a_ladder(0.6, 0.9, overlap=1.0).beliefs([Judgement("t0", 0.0)])
    apart = a_ladder(0.6, 0.9, overlap=0.0).beliefs([Judgement("t0", 0.0)])
    assert nested["t1"] == pytest.approx((0.9 - 0.6) / (1 - 0.6), abs=2e-3)
    assert apart["t1"] == pytest.approx(0.9)


def test_an_abstention_changes_no_belief():
    assert a_ladder(0.6, 0.9).beliefs([Judgement("t0", None)]) == a_ladder(0.6, 0.9).beliefs([])


def test_each_verdict_counts_for_the_rungs_above_it():
    beliefs = a_ladder(0.5, 0.7, 0.9).beliefs([Judgement("t0", 0.1), Judgement("t1", 0.1)])
    assert beliefs["t0"] < 0.2
    assert beliefs["t1"] < a_ladder(0.5, 0.7, 0.9).beliefs([Judgement("t0", 0.1)])["t1"]
    assert beliefs["t2"] < a_ladder(0.5, 0.7, 0.9).beliefs([Judgement("t0", 0.1)])["t2"] < 0.9


def test_rungs_may_be_skipped():
    ladder = a_ladder(0.5, 0.52, 0.95)
    assert ladder.better([Judgement("t0", 0.05)], ["t1", "t2"]) == "t2"


def test_the_middle_rung_is_enough_where_the_top_is_dear():
    ladder = a_ladder(0.3, 0.85, 0.9, price_weight=0.3)
    assert ladder.better([Judgement("t0", 0.05)], ["t1", "t2"]) == "t1"


def test_nothing_is_climbed_to_that_is_no_better():
    assert a_ladder(0.6, 0.6).better([Judgement("t0", 0.3)], ["t1"]) is None
    assert a_ladder(0.6, 0.9).better([Judgement("t0", 0.95)], ["t1"]) is None


def test_price_and_delay_are_weighed():
    assert a_ladder(0.6, 0.9, price_weight=0.0).better([Judgement("t0", 0.4)], ["t1"]) == "t1"
    assert a_ladder(0.6, 0.9, price_weight=0.9).better([Judgement("t0", 0.4)], ["t1"]) is None
    slow = a_ladder(0.6, 0.9, price_weight=0.0, delay_weight=0.01, delays=[1.0, 60.0])
    assert slow.better([Judgement("t0", 0.4)], ["t1"]) is None


def test_an_answer_that_was_broken_off_is_no_reason_to_stay():
    ladder = a_ladder(0.9, 0.5, 0.55, price_weight=0.0)
    assert ladder.better([Judgement("t0", 0.6, in_hand=False), Judgement("t1", 0.5)], ["t2"]) == "t2"
    assert ladder.better([Judgement("t0", 0.6), Judgement("t1", 0.5)], ["t2"]) is None


def test_against_a_perfect_expert_the_break_even_is_chows_rule():
    ladder = a_ladder(0.6, 1.0, price_weight=0.3, overlap=0.0)
    assert ladder.break_even("t0", "t1") == pytest.approx(1 - 0.3, abs=2e-3)


def test_an_answer_as_good_as_was_asked_for_is_given_though_a_better_one_could_be_had():
    asked = a_ladder(0.6, 0.95, enough=0.6)
    assert a_ladder(0.6, 0.95).better([Judgement("t0", 0.5)], ["t1"]) == "t1"
    assert asked.better([Judgement("t0", 0.5)], ["t1"]) is None
    assert asked.better([Judgement("t0", 0.4)], ["t1"]) == "t1"
    assert asked.break_even("t0", "t1") == 0.6


def test_at_the_break_even_error_a_no_brings_the_posterior_to_the_break_even():
    ladder = a_ladder(0.8, 0.9)
    error = ladder.break_even_error("t0", "t1")
    assert 0 < error < 0.5
    assert posterior(0.8, error) == pytest.approx(ladder.break_even("t0", "t1"))


def test_where_the_higher_rung_is_never_worth_it_no_verifier_is_good_enough():
    ladder = a_ladder(0.9, 0.9, price_weight=0.9)
    assert (ladder.break_even("t0", "t1"), ladder.break_even_error("t0", "t1")) == (0.0, 0.0)


def test_the_share_of_climbs_that_still_saves_is_known_from_the_prices():
    assert a_ladder(0.5, 0.9).break_even_share("t0", "t1") == pytest.approx(0.5)
    unknown = Benefit({"t0": Prospect(0.5), "t1": Prospect(0.9, nano_usd=5)})
    assert unknown.break_even_share("t0", "t1") is None


def test_a_verifier_that_can_change_nothing_is_not_worth_asking():
    ladder = a_ladder(0.8, 0.9)
    assert ladder.matters("t0", 0.05, ["t1"])
    assert not ladder.matters("t0", 0.45, ["t1"]), "its worst word leaves the answer above the break-even"
    assert not ladder.matters("t0", 0.5, ["t1"]), "a coin"
    assert not ladder.matters("elsewhere", 0.05, ["t1"])


def test_the_break_evens_of_a_ladder_are_told_rung_by_rung():
    told = a_ladder(0.5, 0.7, 0.9).break_evens()
    assert [(each.tier, each.higher) for each in told] == [("t0", "t1"), ("t0", "t2"), ("t1", "t2")]
    assert told[1].below == a_ladder(0.5, 0.7, 0.9).break_even("t0", "t2")


EXACT, WEAK = Words(0.02, 0.98), Words(0.42, 0.58)


def entry(benefit, decided, words, climbs=2, enough=1.0):
    judged = dict.fromkeys(list(benefit.prospects)[:-1], words) if isinstance(words, Words) else words
    return msgspec.structs.replace(benefit, words=judged, enough=enough).entry(decided, climbs)


def test_with_an_exact_verifier_a_lower_rung_is_tried_first():
    assert entry(a_ladder(0.6, 0.9), "t1", EXACT) == "t0"


def test_a_weak_verifier_leaves_the_policys_choice_alone():
    assert entry(a_ladder(0.6, 0.9), "t1", WEAK) == "t1"
    assert entry(a_ladder(0.6, 0.9), "t1", {}) == "t1"


def test_where_trying_lower_first_is_worth_the_same_nobody_waits_for_it():
    """A price that weighs nothing, verifiers that say nothing: what is left is rounding."""
    free = a_ladder(0.2766, 0.5117, 0.5812, price_weight=0.0)
    assert entry(free, "t2", {"t0": Words(0.5, 0.5), "t1": Words(0.5, 0.5)}) == "t2"
    free = a_ladder(0.1995, 0.3599, 0.6143, price_weight=0.0)
    assert entry(free, "t2", {"t0": Words(0.5, 0.5), "t1": Words(0.5, 0.5)}) == "t2"


def test_one_that_hardly_ever_speaks_is_as_good_as_none():
    assert entry(a_ladder(0.55, 0.9), "t1", {"t0": Words(0.02, 0.98, speaks=1.0)}) == "t0"
    assert entry(a_ladder(0.55, 0.9), "t1", {"t0": Words(0.02, 0.98, speaks=0.1)}) == "t1"


def test_trying_lower_first_promises_no_less_than_was_asked_for():
    cheap = a_ladder(0.5, 0.9, price_weight=0.9)
    some = Words(0.3, 0.7)
    assert entry(cheap, "t1", some, enough=0.9) == "t1"
    assert entry(cheap, "t1", some, enough=0.5) == "t0"


def test_a_request_that_may_not_climb_is_not_tried_lower():
    assert entry(a_ladder(0.6, 0.9), "t1", EXACT, climbs=0) == "t1"


def test_what_may_follow_makes_a_middle_rung_worth_climbing_to():
    """By itself the top is worth more; the middle, judged, is cheaper and can still be climbed from."""
    ladder = a_ladder(0.3, 0.8, 0.95, price_weight=0.3)
    dearer = msgspec.structs.replace(ladder, prospects=ladder.prospects | {"t1": Prospect(0.8, 0.3)})
    bad = [Judgement("t0", 0.02)]
    assert dearer.better(bad, ["t1", "t2"], climbs=1) in ("t1", "t2")
    assert msgspec.structs.replace(dearer, words={"t1": EXACT}).better(bad, ["t1", "t2"], climbs=2) == "t1"


def test_an_overlap_that_was_measured_for_a_pair_holds_for_that_pair_alone():
    base = a_ladder(0.5, 0.7, 0.9)
    measured = msgspec.structs.replace(base, overlaps={"t0": {"t2": 1.0}})
    bad = [Judgement("t0", 0.05)]

    assert measured.beliefs(bad)["t1"] == base.beliefs(bad)["t1"]
    assert measured.beliefs(bad)["t2"] < base.beliefs(bad)["t2"]
    assert measured.break_even("t0", "t1") == base.break_even("t0", "t1")
