"""Where requests wait when their tier is full and none above it is fit.

Why here and not in the engine? Engines queue without bound and in order of arrival. Here the queue is short, fair
between tenants, knows who has left, and tells the others at once when to come back.

A request waits in the line of the tier it was decided for, and is let in as soon as that tier, or one above it on its
way, has room. How long it may wait is the tier's promise: who would not make it is turned away before it waits, with
the time in which the line will have moved on.

Several lines may wait for one tier, its own and those of the tiers below. Between their heads the better priority goes first,
then whoever came first: a crowd below does not keep a tier from those who can go nowhere else.

Is a tier awaited as long as nothing of it is in service? Only where its machines come because somebody waits (`scale.min: 0`).
Else there is no place to wait for: the machine asks endpoints that are out of service, and says what it found.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, Protocol

from pointsman.core.clock import Clock
from pointsman.core.settings import QueueSettings
from pointsman.errors import Shed
from pointsman.gateway.fair_queue import FairQueue, Ticket

LOOK_EVERY_S = 0.25
"""Room is also made by what engines report, not only by answers that end here: so the lines are looked at this often."""
SIZE_UNKNOWN = 100
"""Length of a line for a tier whose slots nobody knows."""
AFTER_A_RACE_S = 0.005
"""Two processes that saw one place at once both leave it: whoever looks again first has it."""
COMEBACK_MIN_S, COMEBACK_MAX_S = 1.0, 60.0
"""A minute: the longest that the official SDKs heed."""


class Rooms(Protocol):
    """What admission asks of the fleet (`pools.fleet.Fleet`). A place is a tier, or one of its pools."""

    def has_room(self, tier: str, now: float, entering: int = 0) -> bool:
        """One more may enter; `entering` have been let in and hold no lease yet."""
        ...

    def hold(self, tier: str, now: float) -> Callable[[], None] | None:
        """Other processes see from now on that one more enters; the call that is returned takes it back. None = one of them
        was quicker."""
        ...

    def is_served(self, tier: str, now: float) -> bool:
        """Some endpoint is in service, full or not."""
        ...

    def is_starting(self, tier: str, now: float) -> bool:
        """None is, and one comes because somebody waits."""
        ...

    def slots(self, tier: str, now: float) -> int | None: ...
    def drain_rate(self, tier: str, now: float) -> float | None: ...


class _Waiting:
    """One request in line."""

    __slots__ = ("granted", "places")

    def __init__(self, places: tuple[str, ...], granted: asyncio.Future[str]) -> None:
        self.places, self.granted = places, granted


class Admission:
    """The lines of all tiers of one process."""

    def __init__(self, rooms: Rooms, clock: Clock) -> None:
        self.rooms = rooms
        """The fleet of the graph now in use; replaced by a reload."""
        self._clock = clock
        self._lines: dict[str, FairQueue[_Waiting]] = {}
        # By place: how many would be let in there. Returns to nothing.
        self._awaited: Counter[str] = Counter()
        # Let in, and not yet holding a lease. Returns to zero.
        self._entering: dict[str, int] = {}
        # By place: what takes back that other processes see them coming.
        self._holds: dict[str, list[Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_woken = False
        # By tier: when the next one that is turned away may come back, so that they do not all come at once.
        self._next_comeback: dict[str, float] = {}
        self.shed: dict[str, int] = {}
        """Turned away since the start, by tier."""

    def waiting(self, tier: str) -> int:
        line = self._lines.get(tier)
        return len(line) if line is not None else 0

    def is_awaited(self, place: str) -> bool:
        """Somebody waits for a place there: newcomers stand behind them, even while one is free."""
        return self._timer is not None and self._awaited[place] > 0

    def is_contested(self, place: str) -> bool:
        """Somebody waits for a place there, or was let in and has no lease yet: whether there is room has to be asked here."""
        return self.is_awaited(place) or self._entering.get(place, 0) > 0

    def must_wait(self, place: str, now: float) -> bool:
        """There is no room for one more, or others were there first."""
        return self.is_awaited(place) or not self.rooms.has_room(place, now, self._entering.get(place, 0))

    async def wait(self, tier: str, places: Sequence[str], settings: QueueSettings, *, tenant: str, priority: int, size: float,
                   max_wait_s: float) -> str:
        """Waits in the line of `tier` until one of `places` has room, and returns that one.

        `max_wait_s`: seconds this request can wait. Raises Shed at once when the line is too long for that, when it is
        full, or when the time is over. Cancelling leaves the line. Whoever is let in calls `entered` once leased, or
        `forgo`.
        """
        now = self._clock.now()
        line = self._lines.setdefault(tier, FairQueue())
        self._check_wait(tier, line, places, tenant, priority, max_wait_s, now)
        if len(line) >= self._limit(places, settings, now) and not self._made_way(tier, line, priority, tenant, now):
            raise self._shed(tier, f"all its slots are taken and {len(line)} wait already", places[0], now)
        waiting = _Waiting(tuple(places), asyncio.get_running_loop().create_future())
        ticket = line.put(waiting, tenant=tenant, priority=priority, size=size, now=now, kind=waiting.places)
        self._awaited.update(waiting.places)
        self._look_again()
        self.wake()  # there may be room above, or here with others before us
        is_in = False
        try:
            async with asyncio.timeout(max_wait_s):
                entered = await waiting.granted
            is_in = True
            return entered
        except TimeoutError:
            raise self._shed(tier, f"nothing became free within {max_wait_s:.3g} s", places[0], self._clock.now()) from None
        finally:
            self._awaited.subtract(waiting.places)
            if not is_in:
                line.remove(ticket)
                granted = waiting.granted
                if granted.done() and not granted.cancelled() and granted.exception() is None:
                    self.forgo(granted.result())  # the place came in the moment its request gave up

    def entered(self, place: str, *, is_seen: bool = True) -> None:
        """One that was let in has its lease. `is_seen`: others see its place as taken until now."""
        self._entering[place] = max(0, self._entering.get(place, 0) - 1)
        if is_seen:
            self.unhold(place)

    def unhold(self, place: str) -> None:
        """One that was let in waits on, elsewhere: other processes may have the place as long as it is not used."""
        if holds := self._holds.get(place):
            holds.pop()()

    def forgo(self, place: str, *, is_seen: bool = True) -> None:
        """One that was let in takes no lease: the place is the next one's."""
        self.entered(place, is_seen=is_seen)
        self.wake()

    def wake(self) -> None:
        """Something was given back: looks at the lines soon. Cheap when nobody waits."""
        if self._timer is None or self._is_woken:
            return
        self._is_woken = True
        asyncio.get_running_loop().call_soon(self._look)

    def status(self) -> dict[str, dict[str, Any]]:
        """Per tier: who waits, who was turned away."""
        tiers = self._lines.keys() | self.shed.keys()
        return {tier: {"waiting": self.waiting(tier), "shed": self.shed.get(tier, 0)} for tier in sorted(tiers)}

    # -- letting in ----------------------------------------------------------------------------------------

    def _look_again(self, after_s: float = LOOK_EVERY_S) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(after_s, self._look)

    def _look(self) -> None:
        """Lets in as many as there is room for."""
        self._is_woken = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.now()
        looks, after_s = _Looks(self.rooms, self._entering, now), LOOK_EVERY_S
        while (found := self._next(looks, now)) is not None:
            line, ticket = found
            place = looks.place_for(ticket.item.places)
            if place is not None and not ticket.item.granted.done() and not self._lets_in(place, looks, now):
                after_s = AFTER_A_RACE_S
                break
            line.let_in(ticket)
            if ticket.item.granted.done() or place is None:
                continue
            looks.forget(place)
            ticket.item.granted.set_result(place)
        if any(self._lines.values()):
            self._look_again(after_s)

    def _lets_in(self, place: str, looks: _Looks, now: float) -> bool:
        """Counts one in. False: the room that there was is another process's."""
        if looks.has_room(place):
            hold = self.rooms.hold(place, now)
            if hold is None:
                return False
            self._holds.setdefault(place, []).append(hold)
        self._entering[place] = self._entering.get(place, 0) + 1
        return True

    def _next(self, looks: _Looks, now: float) -> tuple[FairQueue[_Waiting], Ticket[_Waiting]] | None:
        """Who goes on next, over all lines."""
        heads = [(line, head) for line in self._lines.values()
                 if line and (head := line.peek(now, lambda item: looks.place_for(item.places) is not None)) is not None]
        return min(heads, key=lambda pair: (pair[1].urgency(now), pair[1].at)) if heads else None

    # -- turning away --------------------------------------------------------------------------------------

    def _check_wait(self, tier: str, line: FairQueue[_Waiting], places: Sequence[str], tenant: str, priority: int,
                    max_wait_s: float, now: float) -> None:
        """Raises Shed when those ahead need longer than that.

        Not where there is room for all of them: how fast places are given back says nothing about those that are free.
        """
        rates = [rate for place in places if (rate := self.rooms.drain_rate(place, now))]
        if not rates:
            return
        ahead = line.ahead(tenant, priority, now) + sum(self.waiting(place) for place in places if place != tier)
        if (ahead + 1) / sum(rates) <= max_wait_s:
            return
        if not any(self.rooms.has_room(place, now, self._entering.get(place, 0) + ahead) for place in places):
            raise self._shed(tier, f"the {ahead} ahead need longer than the {max_wait_s:.3g} s it may wait", places[0], now)

    def _limit(self, places: Sequence[str], settings: QueueSettings, now: float) -> int:
        """Of the line. A tier with nothing in service has no slots: those of the first one above it that has some count."""
        if settings.size is not None:
            return settings.size
        slots = next((slots for place in places if (slots := self.rooms.slots(place, now)) != 0), None)
        return SIZE_UNKNOWN if slots is None else 2 * slots

    def _made_way(self, tier: str, line: FairQueue[_Waiting], priority: int, tenant: str, now: float) -> bool:
        """Somebody who would have come after the newcomer gave their place up."""
        ticket: Ticket[_Waiting] | None = line.least(priority, tenant)
        if ticket is None:
            return False
        line.remove(ticket)
        if not ticket.item.granted.done():
            why = "a request of a higher priority, or of a tenant that has asked for less, took its place"
            ticket.item.granted.set_exception(self._shed(tier, why, ticket.item.places[0], now))
        return True

    def refusal(self, tier: str, why: str, place: str) -> Shed:
        """Counted as turned away from the line of `tier`."""
        return self._shed(tier, why, place, self._clock.now())

    def _shed(self, tier: str, why: str, place: str, now: float) -> Shed:
        self.shed[tier] = self.shed.get(tier, 0) + 1
        return Shed(tier, why, self._comeback(tier, self.rooms.drain_rate(place, now), now))

    def _comeback(self, tier: str, rate: float | None, now: float) -> float:
        """Seconds until the line, and those turned away before, will have moved on. Nobody knows how fast it moves: the
        shortest."""
        if not rate:
            return COMEBACK_MIN_S
        at = max(now + (self.waiting(tier) + 1) / rate, self._next_comeback.get(tier, now) + 1 / rate)
        self._next_comeback[tier] = min(at, now + COMEBACK_MAX_S)
        return float(min(COMEBACK_MAX_S, max(COMEBACK_MIN_S, ceil(at - now - 1e-6))))

    def __repr__(self) -> str:
        lines = ", ".join(f"{tier} {len(line)} waiting" for tier, line in self._lines.items())
        return f"<Admission [{lines or 'nobody waits'}]>"


class _Looks:
    """What one look at the lines has found out about each place: asked once, and again when somebody entered."""

    __slots__ = ("_entering", "_has_room", "_is_served", "_now", "_rooms")

    def __init__(self, rooms: Rooms, entering: dict[str, int], now: float) -> None:
        self._rooms, self._entering, self._now = rooms, entering, now
        self._has_room: dict[str, bool] = {}
        self._is_served: dict[str, bool] = {}

    def forget(self, place: str) -> None:
        self._has_room.pop(place, None)

    def place_for(self, places: tuple[str, ...]) -> str | None:
        """The first with room; the first of all when there is nothing to wait for."""
        for place in places:
            if self.has_room(place):
                return place
        return None if any(self._is_awaitable(place) for place in places) else places[0]

    def has_room(self, place: str) -> bool:
        found = self._has_room.get(place)
        if found is None:
            found = self._has_room[place] = self._rooms.has_room(place, self._now, self._entering.get(place, 0))
        return found

    def _is_awaitable(self, place: str) -> bool:
        found = self._is_served.get(place)
        if found is None:
            found = self._is_served[place] = self._rooms.is_served(place, self._now) or self._rooms.is_starting(place, self._now)
        return found
