"""Which tier? Gate, pipeline and policy of one route, joined: a request in, a complete Decision out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pointsman.classify import gate as gates
from pointsman.classify.fixed import Pinned, RandomSplit
from pointsman.classify.heuristic import Heuristic
from pointsman.classify.pipeline import Outcome, Pipeline
from pointsman.classify.policy import choose, nearest
from pointsman.classify.prices import tier_usd
from pointsman.classify.published import Published
from pointsman.classify.rules import Rules
from pointsman.core.decision import Decide, Decision, GateView, Refine, Target
from pointsman.core.protocols import Stage
from pointsman.core.request import ChatRequest
from pointsman.core.settings import PoolSettings, RouteSettings, Settings
from pointsman.errors import ConfigError, UnknownModel

STAGES = ("rules", "heuristic", "published", "largest", "pinned:<tier>", "random:<share>")
"""What may stand in a route's `pipeline`."""


class Decider:
    """Decides for one route. Pure but for `now`, which only measures."""

    def __init__(self, route: RouteSettings, settings: Settings, now: Callable[[], float],
                 stages: Sequence[Stage] | None = None) -> None:
        """`stages` replaces the ones that `route.pipeline` names. Raises ConfigError for an unknown name or pattern."""
        built = [a_stage(name, route) for name in route.pipeline] if stages is None else list(stages)
        self.route, self.pipeline = route, Pipeline(built, now)
        self.prices = {tier: tier_usd(settings, tier) for tier in route.ladder}
        self._settings, self._now = settings, now
        self._rungs = {tier: rung for rung, tier in enumerate(route.ladder, 1)}
        tiers = tuple(settings.tiers[name] for name in route.ladder)
        self._gate = gates.Memory((settings.pools[name] for tier in tiers for name in tier.pools), lambda needs, allowed: tuple(
            gates.check(needs, tier, settings.pools, allowed) for tier in tiers))
        self._splits = {stage.name: stage for stage in built if isinstance(stage, RandomSplit)}

    def decide(self, request: ChatRequest, quality: float | None = None,
               allowed: Collection[str] | None = None) -> Decision:
        """The Decision, with every stage's and the gate's view.

        `quality` overrides the route's target for this request; `allowed` names the pools the caller may use.
        Raises NothingFits, and nothing else.
        """
        started = self._now()
        views = self._gate(request.needs, allowed)
        said = self.pipeline.run(request)
        match said.result:
            case Decide():
                tier, by, reason, pool = self._directed(said.result, said.by, request, views, allowed)
                confidence = _score(said.refined, tier)
            case Refine(scores=scores):
                target = self.route.quality if quality is None else quality
                choice = choose(scores, views, target, self.prices, self.route.name)
                tier, reason, confidence, pool = choice.tier, choice.reason, choice.confidence, None
                by = "policy"
                if choice.is_only and len(views) > 1:
                    by, reason = "gate", f"the only tier that fits; {reason}"
            case _:
                tier, by, reason, pool = self._default(views, "abstained")
                confidence = 0.0
        return self._decision(said, views, tier, by, reason, pool, confidence, started)

    def _directed(
        self, said: Decide, by: str, request: ChatRequest, views: tuple[GateView, ...], allowed: Collection[str] | None
    ) -> tuple[str, str, str, str | None]:
        """Tier, who decided, reason and pool for a stage that named its target: climbs when that does not fit."""
        tier, pool = self._resolve(said.target)
        if not tier and pool is None:
            return self._default(views, f"{said.reason}, but {said.target.kind} {said.target.name!r} does not exist")
        if pool is not None:
            missing = gates.lacks(request.needs, self._settings.pools[pool], allowed)
            if not missing:
                return tier, by, said.reason, pool
            lack = f"pool {pool}: {' and '.join(missing)}"
        else:
            view = gates.check(request.needs, self._settings.tiers[tier], self._settings.pools, allowed)
            if view.fits:
                return tier, by, said.reason, None
            lack = f"{tier}: {view.reason}"
        instead = nearest(tier, views, self.route.name)
        return instead, by, f"{said.reason}; {instead} instead ({lack})", None

    def _resolve(self, target: Target) -> tuple[str, str | None]:
        """Tier and pool of a target; ("", None) = unknown, ("", pool) = a pool that no tier holds."""
        settings = self._settings
        if target.kind == "tier":
            return (target.name if target.name in settings.tiers else "", None)
        if target.kind == "pool":
            pool: str | None = target.name if target.name in settings.pools else None
        else:
            pool = next((p.name for p in settings.pools.values() if target.name in _model_names(p)), None)
        return (self._holder(pool) if pool is not None else "", pool)

    def _holder(self, pool: str) -> str:
        """The tier that holds a pool, this route's ladder first."""
        others = (name for name in self._settings.tiers if name not in self.route.ladder)
        return next((name for name in (*self.route.ladder, *others) if pool in self._settings.tiers[name].pools), "")

    def _default(self, views: tuple[GateView, ...], reason: str) -> tuple[str, str, str, str | None]:
        wanted = self.route.default_tier
        tier = nearest(wanted, views, self.route.name)
        return tier, "default", reason if tier == wanted else f"{reason}; {wanted} does not fit", None

    def _decision(self, said: Outcome, views: tuple[GateView, ...], tier: str, by: str, reason: str,
                  pool: str | None, confidence: float, started: float) -> Decision:
        decided = said.result if isinstance(said.result, Decide) else None
        scores = said.refined.scores if said.refined is not None else None
        split = self._splits.get(by)
        return Decision(
            route=self.route.name, tier=tier, rung=self._rungs.get(tier, 0), decided_by=by, reason=reason,
            confidence=confidence, calibrated=scores is not None and scores.calibrated, pool=pool,
            system=decided.system if decided is not None else None,
            propensity=split.propensity(tier) if split is not None else 1.0,
            duration_s=self._now() - started, stages=said.views, gate=views,
        )


def a_stage(name: str, route: RouteSettings) -> Stage:
    """The stage a pipeline entry names. Raises ConfigError."""
    kind, _, argument = name.partition(":")
    match kind, argument:
        case "rules", "":
            return Rules(route.rules)
        case "heuristic", "":
            return Heuristic(route.ladder)
        case "published", "":
            return Published(route.ladder)
        case "largest", "":
            return Pinned(route.ladder[-1], "largest")
        case "pinned", tier if tier:
            return Pinned(tier)
        case "random", share:
            try:
                return RandomSplit(float(share), route.ladder)
            except ValueError as exc:
                raise ConfigError((f"route {route.name!r}: {name!r} needs a share from 0 to 1, as in random:0.2",)) from exc
        case _:
            raise ConfigError((f"route {route.name!r}: no stage is called {name!r}; there are {', '.join(STAGES)}",))


def build_decider(settings: Settings, route_name: str, now: Callable[[], float]) -> Decider:
    """The decider of a configured route. Raises UnknownModel when there is no such route."""
    route = settings.routes.get(route_name)
    if route is None:
        raise UnknownModel(route_name, tuple(settings.routes))
    return Decider(route, settings, now)


def _model_names(pool: PoolSettings) -> set[str]:
    """What a rule may call the pool's model: its name, and `<provider>/<name>` for each provider among its endpoints."""
    return {pool.model, *(f"{e.provider}/{pool.model}" for e in pool.endpoints if e.provider)}


def _score(refined: Refine | None, tier: str) -> float:
    score = refined.scores.by_tier.get(tier) if refined is not None else None
    return score.p if score is not None else 0.0
