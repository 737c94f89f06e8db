"""A tier is driven past its limit while the next one has room: do clients notice, how soon do they climb, and come back?

`python bench/fleet/ramp.py [--quick] [--write]`. Two tiers of simulated engines in real time, Pointsman as a black box before
them, every request bound for the first tier. Calm at 50 % of what tier 1 can do, then 150 %, then 50 % again.

- *breach*: from when on tier 1 really was saturated (its engines ran as many requests as they have slots, or 5 waited), as the
  simulators saw it, every 50 ms; *first climb*: when a request that tier 2 answered was sent, after that.
- *relief*: when the arrivals fell to 50 %; *last climb*: when the last request was sent of a stretch that tier 2 answered,
  the probing share aside: climbs count as over once 19 of 20 requests stay on tier 1.
- *transitions*: how often `/admin/state` called the tier fit or not fit, changed, asked every 0.5 s; per minute. Unknown when
  the state does not say.

Exit code 1 when a row of the table says no, 2 when the run is void because this machine was busy.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import uvloop
from routers import Processes, free_port, wait_ready
from traffic import text_of

from pointsman.testing.engine import Engine, Sequence
from pointsman.testing.engine_blocks import prefix_of
from pointsman.testing.gpu_models import gpu_named, kv_tokens, model_named, timing
from pointsman.testing.simulator import Simulator

sys.path.append(str(Path(__file__).resolve().parents[1] / "throughput"))
from contestants import BIN, Contestant

HERE = Path(__file__).resolve().parent
PROMPT_TOKENS, OUTPUT_TOKENS = 500, 120
SLOTS, ENDPOINTS = 16, 2
WAITING_LIMIT = 5
"""Of one engine: where Pointsman's documentation says that a tier is saturated."""
START_WITHIN_S, END_WITHIN_S, TRANSITIONS_PER_MINUTE = 3.0, 30.0, 2.0
PROBE_SHARE = 0.05
STREAM_INTERVAL = 8
MAX_LAG_S = 0.020
"""Engines that were later than that were slowed down by this machine: the run is void."""


@dataclass(slots=True)
class Seen:
    """One request, in seconds since the start."""

    at_s: float
    tier: str = ""
    ttft_s: float | None = None
    error: str = ""


@dataclass
class Story:
    """What happened, in seconds since the start."""

    surge_at: float
    relief_at: float
    ends_at: float
    seen: list[Seen] = field(default_factory=list)
    saturated: list[tuple[float, bool]] = field(default_factory=list)
    """Tier 1 as its engines were: (when, saturated)."""
    fit: list[tuple[float, bool]] = field(default_factory=list)
    """Tier 1 as the router called it."""
    worst_lag_s: float = 0.0

    @property
    def breach_at(self) -> float | None:
        return next((at for at, is_saturated in self.saturated if is_saturated and at >= self.surge_at), None)

    @property
    def first_climb_at(self) -> float | None:
        begins = self.breach_at
        return None if begins is None else next((s.at_s for s in self.seen if s.tier == "second" and s.at_s >= begins), None)

    @property
    def over_at(self) -> float | None:
        """From when on, after relief, no more than one in twenty climbs (over 40 requests); None = never."""
        after = [s for s in self.seen if s.at_s >= self.relief_at]
        for i in range(len(after)):
            window = after[i:i + 40]
            if len(window) < 20:
                return None
            if sum(s.tier == "second" for s in window) <= max(PROBE_SHARE * len(window), 1):
                return window[0].at_s
        return None

    @property
    def transitions(self) -> int:
        return sum(a[1] != b[1] for a, b in zip(self.fit, self.fit[1:], strict=False))


@dataclass(frozen=True)
class Verdict:
    """A row: what, the figure, whether it holds (None = not known)."""

    what: str
    figure: str
    holds: bool | None


def verdicts(story: Story) -> list[Verdict]:
    """The promises, judged."""
    errors = [s.error for s in story.seen if s.error]
    climbed = sum(s.tier == "second" for s in story.seen)
    early = sum(s.tier == "second" for s in story.seen if s.at_s < story.surge_at)
    started = None if story.breach_at is None or story.first_climb_at is None else story.first_climb_at - story.breach_at
    ended = None if story.over_at is None else story.over_at - story.relief_at
    minutes = story.ends_at / 60
    said = ", ".join(sorted(set(errors))[:3])
    return [
        Verdict("client-visible errors", f"{len(errors)} of {len(story.seen)}" + (f" ({said})" if said else ""), not errors),
        Verdict("requests that climbed", f"{climbed}, {early} of them while calm", climbed > 0),
        Verdict(f"first climb after the breach, at most {START_WITHIN_S:g} s",
                "tier 1 was never saturated" if story.breach_at is None else _seconds(started),
                None if story.breach_at is None else started is not None and started <= START_WITHIN_S),
        Verdict(f"climbs over after relief, at most {END_WITHIN_S:g} s", _seconds(ended), ended is not None and ended <= END_WITHIN_S),
        Verdict(f"transitions of tier 1, at most {TRANSITIONS_PER_MINUTE:g} a minute",
                f"{story.transitions} in {minutes:.1f} min" if story.fit else "the state does not say",
                story.transitions <= max(TRANSITIONS_PER_MINUTE * minutes, TRANSITIONS_PER_MINUTE) if story.fit else None),
    ]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


class Ramp:
    """One run. Engines and clients share this process; the router has a core of its own."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.rng = Random(options.seed)
        self.fleet = {
            "first": [Simulator("first", "Qwen/Qwen2.5-7B-Instruct", "RTX 4090", slots=SLOTS, stream_interval=STREAM_INTERVAL)
                      for _ in range(ENDPOINTS)],
            "second": [Simulator("second", "Qwen/Qwen2.5-32B-Instruct", "A100", stream_interval=STREAM_INTERVAL)
                       for _ in range(ENDPOINTS)]}
        calm, surge, after = (10.0, 20.0, 45.0) if options.quick else (20.0, 40.0, 60.0)
        self.story = Story(calm, calm + surge, calm + surge + after)
        self.port, self.admin_port, self.token = free_port(), free_port(), "bench-" + os.urandom(12).hex()

    async def run(self, processes: Processes, core: int | None) -> Story:
        engines = [simulator for tier in self.fleet.values() for simulator in tier]
        for simulator in engines:
            await simulator.start()
        config = self.folder / "pointsman.yaml"
        config.write_text(self._config())
        router = Contestant("pointsman", "router", port=self.port, ready_path="/health/readiness")
        router.process = processes.start([BIN / "pointsman", "serve", "--config", config], core=core, cwd=self.folder,
                                         log=self.folder / "router.log", env=os.environ | {"POINTSMAN_ADMIN_TOKEN": self.token})
        try:
            # In a thread: the engines answer the router's questions meanwhile.
            await asyncio.to_thread(wait_ready, router, self.folder / "router.log")
            gc.collect()
            gc.freeze()
            gc.disable()  # a minute's garbage fits, and a pause would be the engines'
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120)) as session:
                began = asyncio.get_running_loop().time()
                watchers = [asyncio.create_task(self._watch_engines(began)), asyncio.create_task(self._watch_router(session, began))]
                await self._clients(session, began)
                for watcher in watchers:
                    watcher.cancel()
                await asyncio.gather(*watchers, return_exceptions=True)
        finally:
            processes.stop(router.process)
            for simulator in engines:
                await simulator.aclose()
        self.story.worst_lag_s = max(simulator.worst_lag_s for simulator in engines)
        return self.story

    def _config(self) -> str:
        def tier(name: str) -> str:
            first = self.fleet[name][0]
            endpoints = "".join(
                f'      - {{url: "{s.url}", engine: vllm, slots: {s.slots}, poll: on, gpu: {{type: {s.gpu.name}, '
                f"usd_per_hour: {s.gpu.usd_per_hour}, tokens_per_s: {s.gpu.tokens_per_s:g}}}}}\n" for s in self.fleet[name])
            return f"  {name}:\n    model: {first.model.name}\n    sla: {{ttft_p95_max: 2s}}\n    endpoints:\n{endpoints}"

        return (f"server: {{host: 127.0.0.1, port: {self.port}}}\n"
                f'admin: {{host: 127.0.0.1, port: {self.admin_port}, token: "${{POINTSMAN_ADMIN_TOKEN}}"}}\n'
                f'records: {{path: "{self.folder}/records.db"}}\n'
                f"tiers:\n{tier('first')}{tier('second')}"
                'routes:\n  auto: {ladder: [first, second], default_tier: first, pipeline: ["pinned:first"]}\n')

    async def _clients(self, session: aiohttp.ClientSession, began: float) -> None:
        """Poisson arrivals at the rates of the three phases."""
        full, loop = capacity_per_s(), asyncio.get_running_loop()
        tasks, at_s = [], 0.0
        while True:
            share = 1.5 if self.story.surge_at <= at_s < self.story.relief_at else 0.5
            at_s += self.rng.expovariate(full * share)
            if at_s >= self.story.ends_at:
                break
            await asyncio.sleep(max(began + at_s - loop.time(), 0))
            self.story.seen.append(Seen(at_s))
            tasks.append(asyncio.create_task(self._ask(session, self.story.seen[-1], len(tasks))))
        await asyncio.gather(*tasks)

    async def _ask(self, session: aiohttp.ClientSession, seen: Seen, number: int) -> None:
        body = {"model": "auto", "stream": True, "max_tokens": OUTPUT_TOKENS, "ignore_eos": True,
                "messages": [{"role": "user", "content": text_of(f"ramp {self.options.seed} {number}", PROMPT_TOKENS)}]}
        began = time.monotonic()
        try:
            async with session.post(f"http://127.0.0.1:{self.port}/v1/chat/completions", json=body) as response:
                said = b""
                async for data in response.content.iter_any():
                    if seen.ttft_s is None and b'"content":"' in data:
                        seen.ttft_s = time.monotonic() - began
                    said = (said + data)[-600:]
                seen.tier = response.headers.get("x-route-tier-name", "")
                if response.status != 200:
                    seen.error = f"status {response.status}"
                elif b'"finish_reason":"length"' not in said:
                    seen.error = "cut off"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            seen.error = type(error).__name__

    async def _watch_engines(self, began: float) -> None:
        while True:
            engines = [simulator.engine for simulator in self.fleet["first"]]
            is_saturated = (all(len(e.running) + len(e.waiting) >= e.slots for e in engines)
                            or any(len(e.waiting) >= WAITING_LIMIT for e in engines))
            self.story.saturated.append((asyncio.get_running_loop().time() - began, is_saturated))
            await asyncio.sleep(0.05)

    async def _watch_router(self, session: aiohttp.ClientSession, began: float) -> None:
        headers = {"authorization": f"Bearer {self.token}"}
        while True:
            async with session.get(f"http://127.0.0.1:{self.admin_port}/admin/state", headers=headers) as response:
                is_fit = _fitness(await response.json(), "first")
            if is_fit is not None:
                self.story.fit.append((asyncio.get_running_loop().time() - began, is_fit))
            await asyncio.sleep(0.5)


def _fitness(state: Any, tier: str) -> bool | None:
    """`is_fit` of that tier, wherever the state has its tiers; None = it does not say."""
    if isinstance(state, dict):
        found = state.get("tiers", {}).get(tier) if isinstance(state.get("tiers"), dict) else None
        if isinstance(found, dict) and isinstance(found.get("is_fit"), bool):
            return bool(found["is_fit"])
        return next((fit for value in state.values() if (fit := _fitness(value, tier)) is not None), None)
    return None


def capacity_per_s() -> float:
    """Requests/s that tier 1 does when they all wait at its door."""
    gpu, model = gpu_named("RTX 4090"), model_named("Qwen/Qwen2.5-7B-Instruct")
    engine = Engine(timing(gpu, model), slots=SLOTS, kv_tokens=kv_tokens(gpu, model))
    count, now = 200, 0.0
    engine.submit([Sequence(PROMPT_TOKENS, OUTPUT_TOKENS, prefix_of(f"{i}".encode())) for i in range(count)], 0.0)
    while (step := engine.step(now)) is not None:
        now = step.ends_at
    return count / now * ENDPOINTS


def markdown(story: Story, rows: Iterable[Verdict]) -> str:
    words = {True: "yes", False: "**no**", None: "unknown"}
    lines = ["| what | measured | holds |", "|---|---|---|", *(f"| {r.what} | {r.figure} | {words[r.holds]} |" for r in rows)]
    return "\n".join([
        "# Saturation ramp", "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC · {len(story.seen)} requests in {story.ends_at:g} s: tier 1 "
        f"({ENDPOINTS} engines of {SLOTS} slots) at 50 %, from {story.surge_at:g} s on at 150 %, from {story.relief_at:g} s on at 50 % "
        f"of {capacity_per_s():.1f} requests/s; tier 2 has room. Worst lag of the engines' loop: {story.worst_lag_s * 1000:.0f} ms."
        + (" **Void**: more than 20 ms." if story.worst_lag_s > MAX_LAG_S else ""),
        "", *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="75 s instead of 120")
    parser.add_argument("--write", action="store_true", help="write RAMP.md")
    parser.add_argument("--json", type=Path, help="write every request and state there")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cores, processes = sorted(os.sched_getaffinity(0)), Processes()
    router_core = cores[0] if len(cores) > 1 else None
    if router_core is not None:
        os.sched_setaffinity(0, {cores[-1]})
    with tempfile.TemporaryDirectory(prefix="pointsman-ramp-") as folder:
        try:
            story = uvloop.run(Ramp(options, Path(folder)).run(processes, router_core))
        finally:
            processes.stop_all()
    rows = verdicts(story)
    text = markdown(story, rows)
    print(text)
    if options.write:
        (HERE / "RAMP.md").write_text(text)
    if options.json:
        options.json.write_text(json.dumps({"saturated": story.saturated, "fit": story.fit, "seen": [
            (s.at_s, s.tier, s.ttft_s, s.error) for s in story.seen]}))
    sys.exit(2 if story.worst_lag_s > MAX_LAG_S else 1 if any(row.holds is False for row in rows) else 0)


if __name__ == "__main__":
    main()
