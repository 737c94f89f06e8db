"""Scores and prices to a choice."""

import pytest

from pointsman.classify.policy import choose, nearest
from pointsman.core.decision import GateView, Scores, TierScore
from pointsman.errors import NothingFits


def scores(**p):
    return Scores({tier: TierScore(value, value) for tier, value in p.items()}, calibrated=False)


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
