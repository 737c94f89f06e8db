"""Two at random, the less loaded of them."""

from __future__ import annotations

from collections import Counter
from random import Random

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.pools.balancers.power_of_two import PowerOfTwo
from pointsman.testing.factories import a_request

REQUEST = a_request()


def a_view(id: str, tokens: int = 0, *, in_flight: int = 0, slots: int | None = None, excess: int = 0, weight=1.0):
    return EndpointView(id, EndpointState.HEALTHY, in_flight, tokens, slots, None, excess, weight)


def picks(*views: EndpointView, times: int = 300) -> Counter[str]:
    rng, balancer = Random(7), PowerOfTwo()
    return Counter(balancer.pick(REQUEST, views, rng) for _ in range(times))


def test_of_two_the_one_with_fewer_tokens_in_flight():
    assert picks(a_view("a", 900), a_view("b", 100)) == {"b": 300}


def test_the_most_loaded_of_many_is_never_picked_and_the_others_share():
    counts = picks(a_view("a", 900), a_view("b", 100), a_view("c", 110), times=900)
    assert set(counts) == {"b", "c"}
    assert counts["c"] > 200


def test_equals_share_evenly():
    counts = picks(a_view("a"), a_view("b"), a_view("c"), times=900)
    assert min(counts.values()) > 240


def test_a_reported_queue_outweighs_a_few_tokens():
    assert picks(a_view("a", 100, excess=10_000), a_view("b", 900)) == {"b": 300}


def test_an_endpoint_that_starts_slowly_is_as_busy_as_a_full_one_with_a_part_of_its_tokens():
    assert picks(a_view("cold", weight=0.1), a_view("warm")) == {"warm": 300}
    assert picks(a_view("cold", 90, weight=0.5), a_view("warm", 500)) == {"cold": 300}


def test_full_endpoints_only_when_all_are_full():
    full, free = a_view("full", 10, in_flight=4, slots=4), a_view("free", 900, in_flight=63, slots=64)
    assert picks(full, free) == {"free": 300}
    assert picks(full, full, full, free) == {"free": 300}
    assert picks(full, a_view("fuller", 20, in_flight=4, slots=4)) == {"full": 300}


def test_a_single_endpoint_is_picked():
    assert picks(a_view("a"), times=1) == {"a": 1}


def test_in_a_large_pool_only_some_are_asked_for_a_free_slot():
    class Views(list):
        asked = 0

        def __getitem__(self, index):
            Views.asked += 1
            return super().__getitem__(index)

    views = Views(a_view(str(i), i, in_flight=4, slots=4) for i in range(500))
    PowerOfTwo().pick(REQUEST, views, Random(1))
    assert Views.asked <= 20
