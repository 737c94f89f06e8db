"""The order in which tiers may answer."""

from __future__ import annotations

from pointsman.cascade.ladder import plan_rungs

ENDPOINTS = {tier: (f"{tier}/0",) for tier in ("small", "medium", "large", "api")}
LADDER = ("small", "medium", "large")


def order(chosen, *, ladder=LADDER, fallbacks=(), endpoints=ENDPOINTS, fits=ENDPOINTS):
    return [(r.tier, r.reason) for r in plan_rungs(ladder, chosen, fallbacks, endpoints, fits)]


def test_the_chosen_tier_is_first_then_the_climb_then_fallbacks_then_lower_rungs_nearest_first():
    assert order("medium", fallbacks=("api",)) == [
        ("medium", "chosen"), ("large", "failed"), ("api", "fallback"), ("small", "last_resort"),
    ]  # fmt: skip
    assert order("large") == [("large", "chosen"), ("medium", "last_resort"), ("small", "last_resort")]


def test_a_fallback_that_the_climb_reaches_anyway_is_listed_once():
    assert order("small", fallbacks=("large", "api")) == [
        ("small", "chosen"), ("medium", "failed"), ("large", "failed"), ("api", "fallback"),
    ]  # fmt: skip


def test_a_fallback_below_the_chosen_tier_goes_before_the_other_lower_rungs():
    assert order("large", fallbacks=("small",))[1:] == [("small", "fallback"), ("medium", "last_resort")]


def test_tiers_that_do_not_pass_the_gate_are_left_out():
    assert order("small", fallbacks=("api",), fits={"small", "large"}) == [("small", "chosen"), ("large", "failed")]


def test_tiers_without_endpoints_are_left_out():
    assert order("small", endpoints={"small": ("small/0",), "medium": ()}) == [("small", "chosen")]


def test_a_pinned_pool_has_no_alternatives():
    assert order("api", ladder=()) == [("api", "chosen")]


def test_a_chosen_tier_off_the_ladder_falls_back_to_the_strongest_rung_first():
    assert [tier for tier, _ in order("api")] == ["api", "large", "medium", "small"]
