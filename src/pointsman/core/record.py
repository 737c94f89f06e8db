"""The row a request leaves. Metrics, log line, savings and training data are readings of it."""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

from pointsman.core.decision import Decision
from pointsman.core.reply import Usage
from pointsman.core.verdict import Finding

Outcome = Literal["answered", "rejected", "failed", "cancelled"]
"""answered · rejected (nobody saw it: refused before dispatch or before a byte was sent) · failed · cancelled (client left)."""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One call to one endpoint."""

    number: int
    tier: str
    pool: str
    endpoint: str
    model: str
    """The name the endpoint knows the model by."""
    reason: str
    """`chosen`, `retry`, `continued` (it went on with a stream that broke off), or an escalation's reason: `saturated`, `sla`, `verifier`,
    `failed`, `session`; `fallback`, `last_resort`."""
    started_s: float
    """Seconds after the request arrived."""
    duration_s: float
    ttft_s: float | None
    """Seconds from this attempt's start to its first content-bearing event (plain: to the last byte); None = never came."""
    outcome: Outcome
    error: str | None = None
    """Error code when not answered."""
    upstream_status: int | None = None
    sent: bool = True
    """False: certainly no byte reached the engine."""
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    cost_basis: str = "unpriced"


class Check(msgspec.Struct, frozen=True, gc=False):
    """What verification said of one attempt's answer."""

    attempt: int
    tier: str
    score: float | None
    """P(acceptable) as if half of all answers were acceptable; None = every verifier abstained."""
    evidence: float
    """Log-odds that all verifiers together add to what was believed before."""
    is_whole: bool
    """False: only the beginning of the answer was judged, while it was held back."""
    duration_s: float
    by: tuple[Finding, ...] = ()
    """Each verifier's part: score, reason, time, cost."""
    features: dict[str, float] = {}
    """`<verifier>.<feature>` -> figure, kept for training."""
    cost_nano_usd: int | None = 0
    """What the verifiers spent; None = in part unknown."""
    error: str | None = None
    """What broke in verification itself; the answer then counts as not judged."""


class Question(msgspec.Struct, frozen=True, gc=False):
    """What was asked of a model of the fleet on behalf of a request, by a stage of its pipeline."""

    pool: str
    endpoint: str
    duration_s: float
    outcome: Outcome
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    """An estimate where it was cut short or the engine did not count; None = unpriced."""


class Escalation(msgspec.Struct, frozen=True, gc=False):
    """Climbing the ladder."""

    from_tier: str
    to_tier: str
    reason: str


class Record(msgspec.Struct, frozen=True):
    """One request, whole. `v` is the schema version of the spool line: 2 has `checks`."""

    id: str
    """Our own id (UUIDv7 hex): also the response header, the log line and the store's key."""
    at: float
    """Wall-clock seconds when the request arrived."""
    kind: str
    """`chat`, `completion`, `embedding`, `decide`."""
    requested_model: str
    route: str
    tenant: str
    key: str
    """Name of the client key, never its value."""
    stream: bool
    outcome: Outcome
    status: int
    """HTTP status the client saw (499: it left)."""
    duration_s: float
    ttft_s: float | None
    """Arrival to commit."""
    routing_tier: str = ""
    """Tier that answered (or was last tried)."""
    original_tier: str = ""
    """Tier first decided, when it is another than `routing_tier`; else empty."""
    rung: int = 0
    pool: str = ""
    model_id: str = ""
    """Pool model name that answered."""
    endpoint: str = ""
    decision: Decision | None = None
    attempts: tuple[Attempt, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    """Sum over attempts, checks and questions; None = at least one is unknown."""
    cost_basis: str = "unpriced"
    error: str | None = None
    error_message: str | None = None
    client_request_id: str = ""
    prompt: str | None = None
    """Only when `records.content` asks for it."""
    subject: tuple[int, int] | None = None
    """Where in `prompt` the turn stands that classifiers read, [start, end) in characters; None = nowhere, or nobody wrote it down."""
    answer: str | None = None
    request_bytes: int = 0
    messages: int = 0
    tools: int = 0
    images: int = 0
    simulated: bool = False
    queued_s: float | None = None
    """How long it stood in the line of a full tier; None = it did not."""
    checks: tuple[Check, ...] = ()
    """What verification said of the answers, in order; empty = nothing was verified."""
    questions: tuple[Question, ...] = ()
    """What its decision asked of models of the fleet; empty = nothing."""
    v: int = 2


_62_BITS = (1 << 62) - 1
_48_BITS = (1 << 48) - 1
_VERSION = 7 << 76
_VARIANT = 2 << 62


def new_record_id(wall_s: float, rng: Random) -> str:
    """A UUIDv7 (RFC 9562 §5.7) as 32 hex digits: sorts by time, unique across processes that seed differently."""
    drawn = rng.getrandbits(74)
    whole = (int(wall_s * 1000) & _48_BITS) << 80 | _VERSION | drawn >> 62 << 64 | _VARIANT | drawn & _62_BITS
    return whole.to_bytes(16, "big").hex()  # three formatted pieces would take twice as long
