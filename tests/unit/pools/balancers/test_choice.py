"""Balancers by name."""

from __future__ import annotations

from typing import get_args

from pointsman.config.pools import BalancerName
from pointsman.pools.balancers.choice import BALANCERS, balancer_of
from pointsman.pools.balancers.round_robin import RoundRobin


def test_the_configuration_knows_exactly_these_names():
    assert set(get_args(BalancerName)) == set(BALANCERS)


def test_each_pool_gets_its_own():
    one, other = balancer_of("round_robin"), balancer_of("round_robin")
    assert isinstance(one, RoundRobin)
    assert one is not other
