"""The run itself: what is compiled, who is started, what is measured in which order. Fills a `Results`.

Rounds are the outer loop and contestants the inner one, so that a slow minute of the machine hits everybody alike.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import workload
from contestants import HERE, Contestant, DidNotStart, Fleet, nginx_binary, our_contestants, wait_ready
from figures import Sample, sample_of
from processes import Processes, core_busy_s, cpu_s, free_port, rss_bytes
from rich.progress import Progress
from rivals import rivals

CONCURRENCY = (1, 32, 256)
KINDS = ("plain", "segment", "burst")
WARMUP_S = 0.2
PACED_S, PACED_WARMUP_S = 3.0, 1.0
"""A paced stream lasts 0.66 s at best: in a shorter cell hardly one would both begin and end."""
REST_S, REST_MAX_S = 0.1, 30.0
"""Before each cell a contestant is left alone until it has been idle for so long, at most for the other: a slow one still works on
what the last cell's clients have given up, which is not this cell's business."""
IS_IDLE = 0.2
"""Share of a core below which it counts as idle."""
OPEN_LOOP_RATE = 100
OPEN_LOOP = (("plain", False), ("segment", False), ("plain", True), ("segment", True))
"""(kind, are the cores kept awake). At 100 requests/s a virtual core falls asleep between requests, and waking it up costs
more than some contestants' work: both are shown."""
STREAM_STEPS = (1000, 2000, 4000, 8000)
STARTS = 5
SMOKE_CELLS = (("plain", 32), ("segment", 32))
"""What `--smoke` measures: enough to see that everybody answers both ways."""


NOTHING: dict[str, float | None] = {
    **dict.fromkeys(("requests", "non_2xx", "events", "reads", "requests_per_s", "events_per_s", "all_requests", "all_events"), 0),
    "errors": 1, **dict.fromkeys(("p50_us", "p99_us", "ttft_p50_us", "ttft_p99_us")),
}
"""What the load generator would have written about a contestant that never let it end: one error, no rate, no latency."""

Cell = tuple[str, int]
"""(kind of request, concurrency)"""

CELLS: list[Cell] = [*((kind, c) for kind in KINDS for c in CONCURRENCY), ("paced", 256), ("paced", 512)]
LAYER_CELLS: list[Cell] = [*((kind, 32) for kind in KINDS), ("paced", 256)]
"""Where the layers are measured too; the echo has nothing to be paced by and stays out of the last one."""


@dataclass
class Memory:
    """Open streams of one contestant: (streams asked for, streams open, RSS), and the RSS before the first."""

    before: int | None
    steps: list[tuple[int, int, int | None]] = field(default_factory=list)


@dataclass
class Results:
    """Everything a run found out."""

    matrix: dict[tuple[Cell, str], list[Sample]] = field(default_factory=dict)
    open_loop: dict[tuple[str, bool, str], list[Sample]] = field(default_factory=dict)
    """(kind, contestant) at OPEN_LOOP_RATE requests/s."""
    starts: dict[str, list[float]] = field(default_factory=dict)
    start_rss: dict[str, list[int | None]] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    strangers_s: float = 0.0
    """CPU seconds that processes other than the contestant took of its core while it was measured."""
    measured_s: float = 0.0


class Bench:
    """One run: what is compiled, who is started, in which order they are measured."""

    def __init__(self, options: argparse.Namespace, folder: Path, processes: Processes, progress: Progress) -> None:
        self.options, self.folder, self.processes, self.progress = options, folder, processes, progress
        self.results = Results()
        self.contestant_core, self.load_core = _cores(self.results.notes)
        self.streams = _allowed_streams(self.results.notes)
        self.bodies = workload.write_bodies(folder)
        self.upstream_port = free_port()
        self.fleet = Fleet(processes, folder, self.upstream_port, self.contestant_core, max(self.streams, 512))
        self.contestants = _chosen(options, self.upstream_port, self.results.notes)
        self.task = progress.add_task("starting", total=None)

    def run(self) -> None:
        """Fills `results`."""
        _compile(self.folder)
        log = self.folder / "upstream.log"
        upstream = Contestant("upstream", "direct", port=self.upstream_port)
        upstream.process = self.processes.start(
            [self.folder / "upstream", "--port", str(self.upstream_port), "--events", str(workload.EVENTS)],
            core=self.load_core, log=log)
        wait_ready(upstream, log)
        self._start_all()
        if self.options.smoke:
            return self._run_smoke()
        rounds = self.options.rounds
        cells = self._plan()
        held = [c for c in self.contestants if c.process is not None and c.role != "layer"]
        self.progress.update(self.task, total=rounds * len(cells) + rounds * len(OPEN_LOOP) * len(self._not_layers())
                             + len(held) * len(self._steps()))
        for i in range(rounds):
            for cell, contestant in _rotated(cells, i):
                self._measure(cell, contestant)
            self._measure_open_loop()
        for contestant in held:
            self._measure_memory(contestant)
        return None

    def _run_smoke(self) -> None:
        self.progress.update(self.task, total=len(SMOKE_CELLS) * len(self.contestants))
        for cell in SMOKE_CELLS:
            for contestant in self.contestants:
                self._measure(cell, contestant)

    # -- starting

    def _start_all(self) -> None:
        for contestant in list(self.contestants):
            if contestant.role == "direct" or contestant.port:
                continue
            self.progress.update(self.task, description=f"starting {contestant.name}")
            try:
                self._start(contestant, STARTS if contestant.role != "layer" and not (self.options.quick or self.options.smoke) else 1)
            except DidNotStart as error:
                self.contestants.remove(contestant)
                self._tell(error)

    def _tell(self, error: DidNotStart) -> None:
        self.results.notes.append(f"{error.name} did not start: {error.why}.")
        self.progress.console.print(str(error), style="red", markup=False, highlight=False)

    def _start(self, contestant: Contestant, times: int) -> None:
        if contestant.name == "nginx" and not nginx_binary():
            raise DidNotStart("nginx", "not installed (apt-get install nginx)", "")
        for i in range(times):
            if i:
                self.fleet.stop(contestant)
            took_s = self.fleet.start(contestant)
            self.results.starts.setdefault(contestant.name, []).append(took_s)
            self.results.start_rss.setdefault(contestant.name, []).append(rss_bytes(contestant.pid))

    def _not_layers(self) -> list[Contestant]:
        return [c for c in self.contestants if c.role != "layer"]

    def _plan(self) -> list[tuple[Cell, Contestant]]:
        """One round: cell by cell, the contestants of a cell one after another."""
        return [(cell, contestant) for cell in CELLS for contestant in self.contestants
                if contestant.role != "layer" or (cell in LAYER_CELLS and (cell[0] != "paced" or "echo" not in contestant.name))]

    # -- measuring

    def _load(self, contestant: Contestant, kind: str, *more: str) -> dict[str, float | None]:
        argv = [str(self.folder / "load"), "--port", str(contestant.port), "--path", contestant.path,
                "--bodies", str(self.bodies[kind]), *more]
        if kind != "plain":
            argv.append("--stream")
        if contestant.header:
            argv += ["--header", contestant.header]
        try:
            done = subprocess.run(_pinned(argv, self.load_core), capture_output=True, text=True, check=True,
                                  timeout=self.options.seconds + 30)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            # One contestant that hangs must not cost the others their rows.
            self.results.notes.append(f"{contestant.name}: {kind} {' '.join(more)}: nothing measured, {type(error).__name__}.")
            return dict(NOTHING)
        report: dict[str, float | None] = json.loads(done.stdout)
        return report

    def _sample(self, contestant: Contestant, kind: str, *more: str, are_strangers_counted: bool = True) -> Sample:
        began, before, busy_before = time.monotonic(), cpu_s(contestant.pid), core_busy_s(self.contestant_core)
        report = self._load(contestant, kind, *more)
        after, busy_after = cpu_s(contestant.pid), core_busy_s(self.contestant_core)
        used = after - before if before is not None and after is not None else None
        if are_strangers_counted and busy_before is not None and busy_after is not None and (used is not None or contestant.role == "direct"):
            self.results.strangers_s += max(0.0, busy_after - busy_before - (used or 0.0))
            self.results.measured_s += time.monotonic() - began
        return sample_of(report, cpu_s=used, rss_bytes=rss_bytes(contestant.pid), events_per_stream=workload.EVENTS)

    def _rested(self, contestant: Contestant) -> None:
        """Returns when it has nothing left to do. One that has ended by itself is started again, and a note says so."""
        process = contestant.process
        if process is not None and process.poll() is not None:
            self.results.notes.append(f"{contestant.name} ended by itself (exit code {process.returncode}) and was started again.")
            try:
                self.fleet.start(contestant)
            except DidNotStart as error:
                return self._tell(error)
        until = time.monotonic() + REST_MAX_S
        while (before := cpu_s(contestant.pid)) is not None and time.monotonic() < until:
            time.sleep(REST_S)
            if (cpu_s(contestant.pid) or 0.0) - before < IS_IDLE * REST_S:
                return None
        return None

    def _measure(self, cell: Cell, contestant: Contestant) -> None:
        self._rested(contestant)
        kind, connections = cell
        self.progress.update(self.task, description=f"{contestant.name}: {kind}, {connections} at once")
        sample = self._sample(contestant, kind, "--connections", str(connections),
                              "--seconds", str(max(self.options.seconds, PACED_S) if kind == "paced" else self.options.seconds),
                              "--warmup", str(PACED_WARMUP_S if kind == "paced" else WARMUP_S))
        self.results.matrix.setdefault((cell, contestant.name), []).append(sample)
        self.progress.advance(self.task)

    def _measure_open_loop(self) -> None:
        for kind, is_awake in OPEN_LOOP:
            awake = [_spinner(core) for core in (self.contestant_core, self.load_core)] if is_awake else []
            try:
                for contestant in self._not_layers():
                    self.progress.update(self.task, description=f"{contestant.name}: {kind}, {OPEN_LOOP_RATE} requests/s")
                    self._rested(contestant)
                    sample = self._sample(contestant, kind, "--connections", "32", "--rate", str(OPEN_LOOP_RATE),
                                          "--seconds", str(max(self.options.seconds, 2.0)), "--warmup", str(WARMUP_S),
                                          are_strangers_counted=not is_awake)
                    self.results.open_loop.setdefault((kind, is_awake, contestant.name), []).append(sample)
                    self.progress.advance(self.task)
            finally:
                for spinner in awake:
                    spinner.kill()
                    spinner.wait()

    def _steps(self) -> list[int]:
        return [step for step in STREAM_STEPS if step <= self.streams] or [self.streams]

    def _measure_memory(self, contestant: Contestant) -> None:
        """Idle streams on a fresh instance: what earlier load left in its allocator must not hide their cost."""
        self.fleet.stop(contestant)
        try:
            self.fleet.start(contestant)
        except DidNotStart as error:
            return self._tell(error)
        for kind in ("plain", "segment"):
            self._load(contestant, kind, "--connections", "32", "--seconds", "0.5")
        memory = self.results.memory[contestant.name] = Memory(rss_bytes(contestant.pid))
        holders: list[subprocess.Popen[str]] = []
        try:
            is_open = 0
            for step, before in zip(self._steps(), [0, *self._steps()], strict=False):
                self.progress.update(self.task, description=f"{contestant.name}: {step:,} open streams")
                is_open += self._hold(holders, contestant, step - before)
                time.sleep(0.5)
                memory.steps.append((step, is_open, rss_bytes(contestant.pid)))
                self.progress.advance(self.task)
        finally:
            for holder in holders:
                holder.kill()
                holder.wait()
                if holder.stdout:
                    holder.stdout.close()
                if holder.stdin:
                    holder.stdin.close()
        return None

    def _hold(self, holders: list[subprocess.Popen[str]], contestant: Contestant, streams: int) -> int:
        """Opens that many more streams that stay open; returns how many brought content within 10 s."""
        argv = [str(self.folder / "load"), "--port", str(contestant.port), "--path", contestant.path, "--hold",
                "--bodies", str(self.bodies["idle"]), "--connections", str(streams), "--seconds", "10"]
        holder = subprocess.Popen(_pinned(argv, self.load_core), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holders.append(holder)
        line = holder.stdout.readline() if holder.stdout else ""
        return int(json.loads(line)["open"]) if line else 0


def _rotated(cells: list[tuple[Cell, Contestant]], by: int) -> list[tuple[Cell, Contestant]]:
    """Another contestant goes first in each round, so that none always follows the same neighbour."""
    groups: dict[Cell, list[Contestant]] = {}
    for cell, contestant in cells:
        groups.setdefault(cell, []).append(contestant)
    return [(cell, group[(i + by) % len(group)]) for cell, group in groups.items() for i in range(len(group))]


def _pinned(argv: list[str], core: int | None) -> list[str]:
    return argv if core is None else ["taskset", "-c", str(core), *argv]


def _cores(notes: list[str]) -> tuple[int | None, int | None]:
    """The contestant's core and the load's. Pins this process to the load's."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or not shutil.which("taskset"):
        notes.append("Fewer than two cores or no taskset: nothing is pinned, numbers are not comparable.")
        return None, None
    os.sched_setaffinity(0, {cores[1]})
    return cores[0], cores[1]


def _allowed_streams(notes: list[str]) -> int:
    """Raises RLIMIT_NOFILE as far as allowed; a router needs two files per open stream."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed = STREAM_STEPS[-1] if hard == resource.RLIM_INFINITY else min(STREAM_STEPS[-1], (hard - 500) // 2)
    if allowed < STREAM_STEPS[-1]:
        notes.append(f"RLIMIT_NOFILE is {hard:,}: at most {allowed:,} open streams were tried, not {STREAM_STEPS[-1]:,}.")
    return allowed


def _compile(folder: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise SystemExit("the throughput bench compiles its load generator: install gcc")
    for name in ("upstream", "load"):
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", str(folder / name), str(HERE / f"{name}.c")], check=True)


def _chosen(options: argparse.Namespace, upstream_port: int, notes: list[str]) -> list[Contestant]:
    """In the order of the tables: layers last. Notes which rivals could not be set up."""
    ours = [c for c in our_contestants(upstream_port) if not options.only or c.name in options.only or c.role == "direct"]
    theirs, missing = rivals(options.only, options.rivals_dir, upstream_port) if options.rivals else ([], [])
    notes += missing
    also = [_also(text, options.also_key) for text in options.also]
    return sorted([*ours, *theirs, *also], key=lambda c: c.role == "layer")


def _also(text: str, key: str | None) -> Contestant:
    """`NAME=http://127.0.0.1:PORT[/prefix][#PID]`; loopback only, so that the bench never leaves the machine."""
    name, _, url = text.partition("=")
    parts = urlsplit(url)
    if not name or parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost") or not parts.port:
        raise SystemExit(f"--also {text!r}: write NAME=http://127.0.0.1:PORT[/prefix][#PID]")
    path = (parts.path.rstrip("/") or "/v1") + "/chat/completions"
    return Contestant(name, "router", port=parts.port, path=path, pid=int(parts.fragment) if parts.fragment else None,
                      header=f"Authorization: Bearer {key}" if key else None)


def _spinner(core: int) -> subprocess.Popen[bytes]:
    """A process that keeps a core from sleeping and gives it up to anybody who wants it (SCHED_IDLE)."""
    code = "import os\nos.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    return subprocess.Popen(_pinned([sys.executable, "-c", code], core))
