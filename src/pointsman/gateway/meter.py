"""Looks at the fleet every few seconds: what the machines cost, and how many each tier wants. Not in the request path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any

import msgspec

from pointsman.core.clock import Clock
from pointsman.core.fleet import EndpointId, EndpointState, EndpointView
from pointsman.core.price import NANO, GpuPrice
from pointsman.core.settings import Settings
from pointsman.money.gpu import GpuLedger, MachineBill, Offer, Seen, hourly
from pointsman.pools.endpoint import Endpoint
from pointsman.pools.fleet import Fleet
from pointsman.pools.scaling import Demand, Scaler, Wish

LOOK_EVERY_S = 5.0
REFUSED_OVER_S = 2.0
"""Requests turned away are counted over at least this."""


class Meter:
    """`look` as often as you like; `scale` and `machines` tell what the looks have come to."""

    def __init__(self, clock: Clock, *, settings: Callable[[], Settings], fleet: Callable[[], Fleet],
                 tokens: Callable[[EndpointId], int], waiting: Callable[[str], int],
                 taken: Callable[[], Collection[EndpointId]] = tuple, refused: Callable[[str], int] = lambda tier: 0) -> None:
        """`tokens`: what an endpoint has done since the start; `waiting`: who stands in a tier's line; `taken`: endpoints that are being
        taken away; `refused`: requests of a tier that were turned away since the start."""
        self._clock, self._settings, self._fleet, self._tokens, self._waiting = clock, settings, fleet, tokens, waiting
        self._taken, self._ledger = taken, GpuLedger()
        self._scalers: dict[str, Scaler] = {}
        self._refused, self._refusals = refused, dict[str, _Refusals]()
        self.wishes: dict[str, Wish] = {}

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        while True:
            self.look()
            await sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """One look at everything."""
        now, wall = self._clock.now(), datetime.fromtimestamp(self._clock.wall(), UTC)
        fleet, settings = self._fleet(), self._settings()
        views = {name: pool.views(now) for name, pool in fleet.pools.items()}
        self._ledger.look(now, {endpoint.id: _seen(endpoint) for pool in fleet.pools.values() for endpoint in pool.endpoints})
        taken = self._taken()
        for name, tier in settings.tiers.items():
            scaler = self._scalers.get(name)
            if scaler is None or scaler.settings != tier.scale:
                scaler = self._scalers[name] = Scaler(tier.scale)
            ours = {spec.id for pool in tier.pools for spec in settings.pools[pool].endpoints if spec.is_ours}
            # What a provider takes over needs no machine, and says nothing about how much one takes.
            seen = [view for pool in tier.pools for view in views.get(pool, ()) if view.id in ours]
            is_breaching = fleet.fitness(name, now).reason == "ttft"
            demand = _demand(seen, self._waiting(name), is_breaching, fleet.drain_rate(name, now),
                             self._refusals.setdefault(name, _Refusals()).per_s(self._refused(name), now))
            if taken:
                spot = {spec.id for pool in tier.pools for spec in settings.pools[pool].endpoints if spec.spot}
                demand = msgspec.structs.replace(demand, leaving=len(spot.intersection(taken)))
            self.wishes[name] = scaler.look(demand, now, wall)
        for gone in self._scalers.keys() - settings.tiers.keys():
            del self._scalers[gone], self.wishes[gone], self._refusals[gone]

    def scale(self) -> dict[str, Any]:
        """For autoscalers (KEDA's metrics API reads `tiers.<name>.desired`) and people."""
        idle = self._idle_usd_per_hour()
        return {"tiers": {
            tier: {"desired": wish.desired, "ready": wish.ready, "leaving": wish.leaving, "on_demand": wish.on_demand, "reason": wish.reason,
                   "load": round(wish.load, 3), "expected_load": round(wish.expected, 3), "usd_per_hour": self._usd_per_hour(tier, wish),
                   "idle_usd_per_hour": idle.get(tier)}
            for tier, wish in self.wishes.items()}}

    def _usd_per_hour(self, tier: str, wish: Wish) -> float | None:
        """What the machines that are wanted cost, at the prices of those that are configured; None = some price is unknown."""
        settings = self._settings()
        specs = [spec for pool in settings.tiers[tier].pools for spec in settings.pools[pool].endpoints if spec.is_ours] if tier in settings.tiers else []
        offers = [Offer(spec.price.usd_per_hour * spec.price.count, spec.spot) for spec in specs if isinstance(spec.price, GpuPrice)]
        if wish.desired is None or len(offers) < len(specs):
            return None
        cost = hourly(offers, wish.desired, wish.on_demand)
        return None if cost is None else round(cost, 6)

    def machines(self) -> list[MachineBill]:
        """The bill of each endpoint that is priced by the hour."""
        return [self._ledger.bill(spec.id, spec.price, self._tokens(spec.id))
                for pool in self._settings().pools.values() for spec in pool.endpoints if isinstance(spec.price, GpuPrice)]

    def bill(self) -> dict[str, Any]:
        """The machines' bill, in dollars, and its sum."""
        machines = self.machines()
        running, busy = sum(m.running_nano_usd for m in machines), sum(m.busy_nano_usd for m in machines)
        return {
            "running_usd": running / NANO, "busy_usd": busy / NANO, "idle_usd": (running - busy) / NANO,
            "usd_per_hour_now": sum(m.usd_per_hour for m in machines if self._ledger.is_running(m.endpoint)),
            "idle_usd_per_hour_now": sum(m.usd_per_hour for m in machines if self._ledger.is_idle(m.endpoint)),
            "machines": [msgspec.to_builtins(machine) for machine in machines],
        }

    def _idle_usd_per_hour(self) -> dict[str, float]:
        """Per tier: what its machines cost that run and do nothing. Tiers without hourly prices are left out."""
        settings, found = self._settings(), dict[str, float]()
        for name, tier in settings.tiers.items():
            prices = [(spec.id, spec.price) for pool in tier.pools for spec in settings.pools[pool].endpoints
                      if isinstance(spec.price, GpuPrice)]
            if prices:
                found[name] = round(sum(price.usd_per_hour * price.count for id_, price in prices if self._ledger.is_idle(id_)), 6)
        return found


def _seen(endpoint: Endpoint) -> Seen:
    """Ejected is not running unless something runs there: a machine that refuses connections is not there to be paid for. Neither is
    one that was drained and has gone."""
    is_busy = endpoint.vitals.busy > 0
    return Seen(endpoint.vitals.health.state is not EndpointState.EJECTED or is_busy, is_busy)


class _Refusals:
    """How many of one tier's requests are turned away per second, from how many were."""

    __slots__ = ("_at", "_per_s", "_total")

    def __init__(self) -> None:
        self._at: float | None = None
        self._total, self._per_s = 0, 0.0

    def per_s(self, total: int, now: float) -> float:
        """`total`: since the start. Looks that follow each other closely say the same: a moment's count is no rate."""
        if self._at is None:
            self._at, self._total = now, total
        elif now - self._at >= REFUSED_OVER_S:
            self._per_s = max(0, total - self._total) / (now - self._at)
            self._at, self._total = now, total
        return self._per_s


def _demand(views: list[EndpointView], waiting: int, is_breaching: bool, answers_per_s: float | None, refused_per_s: float) -> Demand:
    ready = [view for view in views if view.state is EndpointState.HEALTHY]
    slots = [view.slots for view in ready or views]
    known = [count for count in slots if count is not None]
    queued = sum(view.report.waiting for view in views if view.report is not None and view.report.waiting)
    running = sum(view.in_flight for view in views)
    # What engines say waits was sent by us and runs as far as we know: it is counted once.
    return Demand(max(0, running - queued), waiting + queued, tuple(view.id for view in ready),
                  round(sum(known) / len(known)) if slots and len(known) == len(slots) else None, is_breaching, answers_per_s,
                  refused_per_s=refused_per_s)
