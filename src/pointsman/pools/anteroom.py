"""Where requests wait while every endpoint of a pool has enough to read: whom the next one with room is given to.

Engines read prompts in the order of arrival, and nobody can be overtaken there. So an endpoint is sent no more than it reads in a
moment, and who comes meanwhile waits here, where the order can still be chosen. While any endpoint has less than that to read nobody
waits: below capacity this is no queue.

When an endpoint has room it is given the request with the lowest of

    when it came + OVERTAKEN × what it has to read there + AWAY × what of that it would not have to read at its home

all in seconds. Short ones go first, since each of them delays the others least; what its cache holds makes a request short; one that
waits for its home waits for that rather than to be read twice. Whoever is late already delays nobody who is not. All of this is
worth `MOST_S` together: nobody is overtaken by anybody who came so much later, and after as long nobody is kept back any more.

Where a promise was made, who cannot have it any more is told at once. That is known here as late as it can be: what is left of the
promise (or, for long prompts, of a second and twice their own time) is compared with what its own prompt takes where most of it is
known, and not with a queue that may be shorter by then.

Pure: times are passed in, and whoever waits is called back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Protocol, runtime_checkable

from pointsman.core.fleet import EndpointId
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.load import prompt_tokens_of
from pointsman.pools.endpoint import Endpoint

READS_S = 0.3
"""An endpoint with so much to read, beside an answer's own time, is sent nothing more: some steps of an engine, so that none ever runs
dry between a first token and the next prompt's arrival. With 0.5 five points fewer are in time on Azure's trace at 150 % of capacity."""
OVERTAKEN, AWAY = 20.0, 150.0
"""Seconds that a second more to read weighs, and one that a home would save. Without the second the caches find 26 instead of 32 % at
150 % of capacity; with 5 instead of 40 for the first, 30 instead of 74 % of Mooncake's are in time there, and 20 is as good as 40."""
LATE_S, LATE_TIMES = 1.0, 2.0
"""Who has waited this, and so many times what its prompt takes to read, is late: nothing says when, where nothing is promised."""
LATE_WEIGHS_S = 10.0
"""As much as half a second to read: whoever can still be in time goes first. A round number; others were not tried."""
MOST_S = 30.0
"""What a place in the order is worth, and how long anybody is held back, at most: so nobody starves."""
LOOK_EVERY_S = 0.02
"""Between two looks at those who are late: there may be hundreds."""


@runtime_checkable
class Foresees(Protocol):
    """A balancer that can tell what of a prompt each endpoint has."""

    def known_at(self, request: ChatRequest) -> Mapping[EndpointId, int]:
        """Tokens; an endpoint that is not named has none."""
        ...


class Guest:
    """One who waits. `endpoint` is where it may go from `call` on; "" = wherever it likes; None = nowhere, it would be late."""

    __slots__ = ("at", "call", "endpoint", "is_over", "known", "least", "prompt", "room", "until")

    def __init__(self, room: Anteroom, at: float, prompt: int, known: Mapping[EndpointId, int], until: float, call: Callable[[], None]) -> None:
        self.room = room
        self.at, self.prompt, self.known, self.until, self.call = at, prompt, known, until, call
        self.least = max(0, prompt - max(known.values(), default=0))
        self.endpoint: EndpointId | None = None
        self.is_over = False

    def leave(self, now: float) -> None:
        """It holds its lease, or wants none any more. Idempotent."""
        self.room.leave(self, now)

    def rank(self, endpoint: EndpointId, token_s: float, now: float) -> float:
        """The lowest goes first."""
        own = max(0, self.prompt - self.known.get(endpoint, 0))
        weighs = (OVERTAKEN * own + AWAY * (own - self.least)) * token_s
        if now - self.at > LATE_S + LATE_TIMES * self.prompt * token_s:
            weighs += LATE_WEIGHS_S
        return self.at + min(weighs, MOST_S)


class Anteroom:
    """Of one pool, in one process."""

    def __init__(self, endpoints: Sequence[Endpoint], balancer: Foresees) -> None:
        self._endpoints, self._balancer = endpoints, balancer
        self._guests: list[Guest] = []
        # Endpoints that somebody was sent to who holds no lease yet.
        self._expecting: dict[EndpointId, Guest] = {}
        self._looked_at = -inf

    def __len__(self) -> int:
        return len(self._guests)

    def must_wait(self, now: float) -> bool:
        """Somebody waits already, or every endpoint in service has enough to read. With none in service there is nothing to wait for."""
        if self._guests:
            return True
        is_served = False
        for endpoint in self._endpoints:
            vitals = endpoint.vitals
            if vitals.open_at <= now:
                if vitals.unread_s(now) < READS_S:
                    return False
                is_served = True
        return is_served

    def enter(self, request: ChatRequest, now: float, call: Callable[[], None], *, limit_s: float = inf) -> Guest:
        """`call` is called once, as soon as it is known where the request may go, perhaps at once. `limit_s`: how long its first token
        may take."""
        prompt, known = prompt_tokens_of(request), self._balancer.known_at(request)
        guest = Guest(self, now, prompt, known, inf, call)
        if limit_s < inf:
            own_s = self._reads_s(guest)
            # A prompt that takes most of the promise to read has not been kept waiting by anybody: it is late when others are.
            guest.until = now + max(limit_s, LATE_S + LATE_TIMES * own_s) - READS_S - own_s
        self._guests.append(guest)
        self._looked_at = -inf
        self.look(now)
        return guest

    def leave(self, guest: Guest, now: float) -> None:
        """It holds its lease, or wants none any more. Idempotent."""
        if guest.is_over:
            return
        guest.is_over = True
        if guest.endpoint and self._expecting.get(guest.endpoint) is guest:
            del self._expecting[guest.endpoint]
        elif guest in self._guests:
            self._guests.remove(guest)
        self._looked_at = -inf
        self.look(now)

    def look(self, now: float) -> None:
        """Sends on whoever there is room for. Called whenever an endpoint may have less to read; costs nothing while nobody waits."""
        if not self._guests:
            return
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._see_late(now)
        while self._guests and self._seat(now):
            pass

    def _seat(self, now: float) -> bool:
        """The next one goes, if there is room for one."""
        best, chosen, where, is_served = inf, None, "", False
        for endpoint in self._endpoints:
            vitals = endpoint.vitals
            if vitals.open_at > now:
                continue
            is_served = True
            if endpoint.id in self._expecting or not _has_room(endpoint, now):
                continue
            token_s = vitals.token_s / endpoint.weight(now)
            wait = OVERTAKEN / 2 * vitals.unread_s(now)
            for guest in self._guests:
                rank = guest.rank(endpoint.id, token_s, now) + wait
                if rank < best:
                    best, chosen, where = rank, guest, endpoint.id
        if not is_served:
            chosen = self._guests[0]
        if chosen is None:
            return False
        self._send(chosen, where)
        if where:
            self._expecting[where] = chosen
        return True

    def _see_late(self, now: float) -> None:
        for guest in [guest for guest in self._guests if guest.until <= now]:
            self._send(guest, None)
        for guest in [guest for guest in self._guests if now - guest.at >= MOST_S]:
            self._send(guest, "")

    def _send(self, guest: Guest, endpoint: EndpointId | None) -> None:
        self._guests.remove(guest)
        guest.endpoint = endpoint
        guest.call()

    def _reads_s(self, guest: Guest) -> float:
        """What its own prompt takes where most of it is known, and an answer anyway."""
        times = [idle_s + guest.least * endpoint.vitals.token_s for endpoint in self._endpoints
                 if (line := endpoint.vitals.line) is not None and (idle_s := line.expects(0)) is not None]
        return min(times, default=0.0)

    def __repr__(self) -> str:
        return f"<Anteroom [{len(self._guests)} waiting, {len(self._expecting)} on their way]>"


def _has_room(endpoint: Endpoint, now: float) -> bool:
    vitals, slots = endpoint.vitals, endpoint.slots_now(now)
    return vitals.busy < endpoint.most and (slots is None or vitals.busy < slots) and vitals.unread_s(now) < READS_S
