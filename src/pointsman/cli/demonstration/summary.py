"""What one tier did: its share, its mix, its speed, its cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

import msgspec

from pointsman.cli.demonstration.row import Row


class Summary(msgspec.Struct, frozen=True):
    """Times in simulated seconds, money in nano-dollars."""

    tier: str
    requests: int
    share: float
    simple: int
    medium: int
    complex: int
    """How the author labelled the prompts that came here; no verdict on the answers."""
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    """Streamed answers only; None = there was none."""
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int


def summaries(rows: Sequence[Row], tiers: Iterable[str]) -> list[Summary]:
    """One per tier, in the given order; a tier that served nothing is there with zeros."""
    return [_summary(tier, [row for row in rows if row.tier == tier], len(rows)) for tier in tiers]


def _summary(tier: str, rows: list[Row], of: int) -> Summary:
    levels = [row.level for row in rows]
    first = [row.ttft_s for row in rows if row.ttft_s is not None]
    usages = [row.usage for row in rows if row.usage is not None]
    return Summary(
        tier, len(rows), len(rows) / of if of else 0.0, levels.count("simple"), levels.count("medium"),
        levels.count("complex"), percentile(first, 0.5), percentile(first, 0.95),
        sum(usage.input_tokens for usage in usages), sum(usage.output_tokens for usage in usages),
        sum(row.cost_nano_usd or 0 for row in rows),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile: a value that occurred. None when there is none."""
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)] if values else None
