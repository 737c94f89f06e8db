"""When a request climbs because of what its answer is worth, made from settings, scores, prices and the fleet.

Whose answers are looked at? Of the rungs from the decided tier upwards those that have verifiers, where something above could be
climbed to, and, by benefit, where even the worst verdict would lead there: a verifier that cannot say anything that matters is
not asked, nothing is held back for it, and the request goes its way as if there were none.

Where does a request begin? Where the policy says, unless verifiers make it worth more to try a lower tier first: what they can say
of it is then worth more than the time and the price of trying (Dekoninck et al., 2025). Only what scores decided is changed.

Where do the probabilities come from? From the decision's scores. Where no stage scored (a rule sent it, the client named a
tier), the decided tier is taken to be as good as the route's `quality` asks, and each rung above leaves two thirds of the errors.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pointsman.cascade.account import account_of, account_of_threshold
from pointsman.cascade.benefit import Benefit, Prospect, Words
from pointsman.cascade.deferral import BENEFIT, WHOLE, Deferral, Hold
from pointsman.cascade.ladder import FAILED, Rung
from pointsman.classify.prices import Tariff, input_tokens, output_tokens, tariff
from pointsman.classify.task import task_of
from pointsman.core.decision import Decision, Scores
from pointsman.core.price import NANO
from pointsman.core.protocols import RungVerifications, Verification
from pointsman.core.request import ChatRequest
from pointsman.core.settings import CascadeSettings, RouteSettings, Settings
from pointsman.core.verdict import Traits, probability

ERRORS_LEFT = 2 / 3
"""Of a rung's errors, those that the next one leaves, where nobody knows. From rung to rung on GSM8K .36 and .71 (Llama 3.1 8B, 70B,
405B), .76 and .52 (Claude 3 Haiku, Sonnet, Opus); .66 on MMLU-Pro (Llama 3.1 8B, 70B): the middle of these."""


LOOKING_S = 0.006
"""Of a hold, what looking at the beginning and sending it take, so that the client waits no longer than was configured: 2.9 ms p50
were measured from the end of a hold to the client's first token."""
OPENING_CHECKS = 10.0
"""Verifiers are taken to speak until they have been seen not to: so many checks that were never made."""
MEMORY_CHECKS = 200.0
"""Checks after which a third of what was seen is left: some minutes of a busy route."""


class Cascades:
    """The deferral rules of one configuration."""

    def __init__(self, settings: Settings, verifications: RungVerifications | None = None) -> None:
        self._settings, self.verifications = settings, verifications
        # (route, tier) -> (checks, those at which somebody spoke), the older ones fading.
        self._spoken: dict[tuple[str, str], tuple[float, float]] = {}
        self._measured = {route.name: _Measured(settings, route) for route in settings.routes.values()}
        self._tariffs: dict[str, Tariff | None] = {name: tariff(settings, name) for name in settings.tiers}

    def of(self, route: str, tier: str, task: str = "") -> Verification | None:
        """Who looks at the answers of a rung."""
        return None if self.verifications is None else self.verifications.of(route, tier, task)

    def deferral(self, route: RouteSettings, rungs: tuple[Rung, ...], request: ChatRequest, decision: Decision | None,
                 delays: Mapping[str, float | None]) -> Deferral | None:
        """The rule for one request that goes the way of `rungs`; None = none of its answers is looked at.

        `delays`: seconds until a tier's answer begins, as far as they are known.
        """
        cascade, verifications = route.cascade, self.verifications
        if cascade is None or verifications is None or len(rungs) < 2 or request.is_embedding:
            return None
        tiers = [rung.tier for at, rung in enumerate(rungs) if not at or rung.reason == FAILED]
        measured = self._measured[route.name]
        task = measured.task(request)
        by_tier, traits = self._concerned(cascade, route, tiers, task, request)
        if len(tiers) < 2 or not by_tier:
            return None
        prospects = self.prospects(route, tiers, request, decision, delays)
        benefit = None
        if cascade.mode == BENEFIT:
            promise = prospects[tiers[0]].p if decision is None or decision.promise is None else decision.promise
            benefit = _benefit(route, cascade, prospects, self._words(route, by_tier), promise, measured.overlaps(task))
        holds = {tier: self._hold(cascade, tier, traits[tier]) for tier, verification in by_tier.items()
                 if benefit is None or tier == tiers[-1] or benefit.matters(
                     tier, probability(verification.lowest_evidence), tiers[tiers.index(tier) + 1 :], cascade.max_climbs)}
        if not any(tier in holds for tier in tiers[:-1]):
            return None
        usd = route.max_usd_per_request if cascade.max_usd is None else cascade.max_usd
        return Deferral(
            holds, prospects, benefit, {tier: self._accept_at(cascade, tier, task) for tier in holds}, cascade.max_climbs,
            None if usd is None else round(usd * NANO), cascade.on_abstain == "climb",
            cascade.hedged_after_s, task,
        )

    def entered(self, route: RouteSettings, request: ChatRequest, decision: Decision, delays: Mapping[str, float | None]) -> Decision:
        """The decision to try a lower tier first, where its answers are verified and that is worth more than to go straight to the
        tier that the policy chose; else the decision as it is."""
        cascade = route.cascade
        if cascade is None or cascade.mode != BENEFIT or decision.decided_by != "policy" or decision.rung < 2:
            return decision
        limits = request.limits
        climbs = cascade.max_climbs if limits.max_sent is None else min(cascade.max_climbs, limits.max_sent - 1)
        if climbs < 1 or limits.stays:
            return decision
        tiers = [view.tier for view in decision.gate if view.fits]
        measured = self._measured[route.name]
        task = measured.task(request)
        by_tier, _ = self._concerned(cascade, route, tiers, task, request)
        if not by_tier or decision.tier not in tiers:
            return decision
        prospects = self.prospects(route, tiers, request, decision, delays)
        promise = prospects[decision.tier].p
        benefit = _benefit(route, cascade, prospects, self._words(route, by_tier), promise, measured.overlaps(task))
        entry = benefit.entry(decision.tier, climbs)
        if entry == decision.tier:
            return decision
        return msgspec.structs.replace(
            decision, tier=entry, rung=route.ladder.index(entry) + 1, confidence=prospects[entry].p, promise=promise,
            reason=f"{decision.reason}; {entry} is tried first, since its answers are verified")

    def _concerned(self, cascade: CascadeSettings, route: RouteSettings, tiers: list[str], task: str,
                   request: ChatRequest) -> tuple[dict[str, Verification], dict[str, Traits]]:
        """Per tier who looks at this request's answers, and what those need that may have something to say. Where nobody may, nobody
        is asked, unless abstaining means to climb."""
        by_tier: dict[str, Verification] = {}
        needs: dict[str, Traits] = {}
        for tier in tiers:
            verification = self.of(route.name, tier, task)
            traits = None if verification is None else verification.traits_for(request)
            if verification is not None and (traits is not None or cascade.on_abstain == "climb"):
                by_tier[tier], needs[tier] = verification, traits or Traits(needs_whole_answer=False)
        return by_tier, needs

    def heard(self, route: str, tier: str, *, spoke: bool) -> None:
        """An answer of this rung was looked at; `spoke`: some verifier did not abstain."""
        checks, spoken = self._spoken.get((route, tier), (OPENING_CHECKS, OPENING_CHECKS))
        fade = 1 - 1 / MEMORY_CHECKS
        self._spoken[route, tier] = checks * fade + 1, spoken * fade + spoke

    def _words(self, route: RouteSettings, by_tier: Mapping[str, Verification]) -> dict[str, Words]:
        """What each rung's verifiers can say, as the one says it that errs least: what they say together is surer, but none of them
        is independent of the others."""
        words = {}
        for tier, verification in by_tier.items():
            if (rates := verification.rates) is not None:
                checks, spoken = self._spoken.get((route.name, tier), (1.0, 1.0))
                words[tier] = Words(probability(min(0.0, rates.for_fail)), probability(max(0.0, rates.for_pass)), spoken / checks)
        return words

    def account(self, route: RouteSettings, request: ChatRequest, decision: Decision) -> list[str]:
        """What it takes to climb from the decided tier, in words; [] without a cascade."""
        cascade = route.cascade
        if cascade is None or decision.tier not in route.ladder:
            return []
        tiers = list(route.ladder[route.ladder.index(decision.tier) :])
        measured = self._measured[route.name]
        task = measured.task(request)
        if cascade.mode != BENEFIT:
            return account_of_threshold({tier: self._accept_at(cascade, tier, task) for tier in tiers[:-1]}, cascade.max_climbs, task)
        prospects = self.prospects(route, tiers, request, decision, {})
        promise = prospects[decision.tier].p if decision.promise is None else decision.promise
        return account_of(_benefit(route, cascade, prospects, {}, promise, measured.overlaps(task)), cascade.max_climbs, task)

    def prospects(self, route: RouteSettings, tiers: list[str], request: ChatRequest, decision: Decision | None,
                  delays: Mapping[str, float | None]) -> dict[str, Prospect]:
        """What is known of each tier before it is asked."""
        usd = [self._usd(tier, request) for tier in tiers]
        known = [each for each in usd if each is not None]
        dearest = max(known, default=0.0) if len(known) == len(usd) else 0.0
        scores = scores_of(decision)
        p, found = route.quality, {}
        for at, tier in enumerate(tiers):
            score = scores.by_tier.get(tier) if scores is not None else None
            p = score.p if score is not None else p if not at else 1 - (1 - p) * ERRORS_LEFT
            each = usd[at]
            # With a price unknown the ladder's order is the order of cost.
            price = each / dearest if dearest and each is not None else (at + 1) / len(tiers)
            found[tier] = Prospect(p, price, delays.get(tier), None if each is None else round(each * NANO))
        return found

    def _usd(self, tier: str, request: ChatRequest) -> float | None:
        found = self._tariffs.get(tier)
        return None if found is None else found.usd(input_tokens(request), output_tokens(request))

    def _hold(self, cascade: CascadeSettings, tier: str, traits: Traits) -> Hold:
        if traits.needs_whole_answer:
            return Hold(WHOLE, float("inf"))
        settings = self._settings.tiers.get(tier)
        hold = cascade.hold if settings is None or settings.hold is None else settings.hold
        return Hold(hold.tokens, max(0.0, hold.for_s - LOOKING_S))

    def _accept_at(self, cascade: CascadeSettings, tier: str, task: str) -> float:
        settings = self._settings.tiers.get(tier)
        if settings is None:
            return cascade.threshold
        here = settings.by_task.get(task)
        known = settings.accept_at if here is None or here.accept_at is None else here.accept_at
        return cascade.threshold if known is None else known


class _Measured:
    """What the owner's labels told of a route's tiers, by kind of work."""

    def __init__(self, settings: Settings, route: RouteSettings) -> None:
        tiers = {name: settings.tiers[name] for name in route.ladder if name in settings.tiers}
        tasks = {task for tier in tiers.values() for task in tier.by_task}
        self._overlaps: dict[str, dict[str, dict[str, float]]] = {}
        for task in ("", *tasks):
            own = {name: each.overlap for name, tier in tiers.items() if (each := tier.by_task.get(task)) is not None}
            known = {name: {**tier.overlap, **own.get(name, {})} for name, tier in tiers.items()}
            self._overlaps[task] = {name: overlap for name, overlap in known.items() if overlap}
        self._tells = bool(tasks)

    def task(self, request: ChatRequest) -> str:
        """"" where nothing was measured by kind of work: then nobody looks for one."""
        return task_of(request) if self._tells else ""

    def overlaps(self, task: str) -> Mapping[str, Mapping[str, float]]:
        return self._overlaps.get(task) or self._overlaps[""]


def _benefit(route: RouteSettings, cascade: CascadeSettings, prospects: dict[str, Prospect], words: dict[str, Words],
             promise: float, overlaps: Mapping[str, Mapping[str, float]]) -> Benefit:
    """Good enough is what the policy asked for, or what it was content with (`promise`)."""
    return Benefit(prospects, cascade.price_weight, cascade.delay_weight, overlaps, min(route.quality, promise), words)


def scores_of(decision: Decision | None) -> Scores | None:
    """Of the last stage that scored; None = nobody did."""
    if decision is None:
        return None
    return next((view.scores for view in reversed(decision.stages) if view.scores is not None), None)
