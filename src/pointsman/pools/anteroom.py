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

Pure: times are passed in, and whoever waits is called back. Who comes, goes or is late costs the same however many wait; whom to give a place
to is found without asking all of them (`guests`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, Protocol, runtime_checkable

from pointsman.core.fleet import EndpointId
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.beginnings import Beginnings, read
from pointsman.pools.balancers.load import LATE_S, LATE_TIMES, prompt_tokens_of
from pointsman.pools.endpoint import Endpoint
from pointsman.pools.guest import OVERTAKEN, Guest
from pointsman.pools.guests import Guests
from pointsman.pools.shares import Shares


@runtime_checkable
class Foresees(Protocol):
    """A balancer that can tell what of a prompt each endpoint has."""

    def known_at(self, begun: Beginnings) -> Mapping[EndpointId, int]:
        """Tokens; an endpoint that is not named has none."""
        ...


class Anteroom:
    """Of one pool, in one process."""

    def __init__(self, endpoints: Sequence[Endpoint], balancer: Foresees) -> None:
        self._endpoints, self._balancer = endpoints, balancer
        self._guests = Guests()
        # Endpoints that somebody was sent to who holds no lease yet.
        self._expecting: dict[EndpointId, Guest] = {}
        self.is_shared = False
        """Several tenants may come. Set by the fleet."""
        self.is_watched = False
        """Somebody looks in from time to time for as long as anyone waits. Set by whoever does."""
        self._shares = Shares()

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
                if vitals.unread_s(now) < vitals.room_s:
                    return False
                is_served = True
        return is_served

    def enter(self, request: ChatRequest, now: float, call: Callable[[], None], *, limit_s: float = inf) -> Guest:
        """`call` is called once, as soon as it is known where the request may go, perhaps at once. `limit_s`: how long its first token
        may take."""
        begun, prompt, until = read(request), prompt_tokens_of(request), inf
        known = self._balancer.known_at(begun)
        served = {e.id: known[e.id] for e in self._endpoints if e.id in known and e.vitals.open_at <= now}
        if limit_s < inf:
            # A prompt that takes most of the promise to read has not been kept waiting by anybody: it is late when others are.
            # So does one that is known at home: it costs others next to nothing, and its next turn as much as ever.
            least = max(0, prompt - max(served.values(), default=0))
            until = now + max(limit_s, LATE_S + LATE_TIMES * self._reads_s(prompt)) - self._room_s() - self._reads_s(least)
        guest = Guest(now, prompt, begun, served, call, self.leave, until=until, tenant=request.share_of, priority=request.priority)
        self._guests.add(guest)
        self._shares.come(guest.tenant, guest.priority)
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
        self.look(now)

    def look(self, now: float) -> None:
        """Sends on whoever there is room for. Called whenever an endpoint may have less to read; costs nothing while nobody waits."""
        if not self._guests:
            return
        self._see_late(now)
        while self._guests and self._seat(now):
            pass

    def status(self, now: float) -> dict[str, Any]:
        """For people and metrics: how many wait, how long the one that came first has, and how many of each tenant."""
        oldest = self._guests.oldest()
        return {"waiting": len(self), "oldest_s": None if oldest is None else round(now - oldest.at, 3), "tenants": dict(self._shares.tenants)}

    def _seat(self, now: float) -> bool:
        """The next one goes, if there is room for one."""
        best, chosen, where, standing = inf, None, None, None
        homes = {e.id: (e.vitals.token_s / e.weight(now), e.vitals.unread_s(now)) for e in self._endpoints if e.vitals.open_at <= now}
        if not homes:
            self._send(next(iter(self._guests)), "")
            return True
        for endpoint in self._endpoints:
            if endpoint.id not in homes or endpoint.id in self._expecting:
                continue
            token_s, unread_s = homes[endpoint.id]
            if unread_s >= endpoint.vitals.room_s or not _has_room(endpoint, now):
                continue
            standing = standing or self._shares.standing(now)
            wait = OVERTAKEN / 2 * unread_s
            found = self._guests.next(endpoint.id, token_s, now, homes, standing, best - wait)
            if found is not None:
                best, chosen, where = found[0] + wait, found[1], endpoint
        if chosen is None or where is None or not self._hold(chosen, where, now):
            return False
        own_s = max(0, chosen.prompt - chosen.known.get(where.id, 0)) * homes[where.id][0]
        self._shares.give(chosen.tenant, own_s / len(self._endpoints))
        self._expecting[where.id] = chosen
        self._send(chosen, where.id)
        self._guests.tell({number for number, _ in chosen.begun.parts}, where.id)
        return True

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
        for guest in self._guests.late(now):
            self._send(guest, None)
        for guest in self._guests.old(now):
            if self.is_shared:
                self._guests.hold_on(guest)
            else:
                self._send(guest, "")

    def _send(self, guest: Guest, endpoint: EndpointId | None) -> None:
        self._take_out(guest)
        guest.endpoint = endpoint
        guest.call()

    def _take_out(self, guest: Guest) -> None:
        """It waits no more. Nothing, when it did not."""
        if self._guests.remove(guest):
            self._shares.go(guest.tenant, guest.priority)

    def _room_s(self) -> float:
        """What an endpoint may have to read when somebody is sent there."""
        return min((endpoint.vitals.room_s for endpoint in self._endpoints), default=0.0)

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
