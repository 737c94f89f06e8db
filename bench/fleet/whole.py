"""The whole gateway over the fleet, in virtual time: its admission, its line, its retries, on a loop that jumps from timer to timer.

`python bench/fleet/whole.py [DATA] [--seeds 3] [--loads 50,100,150] [--rows prefix,prefix+sla]`

`virtual.py` plays pools and balancers by themselves and compares them with models of others. What it cannot show is what the gateway
makes of them: who stands in line, who is turned away, when somebody is let in. Here requests go through `gateway.Gateway` as over
HTTP, with the configuration of `run.py`'s rows; sockets, and the time that work takes, are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from machines import GPU, MODEL, Machines, sla_s
from routers import Router, pointsman_config
from virtual import Task, fresh, quantile, workload

from pointsman.config.load import load_text
from pointsman.core.fleet import EndpointSpec, LoadReport
from pointsman.core.record import Record
from pointsman.core.reply import Batch, Reply, Usage
from pointsman.core.request import ChatRequest
from pointsman.errors import ConnectFailed, ConnectionLost, FirstTokenTimeout, PointsmanError, UpstreamError
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.port import Facts
from pointsman.testing import gpu_models
from pointsman.testing.engine import Engine, Sequence, Step
from pointsman.testing.engine_trouble import Trouble
from pointsman.testing.virtual_time import LoopClock, VirtualLoop
from pointsman.wiring import build_graph

POLL_S = 2.0
CONTENT = b'{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}'
END = b'{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}'


class Machine:
    """An engine on the running loop. Its seconds are the router's times `fast`."""

    def __init__(self, engine: Engine, trouble: Trouble, front_s: float, fast: float) -> None:
        self.engine, self.trouble, self.front_s, self.fast = engine, trouble, front_s, fast
        self.is_dead = False
        self.streams: dict[Sequence, Stream] = {}
        self._step: Step | None = None
        self._is_turning = False

    def now(self) -> float:
        return asyncio.get_running_loop().time() * self.fast

    def submit(self, stream: Stream) -> None:
        self.streams[stream.sequence] = stream
        self.engine.submit([stream.sequence], self.now())
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        if self.is_dead:
            return
        if (step := self._step) is not None:
            for sequence in step.tokens:
                if sequence.generated == 1 and (stream := self.streams.get(sequence)) is not None:
                    stream.say(CONTENT)
            for sequence in step.finished:
                if (stream := self.streams.pop(sequence, None)) is not None:
                    stream.say(None)
        self._step = step = self.engine.step(self.now())
        self._is_turning = step is not None
        if step is not None:
            asyncio.get_running_loop().call_at(step.ends_at / self.fast, self._turn)

    def die(self) -> None:
        self.is_dead, self._step = True, None
        streams, self.streams = list(self.streams.values()), {}
        for stream in streams:
            stream.say(ConnectionLost("reset"))


class Stream:
    """`core.protocols.ReplyStream`: the first token, and the end."""

    def __init__(self, machine: Machine, task: Task) -> None:
        self.machine = machine
        self.sequence = Sequence(task.arrival.prompt_tokens, task.arrival.output_tokens, task.prefix)
        self._said: asyncio.Queue[bytes | UpstreamError | None] = asyncio.Queue()
        self._is_over = self._has_begun = False
        self.reply = Reply(b"", Usage(task.arrival.prompt_tokens, task.arrival.output_tokens), MODEL, ("length",), task.arrival.output_tokens * 4)

    def say(self, what: bytes | UpstreamError | None) -> None:
        self._said.put_nowait(what)

    async def next(self, until: float) -> Batch | None:
        try:
            async with asyncio.timeout_at(until if not self._has_begun else None):
                said = await self._said.get()
        except TimeoutError:
            self.close()
            raise FirstTokenTimeout("nothing came") from None
        if isinstance(said, UpstreamError):
            self._is_over = True
            raise said
        if said is None:
            self._is_over = True
            return None
        self._has_begun = True
        return Batch([said], True)

    def close(self) -> None:
        if not self._is_over:
            self._is_over = True
            if self.machine.streams.pop(self.sequence, None) is not None:
                self.machine.engine.abort(self.sequence)


class Engines:
    """`core.protocols.Upstream` over the machines."""

    def __init__(self, machines: dict[str, Machine], tasks: dict[bytes, Task]) -> None:
        self.machines, self.tasks = machines, tasks
        self.began = dict.fromkeys(machines, 0)

    async def ask(self, endpoint: EndpointSpec, request: ChatRequest, body: Many[bytes], *, until: float) -> Reply:
        raise ConnectFailed("only streams here")

    async def stream(self, endpoint: EndpointSpec, request: ChatRequest, body: Many[bytes], *, until: float) -> Stream:
        machine = self.machines[endpoint.id]
        if machine.is_dead:
            raise ConnectFailed("refused")
        self.began[endpoint.id] += 1
        stream = Stream(machine, self.tasks[request.body])
        await asyncio.sleep(machine.front_s / machine.fast)
        if machine.is_dead:
            raise ConnectionLost("reset")
        machine.submit(stream)
        return stream

    async def aclose(self) -> None: ...


class Client:
    """`gateway.port.Port`: notes when the answer began and how it ended."""

    is_gone = True

    def __init__(self) -> None:
        self.began_at: float | None = None
        self.error = ""

    async def open(self, facts: Facts) -> None: ...
    async def begin(self, facts: Facts) -> None: ...

    async def events(self, events: list[bytes], cost_nano_usd: int | None) -> None:
        if self.began_at is None:
            self.began_at = asyncio.get_running_loop().time()

    async def end(self) -> None: ...

    async def reply(self, reply: Reply, facts: Facts) -> None: ...

    async def fail(self, error: PointsmanError, facts: Facts) -> None:
        self.error = type(error).__name__

    def abort(self) -> None: ...


@dataclass
class Forgets:
    """`core.protocols.Sink`."""

    count: int = 0

    def write(self, record: Record) -> None:
        self.count += 1


@dataclass
class Outcome:
    """What one run showed. Times are simulated seconds."""

    tasks: list[Task]
    patience_s: float
    hit_rate: float = 0.0
    shares: list[int] = field(default_factory=list)

    def ttfts(self) -> list[float]:
        return sorted(self.patience_s if t.ttft_s is None else t.ttft_s
                      for t in self.tasks if t.ttft_s is not None or t.error == "gave up")

    @property
    def attained(self) -> float:
        return sum(t.ttft_s is not None and not t.error and t.ttft_s <= sla_s(t.arrival.prompt_tokens) for t in self.tasks) / len(self.tasks)


class WholeFleet:
    """Plays arrivals through a gateway."""

    def __init__(self, machines: Machines, row: Router, *, fast: float, patience_s: float, seed: int, edit: Any = None) -> None:
        gpu, model = gpu_models.gpu_named(GPU), gpu_models.model_named(MODEL)
        timing = gpu_models.timing(gpu, model)
        with tempfile.TemporaryDirectory() as folder:
            text = pointsman_config(Path(folder), 4000, list(range(8001, 8001 + machines.endpoints)), row, fast)
        if edit is not None:
            text = edit(text)
        self.settings = load_text(text, environ={"POINTSMAN_ADMIN_TOKEN": "x" * 24})
        ids = [e.id for e in self.settings.pools["fleet"].endpoints]
        self.machines = {
            id_: Machine(Engine(timing.slowed(trouble.slow), slots=gpu.slots, kv_tokens=gpu_models.kv_tokens(gpu, model)),
                         trouble, timing.front_s, fast)
            for id_, trouble in zip(ids, machines.troubles(), strict=True)}
        self.fast, self.patience_s, self.seed = fast, patience_s, seed

    def play(self, tasks: list[Task]) -> Outcome:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(self._play(tasks))

    async def _play(self, tasks: list[Task]) -> Outcome:
        loop = asyncio.get_running_loop()
        self.engines = Engines(self.machines, {t.request.body: t for t in tasks})
        self.gateway = gateway = Gateway(build_graph(self.settings), self.engines, Forgets(), LoopClock(), Random(self.seed))
        for machine in self.machines.values():
            if (end := machine.trouble.ends_at) is not None:
                loop.call_at(end / self.fast, machine.die)
        poll = asyncio.ensure_future(self._poll(gateway.graph.fleet.pools["fleet"]))
        await asyncio.gather(*(self._ask(gateway, task) for task in tasks))
        poll.cancel()
        queries = sum(m.engine.prefix_queries for m in self.machines.values())
        hits = sum(m.engine.prefix_hits for m in self.machines.values())
        return Outcome(tasks, self.patience_s, hits / queries if queries else 0.0, list(self.engines.began.values()))

    async def _poll(self, pool: Any) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for id_, machine in self.machines.items():
                if machine.is_dead:
                    pool.observe(id_, None)
                    continue
                engine = machine.engine
                waiting, running, kv = (0, 0, 0.0) if machine.trouble.lies else (len(engine.waiting), len(engine.running), engine.kv_usage)
                pool.observe(id_, LoadReport(waiting, running, kv, loop.time()))
            await asyncio.sleep(POLL_S)

    async def _ask(self, gateway: Gateway, task: Task) -> None:
        loop = asyncio.get_running_loop()
        due = task.arrival.at_s / self.fast
        await asyncio.sleep(due - loop.time())
        client = Client()
        asking = asyncio.ensure_future(gateway.handle(task.request, client))
        await asyncio.wait([asking], timeout=self.patience_s / self.fast)
        if not asking.done() and client.began_at is None:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            task.error = "gave up"
            return
        await asking
        task.error = client.error
        if client.began_at is not None:
            task.ttft_s = (client.began_at - due) * self.fast


ROWS = {"prefix": Router("prefix", "pointsman", "prefix"), "prefix+sla": Router("prefix+sla", "pointsman", "prefix", promises=True),
        "p2c": Router("p2c", "pointsman", "power_of_two")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--fast", type=float, default=2.0)
    parser.add_argument("--patience", type=float, default=30.0)
    parser.add_argument("--endpoints", type=int, default=8)
    parser.add_argument("--healthy", action="store_true")
    parser.add_argument("--loads", type=lambda text: [float(part) for part in text.split(",")], default=[50, 100, 150])
    parser.add_argument("--traces", type=lambda text: text.split(","), default=["mooncake", "conv"])
    parser.add_argument("--rows", type=lambda text: text.split(","), default=["prefix", "prefix+sla"])
    options = parser.parse_args()
    print(f"{'trace':9} {'load':>5} {'row':11} {'p50':>6} {'p95':>6} {'p99':>6} {'in time':>7} {'hits':>6}  errors (means of {options.seeds} seeds)")
    for name in options.traces:
        for load in options.loads:
            rows: dict[str, list[tuple[float, ...]]] = {}
            errors: dict[str, Counter[str]] = {}
            count = 0
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                machines = Machines(options.endpoints, options.seconds, is_healthy=options.healthy)
                tasks, arrivals = workload(name, options.data, machines, load, seed)
                count += len(tasks)
                for row in options.rows:
                    outcome = WholeFleet(machines, ROWS[row], fast=options.fast, patience_s=options.patience, seed=seed).play(fresh(tasks, arrivals))
                    ttfts = outcome.ttfts()
                    rows.setdefault(row, []).append((*(quantile(ttfts, q) for q in (0.5, 0.95, 0.99)), outcome.attained, outcome.hit_rate))
                    errors.setdefault(row, Counter()).update(t.error for t in outcome.tasks if t.error)
            for row, found in rows.items():
                p50, p95, p99, attained, hits = (statistics.fmean(column) for column in zip(*found, strict=True))
                print(f"{name:9} {load:4.0f}% {row:11} {p50:6.2f} {p95:6.2f} {p99:6.2f} {attained:7.1%} {hits:6.1%}  "
                      + ", ".join(f"{n / count:.1%} {kind}" for kind, n in sorted(errors[row].items())), flush=True)


if __name__ == "__main__":
    main()
