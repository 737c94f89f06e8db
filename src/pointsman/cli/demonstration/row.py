"""One line of the table: a prompt of ours, joined with the record that its request left."""

from __future__ import annotations

import msgspec

from pointsman.cli.demonstration.client import Answer
from pointsman.cli.demonstration.prompts import Arrival
from pointsman.core.record import Record
from pointsman.core.reply import Usage


class Row(msgspec.Struct, frozen=True):
    """Times are simulated seconds: what engines took, at their true speed, plus what the router added."""

    number: int
    level: str
    kind: str
    language: str
    prompt: str
    stream: bool
    tier: str
    model: str
    decided_by: str
    why: str
    ttft_s: float | None
    """Streamed answers only: a plain one comes at once, at its end."""
    total_s: float
    decision_s: float
    """Real seconds that deciding took."""
    router_s: float
    """Real seconds that passed while no engine was being waited for."""
    usage: Usage | None
    cost_nano_usd: int | None
    cost_basis: str
    attempts: int
    record: str
    simulated: bool
    said_nano_usd: int | None
    """The cost that the client was told, where it was told the final one."""

    @property
    def is_told_truly(self) -> bool:
        """The client was told the cost that the record holds, to the nano-dollar."""
        return self.said_nano_usd is None or self.said_nano_usd == self.cost_nano_usd


def row_of(arrival: Arrival, answer: Answer, record: Record, fast: float) -> Row:
    """`fast`: how much faster than true the engines' clock ran."""
    prompt, decision = arrival.prompt, record.decision
    engines_s = sum(attempt.duration_s for attempt in record.attempts)
    router_s = max(record.duration_s - engines_s, 0.0)
    return Row(
        number=arrival.number, level=prompt.level, kind=prompt.kind, language=prompt.language, prompt=prompt.shown,
        stream=arrival.stream, tier=record.routing_tier, model=record.model_id,
        decided_by=decision.decided_by if decision else "", why=why(record), ttft_s=_ttft_s(record, fast),
        total_s=router_s + engines_s * fast, decision_s=decision.duration_s if decision else 0.0, router_s=router_s,
        usage=record.usage, cost_nano_usd=record.cost_nano_usd, cost_basis=record.cost_basis, attempts=len(record.attempts),
        record=record.id, simulated=record.simulated, said_nano_usd=answer.said_nano_usd,
    )


def why(record: Record) -> str:
    """The decision in a few words: P(acceptable) and what the scoring stage saw, or who else decided and the reason."""
    decision = record.decision
    if decision is None:
        return ""
    saw = next((view.reason for view in reversed(decision.stages) if view.scores is not None), None)
    if decision.decided_by == "policy" and saw is not None:
        text = f"{decision.confidence:.2f} {saw.partition(';')[0].removeprefix('looks ')}"
    else:
        text = f"{decision.decided_by}: {decision.reason}"
    climbed = "".join(f"; climbed to {step.to_tier}: {step.reason}" for step in record.escalations)
    return text + climbed


def _ttft_s(record: Record, fast: float) -> float | None:
    """Arrival to first content: the last attempt's own part, and all before it, at the engines' true speed."""
    if not record.stream or record.ttft_s is None or not record.attempts:
        return None
    *before, last = record.attempts
    engines_s = sum(attempt.duration_s for attempt in before) + (last.ttft_s or 0.0)
    return max(record.ttft_s - engines_s, 0.0) + engines_s * fast
