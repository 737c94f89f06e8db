"""S-20: a worker is killed every two seconds under load, and the books must agree: ours, the upstreams' and the clients'.

A killed process cannot answer whom it was serving. What must hold: a client that retries as the official SDKs do (twice)
loses no plain answer; whatever a client has seen complete is in the records, once; and those records count the tokens that the
upstreams billed. With one process there is nobody to answer until it is back: the harness starts it again at once, and
requests that met nobody at all on every try are counted apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

from measures import Found
from world import Plan, Router, Tier

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_ledger import Ledger
from pointsman.testing.fault_oracle import Oracle, Seen
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Asked, Complete, Drip, Scenario, Send, Step, Wait

EVERY_S = 2.0
CLIENTS = 24
BACK_S = 30.0
"""A start on a busy machine."""


class Kills:
    """`requests` through clients with two retries while processes die."""

    def __init__(self, folder: Path, *, seed: int, requests: int, workers: int, every_s: float = EVERY_S) -> None:
        self.folder, self.seed, self.requests, self.workers, self.every_s = folder, seed, requests, workers, every_s
        self.found, self.ledger = Found(), Ledger()
        self.killed = 0
        self.raw_lost: Counter[str] = Counter()
        self._again = f"make matrix ARGS='--part kills --kill-requests {requests} --workers {workers} --seed {seed}'"

    async def run(self) -> Found:
        servers = [FaultServer(Scenario(_takes_a_while), name=f"e{i}", ledger=self.ledger) for i in range(3)]
        for server in servers:
            await server.start()
        plan = Plan(workers=self.workers)
        plan.add("kills", Tier("kills-t", [s.url for s in servers[:2]]), Tier("kills-u", [servers[2].url]))
        router = Router(self.folder, plan)
        began = time.monotonic()
        try:
            router.start()
            clients = asyncio.create_task(self._clients(router))
            while not clients.done():
                await asyncio.wait([clients], timeout=self.every_s)
                if not clients.done():
                    await self._kill(router)
            seen = clients.result()
            await self._back(router)
            router.target.stop()  # what the last ones left in the spool is imported
        finally:
            with contextlib.suppress(ProcessLookupError):
                router.target.stop()
            for server in servers:
                await server.aclose()
        self._judge(seen, router.records(), time.monotonic() - began)
        self.found.executed += len(seen)
        return self.found

    async def _back(self, router: Router) -> None:
        """Returns when it serves: stopped while it starts, it would import nothing, and what the spool holds would look lost."""
        until = time.monotonic() + BACK_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                await router.readiness()
                return
            await asyncio.sleep(0.05)

    async def _clients(self, router: Router) -> list[Seen]:
        numbers, seen = iter(range(self.requests)), []
        oracle = Oracle(router.port, allowed_s=router.plan.clock.allowed_s)

        async def client(number: int) -> None:
            rng = Random(f"{self.seed} {number}")
            for i in numbers:
                if seen and self.killed * self.every_s < 2 and i > self.requests * 0.9:
                    await asyncio.sleep(0.05)  # a run that ends before anybody was killed would show nothing
                seen.append(await oracle.ask_patiently(f"kills.{self.seed}.{i}", model="kills", stream=i % 2 == 0, rng=rng))

        await asyncio.gather(*(client(n) for n in range(CLIENTS)))
        return seen

    async def _kill(self, router: Router) -> None:
        if self.workers == 1:
            os.kill(router.target.pid, signal.SIGKILL)
            self.killed += 1
            while router.target.is_alive:
                await asyncio.sleep(0.005)
            router.target.spawn()  # and goes on: our loop serves the upstreams meanwhile
            return
        try:
            state = await router.admin("/state")
        except OSError:
            return
        pids = [seat["process"] for seat in state.get("workers", []) if seat.get("process")]
        if pids:
            os.kill(Random(f"{self.seed} {self.killed}").choice(pids), signal.SIGKILL)
            self.killed += 1

    def _judge(self, seen: list[Seen], records: dict[str, list[dict[str, object]]], took_s: float) -> None:
        plain = [s for s in seen if int(s.id.rsplit(".", 1)[1]) % 2]
        streams = [s for s in seen if not int(s.id.rsplit(".", 1)[1]) % 2]
        lost = [s for s in plain if s.ended != "complete"]
        nobody = [s for s in lost if s.unreached]
        lost = [s for s in lost if not s.unreached] if self.workers == 1 else lost
        cut = [s for s in streams if s.ended != "complete"]
        retried = sum(s.tries > 1 for s in seen)
        by_id = {r["id"]: r for found in records.values() for r in found}
        complete = [s for s in seen if s.ended == "complete"]
        missing = [s for s in complete if s.records[-1] not in by_id]
        answered = Counter(asked_id for asked_id, found in records.items() for r in found if r["outcome"] == "answered")
        expected = {s.id for s in complete}
        twice = [asked_id for asked_id, n in answered.items() if n > 1 and asked_id in expected]
        wrong = [s for s in complete if s.records[-1] in by_id and not self._agrees(s.id, by_id[s.records[-1]])]
        setting = f"{self.workers} worker{'s' if self.workers > 1 else ''}, {self.killed} killed in {took_s:.0f} s, {len(seen):,} requests"
        m = self._measure
        m(f"kill -9: plain answers lost through a client with two retries ({setting})", f"{len(lost)}" + (f"; {lost[0]}" if lost else ""), "0",
          not lost and self.killed > 0)
        if self.workers == 1:
            m("... that found nobody listening on one of their three tries (one process: until it is back)", f"{len(nobody)} of {len(plain):,}", "shown", None)
        m("kill -9: completed requests without their record", f"{len(missing)} of {len(complete):,}", "0", not missing)
        # A request that was retried may have been answered twice upstream, but never twice to the client: one answered record
        # per answer that was delivered whole, and at most one more per process death for an answer that died on its way.
        m("kill -9: completed requests recorded twice as answered", f"{len(twice)} (answers whose last bytes died with the process)",
          f"≤ retried requests: {retried}", all(self._was_retried(asked_id, seen) for asked_id in twice))
        m("kill -9: records whose tokens are not what the upstream billed", f"{len(wrong)} of {len(complete):,}", "0", not wrong)
        m("kill -9: requests that needed a retry; streams cut (shown, not hidden)", f"{retried}; {len(cut)} of {len(streams):,}", "shown", None)

    def _was_retried(self, asked_id: str, seen: list[Seen]) -> bool:
        return any(s.id == asked_id and s.tries > 1 for s in seen)

    def _agrees(self, asked_id: str, record: dict[str, object]) -> bool:
        usage = record.get("usage") or {}
        billed = {entry.billed for entry in self.ledger.of(asked_id) if entry.is_complete}
        return isinstance(usage, dict) and usage.get("output_tokens") in billed and usage.get("input_tokens") == answers.PROMPT_TOKENS

    def _measure(self, what: str, value: str, target: str, holds: bool | None) -> None:
        self.found.measure("S-20", what, value, target, holds, self._again)


def _takes_a_while(asked: Asked) -> list[Step]:
    rng = Random(f"kills {asked.id}")
    if not asked.stream:
        return [Wait(0.02 + 0.1 * rng.random()), *answers.right(asked)]
    texts = [Drip(answers.chunk(data), 0.015, 100_000, 1) for data in answers.text_events(asked.id)]
    finish = b"".join(map(answers.chunk, answers.finish_events(asked)))
    return [Wait(0.02), *answers.sends(asked, 0), *texts, Send(finish + answers.END), Complete()]
