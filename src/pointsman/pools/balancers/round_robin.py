"""One after the other: for endpoints that are equal and requests that are, and for tests that want to know who is next."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import ChatRequest


class RoundRobin:
    """In order, round and round. Each pool has its own: the place in the round is state."""

    def __init__(self) -> None:
        self._next = 0

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> EndpointId:
        """One of `views` (never empty)."""
        view = views[self._next % len(views)]
        self._next += 1
        return view.id
