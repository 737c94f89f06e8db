"""Scores and prices to a choice: the cheapest fitting tier that clears the quality target.

Prices order the tiers only when every fitting tier has one; a single unknown price would be a guess, and then the
ladder's own order is the order of cost. When none clears, the best fitting tier serves, the highest rung on ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from pointsman.core.decision import GateView, Scores
from pointsman.errors import NothingFits


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A tier, and why."""

    tier: str
    reason: str
    confidence: float
    is_only: bool = False
    """Nothing else fits."""


def choose(
    scores: Scores, gate: Sequence[GateView], quality: float, prices: Mapping[str, float | None], route: str = ""
) -> Choice:
    """The cheapest fitting tier whose p reaches `quality`. Raises NothingFits when no tier passes the gate.

    `gate` has one view per tier in ladder order; a tier without a score counts as p = 0.
    """
    fitting = [view.tier for view in gate if view.fits]
    if not fitting:
        raise nothing_fits(route, gate)
    by_tier = scores.by_tier
    for tier in _by_price(fitting, prices):
        score = by_tier.get(tier)
        p = score.p if score is not None else 0.0
        if p >= quality:
            return Choice(tier, _clears(round(p, 2), quality), p, len(fitting) == 1)
    known = {tier: by_tier[tier].p if tier in by_tier else 0.0 for tier in fitting}
    best = max(reversed(fitting), key=known.__getitem__)
    reason = f"no fitting tier reaches {quality:g}; {best} has the best score, {known[best]:.2f}"
    return Choice(best, reason, known[best], len(fitting) == 1)


@lru_cache(maxsize=1024)
def _clears(p: float, quality: float) -> str:
    """Kept: writing two floats costs as much as choosing."""
    return f"cheapest tier with P(acceptable) {p:.2f} >= {quality:g}"


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


def _by_price(tiers: list[str], prices: Mapping[str, float | None]) -> list[str]:
    """Cheapest first; sorting is stable, so that the ladder breaks ties."""
    known: list[tuple[float, int, str]] = []
    for place, tier in enumerate(tiers):
        if (price := prices.get(tier)) is None:
            return tiers
        known.append((price, place, tier))
    known.sort()
    return [tier for _, _, tier in known]
