"""Rendezvous hashing with bounded load: a key's endpoint, the same in every process, with nothing to synchronise.

Each endpoint has a score for each key, and the highest wins. Taking an endpoint away moves only the keys that it won,
and spreads them over all others; bringing it back moves exactly those home.

Load stays bounded: an endpoint with more than 1.25 times the mean load is passed over, for the next in the key's own
order. So a hot key spills to the same few endpoints instead of drowning one, and no affinity can collapse a pool.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pointsman.core.fleet import EndpointView
from pointsman.pools.balancers.load import cost, is_full

BOUND = 1.25
"""Times the mean load that affinity may pile up: the usual balance between hits kept and wait risked."""
FREE = 4
"""With this many in flight, or fewer, nobody is overloaded: engines batch that many at next to no cost, and the mean of
an idle pool is next to nothing."""
_BITS = (1 << 32) - 1


def score(view: EndpointView, key: int) -> int:
    """How much this endpoint wants this key: 32 well mixed bits (the finaliser of MurmurHash3, Appleby 2011)."""
    mixed = view.key ^ key
    mixed = (mixed ^ mixed >> 16) * 0x85EBCA6B & _BITS
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & _BITS
    return mixed ^ mixed >> 16


def ranked(views: Iterable[EndpointView], key: int) -> list[EndpointView]:
    """In the key's own order, first choice first."""
    return sorted(views, key=lambda view: score(view, key), reverse=True)


class Bound:
    """Which endpoints may take one more request of `tokens`."""

    __slots__ = ("_limit", "_tokens")

    def __init__(self, views: Sequence[EndpointView], tokens: int) -> None:
        total, weights = tokens, 0.0
        for view in views:
            total += view.in_flight_tokens + view.excess_tokens
            weights += view.weight
        self._limit, self._tokens = BOUND * total / weights, tokens

    def allows(self, view: EndpointView) -> bool:
        """Within 1.25 times the mean with this request, or nearly idle; and a slot is free."""
        if is_full(view):
            return False
        if view.in_flight < FREE * view.weight and not view.excess_tokens:
            return True
        return cost(view, self._tokens) <= self._limit

    def first(self, order: Iterable[EndpointView], views: Sequence[EndpointView]) -> EndpointView:
        """The first of `order` that may take it; the least loaded of `views` if none may."""
        for view in order:
            if self.allows(view):
                return view
        return min(views, key=lambda view: (is_full(view), cost(view, self._tokens)))
