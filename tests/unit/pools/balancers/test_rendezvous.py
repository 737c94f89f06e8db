"""Rendezvous hashing with bounded load."""

from __future__ import annotations

from collections import Counter

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.pools.balancers.rendezvous import Bound, ranked, score


def a_view(key: int, tokens: int = 0, *, in_flight: int = 0, slots: int | None = None, excess: int = 0, weight=1.0):
    return EndpointView(f"small/{key}", EndpointState.HEALTHY, in_flight, tokens, slots, None, excess, weight, key * 7919)


POOL = tuple(a_view(n) for n in range(1, 9))


def test_keys_spread_evenly():
    counts = Counter(ranked(POOL, key)[0].id for key in range(8000))
    assert len(counts) == 8
    assert max(counts.values()) < 1150 > min(counts.values()) > 850


def test_the_order_is_by_score_and_the_same_wherever_it_is_made():
    order = ranked(POOL, 4711)
    scores = [score(view, 4711) for view in order]
    assert scores == sorted(scores, reverse=True)
    assert order == ranked(tuple(reversed(POOL)), 4711)
    assert [view.id for view in order[:3]] == ["small/8", "small/7", "small/2"], "another order would empty every cache at an upgrade"


def test_an_overloaded_endpoint_is_passed_over_for_the_next_in_the_keys_order():
    order = ranked(POOL, 3)
    busy = [a_view(n, 10_000 if f"small/{n}" == order[0].id else 100, in_flight=9) for n in range(1, 9)]
    assert Bound(busy, 100).first(ranked(busy, 3), busy).id == order[1].id


def test_the_bound_is_a_quarter_above_the_mean_with_the_request():
    views = [a_view(1, 1200, in_flight=9), a_view(2, 800, in_flight=9)]
    assert Bound(views, 50).allows(views[0]), "1250 of at most 1281"
    assert not Bound([a_view(1, 1300, in_flight=9), views[1]], 50).allows(a_view(1, 1300, in_flight=9))


def test_with_a_few_in_flight_nobody_is_overloaded():
    views = [a_view(1, 90_000, in_flight=3), a_view(2)]
    assert Bound(views, 100).allows(views[0])
    assert not Bound(views, 100).allows(a_view(1, 90_000, in_flight=4))


def test_neither_full_nor_repelling_endpoints_are_nearly_idle():
    assert not Bound(POOL, 100).allows(a_view(1, 10, in_flight=1, slots=1))
    assert not Bound(POOL, 100).allows(a_view(1, 10, in_flight=1, excess=50_000))


def test_an_endpoint_that_starts_slowly_carries_its_part_of_the_bound():
    views = [a_view(1, 300, in_flight=2, weight=0.1), a_view(2, 3000, in_flight=9), a_view(3, 3000, in_flight=9)]
    assert not Bound(views, 100).allows(views[0])
    assert Bound(views, 100).allows(a_view(1, 100, in_flight=2, weight=0.1))


def test_when_none_may_take_it_the_least_loaded_does():
    views = [a_view(1, 900, in_flight=2, slots=2), a_view(2, 800, in_flight=2, slots=2), a_view(3, 950, in_flight=9, slots=9)]
    assert Bound(views, 100).first(views, views).id == "small/2"
