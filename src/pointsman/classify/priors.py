"""Who asks: what a tenant's and a user's own outcomes say beyond their words.

Of each (tenant, tier) and (tenant, user, tier) two sums are kept: how many outcomes, how many were good, and how many the
classifier had expected to be. The rate is a Beta-binomial's posterior mean, pulled towards what was expected by `STRENGTH`
imaginary outcomes; its distance from the expectation, in logits, is the offset that is added to that tier's scores:

    rate = (good + STRENGTH x expected / n) / (n + STRENGTH)        offset = logit(rate) - logit(expected / n)

A user's rate is pulled towards the tenant's in the same way. Below `SUPPORT` outcomes nothing is added: thirty coins say
little, three say nothing. Why offsets and not rates? A tenant whose questions are hard is already scored low on them; only
what the scores got wrong may be put right, or it would count twice.
"""

from __future__ import annotations

from collections import OrderedDict
from math import exp, log

from pointsman.core.decision import Scores, TierScore

STRENGTH = 20.0
"""Imaginary outcomes in favour of what was expected: as many as real ones halve the distance."""
SUPPORT = 30
"""Outcomes before anything is believed."""
MOST = 2.0
"""Logits, up or down: from .8 to .37 or .97. Whoever needs more needs a rule or an artifact of their own."""
SIZE = 50_000
"""Sums that are kept, some 200 bytes each; the ones longest unused go first."""
_EDGE = 1e-3

Who = tuple[str, ...]
"""(tenant,) or (tenant, user)."""


class Priors:
    """Sums of outcomes by who asked and which tier answered. Empty until it is told of outcomes."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        # (who, tier) -> [outcomes, good ones, expected good ones]
        self._sums: OrderedDict[tuple[Who, str], list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sums)

    def learn(self, tenant: str, user: str, tier: str, expected: float, good: float) -> None:
        """One outcome: `expected` is the P(acceptable) that was predicted, `good` what it turned out to be, both 0 to 1."""
        for who in _who(tenant, user):
            sums = self._sums.setdefault((who, tier), [0.0, 0.0, 0.0])
            self._sums.move_to_end((who, tier))
            sums[0] += 1
            sums[1] += min(1.0, max(0.0, good))
            sums[2] += min(1.0, max(0.0, expected))
        while len(self._sums) > self._size:
            self._sums.popitem(last=False)

    def offset(self, tenant: str, user: str, tier: str) -> float:
        """Logits to add to the tier's score for this caller; 0 while too little is known."""
        offset = 0.0
        for who in _who(tenant, user):
            sums = self._sums.get((who, tier))
            if sums is not None and sums[0] >= SUPPORT:
                offset = _shrunken(sums, offset)
        return offset

    def applied(self, scores: Scores, tenant: str, user: str) -> Scores:
        """The scores as this caller's outcomes put them right; the same object when they have nothing to say."""
        offsets = {tier: offset for tier in scores.by_tier if (offset := self.offset(tenant, user, tier))}
        if not offsets:
            return scores
        moved = {tier: _moved(score, offsets.get(tier, 0.0)) for tier, score in scores.by_tier.items()}
        return Scores(moved, scores.calibrated, scores.is_foreign, scores.tokens)


def _who(tenant: str, user: str) -> tuple[Who, ...]:
    """The wider one first. Anonymous users share their tenant's."""
    return ((tenant,), (tenant, user)) if user else ((tenant,),)


def _shrunken(sums: list[float], towards: float) -> float:
    """The offset of these sums, pulled towards another."""
    n, good, expected = sums
    mean = expected / n
    believed = _p(_logit(mean) + towards)
    rate = (good + STRENGTH * believed) / (n + STRENGTH)
    return max(-MOST, min(MOST, _logit(rate) - _logit(mean)))


def _moved(score: TierScore, offset: float) -> TierScore:
    if not offset:
        return score
    return TierScore(_p(_logit(score.p) + offset), _p(_logit(score.lower) + offset), score.evidence)


def _logit(p: float) -> float:
    p = min(1 - _EDGE, max(_EDGE, p))
    return log(p / (1 - p))


def _p(logit: float) -> float:
    return 1 / (1 + exp(-logit))
