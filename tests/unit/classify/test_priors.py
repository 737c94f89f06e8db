"""Who asks: offsets that their own outcomes earn."""

import pytest

from pointsman.classify.priors import FADES_S, MOST, SUPPORT, Priors, shifted
from pointsman.classify.priors import told as in_words
from pointsman.core.decision import Scores, TierScore

SCORES = Scores({"small": TierScore(0.8, 0.7, 12), "large": TierScore(0.95, 0.9, 12)}, calibrated=True)


def told(n, good, *, tenant="acme", user="", tier="small", expected=0.8):
    priors = Priors()
    for i in range(n):
        priors.learn(tenant, user, tier, expected, float(i < good))
    return priors


def test_below_the_support_nothing_is_believed():
    assert told(SUPPORT - 1, 0).offset("acme", "", "small") == 0.0


def test_outcomes_as_expected_move_nothing():
    assert told(100, 80).offset("acme", "", "small") == pytest.approx(0.0)


def test_worse_outcomes_than_expected_lower_the_score_and_more_of_them_lower_it_further():
    few, many = told(40, 20).offset("acme", "", "small"), told(400, 200).offset("acme", "", "small")

    assert -MOST < many < few < 0


def test_better_outcomes_raise_it_up_to_a_limit():
    assert 0 < told(200, 200).offset("acme", "", "small") <= MOST
    assert told(5000, 5000, expected=0.1).offset("acme", "", "small") == MOST


def test_only_the_tier_and_the_tenant_that_earned_it_are_moved():
    moved = told(200, 100).applied(SCORES, "acme", "")

    assert moved.by_tier["small"].p < 0.8
    assert moved.by_tier["small"].lower < 0.7
    assert moved.by_tier["small"].evidence == 12
    assert moved.by_tier["large"] == SCORES.by_tier["large"]
    assert told(200, 100).applied(SCORES, "other", "") is SCORES


def test_a_user_is_pulled_towards_the_tenant():
    priors = told(400, 200)  # the tenant: half of what was expected to be .8
    for i in range(SUPPORT):
        priors.learn("acme", "ann", "small", 0.8, float(i < 24))  # ann: as expected

    tenant, ann = priors.offset("acme", "", "small"), priors.offset("acme", "ann", "small")

    assert tenant < ann < 0
    assert priors.offset("acme", "bob", "small") == tenant


def test_the_one_who_always_escalates_goes_up_and_the_one_with_simple_questions_stays():
    priors = Priors()
    for i in range(300):
        priors.learn("acme", "simple", "small", 0.8, 1.0)
        priors.learn("acme", "hard", "small", 0.8, float(i % 5 == 0))

    assert priors.applied(SCORES, "acme", "hard").by_tier["small"].p < 0.5
    assert priors.applied(SCORES, "acme", "simple").by_tier["small"].p > 0.8


def test_memory_is_bounded_and_the_longest_unused_go_first():
    priors = Priors(size=2)
    for tenant in ("a", "b", "a", "c"):
        priors.learn(tenant, "", "small", 0.8, 1.0)

    assert len(priors) == 2
    for _ in range(SUPPORT):
        priors.learn("a", "", "small", 0.8, 0.0)
    assert priors.offset("a", "", "small") < 0


def test_values_out_of_range_are_taken_as_the_nearest_end():
    priors = Priors()
    for _ in range(100):
        priors.learn("acme", "", "small", 7.0, -3.0)

    assert priors.offset("acme", "", "small") == -MOST


def test_old_outcomes_fade():
    priors = told(5000, 0)  # never good
    late = told(5000, 0)
    for _ in range(1500):
        late.learn("acme", "", "small", 0.8, 1.0)

    assert priors.offset("acme", "", "small") == -MOST
    assert late.offset("acme", "", "small") > 0
    assert late.heard == 6500


def test_offsets_are_told_in_words():
    priors = told(400, 200)
    offsets = priors.offsets(SCORES.by_tier, "acme", "")

    assert list(offsets) == ["small"]
    assert in_words(offsets).startswith("the caller's own outcomes move small by -1.")
    assert shifted(SCORES, {}) is SCORES


def test_a_day_halves_what_is_known_so_that_a_tier_is_tried_again():
    priors = told(SUPPORT, 0)

    assert priors.offset("acme", "", "small", now=FADES_S - 1) < 0
    assert priors.offset("acme", "", "small", now=FADES_S) == 0.0
    assert told(8 * SUPPORT, 0).offset("acme", "", "small", now=3 * FADES_S) < 0
