"""Scores and prices to a choice."""

from math import inf

import pytest

from pointsman.classify.policy import GRID, allowed, candidates, nearest
from pointsman.classify.policy import choose as choose_for
from pointsman.classify.targets import QualityTarget
from pointsman.core.decision import GateView, Scores, TierScore
from pointsman.errors import NothingFits


def scores(**p):
    return Scores({tier: TierScore(value, value) for tier, value in p.items()}, calibrated=False)


def choose(said, views, quality, usd, *args):
    return choose_for(said, views, QualityTarget(quality), usd, *args)


def gate(**fits):
    return tuple(GateView(tier, ok, "fits" if ok else "no tools") for tier, ok in fits.items())


OPEN = gate(small=True, medium=True, large=True)
CHEAP_FIRST = {"small": 1.0, "medium": 2.0, "large": 3.0}


def test_the_cheapest_tier_that_clears_the_target_serves():
    choice = choose(scores(small=0.7, medium=0.81, large=0.99), OPEN, 0.8, CHEAP_FIRST)

    assert (choice.tier, choice.confidence) == ("medium", 0.81)


def test_reaching_the_target_exactly_is_enough():
    assert choose(scores(small=0.8, medium=0.9, large=0.9), OPEN, 0.8, CHEAP_FIRST).tier == "small"


def test_price_goes_before_the_ladder():
    dear_small = {"small": 5.0, "medium": 2.0, "large": 3.0}

    assert choose(scores(small=0.9, medium=0.9, large=0.95), OPEN, 0.8, dear_small).tier == "medium"


def test_one_unknown_price_leaves_the_order_to_the_ladder():
    prices = {"small": 5.0, "medium": None, "large": 3.0}

    assert choose(scores(small=0.9, medium=0.9, large=0.95), OPEN, 0.8, prices).tier == "small"


def test_the_price_of_a_tier_that_does_not_fit_plays_no_part():
    prices = {"small": None, "medium": 3.0, "large": 2.0}

    assert choose(scores(small=0.9, medium=0.9, large=0.9), gate(small=False, medium=True, large=True), 0.8, prices).tier == "large"


def test_the_ladder_breaks_ties_in_price():
    assert choose(scores(small=0.9, medium=0.9, large=0.9), OPEN, 0.8, dict.fromkeys(CHEAP_FIRST, 1.0)).tier == "small"


def test_when_none_clears_the_best_serves():
    choice = choose(scores(small=0.1, medium=0.3, large=0.5), OPEN, 0.8, CHEAP_FIRST)

    assert choice.tier == "large"
    assert "no fitting tier reaches 0.8" in choice.reason


def test_when_none_clears_ties_go_to_the_highest_rung():
    assert choose(scores(small=0.5, medium=0.5, large=0.5), OPEN, 0.8, CHEAP_FIRST).tier == "large"
    assert choose(scores(small=0.5, medium=0.5, large=0.5), gate(small=True, medium=True, large=False), 0.8, {}).tier == "medium"


def test_a_tier_without_a_score_never_clears():
    assert choose(scores(large=0.9), OPEN, 0.8, CHEAP_FIRST).tier == "large"


def test_nothing_fits_names_what_each_tier_lacks():
    with pytest.raises(NothingFits, match=r"route 'auto'.*small: no tools; medium: no tools"):
        choose(scores(small=0.9), gate(small=False, medium=False), 0.8, {}, "auto")


def test_nearest_goes_up_and_then_down():
    assert nearest("medium", OPEN) == "medium"
    assert nearest("medium", gate(small=True, medium=False, large=True)) == "large"
    assert nearest("large", gate(small=True, medium=True, large=False)) == "medium"
    assert nearest("elsewhere", gate(small=False, medium=True, large=True)) == "medium"
    with pytest.raises(NothingFits):
        nearest("small", gate(small=False, large=False))


# -- lower bounds, references, budgets, dominated tiers


def learned(calibrated=True, **bounds):
    """Scores as (p, lower) per tier."""
    return Scores({tier: TierScore(p, lower, 40) for tier, (p, lower) in bounds.items()}, calibrated=calibrated)


UNSURE = learned(small=(0.9, 0.6), medium=(0.88, 0.82), large=(0.95, 0.9))
"""Small may well be good, but little is known of it."""


def test_the_lower_bound_must_reach_the_target():
    absolute = QualityTarget(0.8, "absolute")

    assert choose_for(UNSURE, OPEN, absolute, CHEAP_FIRST).tier == "medium"
    assert "P(acceptable) 0.88 (at least 0.82) >= 0.8" in choose_for(UNSURE, OPEN, absolute, CHEAP_FIRST).reason


def test_calibrated_scores_are_held_against_the_reference():
    hard = learned(small=(0.30, 0.28), medium=(0.39, 0.381), large=(0.40, 0.38))

    choice = choose_for(hard, OPEN, QualityTarget(0.95), CHEAP_FIRST, "auto", "large")

    assert choice.tier == "medium"
    assert choice.reason == "cheapest tier with P(acceptable) 0.39 (at least 0.38) >= 0.95 of large's"
    assert choose_for(hard, OPEN, QualityTarget(0.7), CHEAP_FIRST, "auto", "large").tier == "small"


def test_the_reference_always_clears():
    unsure = learned(small=(0.5, 0.1), large=(0.9, 0.2))

    choice = choose_for(unsure, OPEN, QualityTarget(0.95), CHEAP_FIRST, "auto", "large")

    assert (choice.tier, choice.confidence) == ("large", 0.9)
    assert "large, the reference" in choice.reason


def test_when_the_reference_does_not_fit_the_best_that_does_is_it():
    choice = choose_for(UNSURE, gate(small=True, medium=True, large=False), QualityTarget(0.95), CHEAP_FIRST, "auto", "large")

    assert (choice.tier, "of small's" in choice.reason or "small, the reference" in choice.reason) == ("small", True)


def test_a_question_that_nobody_can_answer_goes_to_the_cheapest():
    hopeless = learned(small=(0.0, 0.0), medium=(0.0, 0.0), large=(0.0, 0.0))

    assert choose_for(hopeless, OPEN, QualityTarget(0.95), CHEAP_FIRST, "auto", "large").tier == "small"


def test_an_unscored_tier_never_clears_even_a_bar_of_zero():
    only = learned(large=(0.5, 0.4))

    assert choose_for(only, OPEN, QualityTarget(0.0, "absolute"), CHEAP_FIRST).tier == "large"
    assert choose_for(only, gate(small=True, medium=True, large=False), QualityTarget(0.5), CHEAP_FIRST, "auto", "large").reason == (
        "the classifier knows no tier that fits")


def test_a_budget_leaves_out_what_is_dearer_or_has_no_price():
    dollars = {"small": 0.001, "medium": 0.003, "large": 0.01}
    target = QualityTarget(0.85, "absolute", 0.005)

    choice = choose_for(UNSURE, OPEN, target, dollars)

    assert choice.tier == "small"
    assert choice.reason == "no fitting tier reaches 0.85 for sure; small has the best score, 0.90, within $0.005 a request"
    assert choose_for(UNSURE, OPEN, target, dollars | {"small": None}).tier == "medium"


def test_when_nothing_is_within_the_budget_the_cheapest_serves_and_says_so():
    choice = choose_for(UNSURE, OPEN, QualityTarget(0.8, max_usd=0.5), CHEAP_FIRST)

    assert (choice.tier, choice.margin) == ("small", float("inf"))
    assert choice.reason == "no tier is known to stay within $0.5 a request; small is the cheapest"
    tight = choose_for(UNSURE, OPEN, QualityTarget(0.8, max_usd=0.00005), CHEAP_FIRST)
    assert tight.reason == "no tier is known to stay within $0.00005 a request; small is the cheapest"


def test_the_best_is_the_highest_score_and_of_equals_the_cheapest():
    best = QualityTarget(0.8, wants_best=True)

    assert choose_for(UNSURE, OPEN, best, CHEAP_FIRST).tier == "large"
    assert choose_for(learned(small=(0.9, 0.9), large=(0.9, 0.9)), OPEN, best, CHEAP_FIRST).tier == "small"


def test_who_is_dearer_and_not_better_is_named_and_passed_over():
    odd = learned(small=(0.7, 0.65), medium=(0.9, 0.88), large=(0.8, 0.79))

    choice = choose_for(odd, OPEN, QualityTarget(0.95, "absolute"), CHEAP_FIRST)

    assert (choice.tier, choice.dominated) == ("medium", ("large",))
    assert choose_for(UNSURE, OPEN, QualityTarget(0.8, "absolute"), CHEAP_FIRST).dominated == ("medium",)


def test_the_margin_is_what_a_score_would_have_to_be_wrong_by():
    target = QualityTarget(0.8, "absolute")

    assert choose_for(UNSURE, OPEN, target, CHEAP_FIRST).margin == pytest.approx(0.02)
    assert choose_for(learned(small=(0.95, 0.93), large=(0.99, 0.98)), OPEN, target, CHEAP_FIRST).margin == pytest.approx(0.13)
    alone = choose_for(learned(small=(0.95, 0.93)), gate(small=True), target, CHEAP_FIRST)
    assert alone.margin == inf  # whatever it scores


def test_what_orders_the_tiers_need_not_be_what_the_budget_counts():
    dear_to_wait_for = {"small": 9.0, "medium": 2.0, "large": 3.0}

    choice = choose_for(UNSURE, OPEN, QualityTarget(0.5, "absolute", 2.5), CHEAP_FIRST, cost=dear_to_wait_for)

    assert choice.tier == "medium"


def test_the_table_of_candidates_says_who_clears_and_why_not():
    views = (*gate(small=True, medium=True, large=True), GateView("blind", False, "no vision"), GateView("new", True, "fits"))
    dollars = CHEAP_FIRST | {"blind": 9.0, "new": None}

    rows = candidates(UNSURE, views, QualityTarget(0.8, "absolute", 2.5), dollars, "large", CHEAP_FIRST)

    assert [(row.tier, row.clears, row.needs) for row in rows] == [
        ("small", False, 0.8), ("medium", True, 0.8), ("large", False, 0.8), ("blind", False, None), ("new", False, None)]
    assert [row.is_dominated for row in rows[:3]] == [False, True, False]
    assert (rows[0].p, rows[0].lower, rows[0].usd, rows[0].evidence, rows[4].p, rows[4].usd) == (0.9, 0.6, 1.0, 40, None, None)


def test_candidates_of_a_decision_without_scores_have_no_numbers():
    rows = candidates(None, OPEN, QualityTarget(0.8), CHEAP_FIRST, "large", CHEAP_FIRST)

    assert [(row.tier, row.p, row.clears) for row in rows] == [("small", None, False), ("medium", None, False), ("large", None, False)]


# -- kept in the mean: allowances of a rehearsed artifact


def told(**allowances):
    """Reference -> the allowance for qualities up to .9, and for all above."""
    return {tier: tuple(lax if quality <= 0.9 else strict for quality in GRID) for tier, (lax, strict) in allowances.items()}


WIDE = learned(small=(0.70, 0.30), medium=(0.86, 0.50), large=(0.90, 0.60))
"""Little is known of any single request."""


def kept(quality, allowances, scores=WIDE, views=OPEN, reference="large"):
    return choose_for(scores, views, QualityTarget(quality), CHEAP_FIRST, "auto", reference, None, allowances)


def test_a_rehearsed_artifact_is_held_to_what_it_expects():
    rehearsed = told(large=(0.25, 0.05))

    assert kept(0.9, rehearsed).tier == "small"
    assert kept(0.95, rehearsed).tier == "medium"
    assert kept(0.95, rehearsed).reason == "cheapest tier that keeps 0.95 of large in the mean: P(acceptable) 0.86 against 0.90, where 0.05 less is allowed"
    assert kept(0.95, {}).tier == "large"


def test_what_is_as_good_as_lost_is_not_sent_down_however_much_the_mean_could_bear():
    lost = learned(small=(0.40, 0.3), large=(0.90, 0.6))
    two = gate(small=True, large=True)

    assert kept(0.8, told(large=(0.6, 0.0)), lost, two).tier == "large"
    assert "0.45 less is allowed" in kept(0.8, told(large=(0.6, 0.0)), lost, two).reason
    assert kept(0.3, told(large=(0.6, 0.0)), lost, two).tier == "small"


def test_what_no_label_shows_to_be_enough_goes_to_the_reference():
    choice = kept(0.95, told(large=(0.0, -1.0)))

    assert choice.tier == "large"
    assert "the labels do not show that less than large, the reference, keeps 0.95 of it in the mean" in choice.reason


def test_the_reference_says_how_far_the_others_were():
    choice = kept(0.95, told(large=(0.0, 0.01)))

    assert choice.reason == ("nothing cheaper comes near enough to large, the reference, whose P(acceptable) is 0.90: "
                             "0.01 less is allowed for 0.95 of it in the mean")
    assert choice.margin == pytest.approx(0.03)


def test_a_tier_may_have_to_be_better_than_the_reference():
    better = learned(small=(0.7, 0.3), large=(0.6, 0.5))

    assert kept(1.0, told(large=(0.0, -0.05)), better, gate(small=True, large=True)).tier == "small"
    assert kept(1.0, told(large=(0.0, -0.2)), better, gate(small=True, large=True)).tier == "large"


def test_the_stricter_neighbour_counts_between_two_qualities():
    assert allowed([float(-at) for at in range(len(GRID))], 0.9001) == -181
    assert allowed([float(-at) for at in range(len(GRID))], 0.9) == -180
    assert allowed([float(-at) for at in range(len(GRID))], 1.0) == -200


def test_the_best_that_fits_brings_its_own_allowances():
    without_large = gate(small=True, medium=True, large=False)

    assert kept(0.95, told(large=(0.0, 0.0), medium=(0.2, 0.2)), views=without_large).tier == "small"


def test_bounds_count_where_nothing_was_rehearsed_or_scores_are_a_guess():
    guess = Scores(WIDE.by_tier, calibrated=False)
    relative = QualityTarget(0.5, "reference")

    assert kept(0.95, told(medium=(0.3, 0.3))).tier == "large"
    assert choose_for(guess, OPEN, relative, CHEAP_FIRST, "auto", "large", None, told(large=(0.3, 0.0))).tier == "medium"


def test_candidates_show_what_expectations_had_to_reach():
    small, medium, large = candidates(WIDE, OPEN, QualityTarget(0.95), CHEAP_FIRST, "large", CHEAP_FIRST, told(large=(0.25, 0.05)))

    assert (small.needs, small.clears, small.is_mean) == (pytest.approx(0.85), False, True)
    assert (medium.clears, large.clears, large.needs) == (True, True, None)
