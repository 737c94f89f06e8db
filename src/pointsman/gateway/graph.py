"""One generation of the configuration, ready to serve: names, deciders and pools.

A reload builds the next graph and swaps one reference; requests under way finish on the graph they began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from pointsman.cascade.ladder import Plan, Rung, plan_rungs
from pointsman.classify.gate import lacks
from pointsman.core.decision import Decision
from pointsman.core.fleet import EndpointId
from pointsman.core.request import ChatRequest
from pointsman.core.settings import RouteSettings, Settings
from pointsman.errors import NothingFits
from pointsman.gateway.names import Meaning, Names
from pointsman.pools.fleet import Fleet


class Decides(Protocol):
    """`classify.decider.Decider`, as the gateway uses it."""

    def decide(self, request: ChatRequest) -> Decision: ...


class Way(msgspec.Struct, frozen=True, gc=False):
    """Where a request may go: the rungs in the order to be tried, and each rung's pools."""

    rungs: tuple[Rung, ...]
    pools: dict[str, tuple[str, ...]]
    barred: frozenset[EndpointId] = frozenset()
    """Endpoints of these pools that the client's choice leaves out."""


class Graph:
    """Settings made live."""

    def __init__(self, settings: Settings, fleet: Fleet, deciders: Mapping[str, Decides], generation: int = 1) -> None:
        self.settings, self.fleet, self.deciders, self.generation = settings, fleet, deciders, generation
        self.names = Names(settings)
        self.models = {pool.name: pool.model for pool in settings.pools.values()}

    def decide(self, request: ChatRequest, meaning: Meaning) -> Decision:
        """The route's decision, or the client's own choice as one."""
        if meaning.is_route:
            return self.deciders[meaning.route].decide(request)
        ladder = self.settings.routes[meaning.route].ladder
        tier = meaning.tier or meaning.pools[0]
        return Decision(
            route=meaning.route, tier=tier, rung=ladder.index(tier) + 1 if tier in ladder else 0, decided_by="client",
            reason="the client named it", confidence=0.0, pool=None if meaning.tier else meaning.pools[0],
        )

    def way(self, request: ChatRequest, decision: Decision, meaning: Meaning) -> Way:
        """The rungs that may serve this request. Raises NothingFits when a named choice cannot."""
        if meaning.pools or decision.pool is not None:
            names = meaning.pools or (decision.pool or "",)
            return self._pinned(request, decision.tier or names[0], names, meaning.provider)
        if meaning.tier:
            return self._pinned(request, meaning.tier, self.settings.tiers[meaning.tier].pools)
        route = self.settings.routes[meaning.route]
        pools: dict[str, tuple[str, ...]] = {}
        for tier in dict.fromkeys((decision.tier, *route.ladder, *route.fallbacks)):
            fitting = self._fitting(request, self.settings.tiers[tier].pools)
            if fitting:
                pools[tier] = fitting
        endpoints = {tier: self._endpoints_of(names) for tier, names in pools.items()}
        return Way(plan_rungs(route.ladder, decision.tier, route.fallbacks, endpoints, pools), pools)

    def _pinned(self, request: ChatRequest, tier: str, names: tuple[str, ...], provider: str = "") -> Way:
        fitting = self._fitting(request, names)
        if not fitting:
            raise NothingFits(f"{tier!r} cannot serve this request: it lacks a capability or context that it needs; "
                              "POST /v1/route shows which", param="model")
        barred = frozenset(
            endpoint.id for name in fitting for endpoint in self.settings.pools[name].endpoints
            if provider and endpoint.provider != provider
        )
        endpoints = tuple(endpoint for endpoint in self._endpoints_of(fitting) if endpoint not in barred)
        return Way((Rung(tier, endpoints, "chosen"),), {tier: fitting}, barred)

    def _fitting(self, request: ChatRequest, names: tuple[str, ...]) -> tuple[str, ...]:
        pools = self.settings.pools
        return tuple(name for name in names if request.is_embedding or not lacks(request.needs, pools[name]))

    def _endpoints_of(self, names: tuple[str, ...]) -> tuple[EndpointId, ...]:
        return tuple(endpoint for name in names for endpoint in self.fleet.endpoints_of_pool(name))

    def plan(self, request: ChatRequest, route: RouteSettings, way: Way, now: float) -> Plan:
        return Plan(
            rungs=way.rungs, stream=request.stream, now=now,
            deadline=now + route.deadline_s, ttft_timeout_s=route.ttft_timeout_s,
            answer_timeout_s=route.answer_timeout_s,
        )
