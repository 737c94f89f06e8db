"""One generation of the configuration, ready to serve: names, deciders and pools.

A reload builds the next graph and swaps one reference; requests under way finish on the graph they began with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from pointsman.cascade.hedge import HedgePlan
from pointsman.cascade.ladder import CHOSEN, FALLBACK, LAST_RESORT, MAX_SENT, Plan, Rung, plan_rungs
from pointsman.classify.gate import Memory, lacks
from pointsman.classify.session import Sessions, kept
from pointsman.core.decision import Decision
from pointsman.core.fleet import EndpointId
from pointsman.core.request import Alternative, ChatRequest
from pointsman.core.settings import RouteSettings, Settings
from pointsman.errors import NothingFits, RequestError
from pointsman.gateway.names import Meaning, Names
from pointsman.pools.fleet import Fleet


class Decides(Protocol):
    """`classify.decider.Decider`, as the gateway uses it."""

    def decide(self, request: ChatRequest, *, allowed: Collection[str] | None = None) -> Decision: ...


class Way(msgspec.Struct, frozen=True, gc=False):
    """Where a request may go: the rungs in the order to be tried, and each rung's pools."""

    rungs: tuple[Rung, ...]
    pools: dict[str, tuple[str, ...]]
    barred: dict[str, frozenset[EndpointId]] = {}
    """Per rung: endpoints of its pools that the client's choice leaves out."""


class Graph:
    """Settings made live."""

    def __init__(self, settings: Settings, fleet: Fleet, deciders: Mapping[str, Decides], generation: int = 1,
                 sessions: Sessions | None = None) -> None:
        """`sessions`: turns whose tools are in flight, from the graph before."""
        self.sessions = Sessions() if sessions is None else sessions
        self.settings, self.fleet, self.deciders, self.generation = settings, fleet, deciders, generation
        self.names = Names(settings)
        # Few: one per route, decided tier and set of pools that fit. Kept since most requests go the same ways.
        self._ways: dict[tuple[str, str, str | None, tuple[str, ...]], Way] = {}
        self._fitting_on = {route.name: _fitting_on(settings, route) for route in settings.routes.values()}
        self.models = {pool.name: pool.model for pool in settings.pools.values()}

    def decide(self, request: ChatRequest, meaning: Meaning, now: float | None = None) -> Decision:
        """The route's decision, or the client's own choice as one; with `now`, turns under way stay where they are."""
        if meaning.is_route:
            decision = self.deciders[meaning.route].decide(request, allowed=request.caller.pools)
            if not request.tools or now is None:
                return decision
            pin = self.sessions.recall(request, meaning.route, now)
            return decision if pin is None else kept(pin, decision, self.settings, request)
        ladder = self.settings.routes[meaning.route].ladder
        tier = meaning.tier or meaning.home or meaning.pools[0]
        return Decision(
            route=meaning.route, tier=tier, rung=ladder.index(tier) + 1 if tier in ladder else 0, decided_by="client",
            reason="the client named it", confidence=0.0, pool=None if meaning.tier else meaning.pools[0],
        )

    def answered(self, request: ChatRequest, decision: Decision | None, tier: str, pool: str, now: float) -> None:
        """Where a turn that may go on with the results of tools was answered."""
        if request.tools and decision is not None and decision.decided_by != "client":
            ladder = self.settings.routes[decision.route].ladder
            rung = ladder.index(tier) + 1 if tier in ladder else 0
            self.sessions.remember(request, decision.route, tier, pool, rung, now)

    def way(self, request: ChatRequest, decision: Decision, meaning: Meaning) -> Way:
        """The rungs that may serve this request, the client's alternatives among them.

        Raises NothingFits when a named choice cannot, UnknownModel or Forbidden for an alternative.
        """
        way = self._own_way(request, decision, meaning)
        limits = request.limits
        for alternative in limits.alternatives:
            way = self._with(way, request, alternative)
        return Way(way.rungs[:1], way.pools, way.barred) if limits.stays else way

    def _with(self, way: Way, request: ChatRequest, alternative: Alternative) -> Way:
        """The way with one alternative before its last resorts; the same when that cannot serve this request."""
        meaning = self._meant(alternative, request)
        try:
            other = self._own_way(request, self.decide(request, meaning), meaning)
        except NothingFits:
            return way
        rungs = {rung.tier: rung for rung in way.rungs}
        pools, barred = dict(way.pools), dict(way.barred)
        for rung in other.rungs:
            tier, known = rung.tier, rungs.get(rung.tier)
            if known is not None and set(known.endpoints) != set(rung.endpoints):
                # Another part of a tier that is on the way already: a rung of its own, under the name that was asked for.
                tier = f"{alternative.name}:{tier}" if meaning.is_route else alternative.name
                known = rungs.get(tier)
            if known is not None and known.reason != LAST_RESORT:
                continue
            rungs.pop(tier, None)
            rungs[tier] = msgspec.structs.replace(rung, tier=tier, reason=FALLBACK)
            pools[tier], barred[tier] = other.pools[rung.tier], other.barred.get(rung.tier, frozenset())
        ordered = sorted(rungs.values(), key=lambda rung: rung.reason == LAST_RESORT)
        return Way(tuple(ordered), pools, barred)

    def check_alternatives(self, request: ChatRequest) -> None:
        """Raises what `way` would raise for a name: for decisions that nobody dispatches."""
        for alternative in request.limits.alternatives:
            self._meant(alternative, request)

    def _meant(self, alternative: Alternative, request: ChatRequest) -> Meaning:
        try:
            return self.names.look_up(alternative.name, request.caller)
        except RequestError as error:
            error.param = alternative.field
            raise

    def _own_way(self, request: ChatRequest, decision: Decision, meaning: Meaning) -> Way:
        """The rungs that `meaning` alone stands for."""
        if meaning.pools:
            return self._pinned(request, decision.tier, meaning.pools, meaning.provider)
        if meaning.tier:
            return self._pinned(request, meaning.tier, self.settings.tiers[meaning.tier].pools)
        fitting = self._fitting_on[meaning.route](request.needs, request.caller.pools)
        key = (meaning.route, decision.tier, decision.pool, fitting)
        way = self._ways.get(key)
        if way is None:
            way = self._ways[key] = self._climbing(self.settings.routes[meaning.route], decision, fitting)
        return way

    def _climbing(self, route: RouteSettings, decision: Decision, fitting: tuple[str, ...]) -> Way:
        """The way from the decided tier over the route's tiers, through the pools that fit.

        A rule may have chosen one pool of the tier, or one that is on no tier: it comes first, the rest remains.
        """
        chosen = decision.tier or decision.pool or ""
        first = (decision.pool,) if decision.pool is not None else ()
        pools: dict[str, tuple[str, ...]] = {}
        for tier in dict.fromkeys((chosen, *route.ladder, *route.fallbacks)):
            own = self.settings.tiers[tier].pools if tier in self.settings.tiers else ()
            names = tuple(name for name in own if name in fitting and name not in first)
            pools[tier] = (*first, *names) if tier == chosen else names
        pools = {tier: names for tier, names in pools.items() if names}
        endpoints = {tier: self._endpoints_of(names) for tier, names in pools.items()}
        return Way(plan_rungs(route.ladder, chosen, route.fallbacks, endpoints, pools), pools)

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
        return Way((Rung(tier, endpoints, CHOSEN),), {tier: fitting}, {tier: barred} if barred else {})

    def _fitting(self, request: ChatRequest, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if self._fits(request, name))

    def _fits(self, request: ChatRequest, pool: str) -> bool:
        allowed = request.caller.pools
        if request.is_embedding:
            return allowed is None or pool in allowed
        return not lacks(request.needs, self.settings.pools[pool], allowed)

    def _endpoints_of(self, names: tuple[str, ...]) -> tuple[EndpointId, ...]:
        return tuple(endpoint for name in names for endpoint in self.fleet.endpoints_of_pool(name))

    def deadline(self, request: ChatRequest, route: RouteSettings, now: float) -> float:
        asked = request.limits.deadline_s
        return now + (route.deadline_s if asked is None else min(asked, route.deadline_s))

    def plan(self, request: ChatRequest, route: RouteSettings, way: Way, now: float, deadline: float) -> Plan:
        limits = request.limits
        return Plan(
            rungs=way.rungs, stream=request.stream, now=now, hedge=self._hedge(way, now),
            max_sent=MAX_SENT if limits.max_sent is None else min(limits.max_sent, MAX_SENT),
            deadline=deadline,
            ttft_timeout_s=(route.ttft_timeout_s if limits.first_content_s is None
                            else min(limits.first_content_s, route.ttft_timeout_s)),
            answer_timeout_s=route.answer_timeout_s,
        )


    def _hedge(self, way: Way, now: float) -> HedgePlan | None:
        """A tier that is full or slow as a whole is not helped by more of the same: only requests as decided are hedged."""
        first = way.rungs[0]
        tier = self.settings.tiers.get(first.tier)
        if tier is None or tier.hedge is None or first.reason != CHOSEN or not self.fleet.fitness(first.tier, now).is_fit:
            return None
        after_s = tier.hedge.after_s if tier.hedge.after_s is not None else self.fleet.ttft_p95(first.tier, now)
        return None if after_s is None else HedgePlan(after_s, tier.hedge.max_share)


def _fitting_on(settings: Settings, route: RouteSettings) -> Memory[tuple[str, ...]]:
    """Which pools of a route fit what a request needs."""
    pools = [settings.pools[name] for name in _pools_of(settings, route)]
    return Memory(pools, lambda needs, allowed: tuple(pool.name for pool in pools if not lacks(needs, pool, allowed)))


def _pools_of(settings: Settings, route: RouteSettings) -> tuple[str, ...]:
    """Every pool that the route could use; rules may send to tiers that are on no ladder, so those count too."""
    ruled = (rule.tier for rule in route.rules if rule.tier)
    tiers = dict.fromkeys((*route.ladder, *route.fallbacks, *ruled))
    return tuple(dict.fromkeys(pool for tier in tiers for pool in settings.tiers[tier].pools))
