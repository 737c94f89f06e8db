"""The tables of a run, as markdown. Reads finished cells; measures nothing."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from machines import GPU, MODEL, SLA_EXTRA_S, SLA_TIMES, usd_per_hour
from routers import ROUTERS, version_of

if TYPE_CHECKING:
    from run import Cell

TITLES = {"conv": "Azure 2023, conversation", "code": "Azure 2023, code", "mooncake": "Mooncake, conversation"}
COLUMNS = ("", "TTFT p50", "p95", "p99", "in time", "prefix hits", "to the liar", "errors", "preempted", "busy $", "$ / 1k in time", "lag ms")


def markdown(cells: Sequence[Cell], options: argparse.Namespace, notes: Sequence[str], seconds: float) -> str:
    """Everything about one run."""
    parts = ["# Fleet", _about(cells, options, seconds)]
    for trace, endpoints in options.traces:
        for load in options.loads:
            rows = [cell for cell in cells if (cell.trace, cell.endpoints, cell.load) == (trace, endpoints, load)]
            if rows:
                kind = "" if options.data is not None else " (synthetic stand-in)"
                parts += [f"## {TITLES[trace]}{kind}, {endpoints} engines at {load:g} % of capacity: {rows[0].requests} requests", _table(rows)]
    if notes:
        parts += ["## Notes", "\n".join(f"- {note.splitlines()[0]}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def _about(cells: Sequence[Cell], options: argparse.Namespace, seconds: float) -> str:
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    used = {r.product for r in ROUTERS if any(cell.router == r.name for cell in cells)}
    void = sum(bool(cell.void) for cell in cells)
    arguments = [argument if i or not Path(argument).is_dir() else "DATA" for i, argument in enumerate(sys.argv[1:])]
    wrong = "nothing is wrong with any of them" if options.healthy else (
        "the second three times as slow, the fourth dead after half the time, the last showing an idle engine on /metrics")
    return "\n".join([
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC · {os.cpu_count()} cores, {model}, Linux {platform.release()}  ",
        f"Python {platform.python_version()}, {', '.join(sorted(map(version_of, used)))}  ",
        f"`bench/fleet/run.py {shlex.join(arguments)}` · took {seconds:.0f} s · {void} of {len(cells)} cells void",
        "",
        f"Simulated engines with {MODEL.split('/')[-1]} on {GPU} at {usd_per_hour()} $/h: {wrong}. "
        f"{options.seconds:g} s of arrivals per cell, {options.fast:g} simulated seconds in a real one; all times are simulated "
        f"seconds. Capacity: what healthy engines would do with everything waiting at their doors. In time: first token within "
        f"{SLA_EXTRA_S:g} s + {SLA_TIMES:g} × what an idle engine computes on the prompt, and the answer whole; of all requests, those "
        f"turned away (status 503) among the missed. A client that has no first token after {options.patience:g} s leaves: in the times it "
        f"counts with those seconds. `$ / 1k in "
        f"time`: the fleet's rent during the arrivals, over the requests that were in time. Lag: of the simulators' loop, "
        f"p99 / maximum; above 20 ms the row is void.",
    ])


def _table(rows: Sequence[Cell]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for cell in rows:
        usd = "" if cell.usd_per_1k_in_time is None else f"{cell.usd_per_1k_in_time:.2f}"
        errors = f"{cell.errors}" + (f" ({', '.join(f'{n} {kind}' for kind, n in sorted(cell.kinds.items()))})" if cell.errors else "")
        lines.append("| " + " | ".join([
            cell.router + (" **void**" if cell.void else ""), f"{cell.p50:.2f}", f"{cell.p95:.2f}", f"{cell.p99:.2f}",
            f"{cell.attained:.1%}", f"{cell.hit_rate:.1%}", "" if cell.liar is None else f"{cell.liar:.2f}", errors, f"{cell.preemptions}", f"{cell.busy_usd:.3f}", usd,
            f"{cell.lag_p99_s * 1000:.0f} / {cell.lag_max_s * 1000:.0f}"]) + " |")
    return "\n".join(lines)
