"""Where requests wait when their tier is full and none above it is fit.

Why here and not in the engine? Engines queue without bound and in order of arrival. Here the queue is short, fair
between tenants, knows who has left, and tells the others at once when to come back.

A request waits in the line of the tier it was decided for, and is let in as soon as that tier, or one above it on its
way, has room. How long it may wait is the tier's promise: who would not make it is turned away before it waits, with
the time in which the line will have moved on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
COMEBACK_MIN_S, COMEBACK_MAX_S = 1.0, 120.0


class Rooms(Protocol):
    """What admission asks of the fleet (`pools.fleet.Fleet`)."""

    def has_room(self, tier: str, now: float, entering: int = 0) -> bool:
        """One more may enter; `entering` have been let in and hold no lease yet."""
        ...

    def slots(self, tier: str, now: float) -> int | None: ...
    def drain_rate(self, tier: str, now: float) -> float | None: ...


class _Waiting:
    """One request in line."""

    __slots__ = ("granted", "tiers")

    def __init__(self, tiers: Sequence[str], granted: asyncio.Future[str]) -> None:
        self.tiers, self.granted = tiers, granted


class Admission:
    """The lines of all tiers of one process."""

    def __init__(self, rooms: Rooms, clock: Clock) -> None:
        self.rooms = rooms
        """The fleet of the graph now in use; replaced by a reload."""
        self._clock = clock
        self._lines: dict[str, FairQueue[_Waiting]] = {}
        # Let in, and not yet holding a lease. Returns to zero.
        self._entering: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_woken = False
        self.shed: dict[str, int] = {}
        """Turned away since the start, by tier."""

    def waiting(self, tier: str) -> int:
        line = self._lines.get(tier)
        return len(line) if line is not None else 0

    def must_wait(self, tiers: Sequence[str], now: float) -> bool:
        """None of the tiers has room for one more, or others were there first."""
        return self._open_tier(tiers, now, first_in_line=False) is None

    async def wait(self, tiers: Sequence[str], settings: QueueSettings, *, tenant: str, priority: int, size: float,
                   max_wait_s: float) -> str:
        """Waits in the line of `tiers[0]` until one of `tiers` has room, and returns that one.

        `max_wait_s`: seconds this request can wait. Raises Shed at once when the line is too long for that, when it is
        full, or when the time is over. Cancelling leaves the line. Whoever is let in calls `entered` once leased.
        """
        tier, now = tiers[0], self._clock.now()
        line = self._lines.setdefault(tier, FairQueue())
        slots, rate = self.rooms.slots(tier, now), self.rooms.drain_rate(tier, now)
        limit = settings.size if settings.size is not None else SIZE_UNKNOWN if slots is None else 2 * slots
        comeback_s = _comeback(len(line) + 1, rate)
        if rate and (len(line) + 1) / rate > max_wait_s:
            raise self._shed(tier, f"the {len(line)} ahead need longer than the {max_wait_s:g} s it may wait", comeback_s)
        if len(line) >= limit and not self._made_way(tier, line, priority, comeback_s):
            raise self._shed(tier, f"all its slots are taken and {len(line)} wait already", comeback_s)
        granted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        ticket = line.put(_Waiting(tiers, granted), tenant=tenant, priority=priority, size=size, now=now)
        self._look_again()
        is_in = False
        try:
            async with asyncio.timeout(max_wait_s):
                entered = await granted
            is_in = True
            return entered
        except TimeoutError:
            raise self._shed(tier, f"nothing became free within {max_wait_s:g} s", comeback_s) from None
        finally:
            if not is_in:
                line.remove(ticket)
                if granted.done() and not granted.cancelled() and granted.exception() is None:
                    self.entered(granted.result())  # the place came in the moment its request gave up

    def entered(self, tier: str) -> None:
        """One that was let in has its lease, or will not take one."""
        self._entering[tier] = max(0, self._entering.get(tier, 0) - 1)

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

    def _look_again(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        """Lets in as many as there is room for."""
        self._is_woken = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.now()
        for line in self._lines.values():
            while (ticket := line.peek(now)) is not None:
                tier = self._open_tier(ticket.item.tiers, now, first_in_line=True)
                if tier is None:
                    break
                line.take(now)
                if ticket.item.granted.done():
                    continue
                self._entering[tier] = self._entering.get(tier, 0) + 1
                ticket.item.granted.set_result(tier)
        if any(self._lines.values()):
            self._look_again()

    def _open_tier(self, tiers: Sequence[str], now: float, *, first_in_line: bool) -> str | None:
        """The first of `tiers` that has room. Newcomers get none that others wait for."""
        for tier in tiers:
            if (first_in_line or not self.waiting(tier)) and self.rooms.has_room(tier, now, self._entering.get(tier, 0)):
                return tier
        return None

    # -- turning away --------------------------------------------------------------------------------------

    def _made_way(self, tier: str, line: FairQueue[_Waiting], priority: int, comeback_s: float) -> bool:
        """Somebody of a lower priority gave their place up."""
        ticket: Ticket[_Waiting] | None = line.least(priority)
        if ticket is None:
            return False
        line.remove(ticket)
        if not ticket.item.granted.done():
            ticket.item.granted.set_exception(self._shed(tier, "a request of a higher priority took its place", comeback_s))
        return True

    def _shed(self, tier: str, why: str, comeback_s: float) -> Shed:
        self.shed[tier] = self.shed.get(tier, 0) + 1
        return Shed(tier, why, comeback_s)

    def __repr__(self) -> str:
        lines = ", ".join(f"{tier} {len(line)} waiting" for tier, line in self._lines.items())
        return f"<Admission [{lines or 'nobody waits'}]>"


def _comeback(place: int, rate: float | None) -> float:
    """Seconds until the line as it is will have moved on. Nobody knows how fast it moves: the shortest."""
    return COMEBACK_MIN_S if not rate else float(min(COMEBACK_MAX_S, max(COMEBACK_MIN_S, ceil(place / rate))))

