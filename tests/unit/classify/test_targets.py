"""What a tier must reach."""

import pytest

from pointsman.classify.targets import QualityTarget, preset, target_of, threshold
from pointsman.core.settings import RouteSettings


def route(**fields):
    return RouteSettings("auto", ladder=("a",), default_tier="a", **fields)


def test_a_routes_own_target_is_what_it_says():
    assert target_of(route()) == QualityTarget(0.8)
    assert target_of(route(quality=0.95, quality_of="reference", max_usd_per_request=0.002)) == QualityTarget(0.95, "reference", 0.002)


@pytest.mark.parametrize(("of", "calibrated", "is_relative"), [
    ("auto", True, True), ("auto", False, False), ("reference", False, True), ("absolute", True, False)])
def test_quality_is_of_the_reference_where_scores_mean_something(of, calibrated, is_relative):
    assert QualityTarget(0.9, of).is_relative(calibrated) is is_relative


def test_cheap_may_lose_twice_as_much_and_never_less_than_nothing():
    assert preset(QualityTarget(0.95), "cheap").quality == 0.9
    assert preset(QualityTarget(0.8), "cheap").quality == 0.6
    assert preset(QualityTarget(0.3), "cheap").quality == 0.0


def test_balanced_is_what_the_route_says_and_best_the_best_within_the_budget():
    target = QualityTarget(0.8, max_usd=0.01)

    assert preset(target, "balanced") is target
    assert preset(target, "best") == QualityTarget(0.8, max_usd=0.01, wants_best=True)


def test_a_threshold_is_a_probability_by_itself_and_keeps_the_budget():
    assert threshold(QualityTarget(0.95, "reference", 0.01), 0.7) == QualityTarget(0.7, "absolute", 0.01)
