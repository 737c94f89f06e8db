"""While the tour runs: a live picture on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pointsman.cli.demonstration.tour import Progress

REFRESH_S = 0.2
LINE_EVERY_S = 3.0
COLOURS = ("green", "yellow", "magenta", "red", "blue")
"""By rung."""


def dollars(nano: int | None) -> str:
    """Micro-dollars are as fine as a person reads; the exact number is in the record."""
    if nano is None:
        return "unknown"
    return f"{'-' if nano < 0 else ''}${abs(nano) / 1e9:.6f}"


def seconds(value: float | None) -> str:
    """`87 ms`, `1.42 s`, or `-` for what did not happen."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 0.9995 else f"{value:.2f} s"


def colour(tier: str, tiers: Sequence[str]) -> str:
    return COLOURS[tiers.index(tier) % len(COLOURS)] if tier in tiers else "white"


def line(progress: Progress, tiers: Sequence[str]) -> str:
    """All that matters, for a log."""
    counts = " · ".join(f"{tier} {progress.by_tier[tier]}" for tier in tiers)
    failed = f" · {progress.failed} failed" if progress.failed else ""
    return (f"{progress.answered}/{progress.total} answered · {counts} · {progress.in_flight} in flight{failed} · "
            f"{progress.per_s:.1f}/s · about {dollars(progress.about_nano_usd)}")


def picture(progress: Progress, tiers: Sequence[str]) -> Group:
    """What a terminal shows."""
    bar = Table.grid(padding=(0, 1))
    failed = f", [red]{progress.failed} failed[/]" if progress.failed else ""
    bar.add_row(ProgressBar(progress.total, progress.answered + progress.failed, width=40),
                f"{progress.answered}/{progress.total} answered{failed}, {progress.in_flight} in flight, "
                f"{progress.per_s:.1f}/s, about {dollars(progress.about_nano_usd)}")
    return Group(bar, _counts(progress, tiers), _latest(progress, tiers))


def _counts(progress: Progress, tiers: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 1))
    for tier in tiers:
        number = progress.by_tier[tier]
        table.add_row(Text(tier, style=colour(tier, tiers)), ProgressBar(max(progress.answered, 1), number, width=30), str(number))
    return table


def _latest(progress: Progress, tiers: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for arrival, answer in progress.latest:
        prompt = Text(arrival.prompt.shown[:200], style="dim", no_wrap=True, overflow="ellipsis")
        prompt.truncate(56, overflow="ellipsis")
        table.add_row(f"{arrival.number:>4}", prompt, Text(answer.tier, style=colour(answer.tier, tiers)),
                      answer.headers.get("x-route-decided-by", ""), dollars(answer.about_nano_usd))
    return table


async def watch(console: Console, progress: Progress, tiers: Sequence[str]) -> None:
    """Shows `progress` until cancelled."""
    if not console.is_terminal:
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            console.print(line(progress, tiers), markup=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(picture(progress, tiers), refresh=True)
            await asyncio.sleep(REFRESH_S)
