"""Two endpoints at random, the less loaded of them: nearly as even as asking all, and no herd on the idlest one.

Load is our own estimated tokens in flight and what the engine reports beyond its siblings (`Pool` compares the
reports: one that is silent, or claims to be idle, counts as its siblings do).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.load import cost, is_full, tokens_of

FEW = 16
"""In a pool up to this size all endpoints are asked for a free slot when one of the two has none; in a larger one as
many others at random: by then nearly all are full."""


class PowerOfTwo:
    """Power of two choices on tokens; endpoints with all slots taken only if all are full."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> EndpointId:
        """One of `views` (never empty)."""
        first, second = _two(views, rng)
        if is_full(first) or is_full(second):
            asked = views if len(views) <= FEW else [views[int(rng.random() * len(views))] for _ in range(FEW)]
            free = [view for view in asked if not is_full(view)]
            if free:
                first, second = _two(free, rng)
        return lighter(first, second, tokens_of(request)).id


def _two(views: Sequence[EndpointView], rng: Random) -> tuple[EndpointView, EndpointView]:
    count = len(views)
    i = int(rng.random() * count)
    if count == 1:
        return views[i], views[i]
    j = int(rng.random() * (count - 1))
    return views[i], views[j + (j >= i)]


def lighter(a: EndpointView, b: EndpointView, tokens: int) -> EndpointView:
    """The less loaded with `tokens` more; `a`, the first at random, of equals."""
    return b if (cost(b, tokens), b.in_flight) < (cost(a, tokens), a.in_flight) else a
