"""All pools of one configuration, and the tiers over them.

A tier's pools are asked in the order of the configuration: the first that is allowed and has an endpoint gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable
from random import Random
from typing import Any

from pointsman.core.fleet import EndpointId
from pointsman.core.protocols import Balancer
from pointsman.core.request import ChatRequest
from pointsman.core.settings import Settings, TierSettings
from pointsman.pools.balancers.power_of_two import PowerOfTwo
from pointsman.pools.pool import Lease, Pool, Shortage


class Fleet:
    """Who can serve, right now."""

    def __init__(self, settings: Settings, balancer: Callable[[], Balancer] = PowerOfTwo) -> None:
        self.tiers: dict[str, TierSettings] = settings.tiers
        self.pools: dict[str, Pool] = {name: Pool(pool, balancer()) for name, pool in settings.pools.items()}
        self.is_draining = False
        """This process is going away: for readiness. Running requests still get leases."""
        self._pools_of = {name: tuple(self.pools[p] for p in tier.pools) for name, tier in self.tiers.items()}
        self._endpoints_of = {name: _ids(pools) for name, pools in self._pools_of.items()}

    def endpoints_of(self, tier: str, fits_pool: Callable[[str], bool] | None = None) -> tuple[EndpointId, ...]:
        """Endpoints of the tier's pools that pass `fits_pool`, in pool order, whatever their health."""
        if fits_pool is None:
            return self._endpoints_of[tier]
        pools = self._pools_of[tier]
        fitting = tuple(p for p in pools if fits_pool(p.name))
        return self._endpoints_of[tier] if len(fitting) == len(pools) else _ids(fitting)

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

    def adopt(self, old: Fleet) -> None:
        """Carries health and in-flight over from the graph before a reload.

        Servers with the same pool name, URL, model and credential share their vitals with the old graph, so that
        leases of either are counted, and given back, in one place.
        """
        self.is_draining = old.is_draining
        for name, pool in self.pools.items():
            if name in old.pools:
                pool.adopt(old.pools[name])

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
            "tiers": {
                name: {"pools": list(tier.pools), "is_fit": self.is_fit(name, now)} for name, tier in self.tiers.items()
            },
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


def _ids(pools: Iterable[Pool]) -> tuple[EndpointId, ...]:
    return tuple(id_ for pool in pools for id_ in pool.endpoint_ids)
