"""Ways beside each other: figures, intervals and paired gaps."""

import pytest

np = pytest.importorskip("numpy")

from pointsman.learn.cascade import Cascade  # noqa: E402
from pointsman.learn.cascade_report import (  # noqa: E402
    BOTH,
    CHEAPEST,
    MIXING,
    ORACLE,
    REFERENCE,
    ROUTING,
    THRESHOLD,
    arms,
    joined,
    report,
)
from pointsman.learn.rungs import rungs_of, simulated  # noqa: E402

TIERS = ("small", "medium", "large")
WEIGHTS = (0.0, 0.05, 0.2, 0.8, 1000.0)


def a_ladder(rows=150, seed=0):
    draw = np.random.default_rng(seed)
    p = np.clip(np.sort(draw.random((rows, 3)), axis=1), 0.05, 0.95)
    return rungs_of(TIERS, (draw.random((rows, 3)) < p).astype(float), np.array([1.0, 4.0, 20.0]), p=p, seconds=np.array([0.5, 1.0, 4.0]))


def some_arms(error, seed=0):
    return arms(Cascade(simulated(a_ladder(seed=seed), error)), WEIGHTS, (0.0, 0.5, 1.01))


def a_report(error, **values):
    return report(some_arms(error), TIERS, draws=60, **values)


def test_with_a_good_verifier_routing_and_cascade_beats_routing_and_thresholds():
    found = a_report(0.02)

    assert found.gap(BOTH, ROUTING).verdict == "better"
    assert found.gap(BOTH, THRESHOLD).mean.value > 0
    assert found.standing(BOTH).area.value < found.standing(ORACLE).area.value


def test_with_a_useless_one_it_is_routing_and_thresholds_lose():
    found = a_report(0.5)

    assert found.gap(BOTH, ROUTING).mean.value == pytest.approx(0, abs=0.01)
    assert found.gap(THRESHOLD, ROUTING).verdict == "worse"
    assert found.gap(THRESHOLD, ROUTING).is_ever_worse


def test_the_reference_costs_all_of_itself():
    found = a_report(0.1)
    largest, cheapest = found.standing(REFERENCE), found.standing(CHEAPEST)

    assert largest.cost_of[2].value == pytest.approx(1.0)
    assert cheapest.cost_of == (None, None, None)
    assert cheapest.cost == pytest.approx(0.05)
    assert (largest.p50_s.value, cheapest.p99_s.value, cheapest.climbs) == (4.0, 0.5, 0.0)


def test_who_climbs_waits_longer_at_the_tail():
    found = a_report(0.02).standing(BOTH)

    assert found.p50_s.value <= found.p95_s.value <= found.p99_s.value
    assert found.p99_s.value > 4.0
    assert all(one.low <= one.value <= one.high for one in (found.p50_s, found.p95_s, found.p99_s))


def test_mixing_reaches_the_middle_at_half_the_way():
    found = a_report(0.1)
    ends = found.standing(CHEAPEST).quality, found.standing(REFERENCE).quality

    assert found.standing(MIXING).area.value == pytest.approx(sum(ends) / 2)


def test_intervals_hold_their_figures():
    for one in a_report(0.1).standings:
        assert one.area.low <= one.area.value <= one.area.high


def test_sources_weigh_the_same_whatever_their_size():
    small = arms(Cascade(a_ladder(40, seed=1)), WEIGHTS, (0.0,))
    large = arms(Cascade(a_ladder(120, seed=2)), WEIGHTS, (0.0,))
    found = report(joined([small, large]), TIERS, (40, 120), draws=10).standing(CHEAPEST)

    assert found.quality == pytest.approx((small[0].quality.mean() + large[0].quality.mean()) / 2)


def test_curves_rise_in_cost_and_tell_times():
    curve = a_report(0.1).standing(BOTH).curve

    assert [point.cost for point in curve] == sorted(point.cost for point in curve)
    assert all(point.p50_s <= point.p95_s <= point.p99_s for point in curve)


def test_the_same_seed_makes_the_same_report():
    assert a_report(0.1, seed=3) == a_report(0.1, seed=3)


def test_progress_is_told_to_its_end():
    heard = []
    arms(Cascade(simulated(a_ladder(45), 0.1)), (0.1,), (0.5,), lambda stage, done: heard.append((stage, done)))

    assert heard[-1] == ("replaying", 1.0)
