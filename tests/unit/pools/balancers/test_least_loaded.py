"""The least loaded of all."""

from __future__ import annotations

from collections import Counter
from random import Random

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.pools.balancers.least_loaded import LeastLoaded
from pointsman.testing.factories import a_request


def a_view(id: str, tokens: int = 0, *, in_flight: int = 0, slots: int | None = None, weight: float = 1.0):
    return EndpointView(id, EndpointState.HEALTHY, in_flight, tokens, slots, None, 0, weight)


def picks(*views: EndpointView, times: int = 300) -> Counter[str]:
    rng = Random(7)
    return Counter(LeastLoaded().pick(a_request(), views, rng) for _ in range(times))


def test_the_one_with_the_fewest_tokens_in_flight():
    assert picks(a_view("a", 300), a_view("b", 100), a_view("c", 200)) == {"b": 300}


def test_equals_share_evenly():
    assert min(picks(a_view("a"), a_view("b"), a_view("c")).values()) > 70


def test_of_equal_tokens_the_one_with_fewer_requests():
    assert picks(a_view("a", 300, in_flight=3), a_view("b", 300, in_flight=1)) == {"b": 300}


def test_full_endpoints_only_when_all_are_full():
    full = a_view("full", 1, in_flight=2, slots=2)
    assert picks(full, a_view("free", 900)) == {"free": 300}
    assert picks(full, a_view("fuller", 900, in_flight=2, slots=2)) == {"full": 300}


def test_an_endpoint_that_starts_slowly_gets_less():
    assert picks(a_view("cold", weight=0.1), a_view("warm")) == {"warm": 300}
