"""Scores and prices to a choice: the cheapest fitting tier that clears the quality target.

Where the artifact was rehearsed on labels (`heads.rehearsal`), a tier clears when it is expected to lose no more against the
reference than may be lost so that the mean over all requests keeps the target. Elsewhere a tier clears when the *lower bound*
of its score reaches the bar: little evidence counts as little ability. Prices order the tiers only when every fitting tier has
one; a single unknown price would be a guess, and then the ladder's own order is the order of cost. When none clears, the best
fitting score serves; on ties the highest rung, or the cheapest where scores are calibrated. Whoever is dearer and not better
is passed over, and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil, inf
from types import MappingProxyType

import msgspec

from pointsman.classify.targets import QualityTarget
from pointsman.core.decision import Candidate, GateView, Scores, TierScore
from pointsman.errors import NothingFits

Dollars = Mapping[str, float | None]
"""Tier -> what this request is expected to cost there; None or absent = unknown."""
GRID: tuple[float, ...] = tuple(round(0.005 * step, 3) for step in range(201))
"""Values of `quality` for which allowances are told; what lies between is held to the stricter one."""
Allowances = Mapping[str, tuple[float, ...]]
"""Reference tier -> for each quality of `GRID` how much less than the reference a tier may be expected to reach."""


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A tier, and why."""

    tier: str
    reason: str
    confidence: float
    is_only: bool = False
    """Nothing else fits."""
    margin: float = inf
    """By how much a score would have to be wrong for another tier to be chosen; infinite when none could be."""
    dominated: tuple[str, ...] = ()
    """Fitting tiers that cost no less than another and score no more."""


class Bar(msgspec.Struct, frozen=True, gc=False):
    """What a score must reach."""

    height: float
    reference: str = ""
    """The tier whose score the height was taken from: it clears by definition. "" = the height is absolute."""
    allowance: float | None = None
    """How much less than the reference is allowed: expectations are held to the bar. None = lower bounds are."""

    def held(self, score: TierScore) -> float:
        """What of a score must reach the height."""
        return score.lower if self.allowance is None else score.p

    def clears(self, tier: str, score: TierScore) -> bool:
        return self.held(score) >= self.height or tier == self.reference


def choose(
    scores: Scores, gate: Sequence[GateView], target: QualityTarget, usd: Dollars, route: str = "", reference: str = "",
    cost: Dollars | None = None, allowances: Allowances = MappingProxyType({}), order: Sequence[str] | None = None,
) -> Choice:
    """The cheapest fitting tier that reaches the target. Raises NothingFits when no tier passes the gate.

    `gate` has one view per tier in ladder order; a tier without a score never clears. `reference` is the tier that a
    relative target is relative to; when it does not fit or has no score, the best that fits takes its place. `cost` orders
    the tiers where more than dollars counts; None = dollars do. `allowances`: where the artifact was rehearsed. `order`: the
    fitting tiers, cheapest first, where that is known already.
    """
    if order is None:
        order = in_order(gate, usd if cost is None else cost)
    if not order:
        raise nothing_fits(route, gate)
    by_tier = scores.by_tier
    known = [tier for tier in order if tier in by_tier]
    is_only = len(order) == 1
    if not known:
        tier = nearest(reference, gate, route)
        return Choice(tier, "the classifier knows no tier that fits", 0.0, is_only)
    dominated = _dominated(known, by_tier)
    within = known if target.max_usd is None else [tier for tier in known if _costs_at_most(tier, usd, target.max_usd)]
    if not within:
        return _cheapest(known, by_tier, target, is_only, dominated)
    if target.wants_best:
        return _best(within, scores, gate, "asked for the best", target, is_only, dominated)
    bar = bar_of(scores, known, target, reference, allowances)
    margin, height, absolute = inf, bar.height, bar.allowance is None
    for tier in within:
        score = by_tier[tier]
        held = score.lower if absolute else score.p
        if tier != bar.reference and not is_only:
            off = abs(held - height)
            margin = off if off < margin else margin
        if held >= height or tier == bar.reference:
            reason = _why(score, tier, by_tier, bar, target)
            return Choice(tier, reason if target.max_usd is None else reason + _within(target.max_usd), score.p, is_only, margin, dominated)
    why = f"no fitting tier reaches {target.quality:g}"
    if bar.reference:
        why = f"no fitting tier reaches {target.quality:g} of {bar.reference}"
    if any(by_tier[tier].p >= height for tier in within):
        why += " for sure"  # it is the lower bound that counts: "none reaches 0.7, the best has 0.71" would be no reason
    choice = _best(within, scores, gate, why, target, is_only, dominated)
    return msgspec.structs.replace(choice, margin=min(margin, choice.margin))


def bar_of(scores: Scores, known: Sequence[str], target: QualityTarget, reference: str,
           allowances: Allowances = MappingProxyType({})) -> Bar:
    """What these scores must reach. `known`: fitting tiers with a score, cheapest first; never empty."""
    if not target.is_relative(scores.calibrated):
        return Bar(target.quality)
    by_tier = scores.by_tier
    if reference not in known:
        reference = max(known, key=lambda tier: by_tier[tier].p)
    p = by_tier[reference].p
    if not scores.calibrated or (told := allowances.get(reference)) is None:
        return Bar(target.quality * p, reference)
    allowance = min(allowed(told, target.quality), most(target.quality) * p)
    return Bar(p - allowance, reference, allowance)


def most(quality: float) -> float:
    """Share of the reference's expectation that a single request may be expected to lose, however much the mean could bear: a request
    that is as good as lost on a cheaper tier is not sent there to use up what others left over. Half; more only where more is asked for."""
    return 1.0 - min(0.5, quality)


def allowed(told: Sequence[float], quality: float) -> float:
    """Of a row of allowances the one for a quality between 0 and 1."""
    return told[min(len(GRID) - 1, max(0, ceil(quality * (len(GRID) - 1) - 1e-9)))]


def candidates(scores: Scores | None, gate: Sequence[GateView], target: QualityTarget, usd: Dollars, reference: str,
               cost: Dollars, allowances: Allowances = MappingProxyType({})) -> tuple[Candidate, ...]:
    """Every tier of the ladder as `choose` saw it, in ladder order. Not for the path."""
    by_tier = {} if scores is None else scores.by_tier
    known = [tier for tier in by_price([view.tier for view in gate if view.fits], cost) if tier in by_tier]
    bar = bar_of(scores, known, target, reference, allowances) if scores is not None and known else None
    beaten = _dominated(known, by_tier)
    return tuple(_candidate(view, by_tier.get(view.tier), bar, usd, target, view.tier in beaten) for view in gate)


def _candidate(view: GateView, score: TierScore | None, bar: Bar | None, usd: Dollars, target: QualityTarget, is_beaten: bool) -> Candidate:
    tier = view.tier
    is_affordable = target.max_usd is None or _costs_at_most(tier, usd, target.max_usd)
    asked = bar is not None and score is not None and tier != bar.reference
    clears = view.fits and is_affordable and bar is not None and score is not None and bar.clears(tier, score)
    return Candidate(
        tier, view.fits, None if score is None else score.p, None if score is None else score.lower,
        bar.height if bar is not None and asked else None, usd.get(tier), 0 if score is None else score.evidence, clears, is_beaten,
        bar is not None and bar.allowance is not None)


def _best(within: list[str], scores: Scores, gate: Sequence[GateView], why: str, target: QualityTarget, is_only: bool,
          dominated: tuple[str, ...]) -> Choice:
    """The best score of those within the budget. Ties: the cheapest of calibrated scores, else the highest rung."""
    by_tier = scores.by_tier
    order = within if scores.calibrated else [view.tier for view in reversed(gate) if view.tier in within]
    best = max(order, key=lambda tier: by_tier[tier].p)
    p = by_tier[best].p
    margin = min((p - by_tier[tier].p for tier in order if tier != best), default=inf)
    limit = "" if target.max_usd is None else _within(target.max_usd)
    return Choice(best, f"{why}; {best} has the best score, {p:.2f}{limit}", p, is_only, margin, dominated)


def _cheapest(known: list[str], by_tier: Mapping[str, TierScore], target: QualityTarget, is_only: bool, dominated: tuple[str, ...]) -> Choice:
    tier = known[0]
    return Choice(tier, f"no tier is known to stay within ${_plain(target.max_usd or 0.0)} a request; {tier} is the cheapest", by_tier[tier].p,
                  is_only, inf, dominated)


def _dominated(known: list[str], by_tier: Mapping[str, TierScore]) -> tuple[str, ...]:
    """Of tiers in the order of price, those that no higher score follows from paying for."""
    beaten: list[str] = []
    best = -1.0
    for tier in known:
        p = by_tier[tier].p
        if p > best:
            best = p
        else:
            beaten.append(tier)
    return tuple(beaten)


def _costs_at_most(tier: str, usd: Dollars, most: float) -> bool:
    cost = usd.get(tier)
    return cost is not None and cost <= most


def _why(score: TierScore, tier: str, by_tier: Mapping[str, TierScore], bar: Bar, target: QualityTarget) -> str:
    if bar.allowance is None:
        return _clears(round(score.p, 2), round(score.lower, 2), target.quality, bar.reference, tier == bar.reference)
    return _keeps(round(score.p, 2), round(by_tier[bar.reference].p, 2), target.quality, bar.reference, tier == bar.reference, round(bar.allowance, 2))


@lru_cache(maxsize=4096)
def _keeps(p: float, of_reference: float, quality: float, reference: str, is_reference: bool, allowance: float) -> str:
    """Kept, as the other one is."""
    away = f"{abs(allowance):.2f} {'less is allowed' if allowance >= 0 else 'more is needed'}"
    if is_reference:
        if allowance <= -1:
            return f"the labels do not show that less than {reference}, the reference, keeps {quality:g} of it in the mean; its P(acceptable) is {p:.2f}"
        return f"nothing cheaper comes near enough to {reference}, the reference, whose P(acceptable) is {p:.2f}: {away} for {quality:g} of it in the mean"
    return f"cheapest tier that keeps {quality:g} of {reference} in the mean: P(acceptable) {p:.2f} against {of_reference:.2f}, where {away}"


@lru_cache(maxsize=4096)
def _clears(p: float, lower: float, quality: float, reference: str, is_reference: bool) -> str:
    """Kept: writing floats costs as much as choosing."""
    if is_reference:
        return f"nothing cheaper surely reaches {quality:g} of {reference}, the reference, whose P(acceptable) is {p:.2f}"
    bound = f" (at least {lower:.2f})" if lower < p else ""
    if reference:
        return f"cheapest tier with P(acceptable) {p:.2f}{bound} >= {quality:g} of {reference}'s"
    return f"cheapest tier with P(acceptable) {p:.2f}{bound} >= {quality:g}"


def _within(most: float) -> str:
    return f", within ${_plain(most)} a request"


def _plain(usd: float) -> str:
    """As people write amounts: $0.00005, not $5e-05."""
    return f"{usd:g}" if usd >= 1e-4 or not usd else f"{usd:.12f}".rstrip("0")


def nearest(wanted: str, gate: Sequence[GateView], route: str = "") -> str:
    """The fitting tier nearest to `wanted`: itself, then upwards, then downwards. Raises NothingFits.

    A tier that is not on the ladder counts as below its first rung.
    """
    names = [view.tier for view in gate]
    at = names.index(wanted) if wanted in names else 0
    for view in (*gate[at:], *reversed(gate[:at])):
        if view.fits:
            return view.tier
    raise nothing_fits(route, gate)


def nothing_fits(route: str, gate: Sequence[GateView]) -> NothingFits:
    """The error, naming what each tier lacks."""
    lacking = "; ".join(f"{view.tier}: {view.reason}" for view in gate)
    return NothingFits(f"no tier of route {route!r} can serve this request ({lacking or 'its ladder is empty'}); "
                       "ask for less or add a tier that can", param="model")


def in_order(gate: Sequence[GateView], cost: Dollars) -> list[str]:
    """The tiers that fit, cheapest first."""
    return by_price([view.tier for view in gate if view.fits], cost)


def by_price(tiers: list[str], usd: Dollars) -> list[str]:
    """Cheapest first; sorting is stable, so that the ladder breaks ties."""
    known: list[tuple[float, int, str]] = []
    for place, tier in enumerate(tiers):
        if (cost := usd.get(tier)) is None:
            return tiers
        known.append((cost, place, tier))
    known.sort()
    return [tier for _, _, tier in known]
