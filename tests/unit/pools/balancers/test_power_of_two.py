"""Two at random, the less loaded of them."""

from __future__ import annotations

from collections import Counter
from random import Random

from pointsman.core.fleet import EndpointState, EndpointView, LoadReport
from pointsman.pools.balancers.power_of_two import PowerOfTwo
from pointsman.testing.factories import a_request

REQUEST = a_request()


def a_view(id: str, tokens: int = 0, *, in_flight: int = 0, slots: int | None = None, waiting: int | None = None):
    report = None if waiting is None else LoadReport(waiting, 0, None, at=0.0)
    return EndpointView(id, EndpointState.HEALTHY, in_flight, tokens, slots, report)


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
    assert picks(a_view("a", 100, waiting=20), a_view("b", 900, waiting=0)) == {"b": 300}


def test_an_endpoint_that_reports_nothing_does_not_look_idle():
    assert picks(a_view("silent", 900), a_view("honest", 100, waiting=20)) == {"honest": 300}


def test_full_endpoints_only_when_all_are_full():
    full, free = a_view("full", 10, in_flight=4, slots=4), a_view("free", 900, in_flight=63, slots=64)
    assert picks(full, free) == {"free": 300}
    assert picks(full, full, full, free) == {"free": 300}
    assert picks(full, a_view("fuller", 20, in_flight=4, slots=4)) == {"full": 300}


def test_a_single_endpoint_is_picked():
    assert picks(a_view("a"), times=1) == {"a": 1}
