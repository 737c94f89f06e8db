"""All pools of one configuration, and the tiers over them.

A tier's pools are asked in the order of the configuration: the first that is allowed and has an endpoint gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from random import Random
from typing import Any

import msgspec

from pointsman.core.fleet import EndpointId, EndpointSpec, Fitness
from pointsman.core.protocols import Balancer
from pointsman.core.request import ChatRequest
from pointsman.core.settings import Settings, TierSettings
from pointsman.pools.balancers.choice import balancer_of
from pointsman.pools.health import Health
from pointsman.pools.pool import Lease, Pool, Shortage
from pointsman.pools.tier import Tier, nothing


class Fleet:
    """Who can serve, right now."""

    def __init__(self, settings: Settings, balancer: Callable[[], Balancer] | None = None) -> None:
        """`balancer` makes one for each pool; None = the one that each pool's settings name."""
        self.tiers: dict[str, TierSettings] = settings.tiers
        self.pools: dict[str, Pool] = {
            name: Pool(
                pool, balancer_of(pool.balancer) if balancer is None else balancer(),
                stale_s=settings.polling.stale_after_s,
            )
            for name, pool in settings.pools.items()
        }  # fmt: skip
        for pool in self.pools.values():
            if pool.anteroom is not None:
                pool.anteroom.is_shared = len({key.tenant or key.name for key in settings.keys}) > 1
        self.is_draining = False
        """This process is going away: for readiness. Running requests still get leases."""
        self.without_logprobs: set[EndpointId] = set()
        """Endpoints that refuse to be asked for log-probabilities; a reload asks anew."""
        self.on_release: list[Callable[[], None]] = []
        """Called when a lease closes: somebody may be waiting for it."""
        self.on_change: list[Callable[[EndpointSpec, Health, float], None]] = []
        """Called when a lease has taken its endpoint out of service or brought it back, at monotonic seconds."""
        self._pools_of = {name: tuple(self.pools[p] for p in tier.pools) for name, tier in self.tiers.items()}
        # Tiers, and pools that are no tier under their own name.
        self._live = {name: Tier(tier, self._pools_of[name]) for name, tier in self.tiers.items()}
        for name, pool in self.pools.items():
            if name not in self._live:
                self._live[name] = Tier(_alone(name, self.tiers), (pool,))
            pool.watchers.tiers = tuple(tier for tier in self._live.values() if pool in tier.pools)
            pool.watchers.released = self.on_release
            pool.watchers.changed = self.on_change

    def endpoints_of_pool(self, pool: str) -> tuple[EndpointId, ...]:
        return self.pools[pool].endpoint_ids

    def lease(
        self, tier: str, request: ChatRequest, exclude: Collection[EndpointId], now: float, rng: Random, *,
        allowed_pools: Container[str] | None = None, desperate: bool = False,
    ) -> Lease:  # fmt: skip
        """An endpoint of the first allowed pool that has one; raises `NoEndpoint` with the tier's counts.

        `desperate`: what is out of service too, after everything that is in service.
        """
        return self._lease(tier, self._allowed(tier, allowed_pools), request, exclude, now, rng, desperate)

    def offer_at(self, endpoint: EndpointId, request: ChatRequest, now: float, rng: Random) -> Lease | None:
        """A lease on this endpoint, if it is in service and takes one more."""
        for pool in self.pools.values():
            if endpoint in pool.endpoint_ids:
                return pool.offer_at(endpoint, request, now, rng)
        return None

    def lease_pool(
        self, pool: str, request: ChatRequest, exclude: Collection[EndpointId], now: float, rng: Random, *,
        desperate: bool = False,
    ) -> Lease:  # fmt: skip
        """An endpoint of a pool that was named itself (pinned by a client or a rule)."""
        return self._lease(pool, (self.pools[pool],), request, exclude, now, rng, desperate)

    def lease_among(
        self, name: str, pools: Collection[str], request: ChatRequest, exclude: Collection[EndpointId], now: float,
        rng: Random, *, desperate: bool = False,
    ) -> Lease:  # fmt: skip
        """As `lease`, over the pools named; `name` is what NoEndpoint calls them."""
        return self._lease(name, tuple(self.pools[p] for p in pools), request, exclude, now, rng, desperate)

    def is_fit(self, tier: str, now: float, allowed_pools: Container[str] | None = None) -> bool:
        """Some allowed pool of the tier has an endpoint in service."""
        return any(pool.is_fit(now) for pool in self._allowed(tier, allowed_pools))

    # -- is a tier fit right now? A pool's name is understood too; of other names nothing is known.

    def fitness(self, tier: str, now: float) -> Fitness:
        """Whether it should take ordinary traffic, and why not."""
        live = self._live.get(tier)
        return Fitness(True) if live is None else live.fitness(now)

    def diverts(self, tier: str, now: float, rng: Random) -> str | None:
        """None = serve this request here: the tier is fit, or this is one that it keeps while it diverts; else the
        reason to climb, `saturated` or `sla`."""
        live = self._live.get(tier)
        return None if live is None else live.diverts(now, rng)

    def has_room(self, tier: str, now: float, entering: int = 0) -> bool:
        """One more may enter: some endpoint in service has a free slot (or unknown slots) and reports no breach."""
        live = self._live.get(tier)
        return True if live is None else live.has_room(now, entering)

    def hold(self, tier: str, now: float) -> Callable[[], None] | None:
        """See `Tier.hold`."""
        live = self._live.get(tier)
        return nothing if live is None else live.hold(now)

    def step_in(self, tier: str, now: float) -> Callable[[], None] | None:
        """As `hold`, for one that has not waited: where nothing is below its limits any more nothing is held, and None only where
        nothing could be leased either."""
        live = self._live.get(tier)
        if live is None or not live.is_shared:
            return nothing
        return live.hold(now) if live.has_room(now, 0) else (nothing if live.is_leasable(now) else None)

    def is_served(self, tier: str, now: float) -> bool:
        """Some endpoint of it is in service."""
        live = self._live.get(tier)
        return True if live is None else live.is_served(now)

    def is_starting(self, tier: str, now: float) -> bool:
        """Nothing of it is in service, and its machines come when somebody waits (`scale.min: 0`)."""
        live = self._live.get(tier)
        return live is not None and live.is_starting(now)

    def slots(self, tier: str, now: float) -> int | None:
        """Of the endpoints in service, declared or reported; None when one's are unknown."""
        live = self._live.get(tier)
        return None if live is None else live.slots(now)

    def free_slots(self, tier: str, now: float) -> int | None:
        """Slots in service that nothing of ours holds; None when one endpoint's are unknown."""
        live = self._live.get(tier)
        return None if live is None else live.free_slots(now)

    def drain_rate(self, tier: str, now: float) -> float | None:
        """Places per second that answers give back, as it is loaded now; None = nobody knows."""
        live = self._live.get(tier)
        return None if live is None else live.drain_rate(now)

    def answers_per_s(self, tier: str, now: float) -> float | None:
        """Answers per second lately; None = none in the last minute."""
        live = self._live.get(tier)
        return None if live is None else live.answers_per_s(now)

    def ttft_p95(self, tier: str, now: float) -> float | None:
        """Of the tier's window; None = too few answers."""
        live = self._live.get(tier)
        return None if live is None else live.ttft_p95(now)

    def tier_status(self, tier: str, now: float) -> dict[str, Any]:
        """One tier of the configuration, for people."""
        return self._live[tier].status(now)

    def adopt(self, old: Fleet) -> None:
        """Carries health and in-flight over from the graph before a reload.

        Servers with the same pool name, URL, model and credential share their vitals with the old graph, so that
        leases of either are counted, and given back, in one place.
        """
        self.is_draining = old.is_draining
        for name, pool in self.pools.items():
            if name in old.pools:
                pool.adopt(old.pools[name])
        for name, tier in self._live.items():
            if name in old._live:
                tier.adopt(old._live[name])

    def drain(self) -> None:
        self.is_draining = True

    @property
    def in_flight(self) -> int:
        return sum(pool.in_flight for pool in self.pools.values())

    def status(self, now: float) -> dict[str, Any]:
        """For admin, readiness and metrics. No secrets."""
        return {
            "draining": self.is_draining,
            "in_flight": self.in_flight,
            "tiers": {name: self._live[name].status(now) for name in self.tiers},
            "pools": {name: pool.status(now) for name, pool in self.pools.items()},
        }

    def __repr__(self) -> str:
        draining = ", draining" if self.is_draining else ""
        return f"<Fleet [{len(self.tiers)} tiers, {len(self.pools)} pools{draining} | {self.in_flight} in flight]>"

    def _allowed(self, tier: str, allowed: Container[str] | None) -> tuple[Pool, ...]:
        pools = self._pools_of[tier]
        return pools if allowed is None else tuple(p for p in pools if p.name in allowed)

    def _lease(
        self, name: str, pools: tuple[Pool, ...], request: ChatRequest, exclude: Collection[EndpointId], now: float,
        rng: Random, desperate: bool,
    ) -> Lease:  # fmt: skip
        for pool in pools:
            if (lease := pool.offer(request, exclude, now, rng)) is not None:
                return lease
        if desperate:
            for pool in pools:
                if (lease := pool.offer_desperate(request, exclude, now)) is not None:
                    return lease
        shortage = Shortage()
        for pool in pools:
            pool.count_shortage(shortage, exclude, now)
        raise shortage.error(name, now)


def _alone(pool: str, tiers: Mapping[str, TierSettings]) -> TierSettings:
    """A pool as a tier of its own: with the promises and limits of the tier that it is of."""
    home = next((tier for tier in tiers.values() if pool in tier.pools), None)
    return TierSettings(pool, (pool,)) if home is None else msgspec.structs.replace(home, name=pool, pools=(pool,))
