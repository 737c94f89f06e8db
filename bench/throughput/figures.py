"""What the numbers of a run mean: medians over rounds, added latency, void rows, tables. Pure: no clock, no process.

Why medians of rounds and not one long run? The machines this runs on are shared; one neighbour's burst spoils one
round and leaves the median alone. Why is a row void when direct is not three times the best router? Below that the
load generator and the upstream, not the router, may be what is being measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

DIRECT_MUST_BE = 3.0
"""Times the best router's rate that direct must reach for a row to count (the house's rule for every bench here)."""


@dataclass(frozen=True)
class Sample:
    """One contestant, one cell of the matrix, one round. None = not known (never 0)."""

    requests_per_s: float
    events_per_s: float
    errors: int = 0
    non_2xx: int = 0
    p50_us: float | None = None
    p99_us: float | None = None
    ttft_p50_us: float | None = None
    ttft_p99_us: float | None = None
    events_per_read: float | None = None
    """Streamed: how many events one read of the load generator brought; 1.0 = nothing was merged on the way."""
    cpu_s_per_1k: float | None = None
    """CPU seconds of the contestant per 1,000 requests; a stream counts by its share of events."""
    rss_bytes: float | None = None


Row = Sample
"""A sample per column: the median over rounds, errors summed."""

SUMMED = ("errors", "non_2xx")


def median(values: Iterable[float | None]) -> float | None:
    """The median of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def row_of(samples: Sequence[Sample]) -> Row:
    """One row from the rounds of one cell: medians, errors summed, so that a bad round shows. Raises on no samples."""
    if not samples:
        raise ValueError("a row needs at least one round")
    fields = {name: median(getattr(sample, name) for sample in samples)
              for name in Sample.__dataclass_fields__ if name not in SUMMED}
    sums = {name: sum(getattr(sample, name) for sample in samples) for name in SUMMED}
    return Row(**fields, **sums)  # type: ignore[arg-type]


def sample_of(report: Mapping[str, float | None], *, cpu_s: float | None, rss_bytes: int | None,
              events_per_stream: int) -> Sample:
    """From the load generator's JSON and what the contestant's process used meanwhile."""
    events, reads = report["events"] or 0, report["reads"] or 0
    is_stream = bool(report["all_events"])
    done = (report["all_events"] or 0) / events_per_stream if is_stream else (report["all_requests"] or 0)
    return Sample(
        requests_per_s=report["requests_per_s"] or 0.0, events_per_s=report["events_per_s"] or 0.0,
        errors=int(report["errors"] or 0), non_2xx=int(report["non_2xx"] or 0),
        p50_us=report["p50_us"], p99_us=report["p99_us"],
        ttft_p50_us=report["ttft_p50_us"], ttft_p99_us=report["ttft_p99_us"],
        events_per_read=events / reads if is_stream and reads else None,
        cpu_s_per_1k=cpu_s / done * 1000 if cpu_s is not None and done else None,
        rss_bytes=rss_bytes,
    )


def added(value: float | None, direct: float | None) -> float | None:
    """What a contestant adds over the direct call; may be negative, None when either is unknown."""
    return None if value is None or direct is None else value - direct


def is_void(direct_rate: float, router_rates: Iterable[float]) -> bool:
    """True when direct is not DIRECT_MUST_BE times the best router. No router in the cell = nothing to void."""
    best = max(router_rates, default=0.0)
    return best > 0 and direct_rate < DIRECT_MUST_BE * best


def bytes_per_stream(before: int | None, after: int | None, streams: int) -> float | None:
    """RSS growth per open stream."""
    return None if before is None or after is None or streams <= 0 else (after - before) / streams


def layer_costs(cpu_s_per_1k: Sequence[tuple[str, float | None]]) -> list[tuple[str, float | None, float | None]]:
    """(name, µs of CPU per request, µs more than the layer before it) for layers given from the barest up."""
    costs: list[tuple[str, float | None, float | None]] = []
    before: float | None = 0.0
    for name, seconds in cpu_s_per_1k:
        micros = None if seconds is None else seconds * 1000
        costs.append((name, micros, added(micros, before)))
        before = micros if micros is not None else before
    return costs


def number(value: float | None, digits: int = 0) -> str:
    """`12,345`, `0.12`, or `–` for unknown."""
    return "–" if value is None else f"{value:,.{digits}f}"


def mib(value: float | None) -> str:
    """Bytes as MiB with one digit."""
    return "–" if value is None else f"{value / 2**20:.1f}"


def faults(row: Row) -> str:
    """What went wrong in a row, in words; `0` when nothing did."""
    parts = [f"{row.errors:,} errors"] * bool(row.errors) + [f"{row.non_2xx:,} non-2xx"] * bool(row.non_2xx)
    return "**" + ", ".join(parts) + "**" if parts else "0"


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that reads in a terminal too: columns padded, the first left, the others right."""
    lines = [list(headers), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headers))]

    def joined(line: Sequence[str]) -> str:
        cells = [text.ljust(width) if i == 0 else text.rjust(width)
                 for i, (text, width) in enumerate(zip(line, widths, strict=True))]
        return "| " + " | ".join(cells) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([joined(lines[0]), joined(rule), *map(joined, lines[1:])])
