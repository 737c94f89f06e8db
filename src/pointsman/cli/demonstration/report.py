"""After the tour: the table, the tiers, the bill, and which of the numbers are real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pointsman.cli.demonstration.bill import ASSUMPTION, Bill
from pointsman.cli.demonstration.row import Row
from pointsman.cli.demonstration.screen import colour, dollars, seconds
from pointsman.cli.demonstration.summary import Summary, percentile
from pointsman.money.ledger import usd

READABLE = 24
"""Rows of the table unless all are wanted: a screenful."""
_ASK_IT = "SQLite; `select routing_tier, count(*), sum(cost_nano_usd) from records group by 1` adds up the same"
_LEGEND = (
    "label: what the prompt's author thinks of it; nothing that routes reads it.  {mark}.  P: the tier's estimated "
    "chance of an acceptable answer; the cheapest tier with 0.8 is taken.  TTFT: of streamed answers."
)
_SIMULATED_MARK, _REAL_MARK = "*", "+"
_MARKS = {True: f"{_SIMULATED_MARK}: a simulated engine", False: f"{_REAL_MARK}: a real engine, price assumed"}
_ASSUMED = "with ASSUMED prices: as if each tier ran on the GPU whose price its pool has; nobody rents one for this"
_NUMBERS = ("#", "TTFT", "total", "cost")
_REAL_TRUTH = (
    "the engines, their times and their token counts. Assumed: the prices, so the bill shows how it is made and no saving of "
    "yours. The same weights answered on every tier, so nothing here tells which answers were good."
)
_OTHER_COLUMNS = 58
"""What all columns but prompt and why take, with their gaps."""


class Report(msgspec.Struct, frozen=True):
    """Everything the demo found out."""

    rows: tuple[Row, ...]
    summaries: tuple[Summary, ...]
    bill: Bill
    models: dict[str, str]
    """Tier -> what serves it, in words."""
    fast: float
    seed: int
    records: str

    @property
    def is_real(self) -> bool:
        """Real engines did it. Their prices are then assumed: nobody pays by the hour for this machine."""
        return not any(row.simulated for row in self.rows)

    @property
    def tiers(self) -> tuple[str, ...]:
        return tuple(summary.tier for summary in self.summaries)


def chosen(rows: Sequence[Row], most: int = READABLE) -> list[Row]:
    """A readable part: one row of each label and kind, then of each decider and language, then whoever came first."""
    seen: set[tuple[str, ...]] = set()
    found: dict[int, Row] = {}
    for key in _KEYS:
        for row in rows:
            if len(found) < most and key(row) not in seen and row.number not in found:
                seen.add(key(row))
                found[row.number] = row
    return [row for row in rows if row.number in found]


_KEYS: tuple[Callable[[Row], tuple[str, ...]], ...] = (
    lambda row: ("kind", row.level, row.kind),
    lambda row: ("by", row.decided_by, row.tier),
    lambda row: ("language", row.language),
    lambda row: ("row", str(row.number)),
)


def show(console: Console, report: Report, *, everything: bool) -> None:
    """Prints the whole report but for what comes next."""
    rows = list(report.rows) if everything else chosen(report.rows)
    console.print(_rows_table(console, report, rows))
    if len(rows) < len(report.rows):
        console.print(f"{len(rows)} of {len(report.rows)} rows: of each kind at least one (--all prints every row)", style="dim")
    console.print(_LEGEND.format(mark=_MARKS[not report.is_real]), style="dim")
    console.print(_tiers_table(report))
    _show_bill(console, report)
    _show_truth(console, report)


def _rows_table(console: Console, report: Report, rows: Sequence[Row]) -> Table:
    room = max(console.width - _OTHER_COLUMNS, 40)
    widths = {"prompt": room * 5 // 9, "P · why": room * 4 // 9}
    table = Table(title="What was asked, who answered, and why", title_justify="left", box=None, header_style="bold",
                  padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("#", "label", "prompt", "tier", "P · why", "TTFT", "total", "cost"):
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=True, overflow="ellipsis",
                         width=widths.get(name))
    for row in rows:
        language = "" if row.language == "en" else f" {row.language}"
        table.add_row(
            str(row.number), f"{row.level} {row.kind}{language}", Text(row.prompt[:200]),
            Text(row.tier + (_SIMULATED_MARK if row.simulated else _REAL_MARK), style=colour(row.tier, report.tiers)), Text(row.why),
            seconds(row.ttft_s), seconds(row.total_s), dollars(row.cost_nano_usd))
    return table


def _tiers_table(report: Report) -> Table:
    table = Table(title="\nBy tier", title_justify="left", box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("tier", no_wrap=True)
    table.add_column("served by", no_wrap=True, overflow="ellipsis")
    for name in ("requests", "share", "simple/medium/complex", "TTFT p50", "p95", "tokens in/out", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for it in report.summaries:
        table.add_row(
            Text(it.tier, style=colour(it.tier, report.tiers)), report.models.get(it.tier, ""), str(it.requests),
            f"{it.share:.1%}", f"{it.simple}/{it.medium}/{it.complex}", seconds(it.ttft_p50_s), seconds(it.ttft_p95_s),
            f"{it.input_tokens:,}/{it.output_tokens:,}", dollars(it.cost_nano_usd))
    return table


def _show_bill(console: Console, report: Report) -> None:
    bill, largest = report.bill, report.tiers[-1]
    share = "" if bill.share is None else f"  ({bill.share:+.1%})"
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_row("routed", f"${usd(bill.routed)}")
    table.add_row(f"everything to {largest}, {ASSUMPTION}", f"${usd(bill.largest)}")
    sign = "-" if bill.difference < 0 else "+"
    table.add_row("difference", Text(f"{sign}${usd(abs(bill.difference))}", style="bold"), Text(share, style="bold"))
    console.print("\nThe bill" + (f", {_ASSUMED}" if report.is_real else ""), style="bold italic")
    console.print(table)
    if bill.unknown:
        console.print(f"{bill.unknown} request(s) of unknown cost are in neither sum", style="red")
    told = [row for row in report.rows if row.said_nano_usd is not None]
    false = sum(not row.is_told_truly for row in told)
    verdict = "all equal their records to the nano-dollar" if not false else f"{false} DIFFER from their records"
    console.print(f"{len(told)} answers told the client their final cost (header or usage): {verdict}")
    console.print(f"records: {report.records}  ({_ASK_IT})", markup=False, soft_wrap=True)


def _show_truth(console: Console, report: Report) -> None:
    deciding = [row.decision_s for row in report.rows]
    router = [row.router_s for row in report.rows]
    console.print(
        f"\nReal: the decisions ({_ms(percentile(deciding, 0.5))} p50, {_ms(percentile(deciding, 0.99))} p99), the router's own "
        f"time per request ({_ms(percentile(router, 0.5))} p50, with engines and client on the same cores), HTTP, records, "
        f"{_REAL_TRUTH if report.is_real else _modelled(report)}", markup=False, soft_wrap=not console.is_terminal)


def _modelled(report: Report) -> str:
    rows = "all rows" if all(row.simulated for row in report.rows) else "rows marked *"
    clock = f"; their clock ran {report.fast:g} times as fast; times are shown at true speed, so what this machine adds counts {report.fast:g}-fold in them" if report.fast != 1 else ""
    return (f"and the price list (rented GPUs, fully used). Modelled, in {rows}: tokens and latencies of simulated engines on the GPU "
            f"table{clock}; the answers' text means nothing.")


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.2f} ms"


def as_data(report: Report) -> dict[str, Any]:
    """The report as plain data; money in nano-dollars, times in seconds."""
    return {
        "simulated": all(row.simulated for row in report.rows), "prices": "assumed" if report.is_real else "published",
        "fast": report.fast, "seed": report.seed, "records": report.records,
        "rows": [msgspec.to_builtins(row) for row in report.rows],
        "tiers": [msgspec.to_builtins(summary) for summary in report.summaries],
        "bill": {**msgspec.to_builtins(report.bill), "difference": report.bill.difference, "share": report.bill.share,
                 "assumption": ASSUMPTION},
    }
