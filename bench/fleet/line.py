"""The line before a tier in virtual time: first come, first served, and turned away before a wait that is too long.

`gateway.admission` lives on an event loop and knows tenants, priorities and tiers above; here is one tier and one tenant. The
questions are put to the same `Fleet`: does the tier divert, has it room, how fast are places given back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

from pointsman.core.settings import QueueSettings
from pointsman.pools.fleet import Fleet

TIER = "fleet"
SIZE_UNKNOWN = 100
"""As `gateway.admission`."""


class Line:
    """Who waits for the tier."""

    def __init__(self, fleet: Fleet, settings: QueueSettings) -> None:
        self._fleet, self._max_wait_s = fleet, settings.max_wait_s or 0.0
        self._waiting: deque[tuple[float, Any]] = deque()

    def must_wait(self, now: float, rng: Random) -> bool:
        """There is no room for one more, or others were there first."""
        if not self._waiting and self._fleet.diverts(TIER, now, rng) in (None, "sla"):
            return False
        return bool(self._waiting) or not self._fleet.has_room(TIER, now)

    def join(self, task: Any, now: float) -> float | None:
        """Until when it stands; None = turned away."""
        slots, rate = self._fleet.slots(TIER, now), self._fleet.drain_rate(TIER, now)
        ahead = len(self._waiting)
        if ahead >= (SIZE_UNKNOWN if slots is None else 2 * slots):
            return None
        if rate and (ahead + 1) / rate > self._max_wait_s and not self._fleet.has_room(TIER, now, ahead):
            return None
        self._waiting.append((now + self._max_wait_s, task))
        return now + self._max_wait_s

    def next(self, now: float) -> Any | None:
        """The first, if there is room."""
        if self._waiting and self._fleet.has_room(TIER, now):
            return self._waiting.popleft()[1]
        return None

    def late(self, now: float) -> Iterator[Any]:
        """Those who have stood for as long as they may."""
        while self._waiting and self._waiting[0][0] <= now:
            yield self._waiting.popleft()[1]
