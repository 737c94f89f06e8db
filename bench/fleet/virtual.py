"""A fleet in virtual time: the simulator's engine and the router's pools and balancers, without sockets or a clock.

`python bench/fleet/virtual.py [DATA] [--seeds 5] [--loads 20,60,100,150] [--balancers power_of_two,round_robin]
[--first-seed 3] [--processes 4] [--promise no,sla,slots] [--patience 30]`

A heap of moments instead of an event loop: hundreds of simulated seconds pass in one, and the same seed gives the same
figures. What is real: `pools.pool.Pool` with its balancers, anteroom, health and leases; `testing.engine`; polls every 2 s. What is
left out: the router's own time, HTTP and hedges (`run.py` has them); `whole.py` has the whole gateway. `cache_aware` is a model of sglang-router's policy
(`candidates.CacheAware`), not the program.

`--promise`: what the tier is told. `no`: nothing. `sla`: a p95 of 2 s to the first token, so that it turns away whom it cannot
serve in time (`line.py` stands for `gateway.admission`). `slots`: that, and how many requests each endpoint runs.
"""

from __future__ import annotations

import argparse
import heapq
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from candidates import Anyone, CacheAware, Hashed, LeastRequests, Processes
from line import Line
from machines import GPU, MODEL, Machines, sla_s, usd_per_hour
from traffic import NAMES, Arrival, at_rate, read

from pointsman.core.fleet import EndpointSpec, LoadReport
from pointsman.core.protocols import Balancer
from pointsman.core.request import ChatRequest, Kind
from pointsman.core.settings import PoolSettings, QueueSettings, Settings, SlaSettings, TierSettings
from pointsman.errors import ConnectFailed, ConnectionLost, NoEndpoint, UpstreamError
from pointsman.pools.balancers.choice import BALANCERS
from pointsman.pools.fleet import Fleet
from pointsman.pools.guest import Guest
from pointsman.pools.pool import Lease
from pointsman.server.body import parse
from pointsman.testing import gpu_models
from pointsman.testing.engine import Engine, Sequence, Step
from pointsman.testing.engine_blocks import prefix_of
from pointsman.testing.engine_trouble import Trouble

POLL_S = 2.0
MOST_ATTEMPTS = 3
CAPACITY_SAMPLE = 150
SIZED_FOR = 0.8
LOOK_EVERY_S = 0.25
"""As `gateway.turns`."""
PATIENCE_S = 60.0
"""A client that has heard nothing for so long leaves."""


BALANCERS_HERE: dict[str, Callable[[], Balancer]] = {**BALANCERS, "least_requests": LeastRequests, "random": Anyone, "hashed": Hashed,
                                                "cache_aware": CacheAware, "cache_aware_tuned": lambda: CacheAware(8, 1.2)}


@dataclass(frozen=True)
class Promise:
    """What the tier is told, in the rows where it is told anything: see `routers.PROMISED_S`."""

    ttft_p95_s: float = 2.0
    max_wait_s: float = 0.4
    slots: int | None = None
    """Of each endpoint; None = not declared."""


@dataclass(slots=True, eq=False)
class Task:
    """A request on its way."""

    arrival: Arrival
    request: ChatRequest
    prefix: tuple[int, ...]
    at: float = 0.0
    ttft_s: float | None = None
    error: str = ""
    tried: list[str] = field(default_factory=list)
    lease: Lease | None = None
    sequence: Sequence | None = None
    guest: Guest | None = None


class Machine:
    """One endpoint: an engine and the step it is in."""

    def __init__(self, engine: Engine, trouble: Trouble, front_s: float) -> None:
        self.engine, self.trouble, self.front_s = engine, trouble, front_s
        self.step: Step | None = None
        self.tasks: dict[Sequence, Task] = {}
        self.is_dead = False


@dataclass
class Outcome:
    """What one run showed."""

    tasks: list[Task]
    hit_rate: float
    preemptions: int
    busy_s: float
    ended_at: float
    shares: list[int]
    """Requests that each endpoint began."""
    patience_s: float = PATIENCE_S

    def ttfts(self) -> list[float]:
        """Who left without one counts with the time that it had."""
        return sorted(self.patience_s if t.ttft_s is None else t.ttft_s
                      for t in self.tasks if t.ttft_s is not None or t.error == "gave up")

    @property
    def errors(self) -> int:
        return sum(bool(t.error) for t in self.tasks)

    @property
    def attained(self) -> float:
        """Share of all requests that were in time and whole."""
        met = sum(t.ttft_s is not None and not t.error and t.ttft_s <= sla_s(t.arrival.prompt_tokens) for t in self.tasks)
        return met / len(self.tasks)


class VirtualFleet:
    """Plays arrivals over simulated engines behind a real pool."""

    def __init__(self, machines: Machines, balancer: Balancer, *, promise: Promise | None = None, seed: int = 0,
                 patience_s: float = PATIENCE_S) -> None:
        gpu, model = gpu_models.gpu_named(GPU), gpu_models.model_named(MODEL)
        timing = gpu_models.timing(gpu, model)
        specs = tuple(EndpointSpec(f"fleet/{i}", "fleet", f"http://10.0.0.{i}:8000/v1", MODEL, engine="vllm",
                                   slots=gpu.slots if promise is None else promise.slots) for i in range(machines.endpoints))
        sla = SlaSettings() if promise is None else SlaSettings(ttft_p95_max_s=promise.ttft_p95_s)
        queue = QueueSettings() if promise is None else QueueSettings(max_wait_s=promise.max_wait_s)
        tier = TierSettings("fleet", ("fleet",), sla, queue=queue)
        self.fleet = Fleet(Settings({"fleet": tier}, {"fleet": PoolSettings("fleet", MODEL, specs)}, {}), lambda: balancer)
        self.pool = self.fleet.pools["fleet"]
        self.line = None if promise is None else Line(self.fleet, queue)
        self.limit_s = math.inf if promise is None else promise.ttft_p95_s
        self.machines = {
            spec.id: Machine(Engine(timing.slowed(trouble.slow), slots=gpu.slots, kv_tokens=gpu_models.kv_tokens(gpu, model)),
                             trouble, timing.front_s)
            for spec, trouble in zip(specs, machines.troubles(), strict=True)}
        self.rng, self.patience_s = Random(seed), patience_s
        self.began = dict.fromkeys(self.machines, 0)
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._open = 0
        self._now = 0.0

    def play(self, tasks: list[Task]) -> Outcome:
        """Runs until every request has ended."""
        self._open = len(tasks)
        for task in tasks:
            task.at = task.arrival.at_s
            self._at(task.at, self._send, task)
            self._at(task.at + self.patience_s, self._leave, task)
        for name, machine in self.machines.items():
            if (end := machine.trouble.ends_at) is not None:
                self._at(end, self._die, name)
        self._at(0.0, self._poll)
        self._at(0.0, self._look_in)
        now = 0.0
        while self._open and self._heap:
            now, _, act, arguments = heapq.heappop(self._heap)
            self._now = now
            act(now, *arguments)
        engines = [machine.engine for machine in self.machines.values()]
        queries = sum(e.prefix_queries for e in engines)
        return Outcome(tasks, sum(e.prefix_hits for e in engines) / queries if queries else 0.0,
                       sum(e.preemptions for e in engines), sum(e.busy_s for e in engines), now, list(self.began.values()),
                       self.patience_s)

    def _at(self, when: float, act: Callable[..., None], *arguments: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, act, arguments))

    # -- what happens to a request

    def _send(self, now: float, task: Task) -> None:
        if task.error:
            return
        if self.line is not None and not task.tried:
            self._enter(now, task, self.line)
        elif not task.tried:
            self._begin(now, task)
        else:
            self._lease(now, task)

    def _begin(self, now: float, task: Task) -> None:
        """Its first attempt, as soon as some endpoint has not enough to read."""
        room = self.pool.anteroom
        if room is None or not room.must_wait(now):
            self._lease(now, task)
        else:
            task.guest = room.enter(task.request, now, lambda: self._at(self._now, self._go, task), limit_s=self.limit_s - (now - task.at))

    def _go(self, now: float, task: Task) -> None:
        if (guest := task.guest) is None or task.error:
            return
        if guest.endpoint is None:
            self._end(task, "shed")
        else:
            self._lease(now, task, guest.endpoint)
        guest.leave(now)

    def _look_in(self, now: float) -> None:
        if self.pool.anteroom is not None:
            self.pool.anteroom.look(now)
        if self._open:
            self._at(now + LOOK_EVERY_S, self._look_in)

    def _enter(self, now: float, task: Task, line: Line) -> None:
        """Its first attempt: at once, after a wait in line, or never."""
        if not line.must_wait(now, self.rng):
            self._begin(now, task)
        elif (until := line.join(task, now)) is None:
            self._end(task, "shed")
        else:
            self._at(until, self._look)

    def _look(self, now: float) -> None:
        """Whoever stands in line goes on, stands on, or has stood long enough."""
        if self.line is not None:
            while (task := self.line.next(now)) is not None:
                self._begin(now, task)
            for task in self.line.late(now):
                self._end(task, "shed")

    def _lease(self, now: float, task: Task, at: str = "") -> None:
        try:
            task.lease = (self.pool.offer_at(at, task.request, now, self.rng) if at else None) or self.pool.lease(task.request, task.tried, now, self.rng, desperate=True)
        except NoEndpoint:
            self._end(task, "no endpoint")
            return
        name = task.lease.endpoint.id
        task.tried.append(name)
        machine = self.machines[name]
        if machine.is_dead:
            self._failed(now, task, ConnectFailed("refused"))
            return
        self.began[name] += 1
        self._at(now + machine.front_s, self._submit, task, name)

    def _submit(self, now: float, task: Task, name: str) -> None:
        machine = self.machines[name]
        if task.error or task.lease is None or task.lease.is_closed:
            return
        if machine.is_dead:
            self._failed(now, task, ConnectionLost("reset"))
            return
        task.sequence = Sequence(task.arrival.prompt_tokens, task.arrival.output_tokens, task.prefix)
        machine.tasks[task.sequence] = task
        machine.engine.submit([task.sequence], now)
        if machine.step is None:
            self._turn(now, name)

    def _failed(self, now: float, task: Task, error: UpstreamError) -> None:
        if task.lease is not None:
            task.lease.close("failed", now, error)
        if task.ttft_s is not None or len(task.tried) >= MOST_ATTEMPTS:
            self._end(task, type(error).__name__)
        else:
            self._lease(now, task)

    def _leave(self, now: float, task: Task) -> None:
        if task.ttft_s is not None or task.error:
            return
        if task.guest is not None:
            task.guest.leave(now)
        if task.lease is not None:
            if task.sequence is not None:
                machine = self.machines[task.lease.endpoint.id]
                machine.tasks.pop(task.sequence, None)
                machine.engine.abort(task.sequence)
            task.lease.close("cancelled", now)
        self._end(task, "gave up")

    def _end(self, task: Task, error: str = "") -> None:
        task.error = error
        self._open -= 1
        if self.line is not None and self._open:
            self._at(self._now, self._look)

    # -- what happens to a machine

    def _turn(self, now: float, name: str) -> None:
        machine = self.machines[name]
        if machine.is_dead:
            return
        if (step := machine.step) is not None:
            for sequence in step.tokens:
                if sequence.generated == 1 and (task := machine.tasks.get(sequence)) is not None and task.lease is not None:
                    task.ttft_s = now - task.at
                    task.lease.began(now, task.ttft_s)
            for sequence in step.finished:
                if (task := machine.tasks.pop(sequence, None)) is not None and task.lease is not None:
                    task.lease.close("answered", now, output_tokens=sequence.generated)
                    self._end(task)
        machine.step = machine.engine.step(now)
        if machine.step is not None:
            self._at(machine.step.ends_at, self._turn, name)

    def _die(self, now: float, name: str) -> None:
        machine = self.machines[name]
        machine.is_dead, machine.step = True, None
        tasks, machine.tasks = list(machine.tasks.values()), {}
        for task in tasks:
            self._failed(now, task, ConnectionLost("reset"))

    def _poll(self, now: float) -> None:
        for name, machine in self.machines.items():
            if machine.is_dead:
                self.pool.observe(name, None)
                continue
            engine = machine.engine
            waiting, running, kv = (0, 0, 0.0) if machine.trouble.lies else (len(engine.waiting), len(engine.running), engine.kv_usage)
            self.pool.observe(name, LoadReport(waiting, running, kv, now))
        self._look(now)
        if self._open:
            self._at(now + POLL_S, self._poll)


def tasks_of(arrivals: list[Arrival]) -> list[Task]:
    """Parsed and hashed once; `fresh` makes them usable again."""
    return [Task(a, parse(a.body(MODEL), Kind.CHAT), prefix_of("\n".join(text for _, text in a.messages).encode()))
            for a in arrivals]


def fresh(tasks: list[Task], arrivals: list[Arrival]) -> list[Task]:
    """The same requests at other times."""
    return [Task(arrival, task.request, task.prefix) for task, arrival in zip(tasks, arrivals, strict=True)]


def capacity_per_s(tasks: list[Task], machines: Machines) -> float:
    """Requests/s that the fleet could do at best.

    One healthy engine works through requests that all wait at its door, prefix cache on; its rate, times the healthy
    endpoints that the fleet amounts to.
    """
    gpu, model = gpu_models.gpu_named(GPU), gpu_models.model_named(MODEL)
    timing = gpu_models.timing(gpu, model)
    engine = Engine(timing, slots=gpu.slots, kv_tokens=gpu_models.kv_tokens(gpu, model))
    engine.submit([Sequence(t.arrival.prompt_tokens, t.arrival.output_tokens, t.prefix) for t in tasks], 0.0)
    now = 0.0
    while (step := engine.step(now)) is not None:
        now = step.ends_at
    return len(tasks) / now * machines.effective


def slots_in_time(tasks: list[Task], machines: Machines) -> int:
    """How many of these requests one healthy engine has in hand at 80 % of its capacity: what an operator would declare.

    Little's law: their rate times how long each stays, which is its prompt and a step per token of its answer. A step takes
    `a` over the share of the time that is not spent on prompts and sequences.
    """
    timing = gpu_models.timing(gpu_models.gpu_named(GPU), gpu_models.model_named(MODEL))
    rate = SIZED_FOR * capacity_per_s(tasks[:CAPACITY_SAMPLE], machines) / machines.effective
    step_s = timing.a / (1 - SIZED_FOR)
    stay_s = statistics.fmean(t.arrival.prompt_tokens * timing.b + t.arrival.output_tokens * step_s for t in tasks)
    return max(1, math.ceil(rate * stay_s))


def quantile(values: list[float], share: float) -> float:
    """Of sorted values; nan when there are none."""
    return values[min(int(share * len(values)), len(values) - 1)] if values else float("nan")


def main() -> None:
    options = _options()
    print(f"{'trace':9} {'load':>5} {'promise':7} {'balancer':17} {'p50':>6} {'p95':>6} {'p99':>6} {'SLA':>6} {'hits':>6} {'shed':>6} {'errors':>7} "
          f"{'preempt':>7} {'busy $':>7} {'real s':>6}   (means over {options.seeds} seeds; {options.seconds:g} s of arrivals)")
    for name in options.traces:
        for load in options.loads:
            rows: dict[tuple[str, str], list[tuple[float, ...]]] = {}
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                machines = Machines(options.endpoints, options.seconds, is_healthy=options.healthy)
                tasks, arrivals = workload(name, options.data, machines, load, seed)
                for promise in options.promise:
                    told = promised(promise, tasks, machines)
                    for balancer in options.balancers:
                        row = _row(machines, balancer, options, told, fresh(tasks, arrivals), seed)
                        rows.setdefault((promise, balancer), []).append(row)
            for (promise, balancer), found in rows.items():
                p50, p95, p99, sla, hits, shed, errors, preempted, usd, real = (statistics.fmean(column) for column in zip(*found, strict=True))
                print(f"{name:9} {load:4.0f}% {promise:7} {balancer:17} {p50:6.2f} {p95:6.2f} {p99:6.2f} {sla:6.1%} {hits:6.1%} {shed:6.1%} {errors:7.1f} "
                      f"{preempted:7.1f} {usd:7.4f} {real:6.2f}")


def workload(name: str, data: Path | None, machines: Machines, load: float, seed: int = 0) -> tuple[list[Task], list[Arrival]]:
    """Requests for `machines.seconds` at `load` percent of its capacity, and their arrivals at that rate."""
    sample = tasks_of(read(name, data, count=CAPACITY_SAMPLE, skip=seed * 1500, seed=seed))
    per_s = capacity_per_s(sample, machines) * load / 100
    count = max(int(per_s * machines.seconds), 2)
    arrivals = at_rate(read(name, data, count=count, skip=seed * 1500, seed=seed), per_s)
    return tasks_of(arrivals), arrivals


PROMISES = ("no", "sla", "slots")


def promised(kind: str, tasks: list[Task], machines: Machines) -> Promise | None:
    """What the tier is told."""
    match kind:
        case "sla":
            return Promise()
        case "slots":
            return Promise(slots=slots_in_time(tasks, machines))
    return None


def _row(machines: Machines, name: str, options: argparse.Namespace, promise: Promise | None, tasks: list[Task],
         seed: int) -> tuple[float, ...]:
    began = time.perf_counter()
    make = BALANCERS_HERE[name]
    balancer = make() if options.processes == 1 else Processes(options.processes, make, strangers=options.strangers)
    outcome = VirtualFleet(machines, balancer, promise=promise, seed=seed, patience_s=options.patience).play(tasks)
    ttfts = outcome.ttfts()
    shed = sum(task.error == "shed" for task in tasks)
    return (quantile(ttfts, 0.5), quantile(ttfts, 0.95), quantile(ttfts, 0.99), outcome.attained, outcome.hit_rate,
            shed / len(tasks), outcome.errors - shed, outcome.preemptions, outcome.busy_s / 3600 * usd_per_hour(), time.perf_counter() - began)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="folder with the traces; absent: synthetic ones")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="0 to 2 are what `prefix` was tuned on")
    parser.add_argument("--processes", type=int, default=1, help="each with a balancer of its own; a request comes to any of them")
    parser.add_argument("--strangers", action="store_true", help="they tell each other nothing, as routers on several machines")
    parser.add_argument("--promise", type=lambda text: text.split(","), default=["no"], help="no, sla, slots")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds after which who has heard nothing leaves; `run.py --quick` has 30")
    parser.add_argument("--endpoints", type=int, default=8)
    parser.add_argument("--healthy", action="store_true", help="nothing is wrong with any endpoint")
    parser.add_argument("--loads", type=lambda text: [float(part) for part in text.split(",")], default=[20, 60, 90, 120, 150])
    parser.add_argument("--traces", type=lambda text: text.split(","), default=list(NAMES))
    parser.add_argument("--balancers", type=lambda text: text.split(","),
                        default=["power_of_two", "least_loaded", "prefix", "hashed", "round_robin", "least_requests", "cache_aware"])
    options = parser.parse_args()
    if unknown := [name for name in options.balancers if name not in BALANCERS_HERE]:
        parser.error(f"no balancer {unknown[0]!r}; there are {', '.join(BALANCERS_HERE)}")
    if unknown := [name for name in options.promise if name not in PROMISES]:
        parser.error(f"no promise {unknown[0]!r}; there are {', '.join(PROMISES)}")
    return options


if __name__ == "__main__":
    main()
