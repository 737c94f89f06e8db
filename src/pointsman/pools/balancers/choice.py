"""Balancers by the names that configurations use."""

from __future__ import annotations

from collections.abc import Callable

from pointsman.core.protocols import Balancer
from pointsman.pools.balancers.least_loaded import LeastLoaded
from pointsman.pools.balancers.power_of_two import PowerOfTwo
from pointsman.pools.balancers.prefix import Prefix
from pointsman.pools.balancers.round_robin import RoundRobin
from pointsman.pools.balancers.session import Session

BALANCERS: dict[str, Callable[[], Balancer]] = {
    "power_of_two": PowerOfTwo,
    "least_loaded": LeastLoaded,
    "round_robin": RoundRobin,
    "session": Session,
    "prefix": Prefix,
}


def balancer_of(name: str) -> Balancer:
    """A new one: what it remembers belongs to one pool. Raises KeyError for a name that is none."""
    return BALANCERS[name]()
