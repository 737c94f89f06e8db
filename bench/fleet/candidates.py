"""Balancers for comparison: `virtual.py` knows them beside the router's own, and `run.py` plays `Hashed` over HTTP.

A balancer is measured here before it may serve. `Hashed` served as `prefix` until what is there now was better (ADR 11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from random import Random
from zlib import crc32

from pointsman.core.fleet import EndpointView
from pointsman.core.protocols import Balancer
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.load import tokens_of
from pointsman.pools.balancers.power_of_two import lighter
from pointsman.pools.balancers.rendezvous import BOUND, Bound, ranked

LENGTHS = (1_000, 4_000, 16_000)
"""Characters: about 250, 1,000 and 4,000 tokens; a shorter common beginning saves an engine less than a millisecond."""
GENERATION = 2_048
"""Popularity is counted over this many requests and up to as many again."""
PRIOR = 8
"""Requests per endpoint that are taken for granted before anything is popular: the first request ever is no crowd."""


class LeastRequests:
    """The fewest requests in flight, ties at random: what a proxy without any idea of tokens does."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        return min(views, key=lambda view: (view.in_flight, rng.random())).id


class Anyone:
    """At random."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        return views[int(rng.random() * len(views))].id


class Processes:
    """Several that do not talk: what each request says is heard by one of them. How much is in flight all see at once."""

    def __init__(self, count: int, make: Callable[[], Balancer]) -> None:
        self._balancers = [make() for _ in range(count)]

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        return self._balancers[int(rng.random() * len(self._balancers))].pick(request, views, rng)


def _prefixes(request: ChatRequest) -> tuple[int, ...]:
    """Numbers of the request's beginnings, shortest first; the same in every process.

    Reads 16,000 characters at most: some 15 us.
    """
    found: list[int] = []
    length = crc = 0
    edges = iter(LENGTHS)
    edge = next(edges)
    is_system = True
    for message in request.messages:
        is_lead = message.role in ("system", "developer")
        if is_system and not is_lead:
            is_system = False
            if length:
                found.append(crc)
        text = message.text
        crc, at = crc32(message.role.encode("utf-8", "surrogatepass"), crc), 0
        while length + len(text) - at >= edge:
            part = edge - length
            crc = _crc(text[at : at + part], crc)
            at, length = at + part, edge
            found.append(crc)
            following = next(edges, None)
            if following is None:
                return tuple(dict.fromkeys(found))
            edge = following
        crc = _crc(text[at:], crc)
        length += len(text) - at
        if message.role == "user":
            found.append(crc)
            break
    return tuple(dict.fromkeys(found))


def _crc(text: str, start: int) -> int:
    return crc32(text.encode("utf-8", "surrogatepass"), start)


class Hashed:
    """Rendezvous hashing on the shortest beginning that one endpoint can carry, with bounded load."""

    def __init__(self) -> None:
        self._popularity = Popularity()

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        """One of `views` (never empty)."""
        tokens, all_ = tokens_of(request), list(views)
        order, among = all_, len(all_)
        for key in _prefixes(request):
            share = self._popularity.add(key, len(all_))
            needed = max(1, ceil(share * len(all_) * BOUND))
            if needed < among:
                order, among = ranked(order[:among], key) + order[among:], needed
        self._popularity.turn()
        bound = Bound(all_, tokens)
        if among > 1:
            order = _lighter_first(order, among, tokens, rng)
        return bound.first(order, all_).id


def _lighter_first(order: list[EndpointView], among: int, tokens: int, rng: Random) -> list[EndpointView]:
    """The lighter of two at random among those that all have the beginning goes first."""
    i, j = int(rng.random() * among), int(rng.random() * among)
    return [lighter(order[i], order[j], tokens), *order]


class Popularity:
    """Which share of the latest requests has each beginning."""

    __slots__ = ("_before", "_count", "_count_before", "_now")

    def __init__(self) -> None:
        self._now: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._count = self._count_before = 0

    def add(self, key: int, endpoints: int) -> float:
        """Counts one request with this beginning, and says what share has it."""
        count = self._now.get(key, 0) + 1
        self._now[key] = count
        return (count + self._before.get(key, 0)) / (self._count + self._count_before + 1 + PRIOR * endpoints)

    def turn(self) -> None:
        """One request is counted; a full generation becomes the one before."""
        self._count += 1
        if self._count >= GENERATION:
            self._before, self._now = self._now, {}
            self._count_before, self._count = self._count, 0
