"""The fleet as a process of its own: simulated engines behind loopback ports, and how late their loop ran.

Started by `run.py`, which speaks to it in lines: it prints `{"ports": [...]}`; on `begin` it starts the clock of what goes
wrong and counts from zero; on `end` it prints what was counted and stops. Garbage is collected between runs only. Where it may
(root), it goes before the clients, with which it shares a core: a client that is a millisecond late changes little, an engine
that is late is another engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
from typing import Any

import uvloop
from machines import GPU, MODEL, Machines

from pointsman.testing.simulator import Simulator

PRIORITY = -15
BEAT_S = 0.005
"""How often the loop is asked whether it is late."""


class Lag:
    """How late the loop woke up for its beats, in seconds."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self._due = 0.0

    def beat(self) -> None:
        loop = asyncio.get_running_loop()
        if self._due:
            self.seen.append(max(loop.time() - self._due, 0.0))
        self._due = loop.time() + BEAT_S
        loop.call_at(self._due, self.beat)

    def report(self) -> dict[str, float]:
        found = sorted(self.seen) or [0.0]
        return {"p99_s": found[int(0.99 * (len(found) - 1))], "max_s": found[-1]}


def counted(fleet: list[Simulator]) -> list[dict[str, float]]:
    """Counters of each engine since it came up."""
    return [{"queries": s.engine.prefix_queries, "hits": s.engine.prefix_hits, "preemptions": s.engine.preemptions,
             "busy_s": s.engine.busy_s, "tokens": s.metrics.generation_tokens, "began": sum(s.metrics.ttft.counts)}
            for s in fleet]


async def serve(options: dict[str, Any]) -> None:
    machines = Machines(**options["machines"])
    fleet = [Simulator("fleet", MODEL, GPU, time_scale=options["fast"], stream_interval=options["stream_interval"], trouble=trouble)
             for trouble in machines.troubles()]
    for simulator in fleet:
        await simulator.start()
    say({"ports": [simulator.port for simulator in fleet]})
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    lag, before = Lag(), counted(fleet)
    while line := (await lines.readline()).strip():
        if line == b"begin":
            gc.collect()
            gc.freeze()
            gc.disable()
            before = counted(fleet)
            lag.beat()
            for simulator in fleet:
                simulator.begin_trouble()
        elif line == b"end":
            after = counted(fleet)
            say({"lag": lag.report(), "engines": [{key: a[key] - b[key] for key in a} for a, b in zip(after, before, strict=True)]})
            break
    for simulator in fleet:
        await simulator.aclose()


def say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    uvloop.run(serve(json.loads(sys.argv[1])))
