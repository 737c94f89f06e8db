"""Where requests wait while every endpoint of a pool has enough to read: whom the next one with room is given to.

Engines read prompts in the order of arrival, and nobody can be overtaken there. So an endpoint is sent no more than it reads in a
moment, and who comes meanwhile waits here, where the order can still be chosen. While any endpoint has less than that to read nobody
waits: below capacity this is no queue.

When an endpoint has room it is given the request with the lowest of

    when it came + OVERTAKEN × what it has to read there + AWAY × what of that it would not have to read at its home

all in seconds. Short ones go first, since each of them delays the others least; what its cache holds makes a request short; one that
waits for its home waits for that rather than to be read twice. Whoever is late already delays nobody who is not. All of this is
worth `MOST_S` together: nobody is overtaken by anybody who came so much later, and after as long nobody is kept back any more.

An endpoint with room that is nobody's home is not given those who would rather wait: who has one stays for it for up to `STAYS` times what that
saves. What is read twice, others wait for, and the place is soon wanted by somebody who has to be read anyhow. A home out of service
is none. And whoever is sent somewhere makes that the home of those behind it whose prompts begin alike: the next turn of a conversation comes
before the first was read, where there is more work than time.

Before all that come priorities, and shares of tenants (`shares`). Where there may be several, who has waited `MOST_S` is not sent into
an engine's queue, which is everybody's: it goes next of its tenant. So a flood never stands between another's request and an engine.

Where a promise was made, who cannot have it any more is told at once. That is known here as late as it can be: what is left of the
promise (or, for long prompts, of a second and twice what all of them takes to read) is compared with what its own prompt takes where most of it is
known, and not with a queue that may be shorter by then.

Pure: times are passed in, and whoever waits is called back.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from math import inf
from typing import Any, Protocol, runtime_checkable

from pointsman.core.fleet import EndpointId
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.beginnings import Beginnings, read
from pointsman.pools.balancers.load import READS_S, prompt_tokens_of
from pointsman.pools.endpoint import Endpoint, Vitals
from pointsman.pools.shares import Shares

OVERTAKEN, AWAY = 20.0, 150.0
"""Seconds that a second more to read weighs, and one that a home would save. Without the second the caches find 26 instead of 32 % at
150 % of capacity; with 5 instead of 40 for the first, 30 instead of 74 % of Mooncake's are in time there, and 20 is as good as 40."""
STAYS = 30.0
"""Seconds that a second less to read is waited for. With 10 the caches find 36.4 instead of 37.1 % at 100 % of capacity, with 60 no
more; 33.5 where nobody stays."""
ALIKE = 1 / 3
"""Of a prompt, what must begin as another's before they are compared in earnest: less saves little."""
LATE_S, LATE_TIMES = 1.0, 2.0
"""Who has waited this, and so many times what its prompt takes to read, is late: nothing says when, where nothing is promised."""
LATE_WEIGHS_S = 10.0
"""As much as half a second to read: whoever can still be in time goes first. A round number; others were not tried."""
MOST_S = 30.0
"""What a place in the order is worth, and how long anybody is held back, at most: so nobody starves."""
LOOK_EVERY_S = 0.02
"""Between two looks at those who are late: there may be hundreds."""
OVERDUE_SEEN = 32
"""Of a tenant's requests that have waited for `MOST_S`, who may be next: some, to find one at home, and not the thousands of a flood."""


@runtime_checkable
class Foresees(Protocol):
    """A balancer that can tell what of a prompt each endpoint has."""

    def known_at(self, begun: Beginnings) -> Mapping[EndpointId, int]:
        """Tokens; an endpoint that is not named has none."""
        ...


class Guest:
    """One who waits. `endpoint` is where it may go from `call` on; "" = wherever it likes; None = nowhere, it would be late."""

    __slots__ = ("at", "begun", "behind", "call", "endpoint", "held", "home", "is_over", "known", "least", "mark", "priority", "prompt", "room",
                 "tenant", "until")  # fmt: skip

    def __init__(self, room: Anteroom, at: float, prompt: int, begun: Beginnings, known: Mapping[EndpointId, int], until: float,
                 call: Callable[[], None]) -> None:  # fmt: skip
        self.room = room
        self.at, self.prompt, self.begun, self.until, self.call = at, prompt, begun, until, call
        # What endpoints in service have of it, and which has most: "" = none has anything.
        self.known = dict(known)
        self.home: EndpointId = ""
        self.least = prompt
        self._settle()
        # The number of its first third.
        self.mark = begun.mark(ALIKE)
        self.tenant, self.priority = "", 1
        # Seconds that its tenant's share and its priority set it back. Set before somebody is chosen.
        self.behind = 0.0
        self.endpoint: EndpointId | None = None
        # Where other processes see its place as taken, until it leaves.
        self.held: Vitals | None = None
        self.is_over = False

    def leave(self, now: float) -> None:
        """It holds its lease, or wants none any more. Idempotent."""
        self.room.leave(self, now)

    def _settle(self) -> None:
        if self.known:
            self.home = max(self.known, key=self.known.__getitem__)
            self.least = max(0, self.prompt - self.known[self.home])

    def learn(self, endpoint: EndpointId, numbers: Container[int]) -> None:
        """The endpoint is going to have these beginnings."""
        for number, tokens in reversed(self.begun.parts):
            if number in numbers:
                if tokens > self.known.get(endpoint, 0):
                    self.known[endpoint] = tokens
                    self._settle()
                return

    def rank(self, endpoint: EndpointId, token_s: float, now: float, homes: Mapping[EndpointId, tuple[float, float]]) -> float:
        """The lowest goes first; infinite = it would rather wait for its home. `homes`: of each endpoint in service, what a token takes
        there, and what it has to read."""
        own = max(0, self.prompt - self.known.get(endpoint, 0))
        if own > self.least and (home := homes.get(self.home)) is not None:
            worth_s = STAYS * (own * token_s - self.least * home[0])
            if now - self.at + home[1] < worth_s and now - self.at < MOST_S:
                return inf
        weighs = (OVERTAKEN * own + AWAY * (own - self.least)) * token_s
        if now - self.at > LATE_S + LATE_TIMES * self.prompt * token_s:
            weighs += LATE_WEIGHS_S
        return self.at + min(weighs, MOST_S) + self.behind


class Anteroom:
    """Of one pool, in one process."""

    def __init__(self, endpoints: Sequence[Endpoint], balancer: Foresees) -> None:
        self._endpoints, self._balancer = endpoints, balancer
        self._guests: list[Guest] = []
        # Endpoints that somebody was sent to who holds no lease yet.
        self._expecting: dict[EndpointId, Guest] = {}
        self._looked_at = -inf
        self.is_shared = False
        """Several tenants may come. Set by the fleet."""
        # By tenant: who has waited for `MOST_S` where it is shared, the oldest first.
        self._overdue: dict[str, list[Guest]] = {}
        self._shares = Shares()
        self._is_set_back = False

    def __len__(self) -> int:
        return len(self._guests) + sum(map(len, self._overdue.values()))

    def must_wait(self, now: float) -> bool:
        """Somebody waits already, or every endpoint in service has enough to read. With none in service there is nothing to wait for."""
        if self._guests or self._overdue:
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
        begun = read(request)
        known = self._balancer.known_at(begun)
        served = {e.id: known[e.id] for e in self._endpoints if e.id in known and e.vitals.open_at <= now}
        guest = Guest(self, now, prompt_tokens_of(request), begun, served, inf, call)
        guest.tenant, guest.priority = request.share_of, request.priority
        if limit_s < inf:
            # A prompt that takes most of the promise to read has not been kept waiting by anybody: it is late when others are.
            # So does one that is known at home: it costs others next to nothing, and its next turn as much as ever.
            guest.until = now + max(limit_s, LATE_S + LATE_TIMES * self._reads_s(guest.prompt)) - READS_S - self._reads_s(guest.least)
        self._guests.append(guest)
        self._shares.come(guest.tenant, guest.priority)
        self._looked_at = -inf
        self.look(now)
        return guest

    def leave(self, guest: Guest, now: float) -> None:
        """It holds its lease, or wants none any more. Idempotent."""
        if guest.is_over:
            return
        guest.is_over = True
        if guest.held is not None:
            guest.held.hold(-1)
        if guest.endpoint and self._expecting.get(guest.endpoint) is guest:
            del self._expecting[guest.endpoint]
        else:
            self._take_out(guest)
        self._looked_at = -inf
        self.look(now)

    def look(self, now: float) -> None:
        """Sends on whoever there is room for. Called whenever an endpoint may have less to read; costs nothing while nobody waits."""
        if not self._guests and not self._overdue:
            return
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._see_late(now)
        while (self._guests or self._overdue) and self._seat(now):
            pass

    def status(self, now: float) -> dict[str, Any]:
        """For people and metrics: how many wait, how long the one that came first has, and how many of each tenant."""
        oldest = min((line[0].at for line in (self._guests, *self._overdue.values()) if line), default=None)
        return {"waiting": len(self), "oldest_s": None if oldest is None else round(now - oldest, 3), "tenants": dict(self._shares.tenants)}

    def _seat(self, now: float) -> bool:
        """The next one goes, if there is room for one."""
        best, chosen, where = inf, None, None
        homes = {e.id: (e.vitals.token_s / e.weight(now), e.vitals.unread_s(now)) for e in self._endpoints if e.vitals.open_at <= now}
        if not homes:
            self._send(self._candidates(now)[0], "")
            return True
        guests: Sequence[Guest] = ()
        for endpoint in self._endpoints:
            if endpoint.id not in homes or endpoint.id in self._expecting:
                continue
            token_s, unread_s = homes[endpoint.id]
            if unread_s >= READS_S or not _has_room(endpoint, now):
                continue
            guests = guests or self._candidates(now)
            wait = OVERTAKEN / 2 * unread_s
            for guest in guests:
                rank = guest.rank(endpoint.id, token_s, now, homes) + wait
                if rank < best:
                    best, chosen, where = rank, guest, endpoint
        if chosen is None or where is None or not self._hold(chosen, where, now):
            return False
        own_s = max(0, chosen.prompt - chosen.known.get(where.id, 0)) * homes[where.id][0]
        self._shares.give(chosen.tenant, own_s / len(self._endpoints))
        self._expecting[where.id] = chosen
        self._send(chosen, where.id)
        self._tell(chosen, where.id)
        return True

    def _tell(self, gone: Guest, where: EndpointId) -> None:
        """Whose prompt begins as its does has a home there."""
        numbers = {number for number, _ in gone.begun.parts}
        for guest in self._everybody():
            if guest.mark in numbers:
                guest.learn(where, numbers)

    def _candidates(self, now: float) -> Sequence[Guest]:
        """Who may be next, each with what sets it back."""
        guests = self._guests
        if self._overdue:
            guests = [guest for line in self._overdue.values() for guest in line[:OVERDUE_SEEN]] + guests
        if not self._shares.is_one:
            self._shares.set_back(guests, now)
            self._is_set_back = True
        elif self._is_set_back:
            self._is_set_back = False
            for guest in self._everybody():
                guest.behind = 0.0
        return guests

    def _hold(self, guest: Guest, endpoint: Endpoint, now: float) -> bool:
        """Other processes see the place as taken from now on, and not before. False: one of them was quicker.

        Shown first and looked at then, as by `Tier.hold`.
        """
        vitals = endpoint.vitals
        if vitals.shared is None:
            return True
        vitals.hold(1)
        slots = endpoint.slots_now(now)
        if vitals.busy + vitals.held > (endpoint.most if slots is None else min(slots, endpoint.most)):
            vitals.hold(-1)
            return False
        guest.held = vitals
        return True

    def _see_late(self, now: float) -> None:
        for guest in [guest for guest in self._everybody() if guest.until <= now]:
            self._send(guest, None)
        for guest in [guest for guest in self._guests if now - guest.at >= MOST_S]:
            if self.is_shared:
                self._guests.remove(guest)
                self._overdue.setdefault(guest.tenant, []).append(guest)
            else:
                self._send(guest, "")

    def _send(self, guest: Guest, endpoint: EndpointId | None) -> None:
        self._take_out(guest)
        guest.endpoint = endpoint
        guest.call()

    def _take_out(self, guest: Guest) -> None:
        """It waits no more. Nothing, when it did not."""
        if guest in self._guests:
            self._guests.remove(guest)
        elif guest in (line := self._overdue.get(guest.tenant, [])):
            line.remove(guest)
            if not line:
                del self._overdue[guest.tenant]
        else:
            return
        self._shares.go(guest.tenant, guest.priority)

    def _everybody(self) -> Sequence[Guest]:
        return [guest for line in self._overdue.values() for guest in line] + self._guests if self._overdue else self._guests

    def _reads_s(self, tokens: int) -> float:
        """What so many to read take, and an answer anyway, where that is soonest."""
        times = [idle_s + tokens * endpoint.vitals.token_s for endpoint in self._endpoints
                 if (line := endpoint.vitals.line) is not None and (idle_s := line.expects(0)) is not None]
        return min(times, default=0.0)

    def __repr__(self) -> str:
        return f"<Anteroom [{len(self)} waiting, {len(self._expecting)} on their way]>"


def _has_room(endpoint: Endpoint, now: float) -> bool:
    """For one more, whatever it has to read."""
    slots, taken = endpoint.slots_now(now), endpoint.vitals.busy + endpoint.vitals.held
    return taken < endpoint.most and (slots is None or taken < slots)
