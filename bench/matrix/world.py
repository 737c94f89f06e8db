"""The router as a process of its own, the configuration it runs, and its books: admin state, descriptors, records."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sqlite3
import sys
import time
import urllib.request
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "fuzz")]
from processes import free_port
from target import Target

TOKEN = "matrix-admin-token-0123456789"
EXECUTOR_THREADS = 3 + min(32, (os.cpu_count() or 1) + 4)
"""asyncio's own threads for what waits (name resolution, the store): made on demand and kept, never more than these."""
QUIESCE_S = 30.0
"""Idle connections to upstreams are kept for 20 s and swept every 5 s."""


_KNOWN_LINES = (
    re.compile(r"(?ms)^\S+ ERROR +asyncio: Future exception was never retrieved.{0,200}?SSLError.*?(?=^\d{4}-|\Z)"),
    re.compile(r"(?m)^\S+ ERROR +pointsman\.gateway\.service_log: endpoint \S+ is out of service, .*$"),
)
"""asyncio tells of a TLS handshake that failed in the very moment it was given up: nobody waits for it any more. And the router tells whoever
is on call that an endpoint refuses our credential or is not what the configuration says: some faults are just that."""


@dataclass(frozen=True)
class Clock:
    """The deadlines of a run, in seconds; a scaled run must not take as long as a day of trouble does."""

    deadline: float = 4.0
    ttft: float = 0.6
    stall: float = 0.5
    answer: float = 0.8
    connect: float = 0.6
    open_after: float = 15.0
    eject: float = 0.1
    slow_start: float = 1.0

    @property
    def allowed_s(self) -> float:
        """How long a client may have to wait for any end."""
        return self.deadline + 1.0


SCALED = Clock()
UNSCALED = Clock(deadline=600, ttft=60, stall=30, answer=120, connect=2, eject=10, slow_start=10)
"""The defaults as users have them."""


@dataclass
class Tier:
    """One tier of the configuration with its endpoints' URLs."""

    name: str
    urls: list[str]
    engine: str = "openai"
    slots: int = 500
    balancer: str = "power_of_two"
    """By load alone: where prompts have a home (`prefix`), only those at home there would meet a fault, and shares would be theirs."""


@dataclass
class Plan:
    """A configuration: tiers, and routes as ladders over them, always pinned to the first."""

    tiers: list[Tier] = field(default_factory=list)
    routes: dict[str, list[str]] = field(default_factory=dict)
    clock: Clock = SCALED
    workers: int = 1
    eject_after: int = 5
    flush: str = "system"
    """Where records are before an answer's last byte."""
    more: str = ""
    """More top-level YAML."""

    def add(self, route: str, *tiers: Tier) -> None:
        self.tiers += tiers
        self.routes[route] = [tier.name for tier in tiers]

    def yaml(self, port: int, admin_port: int, records: str) -> str:
        t = self.clock
        lines = [
            f"server: {{host: 127.0.0.1, port: {port}, workers: {self.workers}}}",
            f'admin: {{host: 127.0.0.1, port: {admin_port}, token: "file:token"}}',
            f"records: {{path: {records}, flush: {self.flush}}}", self.more, "tiers:"]
        health = f"health: {{eject_for: {t.eject}s, eject_max: {max(t.eject, 0.2)}s, cooldown_max: {max(t.eject, 0.2)}s, eject_after: {self.eject_after}, slow_start: {t.slow_start}s}}"
        for tier in self.tiers:
            price = "gpu: {type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}"
            ends = ", ".join(f'{{url: "{url}", model: m, engine: {tier.engine}, slots: {tier.slots}, connect_timeout: {t.connect}s, {price}}}'
                             for url in tier.urls)
            lines.append(f"  {tier.name}: {{model: {tier.name}-model, balancer: {tier.balancer}, capabilities: {{context: 30000000}}, {health},"
                         f" endpoints: [{ends}]}}")
        lines.append("routes:")
        for route, ladder in self.routes.items():
            lines.append(
                f'  {route}: {{ladder: [{", ".join(ladder)}], default_tier: {ladder[0]}, pipeline: ["pinned:{ladder[0]}"], '
                f"deadline: {t.deadline}s, ttft_timeout: {t.ttft}s, stall_timeout: {t.stall}s, answer_timeout: {t.answer}s, "
                f"open_after: {t.open_after}s}}")
        return "\n".join(lines) + "\n"


class Router:
    """One router process with its folder. `async with Router(folder, plan) as router`."""

    def __init__(self, folder: Path, plan: Plan, *, records: str = "state/records.db", preset: dict[str, str] | None = None) -> None:
        self.folder, self.plan = folder, plan
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        self.port, self.admin_port = free_port(), free_port()
        self.records_path = folder / records if not records.startswith("/") else Path(records)
        self.target = Target(folder, plan.yaml(self.port, self.admin_port, records), self.port)
        self.fds_before = self.threads_before = 0
        self.exit_code: int | None = None

    async def __aenter__(self) -> Router:
        self.start()
        await self.admin("/state")  # opens what stays open
        self.fds_before, self.threads_before = self.target.fds(), self.target.threads()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.exit_code = await asyncio.to_thread(self.target.stop)

    def start(self) -> None:
        """Not in a thread: the router dies with the thread that started it."""
        self.target.start()

    async def admin(self, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        return await asyncio.to_thread(self._admin, path, method, body)

    def _admin(self, path: str, method: str, body: bytes | None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin_port}{path}", method=method, data=body,
            headers={"authorization": f"Bearer {TOKEN}", "connection": "close", "content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    async def metrics(self) -> dict[str, float]:
        """Every series with its value."""
        def read() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as reply:
                return reply.read().decode()
        text = await asyncio.to_thread(read)
        return {m[1]: float(m[2]) for m in re.finditer(r"(?m)^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text)}

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        def read() -> tuple[int, dict[str, Any]]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/readiness", timeout=10) as reply:
                    return reply.status, json.load(reply)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)
        return await asyncio.to_thread(read)

    async def leaks(self, open_upstream: int) -> list[str]:
        """What is left when nothing is under way; `open_upstream`: idle connections that the upstreams still have."""
        until = time.monotonic() + 3.0
        while True:
            found = await self._left(open_upstream)
            if not found or time.monotonic() > until:
                return found
            await asyncio.sleep(0.1)

    async def _left(self, open_upstream: int) -> list[str]:
        state = await self.admin("/state")
        leases = sum(pool["in_flight"] for pool in state["pools"].values())
        tokens = sum(e["in_flight_tokens"] for pool in state["pools"].values() for e in pool["endpoints"])
        found = []
        if leases or tokens or state["in_flight"]:
            found.append(f"{leases} leases, {tokens} leased tokens, {state['in_flight']} requests in flight")
        extra = self.target.fds() - self.fds_before - open_upstream
        if extra > 3:
            found.append(f"{extra} descriptors more than before")
        if self.target.threads() > self.threads_before + EXECUTOR_THREADS:
            found.append(f"{self.target.threads() - self.threads_before} threads more than before")
        return found

    def records(self) -> dict[str, list[dict[str, Any]]]:
        """All records in the store by the client's request id. Only after the router has stopped or flushed."""
        return read_records(self.records_path)

    def log_errors(self) -> list[str]:
        """Lines of the log that nobody expects: tracebacks and errors."""
        text = self.target.log()
        for known in _KNOWN_LINES:
            text = known.sub("", text)
        return [line for line in text.splitlines() if "Traceback" in line or " ERROR " in line or "exception was never" in line]


def read_records(path: Path) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    with closing(sqlite3.connect(path)) as db:
        for (document,) in db.execute("SELECT document FROM records"):
            record = json.loads(document)
            found[record.get("client_request_id") or record["id"]].append(record)
    return found


LATE_S = 0.1
"""Late at once: a verdict about deadlines of half a second is none."""
LATE_TOGETHER_S = 0.25
"""Late by and by: an endpoint of ours takes some eight turns of the loop from a connect to its answer, and each may be late by less."""
LATE_A_LITTLE_S = 0.005
"""Less is the ordinary work of a turn."""


class LoopLag:
    """How late our own event loop was, and when: a verdict reached while we slept is no verdict."""

    def __init__(self) -> None:
        self.worst = 0.0
        # From, to, and by how much.
        self._late: list[tuple[float, float, float]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LoopLag:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.02)
            lag = loop.time() - before - 0.02
            self.worst = max(self.worst, lag)
            self.note(before, lag)

    def note(self, before: float, lag: float) -> None:
        """A turn that should have come 20 ms after `before` came so much later."""
        if lag > LATE_A_LITTLE_S:
            self._late.append((before, before + lag + 0.02, lag))

    def add(self, start: float, end: float) -> None:
        """Another time in which this machine had no processor to spare: the router was late."""
        self._late.append((start, end, end - start))

    def between(self, start: float, end: float) -> bool:
        """Whether anybody was too late between two moments for a verdict: at once, or by and by."""
        lags = [lag for a, b, lag in self._late if a < end and b > start]
        return any(lag > LATE_S for lag in lags) or sum(lags) > LATE_TOGETHER_S


class Pulse:
    """Asks the router twenty times a second whether it is alive: a loop that stands still for long is found by that."""

    def __init__(self, router: Router, lag: LoopLag) -> None:
        self._port, self._lag, self._slowest_s = router.port, lag, 0.0
        self._task = asyncio.create_task(self._ask())

    async def stop(self) -> float:
        """The slowest answer in seconds, not counting those during which we were late ourselves."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        return self._slowest_s

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(b"GET /health/liveness HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                await reader.read()
                writer.close()
                now = loop.time()
                if not self._lag.between(began, now):
                    self._slowest_s = max(self._slowest_s, now - began)
                    if now - began > 0.1:
                        self._lag.add(began, now)
            await asyncio.sleep(0.05)


def raise_fd_limit() -> None:
    """As many descriptors as we may have: every endpoint of a matrix listens on a port of its own."""
    import resource
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def children(pid: int) -> list[int]:
    """Processes started by `pid`."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def is_root() -> bool:
    return os.geteuid() == 0
