"""When a request climbs because of what its answer is worth, made from settings, scores, prices and the fleet.

Whose answers are looked at? Of the rungs from the decided tier upwards those that have verifiers, where something above could be
climbed to, and, by benefit, where even the worst verdict would lead there: a verifier that cannot say anything that matters is
not asked, nothing is held back for it, and the request goes its way as if there were none.

Where do the probabilities come from? From the decision's scores. Where no stage scored (a rule sent it, the client named a
tier), the decided tier is taken to be as good as the route's `quality` asks, and each rung above leaves two thirds of the errors.
"""

from __future__ import annotations

from collections.abc import Mapping

from pointsman.cascade.account import account_of, account_of_threshold
from pointsman.cascade.benefit import Benefit, Prospect
from pointsman.cascade.deferral import BENEFIT, WHOLE, Deferral, Hold
from pointsman.cascade.ladder import FAILED, Rung
from pointsman.classify.prices import Tariff, input_tokens, output_tokens, tariff
from pointsman.core.decision import Decision, Scores
from pointsman.core.price import NANO
from pointsman.core.protocols import RungVerifications, Verification
from pointsman.core.request import ChatRequest
from pointsman.core.settings import CascadeSettings, RouteSettings, Settings
from pointsman.core.verdict import probability

ERRORS_LEFT = 2 / 3
"""Of a rung's errors, those that the next one leaves, where nobody knows. From rung to rung on GSM8K .36 and .71 (Llama 3.1 8B, 70B,
405B), .76 and .52 (Claude 3 Haiku, Sonnet, Opus); .66 on MMLU-Pro (Llama 3.1 8B, 70B): the middle of these."""


class Cascades:
    """The deferral rules of one configuration."""

    def __init__(self, settings: Settings, verifications: RungVerifications | None = None) -> None:
        self._settings, self.verifications = settings, verifications
        self._tariffs: dict[str, Tariff | None] = {name: tariff(settings, name) for name in settings.tiers}

    def of(self, route: str, tier: str) -> Verification | None:
        """Who looks at the answers of a rung."""
        return None if self.verifications is None else self.verifications.of(route, tier)

    def deferral(self, route: RouteSettings, rungs: tuple[Rung, ...], request: ChatRequest, decision: Decision | None,
                 delays: Mapping[str, float | None]) -> Deferral | None:
        """The rule for one request that goes the way of `rungs`; None = none of its answers is looked at.

        `delays`: seconds until a tier's answer begins, as far as they are known.
        """
        cascade, verifications = route.cascade, self.verifications
        if cascade is None or verifications is None or len(rungs) < 2 or request.is_embedding:
            return None
        tiers = [rung.tier for at, rung in enumerate(rungs) if not at or rung.reason == FAILED]
        by_tier = {tier: found for tier in tiers if (found := verifications.of(route.name, tier)) is not None}
        if len(tiers) < 2 or not by_tier:
            return None
        prospects = self.prospects(route, tiers, request, decision, delays)
        benefit = _benefit(route, cascade, prospects) if cascade.mode == BENEFIT else None
        holds = {tier: self._hold(cascade, tier, verification) for tier, verification in by_tier.items()
                 if benefit is None or tier == tiers[-1] or benefit.matters(tier, lowest(verification), tiers[tiers.index(tier) + 1 :])}
        if not any(tier in holds for tier in tiers[:-1]):
            return None
        return Deferral(
            holds, prospects, benefit, {tier: self._accept_at(cascade, tier) for tier in holds}, cascade.max_climbs,
            None if cascade.max_usd is None else round(cascade.max_usd * NANO), cascade.on_abstain == "climb",
            cascade.hedged_after_s,
        )

    def account(self, route: RouteSettings, request: ChatRequest, decision: Decision) -> list[str]:
        """What it takes to climb from the decided tier, in words; [] without a cascade."""
        cascade = route.cascade
        if cascade is None or decision.tier not in route.ladder:
            return []
        tiers = list(route.ladder[route.ladder.index(decision.tier) :])
        if cascade.mode != BENEFIT:
            return account_of_threshold({tier: self._accept_at(cascade, tier) for tier in tiers[:-1]}, cascade.max_climbs)
        return account_of(_benefit(route, cascade, self.prospects(route, tiers, request, decision, {})), cascade.max_climbs)

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

    def _hold(self, cascade: CascadeSettings, tier: str, verification: Verification) -> Hold:
        if verification.traits.needs_whole_answer:
            return Hold(WHOLE, float("inf"))
        settings = self._settings.tiers.get(tier)
        hold = cascade.hold if settings is None or settings.hold is None else settings.hold
        return Hold(hold.tokens, hold.for_s)

    def _accept_at(self, cascade: CascadeSettings, tier: str) -> float:
        settings = self._settings.tiers.get(tier)
        return cascade.threshold if settings is None or settings.accept_at is None else settings.accept_at


def _benefit(route: RouteSettings, cascade: CascadeSettings, prospects: dict[str, Prospect]) -> Benefit:
    """Good enough is what the policy asked for, or what it was content with."""
    decided = next(iter(prospects.values()))
    return Benefit(prospects, cascade.price_weight, cascade.delay_weight, enough=min(route.quality, decided.p))


def lowest(verification: Verification) -> float:
    """The lowest score that a rung's verifiers can come to together."""
    return probability(verification.lowest_evidence)


def scores_of(decision: Decision | None) -> Scores | None:
    """Of the last stage that scored; None = nobody did."""
    if decision is None:
        return None
    return next((view.scores for view in reversed(decision.stages) if view.scores is not None), None)
