"""The least loaded of all: the most even where one process decides alone.

Several processes that all see the same idle endpoint send it their next requests together; with more than one router
over a pool, power of two choices is steadier.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.load import cost, is_full, tokens_of


class LeastLoaded:
    """Fewest tokens in flight; endpoints with all slots taken only if all are full; chance among equals."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> EndpointId:
        """One of `views` (never empty)."""
        tokens = tokens_of(request)
        return min(views, key=lambda view: (is_full(view), cost(view, tokens), view.in_flight, rng.random())).id
