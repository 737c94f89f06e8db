"""Who asks: what a tenant's and a user's own outcomes say beyond their words.

Of each (tenant, tier) and (tenant, user, tier) two sums are kept: how many outcomes, how many were good, and how many the
classifier had expected to be. The rate is a Beta-binomial's posterior mean, pulled towards what was expected by `STRENGTH`
imaginary outcomes; its distance from the expectation, in logits, is the offset that is added to that tier's scores:

    rate = (good + STRENGTH x expected / n) / (n + STRENGTH)        offset = logit(rate) - logit(expected / n)

A user's rate is pulled towards the tenant's in the same way. Below `SUPPORT` outcomes nothing is added: thirty coins say
little, three say nothing. Why offsets and not rates? A tenant whose questions are hard is already scored low on them; only
what the scores got wrong may be put right, or it would count twice.

Where do outcomes come from? From verifiers that looked at whole answers (`Decider.heard`). What a verifier found is evidence and no
verdict, so what is counted as good is what it makes of the expectation: P(acceptable) after it, as the cascade reckons it. A verifier
that knows nothing confirms what was expected, on average; one that errs moves offsets by as much as it can be believed.
Why do outcomes fade? Who was moved to a dearer tier is looked at there no more, so that nothing new would ever be heard of the cheap
one. Each day halves the sums, and so do `HALVED_AT` outcomes: what was wrong last week is tried again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from math import exp, log

import msgspec

from pointsman.core.decision import Scores, TierScore

STRENGTH = 20.0
"""Imaginary outcomes in favour of what was expected: as many as real ones halve the distance."""
SUPPORT = 30
"""Outcomes before anything is believed."""
MOST = 2.0
"""Logits, up or down: from .8 to .37 or .97. Whoever needs more needs a rule or an artifact of their own."""
HALVED_AT = 1000
"""Outcomes from which older ones count half: some hundreds of looks at a caller's answers outweigh all before."""
FADES_S = 86_400.0
"""A day: whoever was moved up by thirty looks is tried again the next."""
SIZE = 50_000
"""Sums that are kept, some 200 bytes each; the ones longest unused go first."""
_EDGE = 1e-3

Who = tuple[str, ...]
"""(tenant,) or (tenant, user)."""


class Priors:
    """Sums of outcomes by who asked and which tier answered. Empty until it is told of outcomes."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        # (who, tier) -> [outcomes, good ones, expected good ones, when they faded last]
        self._sums: OrderedDict[tuple[Who, str], list[float]] = OrderedDict()
        self.heard = 0
        """Outcomes that were counted."""

    def __len__(self) -> int:
        return len(self._sums)

    def learn(self, tenant: str, user: str, tier: str, expected: float, good: float, now: float = 0.0) -> None:
        """One outcome: `expected` is the P(acceptable) that was predicted, `good` what it turned out to be, both 0 to 1."""
        self.heard += 1
        for who in _who(tenant, user):
            sums = self._sums.setdefault((who, tier), [0.0, 0.0, 0.0, now])
            self._sums.move_to_end((who, tier))
            _fade(sums, now)
            sums[0] += 1
            sums[1] += min(1.0, max(0.0, good))
            sums[2] += min(1.0, max(0.0, expected))
            if sums[0] >= HALVED_AT:
                _halve(sums)
        while len(self._sums) > self._size:
            self._sums.popitem(last=False)

    def offset(self, tenant: str, user: str, tier: str, now: float = 0.0) -> float:
        """Logits to add to the tier's score for this caller; 0 while too little is known."""
        offset = 0.0
        for who in _who(tenant, user):
            sums = self._sums.get((who, tier))
            if sums is not None:
                _fade(sums, now)
            if sums is not None and sums[0] >= SUPPORT:
                offset = _shrunken(sums, offset)
        return offset

    def offsets(self, tiers: Iterable[str], tenant: str, user: str, now: float = 0.0) -> dict[str, float]:
        """Logits by tier, only where there is something to add."""
        return {tier: offset for tier in tiers if (offset := self.offset(tenant, user, tier, now))}

    def applied(self, scores: Scores, tenant: str, user: str, now: float = 0.0) -> Scores:
        """The scores as this caller's outcomes put them right; the same object when they have nothing to say."""
        return shifted(scores, self.offsets(scores.by_tier, tenant, user, now))

    def __repr__(self) -> str:
        return f"<Priors [{len(self._sums)} sums, {self.heard} heard]>"


def shifted(scores: Scores, offsets: Mapping[str, float]) -> Scores:
    """The scores with these logits added; the same object when there are none."""
    if not offsets:
        return scores
    moved = {tier: _moved(score, offsets.get(tier, 0.0)) for tier, score in scores.by_tier.items()}
    return msgspec.structs.replace(scores, by_tier=moved)


def told(offsets: Mapping[str, float]) -> str:
    """`the caller's own outcomes move small by -0.31`."""
    return "the caller's own outcomes move " + ", ".join(f"{tier} by {offset:+.2f}" for tier, offset in offsets.items())


def _who(tenant: str, user: str) -> tuple[Who, ...]:
    """The wider one first. Anonymous users share their tenant's."""
    return ((tenant,), (tenant, user)) if user else ((tenant,),)


def _fade(sums: list[float], now: float) -> None:
    days = int((now - sums[3]) // FADES_S)
    if days > 0:
        _halve(sums, days)
        sums[3] += days * FADES_S


def _halve(sums: list[float], times: int = 1) -> None:
    for at in range(3):
        sums[at] *= 0.5 ** times


def _shrunken(sums: list[float], towards: float) -> float:
    """The offset of these sums, pulled towards another."""
    n, good, expected, _ = sums
    mean = expected / n
    believed = _p(_logit(mean) + towards)
    rate = (good + STRENGTH * believed) / (n + STRENGTH)
    return max(-MOST, min(MOST, _logit(rate) - _logit(mean)))


def _moved(score: TierScore, offset: float) -> TierScore:
    if not offset:
        return score
    return msgspec.structs.replace(score, p=_p(_logit(score.p) + offset), lower=_p(_logit(score.lower) + offset))


def _logit(p: float) -> float:
    p = min(1 - _EDGE, max(_EDGE, p))
    return log(p / (1 - p))


def _p(logit: float) -> float:
    return 1 / (1 + exp(-logit))
