"""One generation of the configuration, ready to serve: names, deciders and pools.

A reload builds the next graph and swaps one reference; requests under way finish on the graph they began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import msgspec

from pointsman.cascade.hedge import HedgePlan
from pointsman.cascade.ladder import CHOSEN, FALLBACK, LAST_RESORT, MAX_SENT, Plan, Rung, plan_rungs
from pointsman.classify.classifier import Classifier
from pointsman.classify.conversation import Conversations
from pointsman.classify.decider import Decider, Terms
from pointsman.classify.gate import Memory, lacks
from pointsman.classify.session import Sessions, in_flight, kept
from pointsman.core.decision import Decision
from pointsman.core.fleet import EndpointId
from pointsman.core.price import TokenPrice
from pointsman.core.protocols import BilledAsks, RungVerifications
from pointsman.core.record import Check
from pointsman.core.request import Alternative, ChatRequest
from pointsman.core.settings import RouteSettings, Settings
from pointsman.errors import NothingFits, RequestError
from pointsman.gateway.cascades import Cascades
from pointsman.gateway.consulting import NOBODY, Consulting
from pointsman.gateway.names import Meaning, Names
from pointsman.gateway.remote_sentences import RemoteSentences
from pointsman.gateway.sentences import Sentences
from pointsman.pools.anteroom import Anteroom
from pointsman.pools.fleet import Fleet

TTFT_FOR_S = 1.0
"""How long a tier's time to first token is taken as it was read."""
STAYS = "the conversation stays where it has climbed to"


class Learned(msgspec.Struct, frozen=True):
    """What lives longer than one configuration and takes long to load."""

    classifier: Classifier | None = None
    sentences: Sentences | RemoteSentences | None = None


class Way(msgspec.Struct, frozen=True, gc=False):
    """Where a request may go: the rungs in the order to be tried, and each rung's pools."""

    rungs: tuple[Rung, ...]
    pools: dict[str, tuple[str, ...]]
    barred: dict[str, frozenset[EndpointId]] = {}
    """Per rung: endpoints of its pools that the client's choice leaves out."""


class Graph:
    """Settings made live."""

    def __init__(self, settings: Settings, fleet: Fleet, deciders: Mapping[str, Decider], generation: int = 1,
                 sessions: Sessions | None = None, conversations: Conversations | None = None,
                 consulting: Consulting | None = None, learned: Learned | None = None,
                 verifications: RungVerifications | None = None) -> None:
        """`sessions`: turns whose tools are in flight, and `conversations`: where they are at home, from the graph before.
        `consulting`: who may be asked about what the deciders leave open. `learned`: what the trained stages go by. `verifications`: who
        looks at the answers of which rung."""
        self.sessions = Sessions() if sessions is None else sessions
        self.conversations = Conversations() if conversations is None else conversations
        self.consulting = Consulting() if consulting is None else consulting
        self.learned = Learned() if learned is None else learned
        self._remembers = frozenset(route.name for route in settings.routes.values() if _remembers(settings, route))
        self._ttft: dict[str, tuple[float, dict[str, float | None]]] = {}
        self.settings, self.fleet, self.deciders, self.generation = settings, fleet, deciders, generation
        self.names = Names(settings)
        self.cascades = Cascades(settings, verifications)
        # Few: one per route, decided tier and set of pools that fit. Kept since most requests go the same ways.
        self._ways: dict[tuple[str, str, str | None, tuple[str, ...]], Way] = {}
        self._fitting_on = {route.name: _fitting_on(settings, route) for route in settings.routes.values()}
        self.models = {pool.name: pool.model for pool in settings.pools.values()}

    def decide(self, request: ChatRequest, meaning: Meaning, now: float | None = None) -> Decision:
        """The route's decision, or the client's own choice as one; with `now`, turns under way stay where they are."""
        if meaning.is_route:
            decider = self.deciders[meaning.route]
            if now is None:
                return decider.decide(request, terms=self._terms(decider, request, meaning, None, ""))
            home = self._home(request, meaning.route, now) if self._remembers else ""
            decision = decider.decide(request, terms=self._terms(decider, request, meaning, now, home))
            if request.tools and (pin := self.sessions.recall(request, meaning.route, now)) is not None:
                return kept(pin, decision, self.settings, request)
            return self._stays(decision, request, now)
        ladder = self.settings.routes[meaning.route].ladder
        tier = meaning.tier or meaning.home or meaning.pools[0]
        return Decision(
            route=meaning.route, tier=tier, rung=ladder.index(tier) + 1 if tier in ladder else 0, decided_by="client",
            reason="the client named it", confidence=0.0, pool=None if meaning.tier else meaning.pools[0],
        )

    async def considered(self, request: ChatRequest, meaning: Meaning, decision: Decision, now: float,
                         asks: BilledAsks = NOBODY) -> Decision:
        """The decision after everybody who may be asked about it was; as it is when none of its route's stages wants to be.

        `asks` puts their questions to the fleet's models; who has none asks nobody.
        """
        decider = self.deciders[meaning.route]
        terms = self._terms(decider, request, meaning, now, self._home(request, meaning.route, now))
        limit_s = request.limits.deadline_s
        asked = await self.consulting.settled(decider, request, decision, terms, asks, inf if limit_s is None else now + limit_s)
        return self._stays(asked, request, now)

    def entered(self, route: RouteSettings, request: ChatRequest, decision: Decision, now: float) -> Decision:
        """Of a route with a cascade: a lower tier first, where looking at its answer makes that worth more."""
        return self.cascades.entered(route, request, decision, self._ttft_of(route, now))

    def is_open(self, decision: Decision) -> bool:
        """Somebody may be asked who could change it. Nearly always not, and then nothing is awaited. Asked once for each request."""
        decider = self.deciders[decision.route]
        return bool(decider.consulting) and self.consulting.wants(decider, decision)

    def in_detail(self, request: ChatRequest, meaning: Meaning, decision: Decision, now: float) -> Decision:
        """With the table of candidates, for who asked for the decision alone."""
        if not meaning.is_route:
            return decision
        decider = self.deciders[meaning.route]
        terms = self._terms(decider, request, meaning, now, self._home(request, meaning.route, now))
        return msgspec.structs.replace(decision, candidates=decider.candidates(request, decision, terms))

    def _home(self, request: ChatRequest, route: str, now: float) -> str:
        """The tier that has the conversation in its cache; "" = none that we know of, or nobody would go by it."""
        if route not in self._remembers:
            return ""
        home = self.conversations.recall(request, route, now)
        return home.tier if home is not None else ""

    def _stays(self, decision: Decision, request: ChatRequest, now: float) -> Decision:
        """Of a route that pins: a conversation goes up by the scores, and never down by them."""
        if self.settings.routes[decision.route].session != "pin" or decision.decided_by not in ("policy", "gate", "default"):
            return decision
        home = self.conversations.recall(request, decision.route, now)
        if home is None or decision.rung >= home.rung:
            return decision
        return kept(home, decision, self.settings, request, STAYS)

    def _terms(self, decider: Decider, request: ChatRequest, meaning: Meaning, now: float | None, home: str) -> Terms:
        allowed, target = request.caller.pools, meaning.target
        ttft: Mapping[str, float | None] = {}
        if now is not None and decider.route.usd_per_second:
            ttft = self._ttft_of(decider.route, now)
        if target is None and not home and not ttft:
            return decider.terms(allowed=allowed)
        return Terms(decider.target if target is None else target, allowed, home, ttft)

    def _ttft_of(self, route: RouteSettings, now: float) -> dict[str, float | None]:
        """p95 per tier of the last minute; read once a second, since a quantile sorts its buckets."""
        known = self._ttft.get(route.name)
        if known is None or now - known[0] >= TTFT_FOR_S:
            known = self._ttft[route.name] = (now, {tier: self.fleet.ttft_p95(tier, now) for tier in route.ladder})
        return known[1]

    def answered(self, request: ChatRequest, decision: Decision | None, tier: str, pool: str, now: float) -> None:
        """Where a turn that may go on with the results of tools was answered, or a conversation."""
        if decision is None or decision.decided_by == "client":
            return
        remembers = decision.route in self._remembers
        if not request.tools and not remembers:
            return
        ladder = self.settings.routes[decision.route].ladder
        rung = ladder.index(tier) + 1 if tier in ladder else 0
        if request.tools:
            self.sessions.remember(request, decision.route, tier, pool, rung, now)
        if remembers and not in_flight(request.messages):
            self.conversations.remember(request, decision.route, tier, pool, rung, now)

    def heard(self, request: ChatRequest, decision: Decision | None, checks: Sequence[Check]) -> None:
        """What verifiers found of a request's answers, for who asked."""
        if decision is not None and decision.decided_by != "client" and (decider := self.deciders.get(decision.route)) is not None:
            decider.heard(request, decision, checks)

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
            lacking = "; ".join(f"{name}: {self._lacking(request, name)}" for name in names)
            raise NothingFits(f"{tier!r} cannot serve this request ({lacking}); name another model, or ask for less", param="model")
        barred = frozenset(
            endpoint.id for name in fitting for endpoint in self.settings.pools[name].endpoints
            if provider and endpoint.provider != provider
        )
        endpoints = tuple(endpoint for endpoint in self._endpoints_of(fitting) if endpoint not in barred)
        return Way((Rung(tier, endpoints, CHOSEN),), {tier: fitting}, {tier: barred} if barred else {})

    def _fitting(self, request: ChatRequest, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if self._fits(request, name))

    def _lacking(self, request: ChatRequest, pool: str) -> str:
        if request.is_embedding:
            return "the caller may not use it"
        return " and ".join(lacks(request.needs, self.settings.pools[pool], request.caller.pools))

    def _fits(self, request: ChatRequest, pool: str) -> bool:
        allowed = request.caller.pools
        if request.is_embedding:
            return allowed is None or pool in allowed
        return not lacks(request.needs, self.settings.pools[pool], allowed)

    def _endpoints_of(self, names: tuple[str, ...]) -> tuple[EndpointId, ...]:
        return tuple(endpoint for name in names for endpoint in self.fleet.endpoints_of_pool(name))

    def anteroom(self, way: Way) -> Anteroom | None:
        """Where a request waits while everybody on its first rung has enough to read; None = nowhere: several pools, or only some of
        the endpoints, may serve it."""
        if not way.rungs:
            return None
        pools = way.pools[(tier := way.rungs[0].tier)]
        return self.fleet.pools[pools[0]].anteroom if len(pools) == 1 and not way.barred.get(tier) else None

    def promised_s(self, tier: str, asked_s: float | None) -> float:
        """How long a first token may take: what the tier promises, or the client asks for."""
        settings = self.settings.tiers.get(tier)
        promised = None if settings is None or settings.sla.on_breach != "escalate" else settings.sla.ttft_p95_max_s
        return min(inf if promised is None else promised, inf if asked_s is None else asked_s)

    def deadline(self, request: ChatRequest, route: RouteSettings, now: float) -> float:
        asked = request.limits.deadline_s
        return now + (route.deadline_s if asked is None else min(asked, route.deadline_s))

    def plan(self, request: ChatRequest, route: RouteSettings, way: Way, now: float, deadline: float,
             decision: Decision | None = None) -> Plan:
        limits = request.limits
        return Plan(
            rungs=way.rungs, stream=request.stream, now=now, hedge=self._hedge(way, now),
            deferral=None if route.cascade is None else self.cascades.deferral(
                route, way.rungs, request, decision, self._ttft_of(route, now)),
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


def _remembers(settings: Settings, route: RouteSettings) -> bool:
    """Where conversations are at home matters: they are pinned, or some tier sells what its cache holds at another price."""
    endpoints = (endpoint for tier in route.ladder for pool in settings.tiers[tier].pools for endpoint in settings.pools[pool].endpoints)
    return route.session == "pin" or any(
        isinstance(price := endpoint.price, TokenPrice) and price.cached_input is not None for endpoint in endpoints)


def _fitting_on(settings: Settings, route: RouteSettings) -> Memory[tuple[str, ...]]:
    """Which pools of a route fit what a request needs."""
    pools = [settings.pools[name] for name in _pools_of(settings, route)]
    return Memory(pools, lambda needs, allowed: tuple(pool.name for pool in pools if not lacks(needs, pool, allowed)))


def _pools_of(settings: Settings, route: RouteSettings) -> tuple[str, ...]:
    """Every pool that the route could use; rules may send to tiers that are on no ladder, so those count too."""
    ruled = (rule.tier for rule in route.rules if rule.tier)
    tiers = dict.fromkeys((*route.ladder, *route.fallbacks, *ruled))
    return tuple(dict.fromkeys(pool for tier in tiers for pool in settings.tiers[tier].pools))
