"""What verifiers say about an answer, and what is made of it.

A score is P(acceptable) as if half of all answers were acceptable, so that `evidence`, its log-odds, can be added to the
log-odds of whatever was believed before the answer was read.
"""

from __future__ import annotations

from math import exp, log
from typing import Literal

import msgspec

from pointsman.core.request import ChatRequest

Fault = Literal["", "slow", "down", "garbage", "crashed", "busy", "resting", "not_allowed", "unavailable"]
"""Why a verifier abstains that should have spoken. `busy`: its limit of checks at once is reached; `resting`: it failed
too often lately; `not_allowed`: the caller's key may not reach its pool; `unavailable`: it cannot run here at all."""

PASSES_FROM = 0.5
LIMIT = 1e-4
"""No score says more than one in ten thousand, either way."""


class Traits(msgspec.Struct, frozen=True, gc=False):
    """What a verifier needs and costs, for whoever plans a rung."""

    needs_logprobs: bool = False
    top_logprobs: int = 0
    """Alternatives per token that it reads, 0 to 20."""
    needs_whole_answer: bool = True
    """False: it can also judge the beginning of an answer, while the rest is still being written."""
    calls: int = 0
    """Further calls of a model per answer."""
    latency_s: float = 0.0
    """What it usually adds; 0 = well under a millisecond."""
    may_reject: bool = True
    """It may find what no other evidence outweighs."""
    goes_by: tuple[str, ...] = ()
    """Fields of a chat request of which it needs one: without it abstains. Empty: it always has something to go by."""

    def concerns(self, request: ChatRequest) -> bool:
        """It may have something to say. A field's name anywhere in the body will do: looking closer would mean parsing again."""
        return not self.goes_by or any(b'"%b"' % field.encode() in request.body for field in self.goes_by)

    def with_(self, other: Traits) -> Traits:
        """Both, one after the other when they are pure, at the same time when they ask somebody."""
        return Traits(self.needs_logprobs or other.needs_logprobs, max(self.top_logprobs, other.top_logprobs),
                      self.needs_whole_answer or other.needs_whole_answer, self.calls + other.calls,
                      max(self.latency_s, other.latency_s), self.may_reject or other.may_reject,
                      (*self.goes_by, *other.goes_by) if self.goes_by and other.goes_by else ())


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """One verifier's word on one answer."""

    score: float | None = None
    """In [0, 1]; None = it abstains."""
    reason: str = ""
    """For people, in a few words."""
    is_hard: bool = False
    """With a low score: no other evidence can outweigh this (not JSON where JSON was asked for)."""
    is_graded: bool = False
    """The score is a degree. Not graded: a check that catches bad answers and says little about those it passes."""
    features: dict[str, float] = {}
    """Figures that are worth keeping for training."""
    fault: Fault = ""
    cost_nano_usd: int | None = 0
    """None = unknown."""


ABSTAINS = Verdict()


class Rates(msgspec.Struct, frozen=True, gc=False):
    """How often a verifier errs: what bounds the evidence that it can bring."""

    misses: float
    """Share of bad answers that it passes."""
    false_alarms: float
    """Share of good answers that it fails."""

    @property
    def for_pass(self) -> float:
        """Log-odds that a pass brings."""
        return log((1 - self.false_alarms + LIMIT) / (self.misses + LIMIT))

    @property
    def for_fail(self) -> float:
        """Log-odds that a failure brings."""
        return log((self.false_alarms + LIMIT) / (1 - self.misses + LIMIT))

    def evidence(self, verdict: Verdict) -> float:
        """Log-odds of `verdict`, no further than these rates allow. A verifier that is as often wrong as right brings none."""
        if verdict.score is None:
            return 0.0
        low, high = min(self.for_fail, 0.0), max(self.for_pass, 0.0)
        if verdict.is_graded:
            return min(high, max(low, log_odds(verdict.score)))
        return high if verdict.score >= PASSES_FROM else low


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One verifier's part in the findings; goes into the record."""

    verifier: str
    score: float | None
    reason: str
    evidence: float = 0.0
    duration_s: float = 0.0
    fault: Fault = ""
    cost_nano_usd: int | None = 0

    @property
    def result(self) -> str:
        """For a counter: `passed`, `failed`, `abstained`, or the fault."""
        if self.fault or self.score is None:
            return self.fault or "abstained"
        return "passed" if self.score >= PASSES_FROM else "failed"


class Findings(msgspec.Struct, frozen=True, gc=False):
    """What all verifiers of a rung made of one answer."""

    score: float | None
    """0 after a hard failure; else what the evidence of graded verifiers comes to; 1 when checks alone spoke and all
    passed; None when nobody spoke, and the rung accepts then."""
    evidence: float = 0.0
    """Sum of everybody's log-odds: add it to the log-odds of P(acceptable) before."""
    is_rejected: bool = False
    """A hard failure: no evidence outweighs it."""
    by: tuple[Finding, ...] = ()
    features: dict[str, float] = {}
    """`<verifier>.<feature>` -> figure."""
    cost_nano_usd: int | None = 0
    """What the verifiers spent; None = in part unknown."""

    @property
    def reason(self) -> str:
        """The finding that weighs most, in words."""
        spoken = [finding for finding in self.by if finding.score is not None]
        if not spoken:
            return "no verifier spoke"
        worst = min(spoken, key=lambda finding: finding.evidence)
        return f"{worst.verifier}: {worst.reason}"


NOTHING_FOUND = Findings(None)


def log_odds(p: float) -> float:
    p = min(1 - LIMIT, max(LIMIT, p))
    return log(p / (1 - p))


def probability(odds: float) -> float:
    """Inverse of `log_odds`; never overflows."""
    return 1 / (1 + exp(-min(40.0, max(-40.0, odds))))
