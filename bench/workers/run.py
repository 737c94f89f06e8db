"""One worker against two: what a second process adds on this machine, and what it costs.

    make bench-workers                     five interleaved rounds, about two minutes
    make bench-workers ARGS="--write"      and writes RESULTS.md beside this file
    make bench-workers ARGS="--quick"      one round

Router, C upstream and C load generator (of `bench/throughput`) share the cores. On a machine of two, two workers cannot have a
core each, while one worker has one and more: load, upstream, and its own threads run on the other. So one worker is measured twice.
With the whole machine, which is what somebody sees who sets `workers: 2` here. And with everything on one core, where load and
upstream are as much in its way as they are in the way of two workers on two: that is the same per core, twice. Load and upstream run
as `SCHED_BATCH` in every row: woken by each answer they would interrupt a worker in the middle of a request, which nobody's clients on
another machine do, and pay a switch of processes for each event that they handle. Beside them stand
CPU seconds of every process per request, what follows from those for a machine that has a core for each worker, and the most that
two cores could do. `strangers` is what other programs took meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
THROUGHPUT = HERE.parent / "throughput"
sys.path.insert(0, str(THROUGHPUT))

import workload  # noqa: E402  the neighbour's workload, load generator and upstream
from contestants import BIN, Contestant, pointsman_config, wait_ready  # noqa: E402
from processes import Processes, free_port, tree  # noqa: E402

ROUNDS, SECONDS, WARMUP_S = 5, 3.0, 0.5
CONNECTIONS = 64
SETUPS = ((1, 1), (1, 2), (2, 2))
"""(workers, cores)."""
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Sample:
    """One configuration, one round."""

    requests_per_s: float
    p50_us: float
    p99_us: float
    errors: int
    done: float
    """Requests answered from the first to the last tick of the CPU clocks, warm-up included."""
    wall_s: float
    serving_s: float
    """CPU seconds of the processes that answer clients (with one worker: of the router)."""
    house_s: float
    """CPU seconds of the supervisor and the process that workers are forked from."""
    around_s: float
    """CPU seconds of the load generator and the upstream."""
    busy_s: float
    """CPU seconds of everything on the machine."""
    balance: float
    """Share of the busiest worker in the workers' CPU time."""

    @property
    def strangers(self) -> float:
        """Share of the machine that other programs took."""
        ours = self.serving_s + self.house_s + self.around_s
        return max(0.0, self.busy_s - ours) / (self.wall_s * (os.cpu_count() or 1))


def cpu_of(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    return 0.0


def busy_s() -> float:
    """CPU seconds of the whole machine: user, nice, system, interrupts."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(map(int, (*fields[:3], *fields[5:7]))) / TICK


Setup = tuple[int, int]


class Bench:
    def __init__(self, folder: Path, processes: Processes, options: argparse.Namespace) -> None:
        self.folder, self.processes, self.options = folder, processes, options
        self.core = min(os.sched_getaffinity(0))
        """Of the rounds that have one only."""
        self.samples: dict[Setup, list[Sample]] = {setup: [] for setup in SETUPS}
        self.starts: dict[Setup, list[float]] = {setup: [] for setup in SETUPS}
        self.memory: dict[Setup, list[float]] = {setup: [] for setup in SETUPS}
        self.bodies = workload.write_bodies(folder)["plain"]
        for name in ("load", "upstream"):
            subprocess.run(["gcc", "-O2", "-o", folder / name, THROUGHPUT / f"{name}.c"], check=True)
        self.upstreams = {cores: self._upstream(f"upstream-{cores}", cores) for cores in (1, 2)}

    def _upstream(self, name: str, cores: int) -> Contestant:
        upstream = Contestant(name, "direct", port=free_port())
        upstream.process = self.processes.start(
            [self.folder / "upstream", "--port", str(upstream.port), "--events", str(workload.EVENTS), "--batch", "1"],
            core=self._pinned(cores), log=self.folder / f"{name}.log")
        wait_ready(upstream, self.folder / f"{name}.log")
        return upstream

    def _pinned(self, cores: int) -> int | None:
        return self.core if cores == 1 else None

    def run(self) -> None:
        for number in range(self.options.rounds):
            for setup in SETUPS if number % 2 == 0 else SETUPS[::-1]:
                self._round(number, setup)

    def _round(self, number: int, setup: Setup) -> None:
        workers, cores = setup
        folder = self.folder / f"{workers}-{cores}-{number}"
        folder.mkdir()
        port = free_port()
        text = pointsman_config(folder, port, free_port(), self.upstreams[cores].port, CONNECTIONS * 2)
        (folder / "pointsman.yaml").write_text(text.replace("workers: 1", f"workers: {workers}"))
        router = Contestant("pointsman", "router", port=port, ready_path="/health/readiness")
        began, log = time.monotonic(), folder / "output.log"
        router.process = self.processes.start(
            [BIN / "pointsman", "serve", "--config", folder / "pointsman.yaml", "--no-log-requests"], core=self._pinned(cores), log=log, cwd=folder,
            env=os.environ | {"POINTSMAN_ADMIN_TOKEN": "bench-" + os.urandom(12).hex()})
        try:
            wait_ready(router, log)
            self.starts[setup].append(time.monotonic() - began)
            time.sleep(0.5)  # what a start leaves to do is done
            self.samples[setup].append(self._measure(router, setup))
            self.memory[setup].append(sum(map(pss_bytes, tree(router.process.pid))) / 1e6)
        finally:
            self.processes.stop(router.process)

    def _measure(self, router: Contestant, setup: Setup) -> Sample:
        workers, cores = setup
        process = self.upstreams[cores].process
        assert router.process is not None
        assert process is not None
        pinned = ["taskset", "-c", str(self.core)] if cores == 1 else []
        family = tree(router.process.pid)
        serving = family if workers == 1 else family[2:]  # the supervisor, the nursery, then its workers
        before, upstream, busy, began = {pid: cpu_of(pid) for pid in family}, cpu_of(process.pid), busy_s(), time.monotonic()
        children = os.times().children_user + os.times().children_system
        done = subprocess.run(
            [*pinned, self.folder / "load", "--port", str(router.port), "--path", router.path, "--bodies", self.bodies,
             "--connections", str(CONNECTIONS), "--seconds", str(self.options.seconds), "--warmup", str(WARMUP_S), "--batch"],
            capture_output=True, text=True, check=True, timeout=60)
        wall_s = time.monotonic() - began
        used = {pid: cpu_of(pid) - before[pid] for pid in family}
        around = os.times().children_user + os.times().children_system - children + cpu_of(process.pid) - upstream
        said = json.loads(done.stdout)
        return Sample(
            said["requests_per_s"], said["p50_us"], said["p99_us"], said["errors"] + said["non_2xx"], said["all_requests"], wall_s,
            sum(used[pid] for pid in serving), sum(used[pid] for pid in family if pid not in serving), around, busy_s() - busy,
            max(used[pid] for pid in serving) / max(sum(used[pid] for pid in serving), 1e-9))


def pss_bytes(pid: int) -> int:
    """What a process would free: shared pages count by their share."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def median(samples: list[Sample], name: str) -> float:
    return statistics.median(getattr(sample, name) for sample in samples)


def report(bench: Bench) -> str:
    alone, one, two = (bench.samples[setup] for setup in SETUPS)
    cost = {setup: statistics.median(s.serving_s / s.done * 1e6 for s in samples) for setup, samples in bench.samples.items()}
    around = {setup: statistics.median(s.around_s / s.done * 1e6 for s in samples) for setup, samples in bench.samples.items()}
    house = statistics.median(s.house_s / s.done * 1e6 for s in two)
    rows = [f"| {setup[0]} | {setup[1]} | {median(s, 'requests_per_s'):,.0f} | {cost[setup]:.0f} | {house if setup[0] > 1 else 0:.0f} "
            f"| {around[setup]:.0f} "
            f"| {statistics.median((x.serving_s + x.house_s) / x.wall_s for x in s):.2f} | {median(s, 'p50_us') / 1000:.1f} "
            f"| {median(s, 'p99_us') / 1000:.1f} | {median(s, 'balance'):.0%} | {sum(x.errors for x in s)} "
            f"| {median(s, 'strangers'):.0%} | {statistics.median(bench.starts[setup]):.2f} | {statistics.median(bench.memory[setup]):.0f} |"
            for setup, s in bench.samples.items()]
    measured = median(two, "requests_per_s") / median(one, "requests_per_s")
    per_core = median(two, "requests_per_s") / median(alone, "requests_per_s")
    shared = statistics.median((s.serving_s + s.house_s) / s.wall_s for s in two) / statistics.median(s.serving_s / s.wall_s for s in one)
    cores = os.cpu_count() or 1
    most = cores * 1e6 / (cost[2, 2] + house + around[2, 2])
    return f"""# One worker and two

`make bench-workers ARGS=--write`, {time.strftime('%-d %B %Y')}, {cores} cores, {len(one)} interleaved rounds of {bench.options.seconds:g} s,
{CONNECTIONS} connections, plain requests of 60 words, rules and heuristic, records and metrics on. Medians. Router, load generator and
upstream share the cores of their row: one that all are pinned to, or both, unpinned. They run as `SCHED_BATCH`: they take their turn
of a core and do not interrupt a worker in the middle of a request, as clients and engines on machines of their own would not.

| workers | cores | requests/s | CPU µs a request: workers | supervisor | load + upstream | cores the router got | p50 ms | p99 ms | busiest worker | errors | strangers | start to ready s | memory MB (PSS, all) |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
{chr(10).join(rows)}

- **The same per core, twice**: 2 workers on 2 cores serve **{per_core:.2f} x** what 1 worker serves on 1, load and upstream on those cores in
  both.
- **On this machine**: 2 workers give **{measured:.2f} x** the requests/s of 1 that has the other core for its load, its upstream and its own
  threads, with {shared:.2f} x its cores (all processes of the router). {cores} cores could do {most:,.0f} requests/s of two workers at what each request
  costs all of them together: {most / median(one, 'requests_per_s'):.2f} x is the bound here.
- **By CPU**: a request costs a worker {cost[2, 2]:.0f} µs where it costs a lone process {cost[1, 2]:.0f} µs, and {house:.0f} µs beside it in the supervisor. Where
  each worker has a core of its own and the supervisor a little of another, two serve 2 x {cost[1, 2]:.0f} / {cost[2, 2]:.0f} = **{2 * cost[1, 2] / cost[2, 2]:.2f} x**
  what one serves.
- The records' importer runs inside the one process, and in the supervisor where there are several: part of what a lone process pays
  stands in the other column. Five sixths of the supervisor's time are the
  importer's, by its thread's own clock.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds ({ROUNDS})")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--write", action="store_true", help="write RESULTS.md beside this file")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else ROUNDS)
    processes = Processes()
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as folder:
        try:
            bench = Bench(Path(folder), processes, options)
            bench.run()
        finally:
            processes.stop_all()
    text = report(bench)
    print(text)
    if options.write:
        (HERE / "RESULTS.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
