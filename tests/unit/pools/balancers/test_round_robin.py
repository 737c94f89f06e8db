"""One after the other."""

from __future__ import annotations

from random import Random

from pointsman.core.fleet import EndpointState, EndpointView
from pointsman.pools.balancers.round_robin import RoundRobin
from pointsman.testing.factories import a_request


def test_endpoints_take_turns():
    views = [EndpointView(name, EndpointState.HEALTHY, 0, 0, None) for name in "abc"]
    balancer = RoundRobin()
    assert "".join(balancer.pick(a_request(), views, Random(1)) for _ in range(7)) == "abcabca"


def test_a_smaller_round_goes_on():
    views = [EndpointView(name, EndpointState.HEALTHY, 0, 0, None) for name in "abc"]
    balancer = RoundRobin()
    balancer.pick(a_request(), views, Random(1))
    assert balancer.pick(a_request(), views[:1], Random(1)) == "a"
