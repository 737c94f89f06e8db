"""Which tier, and why: what the classify half hands to the gateway."""

from __future__ import annotations

from typing import Literal

import msgspec

TargetKind = Literal["tier", "pool", "model"]


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where a stage or a client sends a request: a tier, a pool, or a model name of the configuration."""

    kind: TargetKind
    name: str


class TierScore(msgspec.Struct, frozen=True, gc=False):
    """P(this tier's answer is acceptable)."""

    p: float
    lower: float
    """Lower bound of `p`; equals `p` when nothing is known about its error."""
    evidence: int = 0
    """How many labelled examples stand behind it."""


class Scores(msgspec.Struct, frozen=True, gc=False):
    """Tier -> score, in ladder order. Those of learned heads need not rise with the ladder, and may leave a tier out."""

    by_tier: dict[str, TierScore]
    calibrated: bool
    """False: fitted on other people's traffic; says so wherever it shows."""
    is_foreign: bool = False
    """The request is unlike what the scores were learned from: the reference tier serves."""
    tokens: dict[str, float] = {}
    """Tier -> output tokens to expect; empty = nobody knows."""


class Decide(msgspec.Struct, frozen=True, gc=False):
    """Ends the pipeline."""

    target: Target
    reason: str
    system: str | None = None
    """Extra system prompt for the chosen model (a specialised agent)."""


class Refine(msgspec.Struct, frozen=True, gc=False):
    """Goes on with these scores; the last stage that refined wins unless a later one decides."""

    scores: Scores
    reason: str


StageResult = Decide | Refine | None


class Answered(msgspec.Struct, frozen=True, gc=False):
    """What a consulting stage says, with what came of asking in one word."""

    said: StageResult
    result: str
    """`answered`, or `remembered`: somebody had been asked before."""


class StageView(msgspec.Struct, frozen=True, gc=False):
    """What one stage said, for `explain`, `/v1/route` and the record."""

    stage: str
    outcome: Literal["decided", "refined", "abstained", "failed", "skipped", "late"]
    reason: str
    duration_s: float
    scores: Scores | None = None
    target: Target | None = None
    result: str = ""
    """Of a stage that asks somebody: what came of asking, in one word (`answered`, `garbage`, `slow`, `share`, ...); "" = it asks nobody."""
    cost_nano_usd: int | None = 0
    """What it paid to models of the fleet; None = unpriced."""


class GateView(msgspec.Struct, frozen=True, gc=False):
    """Why a tier may or may not serve this request, whatever its score."""

    tier: str
    fits: bool
    reason: str
    unknown: tuple[str, ...] = ()
    """Capabilities that nobody has declared: allowed, and counted."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One tier of the ladder as the policy saw it."""

    tier: str
    fits: bool
    """It passes the gate."""
    p: float | None
    """P(acceptable), priors included; None = nobody scored it."""
    lower: float | None
    needs: float | None
    """What `lower` must reach, or `p` where `is_mean`; None = nothing was asked of scores (no score, or the reference itself)."""
    usd: float | None
    """Dollars that this request is expected to cost there; None = unknown."""
    evidence: int
    clears: bool
    is_dominated: bool = False
    """Another fitting tier costs no more and scores no less."""
    is_mean: bool = False
    """The target is kept in the mean over requests: expectations are held to it, not bounds."""


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The chosen tier and how it was chosen. JSON of this is what `POST /v1/route` answers."""

    route: str
    tier: str
    rung: int
    """1-based place on the route's ladder; 0 when the tier is not on it (a pinned pool or model)."""
    decided_by: str
    """Stage name, `policy`, `client` (the model was named), `session` (a turn goes on), `gate` (only one fits), or `default`."""
    reason: str
    confidence: float
    """Score of the chosen tier; 0.0 when nobody scored (see `reason`)."""
    calibrated: bool = False
    pool: str | None = None
    """Set when the choice is narrower than the tier."""
    system: str | None = None
    propensity: float = 1.0
    """Probability with which this policy takes this tier for this request (1.0 = deterministic)."""
    duration_s: float = 0.0
    stages: tuple[StageView, ...] = ()
    gate: tuple[GateView, ...] = ()
    promise: float | None = None
    """P(acceptable) of the tier that the policy would have chosen, where a lower one whose answers are verified is tried first."""
    margin: float | None = None
    """By how much a score would have to be wrong for another tier to be chosen; None = no score decided."""
    dominated: tuple[str, ...] = ()
    """Fitting tiers that another one beats in price without losing in score."""
    candidates: tuple[Candidate, ...] = ()
    """Only where a person or a program asked for the decision alone (`/v1/route`, `explain`)."""
