"""Which tier? Gate, pipeline and policy of one route, joined: a request in, a complete Decision out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

import msgspec

from pointsman.classify import gate as gates
from pointsman.classify.fixed import Pinned, RandomSplit
from pointsman.classify.heuristic import Heuristic
from pointsman.classify.pipeline import Outcome, Pipeline
from pointsman.classify.policy import Allowances, by_price, candidates, choose, in_order, nearest
from pointsman.classify.prices import are_always_in_one_order, input_tokens, output_tokens, tariff, tier_usd
from pointsman.classify.priors import Priors, shifted, told
from pointsman.classify.published import Published
from pointsman.classify.rules import Rules
from pointsman.classify.seen import Seen
from pointsman.classify.targets import QualityTarget, target_of
from pointsman.core.decision import (
    Candidate,
    Decide,
    Decision,
    GateView,
    Refine,
    Scores,
    StageResult,
    StageView,
    Target,
)
from pointsman.core.protocols import ConsultingStage, Stage
from pointsman.core.record import Check
from pointsman.core.request import ChatRequest
from pointsman.core.settings import PoolSettings, RouteSettings, Settings
from pointsman.core.verdict import log_odds, probability
from pointsman.errors import ConfigError, UnknownModel

if TYPE_CHECKING:
    from pointsman.classify.classifier import Classifier

REMOTE = "remote"
CONSULTING = (REMOTE, "judge")
"""Stages that are asked after all others, for they wait for somebody; `gateway` has them."""
STAGES = ("rules", "heuristic", "embedding", "published", "largest", "pinned:<tier>", "random:<share>", *CONSULTING)
"""What may stand in a route's `pipeline`."""
STANDS_IN = {"heuristic": "embedding"}
"""Scores of the second take the place of the first's, which is there for when it has none."""
ANONYMOUS = "anonymous"
"""Who asks without a key."""
FOREIGN = "out_of_distribution"
"""The reason of a decision by default when the request is unlike all that the classifier was trained on."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What is asked of one decision beside the request itself."""

    target: QualityTarget
    allowed: Collection[str] | None = None
    """Names of the pools the caller may use; None = all."""
    held: str = ""
    """The tier whose prompt cache holds the conversation so far; "" = none that we know of."""
    ttft_s: Mapping[str, float | None] = {}
    """Tier -> seconds to the first token, lately; only where the route prices them."""


class Decider:
    """Decides for one route. Pure but for `now`, which only measures."""

    def __init__(self, route: RouteSettings, settings: Settings, now: Callable[[], float],
                 stages: Sequence[Stage] | None = None, *, classifier: Classifier | None = None,
                 consulting: Sequence[ConsultingStage] = (), priors: Priors | None = None) -> None:
        """`stages` replaces the ones that `route.pipeline` names; `classifier` is what `embedding` goes by; `consulting` may
        be asked about what is left open. Raises ConfigError for an unknown name or pattern."""
        self._seen = Seen()
        names = [name for name in route.pipeline if name not in CONSULTING]
        built = [a_stage(name, route, settings, classifier, self._seen) for name in names] if stages is None else list(stages)
        self.route, self.pipeline = route, Pipeline(built, now, STANDS_IN)
        self.target = target_of(route)
        self.prices = {tier: tier_usd(settings, tier) for tier in route.ladder}
        self.consulting = tuple(consulting)
        self.priors = Priors() if priors is None else priors
        self._tariffs = {tier: tariff(settings, tier) for tier in route.ladder}
        self._is_one_order = are_always_in_one_order(self._tariffs.values())
        self._settings, self._now = settings, now
        self._has_remote = REMOTE in route.pipeline
        self._rungs = {tier: rung for rung, tier in enumerate(route.ladder, 1)}
        tiers = tuple(settings.tiers[name] for name in route.ladder)
        self._gate = gates.Memory((settings.pools[name] for tier in tiers for name in tier.pools), lambda needs, allowed: tuple(
            gates.check(needs, tier, settings.pools, allowed) for tier in tiers))
        self._splits = {stage.name: stage for stage in built if isinstance(stage, RandomSplit)}
        # Of the gate's last answer, which the memory of the gate gives again and again: the order of typical prices.
        self._ordered: tuple[tuple[GateView, ...], Sequence[str]] = ((), ())
        self._terms = Terms(self.target)
        self._allowances = _allowances(route, settings, classifier, self.prices)
        self._not_asked = {stage.name: StageView(stage.name, "skipped", stage.not_asked, 0.0) for stage in self.consulting}

    def decide(self, request: ChatRequest, quality: float | None = None, allowed: Collection[str] | None = None,
               terms: Terms | None = None) -> Decision:
        """The Decision of the synchronous stages, with every stage's and the gate's view.

        `quality` overrides the route's target for this request; `allowed` names the pools the caller may use; `terms` are
        these and more, instead of both. Raises NothingFits, and nothing else.
        """
        if terms is None:
            terms = self.terms(quality, allowed)
        started = self._now()
        views = self._gate(request.needs, terms.allowed)
        said = self.pipeline.run(request)
        self._seen.forget()
        decision = self._settled(request, said, views, terms, started)
        if self.consulting and (unasked := [view for stage in self.consulting if (view := self._unasked(stage, decision)) is not None]):
            decision = self._unheard(msgspec.structs.replace(decision, stages=(*decision.stages, *unasked)), unasked)
        return decision

    def terms(self, quality: float | None = None, allowed: Collection[str] | None = None) -> Terms:
        if quality is None and allowed is None:
            return self._terms
        target = self.target if quality is None else msgspec.structs.replace(self.target, quality=quality)
        return Terms(target, allowed)

    def asks(self, stage: ConsultingStage, decision: Decision) -> bool:
        """The decision hangs on so little that this stage may change it, and it has not been told yet why it was not asked."""
        return not self._is_told(stage.name, decision) and stage.wants(decision)

    @staticmethod
    def _is_told(name: str, decision: Decision) -> bool:
        for view in reversed(decision.stages):  # noqa: SIM110 - asked of every request: a generator costs more than the question
            if view.stage == name:
                return True
        return False

    def _unasked(self, stage: ConsultingStage, decision: Decision) -> StageView | None:
        """Why this stage will not be asked, as far as that is known; None = it may be."""
        return stage.refusal(decision) if stage.wants(decision) else self._not_asked[stage.name]

    def reconsidered(self, request: ChatRequest, decision: Decision, said: StageResult, view: StageView, terms: Terms) -> Decision:
        """The decision with what a consulting stage said of it; `None` only adds its view."""
        views = (*decision.stages, view)
        if said is None:
            return self._unheard(msgspec.structs.replace(decision, stages=views, duration_s=decision.duration_s + view.duration_s), (view,))
        refined = said if isinstance(said, Refine) else last_refined(decision)
        started = self._now() - decision.duration_s - view.duration_s
        return self._settled(request, Outcome(said, view.stage, views, refined), decision.gate, terms, started)

    @staticmethod
    def _unheard(decision: Decision, views: Sequence[StageView]) -> Decision:
        """Of a decision by default, because the request looks unlike anything labelled, who might have said otherwise and did not."""
        if not (decision.decided_by == "default" and decision.reason.startswith(FOREIGN)):
            return decision
        missing = "".join(f"; {view.stage} might have said otherwise, and did not ({view.outcome}: {view.reason})" for view in views
                          if view.outcome in ("late", "failed", "abstained"))
        return msgspec.structs.replace(decision, reason=decision.reason + missing) if missing else decision

    def candidates(self, request: ChatRequest, decision: Decision, terms: Terms | None = None) -> tuple[Candidate, ...]:
        """Every tier with its numbers, as the policy saw them. Not for the path."""
        terms = self._terms if terms is None else terms
        refined = last_refined(decision)
        offsets = {} if refined is None else self._offsets(refined.scores, request)
        scores = None if refined is None else shifted(refined.scores, offsets)
        usd = self._usd(request, scores, terms, is_exact=True)
        return candidates(scores, decision.gate, terms.target, usd, self.route.default_tier, self._with_waiting(usd, terms), self._rehearsed(decision.stages))

    def _settled(self, request: ChatRequest, said: Outcome, views: tuple[GateView, ...], terms: Terms, started: float) -> Decision:
        """What the stages' last word comes to."""
        margin: float | None = None
        dominated: tuple[str, ...] = ()
        match said.result:
            case Decide():
                tier, by, reason, pool = self._directed(said.result, said.by, request, views, terms.allowed)
                confidence = _score(said.refined, tier)
            case Refine(scores=scores) if scores.is_foreign:
                tier, by, reason, pool = self._default(views, f"{FOREIGN}; unlike anything the classifier was trained on: the reference tier serves")
                # Another verdict would change nothing where only one tier fits.
                confidence, margin = _score(said.refined, tier), 0.0 if len(self._order(views)) > 1 else None
            case Refine(scores=scores):
                offsets = self._offsets(scores, request)
                scores = shifted(scores, offsets) if offsets else scores
                usd = self._usd(request, scores, terms)
                cost = self._with_waiting(usd, terms) if terms.ttft_s else usd
                choice = choose(scores, views, terms.target, usd, self.route.name, self.route.default_tier, cost, self._rehearsed(said.views),
                                self._order(views) if cost is self.prices else None)
                tier, reason, confidence, pool = choice.tier, choice.reason, choice.confidence, None
                margin, dominated = (choice.margin if choice.margin < inf else None), choice.dominated
                by = "policy"
                if choice.is_only and len(views) > 1:
                    by, reason = "gate", f"the only tier that fits; {reason}"
                if offsets:
                    reason = f"{reason}; {told(offsets)}"
            case _:
                tier, by, reason, pool = self._default(views, "abstained; no stage has an opinion: the default tier serves")
                confidence = 0.0
        return self._decision(said, views, tier, by, reason, pool, confidence, started, margin, dominated)

    def _rehearsed(self, views: Sequence[StageView]) -> Allowances:
        """What was rehearsed is the artifact, not a classifier elsewhere whose scores took the place of its own."""
        if self._has_remote and any(view.stage == REMOTE and view.scores is not None for view in views):
            return {}
        return self._allowances

    def heard(self, request: ChatRequest, decision: Decision, checks: Sequence[Check]) -> None:
        """What verifiers found of the answers, for the priors of who asked. Nobody is learned of who cannot be told apart."""
        caller, refined = request.caller, last_refined(decision)
        if refined is None or self.route.priors == "off" or (not caller.tenant and caller.name == ANONYMOUS):
            return
        for check in checks:
            score = refined.scores.by_tier.get(check.tier)
            if score is None or check.score is None or not check.is_whole:
                continue
            good = 0.0 if check.score <= 0.0 else probability(log_odds(score.p) + check.evidence)
            self.priors.learn(caller.tenant, caller.name, check.tier, score.p, good, self._now())

    def _offsets(self, scores: Scores, request: ChatRequest) -> dict[str, float]:
        return self.priors.offsets(scores.by_tier, request.caller.tenant, request.caller.name, self._now()) if len(self.priors) else {}

    def _usd(self, request: ChatRequest, scores: Scores | None, terms: Terms, *, is_exact: bool = False) -> Mapping[str, float | None]:
        """What this request is expected to cost on each tier; typical prices where no length would change their order."""
        tokens = {} if scores is None else scores.tokens
        if self._is_one_order and not is_exact and not tokens and not terms.held and terms.target.max_usd is None and not terms.ttft_s:
            return self.prices
        given, made = input_tokens(request), output_tokens(request)
        usd: dict[str, float | None] = {}
        for tier, found in self._tariffs.items():
            if found is None:
                usd[tier] = None
                continue
            expected = tokens.get(tier)
            out = made if expected is None else expected if request.max_tokens is None else min(expected, request.max_tokens)
            usd[tier] = found.usd(given, out, held_tokens(request, given) if tier == terms.held else 0.0)
        return usd

    def _order(self, views: tuple[GateView, ...]) -> Sequence[str]:
        """The tiers that fit, the one with the lowest typical price first."""
        if self._ordered[0] is not views:
            self._ordered = (views, in_order(views, self.prices))
        return self._ordered[1]

    def _with_waiting(self, usd: Mapping[str, float | None], terms: Terms) -> Mapping[str, float | None]:
        """Dollars, and what the wait for the first token is worth. A tier that nobody has measured must be tried to be known."""
        worth = self.route.usd_per_second
        return {tier: None if cost is None else cost + worth * (terms.ttft_s.get(tier) or 0.0) for tier, cost in usd.items()}

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

    def _decision(self, said: Outcome, views: tuple[GateView, ...], tier: str, by: str, reason: str, pool: str | None,
                  confidence: float, started: float, margin: float | None, dominated: tuple[str, ...]) -> Decision:
        decided = said.result if isinstance(said.result, Decide) else None
        scores = said.refined.scores if said.refined is not None else None
        split = self._splits.get(by)
        return Decision(
            route=self.route.name, tier=tier, rung=self._rungs.get(tier, 0), decided_by=by, reason=reason,
            confidence=confidence, calibrated=scores is not None and scores.calibrated, pool=pool,
            system=decided.system if decided is not None else None,
            propensity=split.propensity(tier) if split is not None else 1.0,
            duration_s=self._now() - started, stages=said.views, gate=views, margin=margin, dominated=dominated,
        )


def held_tokens(request: ChatRequest, given: int) -> float:
    """Of the prompt's tokens, those before the last message: what the tier that answered last has in its cache."""
    whole = sum(len(message.text) for message in request.messages)
    return given * (1 - len(request.messages[-1].text) / whole) if whole else 0.0


def last_refined(decision: Decision) -> Refine | None:
    """The scores that a decision was made by; None when no stage gave any."""
    return next((Refine(view.scores, view.reason) for view in reversed(decision.stages) if view.scores is not None), None)


def a_stage(name: str, route: RouteSettings, settings: Settings | None = None, classifier: Classifier | None = None,
            seen: Seen | None = None) -> Stage:
    """The stage a pipeline entry names. Raises ConfigError."""
    kind, _, argument = name.partition(":")
    match kind, argument:
        case "rules", "":
            return Rules(route.rules)
        case "heuristic", "":
            return Heuristic(route.ladder, seen=seen)
        case "embedding", "":
            return _embedding(route, settings, classifier, seen)
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


def _embedding(route: RouteSettings, settings: Settings | None, classifier: Classifier | None, seen: Seen | None) -> Stage:
    from pointsman.classify.columns import columns_of
    from pointsman.classify.embedding import Embedding

    if settings is None or classifier is None:
        raise ConfigError((f"route {route.name!r}: the stage embedding needs an artifact; see `classifier.artifact`",))
    columns = columns_of(settings, route.ladder, classifier.models)
    if not columns:
        raise ConfigError((f"route {route.name!r}: the artifact {classifier.version} knows none of its tiers; it knows "
                           f"{', '.join(classifier.models)}: say which is which under classifier.models, as in {{{route.ladder[0]}: "
                           f"{classifier.models[0]}}}",))
    return Embedding(classifier.scorer, columns, is_generic=classifier.is_generic, seen=seen)


def _allowances(route: RouteSettings, settings: Settings, classifier: Classifier | None, prices: Mapping[str, float | None]) -> Allowances:
    """By reference tier, from the rehearsal of the artifact. The order of typical prices stands for that of every request."""
    if classifier is None or not any(name.partition(":")[0] == "embedding" for name in route.pipeline):
        return {}
    from pointsman.classify.columns import columns_of

    columns = columns_of(settings, route.ladder, classifier.models)
    return classifier.allowances(columns, by_price(list(columns), prices))


def build_decider(settings: Settings, route_name: str, now: Callable[[], float], *, classifier: Classifier | None = None,
                  consulting: Sequence[ConsultingStage] = (), priors: Priors | None = None) -> Decider:
    """The decider of a configured route. Raises UnknownModel when there is no such route, ConfigError for a stage that
    cannot be built."""
    route = settings.routes.get(route_name)
    if route is None:
        raise UnknownModel(route_name, tuple(settings.routes))
    return Decider(route, settings, now, classifier=classifier, consulting=consulting, priors=priors)


def _model_names(pool: PoolSettings) -> set[str]:
    """What a rule may call the pool's model: its name, and `<provider>/<name>` for each provider among its endpoints."""
    return {pool.model, *(f"{e.provider}/{pool.model}" for e in pool.endpoints if e.provider)}


def _score(refined: Refine | None, tier: str) -> float:
    score = refined.scores.by_tier.get(tier) if refined is not None else None
    return score.p if score is not None else 0.0
