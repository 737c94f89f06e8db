"""Balancers that are measured before they may serve: `virtual.py` knows them beside the router's own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from random import Random
from zlib import crc32

from pointsman.core.fleet import EndpointView
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.load import cost, is_full, tokens_of

REMEMBERED = 2048
"""Beginnings per endpoint: some 500 conversations of four turns, 200 KB. A quarter of it loses nothing measurable."""
CREDIT = 4.0
"""What a token that is in the cache is worth, in tokens in flight. One would be the work saved now; but the copy that is
not made elsewhere also leaves room for others. From 2 to 8 the 95th percentile hardly changes."""


class LeastRequests:
    """The fewest requests in flight, ties at random: what a proxy without any idea of tokens does."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        return min(views, key=lambda view: (view.in_flight, rng.random())).id


class Anyone:
    """At random."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        return views[int(rng.random() * len(views))].id


class Beginnings:
    """The least loaded endpoint, where every token that it has seen as the beginning of an earlier request is credited.

    What an endpoint has seen is remembered as one number per message end, the latest 2,048 of each endpoint: no tree, and
    an endpoint that goes takes its own list with it. Load and cache are one sum, so there is no bound to pass and no
    threshold at which affinity starts: a conversation goes home unless home has more work than its beginning saves.
    """

    def __init__(self, credit: float = CREDIT, remembered: int = REMEMBERED) -> None:
        self._credit, self._remembered = credit, remembered
        self._seen: dict[str, OrderedDict[int, None]] = {}

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        beginnings, tokens = beginnings_of(request), tokens_of(request)
        chosen = min(views, key=lambda view: (
            is_full(view), cost(view, tokens) - self._credit * self._known(view.id, beginnings) / view.weight, rng.random())).id
        seen = self._seen.setdefault(chosen, OrderedDict())
        for key, _ in beginnings:
            seen[key] = None
            seen.move_to_end(key)
        while len(seen) > self._remembered:
            seen.popitem(last=False)
        return chosen

    def _known(self, endpoint: str, beginnings: list[tuple[int, int]]) -> int:
        seen = self._seen.get(endpoint)
        return 0 if seen is None else next((tokens for key, tokens in reversed(beginnings) if key in seen), 0)


def beginnings_of(request: ChatRequest) -> list[tuple[int, int]]:
    """(number, tokens) of the conversation up to the end of each message."""
    found, crc, size = [], 0, 0
    for message in request.messages:
        text = message.text.encode("utf-8", "surrogatepass")
        crc, size = crc32(text, crc32(message.role.encode("utf-8", "surrogatepass"), crc)), size + len(text)
        found.append((crc, size // 3))
    return found
