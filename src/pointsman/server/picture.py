"""The fleet as the operator sees it: what each tier and each endpoint is, since when, until when, why."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pointsman.core.clock import Clock
from pointsman.gateway.gateway import Gateway
from pointsman.pools.fleet import Fleet
from pointsman.pools.pool import Pool
from pointsman.state.standings import LOOK_EVERY_S, Standings

UNAVAILABLE = "unavailable"


class Picture:
    """Of one router. `run` looks as long as it serves; `tier` and `pool` tell what was seen."""

    def __init__(self, gateway: Gateway, clock: Clock, tier_status: Callable[[], Sequence[dict[str, Any]]]) -> None:
        """`tier_status`: of each `tier`, who waits and what it is `unfit` for, over all processes."""
        self._gateway, self._clock, self._tier_status = gateway, clock, tier_status
        self._standings = Standings()

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        while True:
            self.look()
            await sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Notes what has changed since the last look."""
        states = {endpoint.id: endpoint.vitals.state().value for pool in self._fleet.pools.values() for endpoint in pool.endpoints}
        # A tier and an endpoint have no name in common: an endpoint's has a stroke in it.
        self._standings.look(states | {status["tier"]: status["unfit"] for status in self._tier_status()}, self._clock.now())

    def tier(self, status: dict[str, Any]) -> dict[str, Any]:
        """One tier, of which `tier_status` says this."""
        now, fleet = self._clock.now(), self._fleet
        tier, reason = status["tier"], status["unfit"]
        known = fleet.tier_status(tier, now)
        # A limit that is reached is known to the moment where it is one process that looks; all else as it was seen.
        is_exact = reason not in ("", UNAVAILABLE) and known["reason"] == reason and known["for_s"] is not None
        found = known | {
            "state": reason or "fit", "is_fit": not reason, "reason": reason, "waiting": status["waiting"], "desired": status["desired"],
            "for_s": known["for_s"] if is_exact else self._standings.for_s(tier, now), "opens_in_s": None, "ttft_p95_s": fleet.ttft_p95(tier, now),
        }
        return found | self._absence(tier, now) if reason == UNAVAILABLE else found

    def _absence(self, tier: str, now: float) -> dict[str, Any]:
        """Of a tier that nobody serves: when the next endpoint is tried, as far as it is known, and what they all are."""
        fleet = self._fleet
        endpoints = [endpoint for pool in fleet.tiers[tier].pools for endpoint in fleet.pools[pool].status(now)["endpoints"]]
        states = ", ".join(f"{count} {state}" for state, count in Counter(endpoint["state"] for endpoint in endpoints).items())
        opens = [endpoint["opens_in_s"] for endpoint in endpoints if endpoint["state"] != "draining" and endpoint["opens_in_s"] is not None]
        return {"opens_in_s": min(opens, default=None), "detail": f"no endpoint in service: {states or 'it has none'}"}

    def pool(self, pool: Pool) -> dict[str, Any]:
        """One pool and its endpoints."""
        now, departures = self._clock.now(), self._gateway.departures
        status = pool.status(now)
        for endpoint in status["endpoints"]:
            name = endpoint["id"]
            endpoint |= {"for_s": self._standings.for_s(name, now), "leaves_in_s": None}
            notice = departures.notices.get(name)
            if notice is not None:  # said by somebody, and so known to the moment, also from before a restart
                asked_by = " and ".join(departures.asked_by(name))
                endpoint |= {"for_s": round(now - notice.announced_at, 3), "leaves_in_s": round(notice.leaves_at - now, 3),
                             "cause": f"drained by the {asked_by}" if asked_by else "drained", "detail": notice.reason}
        return status

    @property
    def _fleet(self) -> Fleet:
        return self._gateway.graph.fleet

    def __repr__(self) -> str:
        return f"<Picture {self._standings!r}>"
