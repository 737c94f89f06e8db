"""Is a better answer worth its price? The deferral rule: climb to where expected quality less price and delay is highest.

Why not climb below a threshold? An answer may be doubtful and still the best to be had: where the next tier fails on the same
queries, a climb pays twice for nothing. Cascades by threshold lose to plain routing when their verifiers are weak; deferral by
expected benefit does not (Dekoninck et al., "A Unified Approach to Routing and Cascading for LLMs", ICML 2025: each tier's
quality is estimated anew after every answer, and the best of all continuations is taken, the rung to begin with included).
Continuations are followed to their end, verifiers' words in between: for three tiers that is nine of them.

What does a score say? The odds are multiplied by s / (1 - s), so that .5 says nothing (Bayes; `core.verdict`).

What does a bad answer below say about the tier above? That the query is hard. With a and b the probabilities that the lower and
the higher tier's answers are acceptable, both are with probability  k min(a, b) + (1 - k) a b:  k = 1 is a ladder on which the
higher tier is right wherever the lower one is, k = 0 one whose tiers have nothing in common. `OVERLAP` says where real models lie; an owner's labels tell it for the pair and the kind of
work at hand (`overlaps`, measured by `pointsman calibrate --cascade`).

Why does an answer that is good `enough` end it? Because the policy that chose the tier said so: it sent the request there knowing
that another tier might do better. What made it look elsewhere would be news, and a verdict that says nothing is none; so a
cascade whose verifiers are useless is plain routing.

Closed forms, for a lower tier with an answer in hand and a higher one that costs c (in quality: price and delay by their weights):

- `break_even`: the posterior below which climbing pays. With h and l = P(higher ok | lower ok) and P(higher ok | lower bad), the gain
  q h + (1 - q) l - c - q is zero at  q* = (l - c) / (1 + l - h);  against a perfect expert that is Chow's rule, q* = 1 - c (Chow,
  "On optimum recognition error and reject tradeoff", 1970).
- `break_even_error`: the error rate of a symmetric verifier from which on even its "no" does not bring the posterior below q*:
  e* = r / (1 + r),  r = odds(q*) / odds(p).
- `break_even_share`: the share of climbs from which on always asking the higher tier is cheaper:  1 - c_low / c_high  (from
  E[cost] = c_low + share x c_high < c_high; Chen et al., "FrugalGPT", 2023, sec. 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pointsman.core.verdict import LIMIT

OVERLAP = 0.5
"""k of the module's docstring. Median over the pairs of models at least 5 points apart: .42 in RouterBench, .51 in MMLU-Pro, .56 in
ZeroEval's GSM8K, .76 in Reasoning Gym; and lower still once the query has been looked at, which a tier's score has done."""


NOTHING = 0.5
"""The score that says nothing."""
NOWHERE = float("-inf")
ROUNDING = 1e-9
STRONGEST = 0.999
"""Nothing is believed more firmly, either way: one broken verifier must not make an answer certain."""


class Prospect(msgspec.Struct, frozen=True, gc=False):
    """What is known of a rung before it is asked."""

    p: float
    """P(its answer is acceptable)."""
    price: float = 0.0
    """Of one answer, as a share of the dearest rung's."""
    delay_s: float | None = None
    """Until its answer is there, or begins; None = unknown, which is not held against it."""
    nano_usd: int | None = None
    """What an answer to this request is expected to cost; None = unknown."""


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What verification made of a rung's answer."""

    tier: str
    score: float | None
    """P(acceptable) as if half of all answers were acceptable; None = the verifiers abstained."""
    in_hand: bool = True
    """The answer can still be given. False: it was broken off."""


class Words(msgspec.Struct, frozen=True, gc=False):
    """The scores that a rung's verifiers can come to together: a plain no, a plain yes."""

    no: float
    yes: float
    speaks: float = 1.0
    """How often they say anything at all, and do not abstain."""


class BreakEven(msgspec.Struct, frozen=True, gc=False):
    """What it takes for a climb from `tier` to `higher` to pay."""

    tier: str
    higher: str
    below: float
    """The posterior below which it pays; 0 = never."""
    error: float
    """The error rate of a verifier from which on its "no" changes nothing."""
    share: float | None
    """The share of climbs from which on always asking `higher` is cheaper; None = a price is unknown."""


class Benefit(msgspec.Struct, frozen=True):
    """The deferral rule of one request, over the rungs of its ladder that may serve it, in their order."""

    prospects: Mapping[str, Prospect]
    price_weight: float = 0.2
    """Quality that the dearest rung's price is worth."""
    delay_weight: float = 0.01
    """Quality that a second is worth."""
    overlaps: Mapping[str, Mapping[str, float]] = {}
    """Tier -> higher tier -> k of the module's docstring, where it was measured; `OVERLAP` where not."""
    enough: float = 1.0
    """P(acceptable) of an answer that is given without looking for a better one."""
    words: Mapping[str, Words] = {}
    """What verifiers can say of the answers of a rung; rungs without are taken at their word."""

    def beliefs(self, judgements: Sequence[Judgement] = ()) -> dict[str, float]:
        """P(acceptable) of every rung after `judgements`."""
        beliefs = {tier: bounded(prospect.p) for tier, prospect in self.prospects.items()}
        for judgement in judgements:
            if judgement.score is not None and judgement.tier in beliefs:
                beliefs = self._after(beliefs, judgement.tier, judgement.score)
        return beliefs

    def better(self, judgements: Sequence[Judgement], above: Sequence[str], *, climbs: int = 1, anyway: bool = False) -> str | None:
        """The rung of `above` that is most worth climbing to; None = none beats the best answer in hand.

        `climbs`: how many there may still be, this one included; `anyway`: somebody wants to climb, whatever is in hand.
        """
        beliefs = self.beliefs(judgements)
        in_hand = max((beliefs[judgement.tier] for judgement in judgements if judgement.in_hand), default=NOWHERE)
        if not anyway and in_hand >= self.enough - ROUNDING:
            return None
        best, most = None, NOWHERE if anyway else in_hand
        for tier in above:
            value, _ = self._outlook(tier, beliefs, in_hand, climbs - 1)
            if value > most:
                best, most = tier, value
        return best

    def entry(self, decided: str, climbs: int) -> str:
        """The rung to begin on when a policy that knows of no verifiers decided for `decided`: a lower one, if trying there first is
        worth more and promises no less than was asked for."""
        beliefs = self.beliefs()
        promise = min(self.enough, beliefs[decided]) - ROUNDING
        best, (most, _) = decided, self._outlook(decided, beliefs, NOWHERE, climbs)
        for tier in self.prospects:
            if tier == decided:
                break
            if tier in self.words:
                value, quality = self._outlook(tier, beliefs, NOWHERE, climbs)
                # Where trying first is worth the same (its price weighs nothing, or its verifiers say nothing), nobody waits for it.
                if value > most + ROUNDING and quality >= promise:
                    best, most = tier, value
        return best

    def is_enough(self, tier: str) -> bool:
        """Its answers are as good as was asked for before anybody has looked at them."""
        return tier not in self.prospects or self.prospects[tier].p >= self.enough - ROUNDING

    def _outlook(self, tier: str, beliefs: dict[str, float], in_hand: float, climbs: int) -> tuple[float, float]:
        """(what asking `tier` next is worth, the quality to expect in the end), all that may follow included.

        `in_hand`: P(acceptable) of the best answer so far; `climbs`: how many may follow. How often verifiers say yes is known from
        what their words mean: p = P(yes) P(ok | yes) + P(no) P(ok | no).
        """
        p, cost, words = beliefs[tier], self.cost(tier), self.words.get(tier)
        if words is None or climbs <= 0:
            return p - cost, p
        if_yes, if_no = posterior(p, words.yes), posterior(p, words.no)
        yes = (p - if_no) / (if_yes - if_no) if if_yes > if_no else 1.0
        value = quality = 0.0
        speaks = words.speaks
        for share, score in ((speaks * yes, words.yes), (speaks * (1 - yes), words.no), (1 - speaks, NOTHING)):
            if share <= 0.0:
                continue
            after = self._after(beliefs, tier, score)
            kept = max(in_hand, after[tier])
            way = (kept, kept)
            if kept < self.enough - ROUNDING:
                way = max((way, *(self._outlook(higher, after, kept, climbs - 1) for higher in self._above(tier))))
            value += share * way[0]
            quality += share * way[1]
        return value - cost, quality

    def _after(self, beliefs: dict[str, float], tier: str, score: float) -> dict[str, float]:
        """The beliefs after one more word."""
        before, after = beliefs[tier], posterior(beliefs[tier], score)
        changed, is_above = {}, False
        for other, p in beliefs.items():
            if is_above:
                if_ok, if_bad = self._given(tier, other, before, p)
                changed[other] = bounded(after * if_ok + (1 - after) * if_bad)
            else:
                is_above = other == tier
                changed[other] = after if is_above else p
        return changed

    def cost(self, tier: str) -> float:
        """Price and delay of an answer, in quality."""
        prospect = self.prospects[tier]
        return self.price_weight * prospect.price + self.delay_weight * (prospect.delay_s or 0.0)

    def matters(self, tier: str, lowest: float, above: Sequence[str], climbs: int = 1) -> bool:
        """Even the worst verdict (the score `lowest`) would lead somewhere. Else nobody needs to ask."""
        if lowest >= NOTHING or tier not in self.prospects:
            return False
        return self.better((Judgement(tier, lowest),), above, climbs=climbs) is not None

    def break_even(self, tier: str, higher: str) -> float:
        """The posterior of `tier`'s answer below which climbing to `higher` pays; 0 = never."""
        if_ok, if_bad = self._given(tier, higher, bounded(self.prospects[tier].p), bounded(self.prospects[higher].p))
        gain_if_bad = if_bad - self.cost(higher)
        return min(self.enough, max(0.0, gain_if_bad / (1 + if_bad - if_ok))) if gain_if_bad > 0 else 0.0

    def break_even_error(self, tier: str, higher: str) -> float:
        """The error rate of a symmetric verifier from which on its "no" changes nothing; 0 = even an exact one's does not."""
        turning, p = self.break_even(tier, higher), bounded(self.prospects[tier].p)
        if turning <= 0.0:
            return 0.0
        ratio = _odds(bounded(turning)) / _odds(p)
        return min(0.5, ratio / (1 + ratio))

    def break_even_share(self, tier: str, higher: str) -> float | None:
        """The share of climbs from which on always asking `higher` is cheaper; None = a price is unknown."""
        low, high = self.prospects[tier].nano_usd, self.prospects[higher].nano_usd
        return None if low is None or not high else max(0.0, 1 - low / high)

    def break_evens(self) -> tuple[BreakEven, ...]:
        """Of every climb on this ladder."""
        return tuple(BreakEven(tier, higher, self.break_even(tier, higher), self.break_even_error(tier, higher),
                               self.break_even_share(tier, higher))
                     for tier in self.prospects for higher in self._above(tier))

    def _above(self, tier: str) -> list[str]:
        tiers = list(self.prospects)
        return tiers[tiers.index(tier) + 1 :]

    def _given(self, tier: str, higher: str, low: float, high: float) -> tuple[float, float]:
        """P(higher ok | lower ok), P(higher ok | lower bad); `low` and `high`: what is believed of each."""
        measured = self.overlaps.get(tier)
        overlap = OVERLAP if measured is None else measured.get(higher, OVERLAP)
        both = overlap * min(low, high) + (1 - overlap) * low * high
        return both / low, (high - both) / (1 - low)


def posterior(p: float, score: float) -> float:
    """P(acceptable) after a score.

    >>> round(posterior(0.6, 0.1), 3), round(posterior(0.6, 0.5), 3)
    (0.143, 0.6)
    """
    score = min(1 - LIMIT, max(LIMIT, score))
    both = p * score
    return bounded(both / (both + (1 - p) * (1 - score)))


def bounded(p: float) -> float:
    return min(STRONGEST, max(1 - STRONGEST, p))


def _odds(p: float) -> float:
    return p / (1 - p)
