"""When a request climbs because of what its answer is worth: by benefit, or by plain threshold.

Both obey the same bounds: at most `max_climbs` climbs, within the money that the request may cost, and to no rung whose answer
would come after the deadline. Whatever the bounds forbid, the best answer in hand is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pointsman.cascade.benefit import Benefit, Judgement, Prospect

THRESHOLD = "threshold"
BENEFIT = "benefit"
WHOLE = 1_000_000_000
"""`Call.hold` for an answer that is kept back whole: more tokens than any answer has."""


class Hold(msgspec.Struct, frozen=True, gc=False):
    """How much of a streamed answer is kept back while it is judged."""

    tokens: int = 24
    for_s: float = 0.4
    """Seconds after the first token."""

    @property
    def is_whole(self) -> bool:
        return self.tokens >= WHOLE


class Deferral(msgspec.Struct, frozen=True):
    """The rule of one request. Only the rungs in `holds` are judged."""

    holds: Mapping[str, Hold]
    """Rungs whose answers are judged, and how much of a stream that takes."""
    prospects: Mapping[str, Prospect] = {}
    benefit: Benefit | None = None
    """None: by `accept_at`."""
    accept_at: Mapping[str, float] = {}
    """Score that accepts an answer of a rung."""
    max_climbs: int = 2
    budget_nano_usd: int | None = None
    """What the whole request may cost; None = no bound."""
    climbs_on_abstain: bool = False
    """An answer that no verifier can judge is not good enough."""
    beside_after_s: float | None = None
    """Start a higher rung beside a first one that is silent for so long, or whose beginning is doubtful; None = never."""
    task: str = ""
    """The kind of work that the request was taken for; "" = nothing was measured by it."""

    @property
    def mode(self) -> str:
        return THRESHOLD if self.benefit is None else BENEFIT

    def next(self, judgements: Sequence[Judgement], above: Sequence[str], tried: Sequence[str], climbs: int, left_s: float) -> str | None:
        """The rung to climb to after the last of `judgements`; None = give the best answer in hand.

        `above`: rungs that could be asked, in their order; `tried`: the rung of each attempt so far.
        """
        if climbs >= self.max_climbs or left_s <= 0:
            return None
        judgement = judgements[-1]
        if self.is_accepted(judgement):
            return None
        ways = [tier for tier in above if self.is_affordable(tier, tried) and self._is_in_time(tier, left_s)]
        if self.benefit is not None:
            anyway = judgement.score is None and self.climbs_on_abstain
            return self.benefit.better(judgements, ways, climbs=self.max_climbs - climbs, anyway=anyway)
        return next(iter(ways), None)

    def is_accepted(self, judgement: Judgement) -> bool:
        """The judgement alone makes the answer the one to give, whatever else is in hand."""
        if judgement.score is None:
            # A rung that was entered only because its answers are judged is no place to stay without.
            return not self.climbs_on_abstain and (self.benefit is None or self.benefit.is_enough(judgement.tier))
        return self.benefit is None and judgement.score >= self.accept_at.get(judgement.tier, 0.0)

    def beside(self, above: Sequence[str], tried: Sequence[str], left_s: float) -> str | None:
        """The rung to start beside a first one of which nothing is heard: the one that is worth most, by threshold the next."""
        ways = [tier for tier in above if self.is_affordable(tier, tried) and self._is_in_time(tier, left_s)]
        if self.benefit is not None:
            return self.benefit.better((), ways, anyway=True)
        return next(iter(ways), None)

    def worth(self, judgements: Sequence[Judgement], judgement: Judgement) -> float:
        """What the answer that `judgement` is about is worth beside the others in hand."""
        if self.benefit is not None:
            return self.benefit.beliefs(judgements)[judgement.tier]
        return -1.0 if judgement.score is None else judgement.score

    def is_affordable(self, tier: str, tried: Sequence[str]) -> bool:
        """Within the request's money. An unknown price is beyond any bound: nobody could promise that it is kept."""
        if self.budget_nano_usd is None:
            return True
        costs = [prospect.nano_usd if (prospect := self.prospects.get(name)) else None for name in (*tried, tier)]
        known = [cost for cost in costs if cost is not None]
        return len(known) == len(costs) and sum(known) <= self.budget_nano_usd

    def _is_in_time(self, tier: str, left_s: float) -> bool:
        prospect = self.prospects.get(tier)
        return prospect is None or prospect.delay_s is None or prospect.delay_s < left_s
