"""All who wait in one anteroom, kept so that the next one is found without asking everybody.

Who comes, leaves, or is late costs a few steps, however many wait. Who goes next is the lowest of ranks that differ by endpoint and change with
time, so they cannot be sorted once. But they are narrow: those of one tenant and priority who begin at the same home and are about as long (within a
factor of two) go nearly in the order of arrival. So they stand in lines of such, each with the least that any of it can weigh; a line
is read from its oldest on, until nobody behind can be lower than the lowest that was found. What is chosen is what asking everybody
would choose, to the last place.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from math import inf
from operator import attrgetter

from pointsman.core.fleet import EndpointId
from pointsman.pools.balancers.load import LATE_S, LATE_TIMES
from pointsman.pools.guest import AWAY, LATE_WEIGHS_S, MOST_S, OVERTAKEN, STAYS, Guest, Homes
from pointsman.pools.shares import Standing

OVERDUE_SEEN = 32
"""Of a tenant's requests that have waited for `MOST_S`, who may be next: some, to find one at home, and not the thousands of a flood."""

Key = tuple[str, int, EndpointId, int, int, int]
Found = tuple[float, Guest]
"""(rank, who)."""

_arrival: Callable[[Guest], tuple[float, int]] = attrgetter("at", "number")
_at: Callable[[Guest], float] = attrgetter("at")


class _Line:
    """Those that are alike, in the order of arrival."""

    __slots__ = ("guests", "home", "least_least", "least_prompt", "most_least", "most_prompt", "most_second", "priority", "tenant")

    def __init__(self, key: Key) -> None:
        self.tenant, self.priority, self.home, prompt, least, second = key
        self.guests: list[Guest] = []
        self.least_prompt, self.most_prompt = _bounds(prompt)
        self.least_least, self.most_least = _bounds(least)
        self.most_second = _bounds(second)[1]

    def first(self, endpoint: EndpointId, token_s: float, now: float, homes: Homes, standing: Standing, best: float) -> Found | None:
        """The lowest of them that is not above `best`."""
        guests, found = self.guests, None
        own = self.least_least if endpoint == self.home or not self.home else max(self.least_least, self.least_prompt - self.most_second)
        weighs = (OVERTAKEN * own + AWAY * max(0, own - self.most_least)) * token_s
        weighs, weighs_late = min(weighs, MOST_S), min(weighs + LATE_WEIGHS_S, MOST_S)
        # The oldest is set back least.
        behind = standing.behind(self.tenant, self.priority, guests[0].at)
        late_at = now - (LATE_S + LATE_TIMES * self.most_prompt * token_s) - _ROUNDED_S
        at, end = 0, self._end(endpoint, own, token_s, now, homes)
        while at < end:
            guest = guests[at]
            is_late = guest.at < late_at
            if guest.at + (weighs_late if is_late else weighs) + behind > best:
                if not is_late:
                    break
                at = max(at + 1, bisect_left(guests, late_at, key=_at))
                continue
            rank = guest.rank(endpoint, token_s, now, homes, standing.behind(self.tenant, self.priority, guest.at))
            if rank < best or (rank == best < inf and (found is None or guest.number < found[1].number)):
                best, found = rank, (rank, guest)
            at += 1
        return found

    def _end(self, endpoint: EndpointId, own: int, token_s: float, now: float, homes: Homes) -> int:
        """Whoever came so late would rather wait for its home."""
        if endpoint == self.home or own <= self.most_least or (home := homes.get(self.home)) is None:
            return len(self.guests)
        worth_s = STAYS * (own * token_s - self.most_least * home[0])
        return bisect_right(self.guests, max(now + home[1] - worth_s, now - MOST_S) + _ROUNDED_S, key=_at)


class Guests:
    """Of one pool, in one process."""

    def __init__(self) -> None:
        # In the order of arrival, and the same in lines; who has waited for long where there may be several tenants is in `_overdue` instead.
        self._waiting: OrderedDict[Guest, None] = OrderedDict()
        self._lines: dict[Key, _Line] = {}
        self._overdue: dict[str, OrderedDict[Guest, None]] = {}
        # By the number of their first thirds.
        self._alike: dict[int, OrderedDict[Guest, None]] = {}
        # When each would be late, with some who have gone.
        self._late: list[tuple[float, int, Guest]] = []
        self._length = self._numbers = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Guest]:
        for line in self._overdue.values():
            yield from line
        yield from self._waiting

    def __bool__(self) -> bool:
        return self._length > 0

    def __contains__(self, guest: Guest) -> bool:
        return guest in self._waiting or guest in self._overdue.get(guest.tenant, ())

    def add(self, guest: Guest) -> None:
        """It waits from now on."""
        self._numbers += 1
        self._length += 1
        guest.number = self._numbers
        self._waiting[guest] = None
        self._stand(guest)
        self._alike.setdefault(guest.mark, OrderedDict())[guest] = None
        if guest.until < inf:
            heapq.heappush(self._late, (guest.until, guest.number, guest))

    def remove(self, guest: Guest) -> bool:
        """It waits no more. False: it did not."""
        if guest in self._waiting:
            del self._waiting[guest]
            self._step_out(guest)
        elif guest in (line := self._overdue.get(guest.tenant, OrderedDict())):
            del line[guest]
            if not line:
                del self._overdue[guest.tenant]
        else:
            return False
        self._length -= 1
        alike = self._alike[guest.mark]
        del alike[guest]
        if not alike:
            del self._alike[guest.mark]
        if not self._length:
            self._late.clear()
        return True

    def late(self, now: float) -> Iterator[Guest]:
        """Those whose time is over, each once; they wait until they are removed."""
        while self._late and self._late[0][0] <= now:
            guest = heapq.heappop(self._late)[2]
            if guest in self:
                yield guest

    def old(self, now: float) -> Iterator[Guest]:
        """Those who have waited for `MOST_S`, as long as they are removed, or hold on."""
        while self._waiting and now - (guest := next(iter(self._waiting))).at >= MOST_S:
            yield guest

    def hold_on(self, guest: Guest) -> None:
        """It goes on waiting, before all of its tenant that came later."""
        del self._waiting[guest]
        self._step_out(guest)
        self._overdue.setdefault(guest.tenant, OrderedDict())[guest] = None

    def tell(self, numbers: Collection[int], endpoint: EndpointId) -> None:
        """Whose prompt begins as one that has gone there has a home there."""
        for mark in numbers:
            for guest in list(self._alike.get(mark, ())):
                is_in_line = guest in self._waiting
                if is_in_line:
                    self._step_out(guest)
                guest.learn(endpoint, numbers)
                if is_in_line:
                    self._stand(guest)

    def oldest(self) -> Guest | None:
        """Who came first."""
        return min((next(iter(line)) for line in (self._waiting, *self._overdue.values()) if line), key=_arrival, default=None)

    def next(self, endpoint: EndpointId, token_s: float, now: float, homes: Homes, standing: Standing, best: float) -> Found | None:
        """Who this endpoint would be given: the lowest rank of all below `best`, of equals who came first. None = nobody, or none so low."""
        found: Found | None = None
        for guest in self._long_overdue():
            rank = guest.rank(endpoint, token_s, now, homes, standing.behind(guest.tenant, guest.priority, guest.at))
            if rank < best:
                best, found = rank, (rank, guest)
        limit = best
        for line in self._lines.values():
            lowest = line.first(endpoint, token_s, now, homes, standing, best)
            if lowest is not None and (lowest[0] < best or (lowest[0] < limit and found is not None and lowest[1].number < found[1].number)):
                best, found = lowest[0], lowest
        return found

    def _long_overdue(self) -> Iterable[Guest]:
        for line in self._overdue.values():
            yield from islice(line, OVERDUE_SEEN)

    def _stand(self, guest: Guest) -> None:
        key = _key(guest)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(key)
        if line.guests and _arrival(line.guests[-1]) > _arrival(guest):
            insort(line.guests, guest, key=_arrival)
        else:
            line.guests.append(guest)

    def _step_out(self, guest: Guest) -> None:
        key = _key(guest)
        line = self._lines[key]
        del line.guests[bisect_left(line.guests, _arrival(guest), key=_arrival)]
        if not line.guests:
            del self._lines[key]

    def __repr__(self) -> str:
        return f"<Guests [{self._length} waiting, {len(self._lines)} lines]>"


_ROUNDED_S = 1e-6
"""Two ways of adding the same times differ by less."""


def _key(guest: Guest) -> Key:
    return guest.tenant, guest.priority, guest.home, guest.prompt.bit_length(), guest.least.bit_length(), guest.second.bit_length()


def _bounds(bits: int) -> tuple[int, int]:
    """The least and the most of numbers with so many bits."""
    return (1 << bits >> 1, (1 << bits) - 1)
