"""Real traces over a simulated fleet with bad endpoints, through real routers: who keeps the first token in time?

`python bench/fleet/run.py [DATA] [--quick] [--write] [--only pointsman] [--loads 20,60] [--traces conv]`; DATA is the folder
that holds the trace files (absent: synthetic ones of the same shape). README.md of `bench/` says what the figures mean.
`--quick`: seven routers of the thirteen, two traces, three loads, a quarter of an hour. RESULTS.md is written anew after every cell.

A cell is one router, one trace, one load. For each: a fresh fleet (`simulators.py`, a process), a fresh router on a core of
its own, warm-up requests, the trace in an open loop. The fleet's processes and the clients share the other core.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from load import GAVE_UP, Answer, Clients
from machines import MODEL, Machines, sla_s, usd_per_hour
from report import markdown
from routers import DEFAULT_CACHE, ROUTERS, DidNotStart, Processes, Router, start
from traffic import NAMES, text_of
from virtual import Task, quantile, slots_in_time, workload

from pointsman.testing.engine_trouble import NONE

HERE = Path(__file__).resolve().parent
MAX_LAG_S = 0.020
"""A later fleet was not simulated but slowed down by this machine: the cell is void."""
MOST_EVENTS = 5_000
"""Events a second, all engines together."""
STREAM_INTERVAL = 8


@dataclass
class Cell:
    """One row of a table. Times are simulated seconds. Who has left without a first token counts as having waited for so long and
    no longer, which flatters; who was turned away has no time."""

    trace: str
    load: float
    router: str
    endpoints: int = 8
    requests: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    attained: float = 0.0
    """Share of all requests whose first token was in time and whose answer is whole."""
    hit_rate: float = 0.0
    errors: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    """Errors by kind."""
    preemptions: int = 0
    busy_usd: float = 0.0
    usd_per_1k_in_time: float | None = None
    """What the fleet's rent comes to per 1,000 requests that were answered in time."""
    lag_p99_s: float = 0.0
    lag_max_s: float = 0.0
    late_p99_s: float = 0.0
    """How late the clients sent, real seconds."""
    events_per_s: float = 0.0
    shares: list[int] = field(default_factory=list)
    """Requests that each endpoint began."""
    liar: float | None = None
    """What the lying endpoint began, in shares of a healthy one's mean."""
    void: str = ""
    """Why the figures do not count; "" = they do."""


class Bench:
    """All cells of one run."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.processes = Processes()
        self.cells: list[Cell] = []
        self.notes: list[str] = []
        cores = sorted(os.sched_getaffinity(0))
        self.router_core, self.own_core = (cores[0], cores[-1]) if len(cores) > 1 else (None, None)
        self._number = 0
        self._began = time.monotonic()

    def run(self) -> None:
        if self.own_core is not None:
            os.sched_setaffinity(0, {self.own_core})
        routers = [r for r in ROUTERS if any(word in r.name for word in self.options.only)
                   and (r.is_quick or not self.options.quick or self.options.only != [""])]
        missing: set[str] = set()
        try:
            for trace, endpoints in self.options.traces:
                for load in self.options.loads:
                    machines = Machines(endpoints, self.options.seconds, is_healthy=self.options.healthy)
                    tasks, _ = workload(trace, self.options.data, machines, load, self.options.seed)
                    for router in routers:
                        if router.name not in missing:
                            self._cell_or_note(trace, load, router, machines, tasks, missing)
        finally:
            self.processes.stop_all()

    def _cell_or_note(self, trace: str, load: float, router: Router, machines: Machines, tasks: list[Task],
                      missing: set[str], *, is_first: bool = True) -> None:
        try:
            for _attempt in range(1 + self.options.again):
                cell = self._cell(trace, load, router, machines, tasks)
                if not cell.void or time.monotonic() - self._began > self.options.minutes * 60:
                    break
        except DidNotStart as error:
            if "in use" in str(error) and is_first:  # somebody took the port that was free a moment ago
                self._cell_or_note(trace, load, router, machines, tasks, missing, is_first=False)
                return
            self.notes.append(str(error))
            print(error, file=sys.stderr)
            missing.add(router.name)
            return
        self.cells.append(cell)
        print(f"{trace:9} {machines.endpoints:2} {load:4.0f}% {router.name:32} TTFT {cell.p50:6.2f} {cell.p95:6.2f} {cell.p99:6.2f}  in time {cell.attained:6.1%}  "
              f"hits {cell.hit_rate:6.1%}  errors {cell.errors:4}  lag {cell.lag_p99_s * 1000:3.0f}/{cell.lag_max_s * 1000:3.0f} ms  "
              f"{cell.events_per_s:5.0f} ev/s {dict(cell.kinds) or ''} {cell.void}", flush=True)
        self.write()

    def write(self) -> str:
        """The report so far."""
        text = markdown(self.cells, self.options, self.notes, time.monotonic() - self._began)
        if self.options.write:
            (HERE / "RESULTS.md").write_text(text)
        return text

    def _cell(self, trace: str, load: float, router: Router, machines: Machines, tasks: list[Task]) -> Cell:
        self._number += 1
        folder = self.folder / str(self._number)
        folder.mkdir()
        fleet = FleetProcess(machines, self.options.fast, folder)
        contestant = None
        try:
            contestant = start(router, fleet.ports, processes=self.processes, folder=folder,
                               environments=self.options.environments, core=self.router_core, fast=self.options.fast,
                               slots=slots_in_time(tasks, machines))
            url = f"http://127.0.0.1:{contestant.port}/v1/chat/completions"
            answers, counted, real_s = uvloop.run(self._play(url, fleet, tasks))
        finally:
            if contestant is not None and contestant.process is not None:
                self.processes.stop(contestant.process)
            fleet.close()
        return self._judged(Cell(trace, load, router.name, machines.endpoints, len(tasks)), machines, tasks, answers, counted, real_s)

    async def _play(self, url: str, fleet: FleetProcess, tasks: list[Task]) -> tuple[list[Answer], dict[str, Any], float]:
        clients = Clients(url, fast=self.options.fast, patience_s=self.options.patience)
        await self._warm(clients)
        gc.collect()
        gc.freeze()
        fleet.say("begin")
        began = time.monotonic()
        answers = await clients.play([t.request.body for t in tasks], [t.arrival.at_s for t in tasks])
        real_s = time.monotonic() - began
        fleet.say("end")
        return answers, fleet.hear(), real_s

    async def _warm(self, clients: Clients) -> None:
        """Small requests until every endpoint must have been met: connections are open, and workers are known."""
        for lap in range(20):
            bodies = [json.dumps({"model": MODEL, "messages": [{"role": "user", "content": text_of(f"warm {lap} {i}", 20)}],
                                  "max_tokens": 2, "stream": True, "ignore_eos": True}).encode() for i in range(24)]
            answers = await clients.play(bodies, [0.02 * i for i in range(len(bodies))])
            if lap and not any(answer.error for answer in answers):
                return
            await asyncio.sleep(0.25)
        self.notes.append(f"warm-up never went through: {Counter(answer.error for answer in answers)}")

    def _judged(self, cell: Cell, machines: Machines, tasks: list[Task], answers: list[Answer], counted: dict[str, Any],
                real_s: float) -> Cell:
        ttfts = sorted(self.options.patience if a.error == GAVE_UP and a.ttft_s is None else a.ttft_s
                       for a in answers if a.ttft_s is not None or a.error == GAVE_UP)
        cell.p50, cell.p95, cell.p99 = (quantile(ttfts, share) for share in (0.5, 0.95, 0.99))
        in_time = sum(not a.error and a.ttft_s is not None and a.ttft_s <= sla_s(t.arrival.prompt_tokens)
                      for a, t in zip(answers, tasks, strict=True))
        cell.attained = in_time / len(tasks)
        cell.kinds = dict(Counter(a.error for a in answers if a.error))
        cell.errors = sum(cell.kinds.values())
        engines = counted["engines"]
        queries = sum(e["queries"] for e in engines)
        cell.hit_rate = sum(e["hits"] for e in engines) / queries if queries else 0.0
        cell.preemptions = sum(e["preemptions"] for e in engines)
        cell.busy_usd = sum(e["busy_s"] for e in engines) / 3600 * usd_per_hour()
        cell.usd_per_1k_in_time = machines.gpu_hours * usd_per_hour() / in_time * 1000 if in_time else None
        cell.shares = [e["began"] for e in engines]
        cell.liar = to_the_liar(cell.shares, machines)
        cell.lag_p99_s, cell.lag_max_s = counted["lag"]["p99_s"], counted["lag"]["max_s"]
        cell.late_p99_s = quantile(sorted(a.sent_late_s for a in answers), 0.99)
        cell.events_per_s = sum(e["tokens"] for e in engines) / STREAM_INTERVAL / real_s
        if cell.lag_max_s > MAX_LAG_S:
            cell.void = f"void: the simulators' loop was {cell.lag_max_s * 1000:.0f} ms late"
        elif cell.events_per_s > MOST_EVENTS:
            cell.void = f"void: {cell.events_per_s:.0f} events/s are more than one process can be trusted with"
        return cell


def to_the_liar(shares: list[int], machines: Machines) -> float | None:
    """Times a healthy endpoint's mean that the lying one began; None = nobody lies."""
    troubles = machines.troubles()
    healthy = [share for share, trouble in zip(shares, troubles, strict=True) if trouble == NONE]
    lying = [share for share, trouble in zip(shares, troubles, strict=True) if trouble.lies]
    return lying[0] * len(healthy) / sum(healthy) if lying and sum(healthy) else None


class FleetProcess:
    """`simulators.py`, seen from here."""

    def __init__(self, machines: Machines, fast: float, folder: Path) -> None:
        options = {"machines": asdict(machines), "fast": fast, "stream_interval": STREAM_INTERVAL}
        with (folder / "fleet.log").open("wb") as log:
            self._process = subprocess.Popen([sys.executable, str(HERE / "simulators.py"), json.dumps(options)], text=True,
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.ports: list[int] = self.hear()["ports"]

    def say(self, word: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise DidNotStart("the simulated fleet", "it ended", "")
        return dict(json.loads(line))

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="pointsman-fleet-") as folder:
        bench = Bench(options, Path(folder))
        bench.run()
    print("\n" + bench.write())
    if options.json:
        options.json.write_text(json.dumps([asdict(cell) for cell in bench.cells], indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="folder with the trace files; absent: synthetic ones")
    parser.add_argument("--quick", action="store_true", help="seven routers, three loads, two traces, 24 simulated seconds")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[""], help="routers whose names contain one of these")
    parser.add_argument("--loads", type=lambda text: [float(part) for part in text.split(",")], help="percent of capacity")
    parser.add_argument("--traces", type=lambda text: text.split(","), help="each maybe with endpoints of its own, as in mooncake@16,conv")
    parser.add_argument("--endpoints", type=int, default=8, help="of a trace that says no other number")
    parser.add_argument("--seconds", type=float, help="simulated seconds of arrivals per cell")
    parser.add_argument("--fast", type=float, default=2.0, help="simulated seconds per real one")
    parser.add_argument("--patience", type=float, help="simulated seconds without a first token after which a client leaves")
    parser.add_argument("--healthy", action="store_true", help="nothing is wrong with any endpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=int, default=1, help="how often a void cell is run again")
    parser.add_argument("--minutes", type=float, help="after so long no void cell is run again")
    parser.add_argument("--environments", type=Path, default=DEFAULT_CACHE, help="where the strangers' environments are kept")
    options = parser.parse_args()
    options.loads = options.loads or ([50.0, 100.0, 150.0] if options.quick else [20.0, 60.0, 100.0, 150.0])
    options.traces = [(name, int(number) if number else options.endpoints) for name, _, number in (
        trace.partition("@") for trace in options.traces or (["mooncake", "conv"] if options.quick else NAMES))]
    options.minutes = options.minutes or (11.0 if options.quick else 240.0)
    options.patience = options.patience or (30.0 if options.quick else 60.0)
    options.seconds = options.seconds or (24.0 if options.quick else 60.0)
    return options


if __name__ == "__main__":
    main()
