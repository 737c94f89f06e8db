"""Balancers for comparison: `virtual.py` knows them beside the router's own, and `run.py` plays `Hashed` over HTTP.

A balancer is measured here before it may serve. `Hashed` served as `prefix` until what is there now was better (ADR 11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from random import Random
from zlib import crc32

from pointsman.core.fleet import EndpointView
from pointsman.core.protocols import Balancer
from pointsman.core.request import ChatRequest
from pointsman.pools.anteroom import Foresees
from pointsman.pools.balancers.beginnings import Beginnings
from pointsman.pools.balancers.load import prompt_tokens_of, tokens_of
from pointsman.pools.balancers.memory import Remembers, Sent
from pointsman.pools.balancers.power_of_two import lighter
from pointsman.pools.balancers.rendezvous import BOUND, Bound, ranked
from pointsman.pools.journal import CELLS, Journal

LENGTHS = (1_000, 4_000, 16_000)
"""Characters: about 250, 1,000 and 4,000 tokens; a shorter common beginning saves an engine less than a millisecond."""
GENERATION = 2_048
"""Popularity is counted over this many requests and up to as many again."""
MOST_ENDPOINTS = 64
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


class CacheAware:
    """A model of sglang-router's `cache_aware` for plain HTTP, after its published algorithm and the defaults of its command line.

    Fewest requests where `max - min > absolute` and `max > relative * min`, or where no more than `match` of the prompt's text was sent
    anywhere before; else one of those, whichever, that were sent the longest known part. The text of all messages, roles left out. Its
    tree is of characters; here it is of pieces of `PIECE` bytes, and nothing is ever evicted: its limit of 67 million is not
    reached in these runs. Who has died, and who is asked instead, is our pool's doing: more than it does for itself. On the seed that
    `run.py` plays it finds 46.6, 41.8 and 37.6 % at 50, 100 and 150 % of Mooncake, with 91, 53 and 14 % in time; the program itself
    47.5, 41.5 and 38.7 %, with 93, 53 and 14 %.
    """

    PIECE = 16

    def __init__(self, absolute: int = 64, relative: float = 1.5, match: float = 0.3) -> None:
        self._absolute, self._relative, self._match = absolute, relative, match
        # By piece, with everything before it: who was sent it.
        self._tree: dict[int, dict[str, None]] = {}

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        all_ = list(views)
        pieces = self._pieces(request)
        chosen = self._choose(pieces, all_, rng)
        for piece in pieces:
            self._tree.setdefault(piece, {})[chosen] = None
        return chosen

    def _choose(self, pieces: list[int], views: list[EndpointView], rng: Random) -> str:
        loads = [view.in_flight for view in views]
        if max(loads) - min(loads) > self._absolute and max(loads) > self._relative * min(loads):
            return min(views, key=lambda view: view.in_flight).id
        found = 0
        while found < len(pieces) and pieces[found] in self._tree:
            found += 1
        if found > self._match * len(pieces):
            here = {view.id for view in views}
            if known := [id_ for id_ in self._tree[pieces[found - 1]] if id_ in here]:
                return known[int(rng.random() * len(known))]
        return min(views, key=lambda view: (view.in_flight, rng.random())).id

    def _pieces(self, request: ChatRequest) -> list[int]:
        text = " ".join(message.text for message in request.messages).encode("utf-8", "surrogatepass")
        pieces, number = [], 0
        for at in range(0, len(text), self.PIECE):
            number = crc32(text[at : at + self.PIECE], number)
            pieces.append(number)
        return pieces


class Processes:
    """Several: what each request says is heard by one of them. How much is in flight all see at once; what was sent where they tell
    each other in a shared journal, as the workers of one router do, unless they are `strangers`, as routers on several machines are.
    """

    def __init__(self, count: int, make: Callable[[], Balancer], *, strangers: bool = False) -> None:
        self.unread = 0
        self._balancers = [make() for _ in range(count)]
        board = memoryview(bytearray(count * CELLS * 8)).cast("q")
        columns = {f"fleet/{i}": i for i in range(MOST_ENDPOINTS)}
        for seat, balancer in enumerate(self._balancers):
            if isinstance(balancer, Remembers) and not strangers:
                balancer.share(Journal(board, seat), columns)

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> str:
        balancer = self._balancers[int(rng.random() * len(self._balancers))]
        chosen = balancer.pick(request, views, rng)
        self.unread = balancer.unread if isinstance(balancer, Remembers) else prompt_tokens_of(request)
        return chosen

    def known_at(self, begun: Beginnings) -> Mapping[str, int]:
        """As one of them thinks."""
        balancer = self._balancers[0]
        return balancer.known_at(begun) if isinstance(balancer, Foresees) else {}

    # The rest of what a pool asks of a balancer with a memory. Nothing is reloaded or found out here.

    def adopt(self, old: Processes, same: Mapping[str, str]) -> None: ...
    def share(self, journal: Journal, columns: Mapping[str, int]) -> None: ...
    def watch(self, sent: Sent) -> None: ...
    def believe(self, endpoint: str, numbers: Iterable[int]) -> None: ...
    def forget(self, endpoint: str, numbers: Iterable[int] | None) -> None: ...


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
