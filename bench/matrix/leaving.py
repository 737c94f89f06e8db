"""Clients that go wrong: they leave in every phase by FIN and by RST, read nothing, send by the byte, pipeline, speak HTTP/1.0."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

from cells import Problem
from world import LoopLag, Plan, Router, Tier

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_ledger import Entry, Ledger
from pointsman.testing.fault_oracle import Oracle, Seen, read, request_bytes
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Asked, Complete, Drip, Scenario, Send, Stall, Step

MOST_S = 0.25
"""From the client's leaving to the close of the upstream's socket."""


def _half_then_stall(asked: Asked) -> list[Step]:
    whole = answers.plain("200 OK", answers.completion(asked.id))
    return [Send(whole[: len(whole) // 2]), Stall()]


def _flowing(asked: Asked) -> list[Step]:
    if not asked.stream:
        return [Drip(answers.plain("200 OK", answers.completion(asked.id)), 0.02)]
    text = answers.chunk(answers.event(asked.id, {"content": "word "}))
    return [*answers.sends(asked, 1), Drip(text * 500, 0.01, len(text))]


def _role_then_stall(asked: Asked) -> list[Step]:
    return [*answers.sends(asked, 0), Stall()] if asked.stream else _half_then_stall(asked)


PHASES: dict[str, Scenario] = {
    "upload to the engine": Scenario(lambda asked: [Stall()], reads="part", part_bytes=700, receive_buffer=4096),
    "before the engine's headers": Scenario(lambda asked: [Stall()]),
    "before the first token": Scenario(_role_then_stall),
    "in the middle, silence": Scenario(lambda asked: [*answers.sends(asked, 2), Stall()] if asked.stream else _half_then_stall(asked)),
    "in the middle, flowing": Scenario(_flowing),
}
"""Where the upstream stands when the client leaves."""
EARLY = {"in the head": 40, "in the body": -20}
"""Bytes of the request that are sent at all: no upstream may ever hear of it."""
Way = Literal["fin", "rst"]


@dataclass
class Leavings:
    """What the part measured."""

    executed: int = 0
    took_s: list[float] = field(default_factory=list)
    never: int = 0
    void: int = 0
    """Not counted: the harness itself was late."""
    """Upstream sockets that were still open a second later."""
    problems: list[Problem] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


class Leaving:
    """Runs all of it against one router of its own."""

    def __init__(self, folder: Path, *, runs: int, seed: int) -> None:
        self.folder, self.runs, self.seed = folder, runs, seed
        self.ledger, self.found, self.lag = Ledger(), Leavings(), LoopLag()
        self._parallel = asyncio.Semaphore(8)

    async def run(self) -> Leavings:
        plan, servers = Plan(), {}
        # Generous deadlines: only the leaving may end these requests.
        plan.clock = type(plan.clock)(deadline=20, ttft=15, stall=15, answer=15, connect=15)
        for number, (phase, scenario) in enumerate(PHASES.items()):
            servers[phase] = server = FaultServer(scenario, name=phase, ledger=self.ledger)
            await server.start()
            plan.add(f"leave{number}", Tier(f"leave{number}-t", [server.url]))
        queue = FaultServer(Scenario(lambda asked: [], accepts=False), name="connect", ledger=self.ledger)
        quick = FaultServer(name="quick", ledger=self.ledger)
        flood = FaultServer(Scenario(_flood), name="flood", ledger=self.ledger)
        others = (("connect", queue), ("quick", quick), ("flood", flood))
        for name, server in others:
            await server.start()
            plan.add(name, Tier(f"{name}-t", [server.url]))
        try:
            async with Router(self.folder, plan) as router, self.lag:
                oracle = Oracle(router.port, allowed_s=20)
                await self._all(router, oracle, queue.port)
                await self._odd(router)
                open_upstream = sum(len(s.connections) for s in (*servers.values(), queue, quick, flood))
                self.found.problems += [self._problem("leaving", "", what) for what in await router.leaks(open_upstream)]
            self._audit(router)
        finally:
            for server in (*servers.values(), queue, quick, flood):
                await server.aclose()
        return self.found

    def _problem(self, case: str, asked_id: str, what: str) -> Problem:
        return Problem(case, asked_id, what, f"make matrix ARGS='--part leaving --seed {self.seed} --runs {self.runs}'")

    async def _all(self, router: Router, oracle: Oracle, queue_port: int) -> None:
        ways: tuple[Way, ...] = ("fin", "rst")
        jobs = []
        for number, phase in enumerate(PHASES):
            for stream in (True, False):
                for way in ways:
                    jobs += [self._leave(oracle, phase, f"leave{number}", stream, way, run) for run in range(self.runs)]
        for phase, keep in EARLY.items():
            jobs += [self._leave_early(oracle, phase, keep, way, run) for way in ways for run in range(self.runs)]
        jobs += [self._leave_connecting(oracle, queue_port, way, run) for way in ways for run in range(max(1, self.runs // 5))]
        Random(self.seed).shuffle(jobs)
        await asyncio.gather(*jobs)

    async def _leave(self, oracle: Oracle, phase: str, route: str, stream: bool, way: Way, run: int) -> None:
        padding = 2_000_000 if phase.startswith("upload") else 0
        asked_id = f"{route}.{'s' if stream else 'p'}.{way}.{self.seed}.{run}"
        async with self._parallel:
            after = asyncio.Event()
            leaving = asyncio.create_task(oracle.leave(asked_id, model=route, stream=stream, after=after, how=way, padding=padding))
            entry = await self._entry(asked_id)
            await asyncio.sleep(Random(asked_id).random() * 0.08)
            after.set()
            left_at = await leaving
            self.found.executed += 1
            if entry is None:
                self.found.problems.append(self._problem(phase, asked_id, "the request never reached the upstream"))
                return
            await self._gone(entry, left_at, phase, asked_id)

    async def _entry(self, asked_id: str) -> Entry | None:
        """Waits until the upstream has the request."""
        for _ in range(2000):
            if entries := self.ledger.of(asked_id):
                return entries[0]
            await asyncio.sleep(0.002)
        return None

    async def _gone(self, entry: Entry, left_at: float, phase: str, asked_id: str) -> None:
        for _ in range(1000):
            if entry.ended_at is not None:
                break
            await asyncio.sleep(0.001)
        if entry.ended_at is None:
            self.found.never += 1
            self.found.problems.append(self._problem(phase, asked_id, "the upstream's socket is still open a second after the client left"))
            return
        took = entry.ended_at - left_at
        if took > MOST_S and self.lag.between(left_at, entry.ended_at):
            self.found.void += 1  # we were late ourselves: this says nothing
            return
        self.found.took_s.append(took)
        if took > MOST_S:
            self.found.problems.append(self._problem(phase, asked_id, f"the upstream was freed after {took * 1000:.0f} ms"))

    async def _leave_early(self, oracle: Oracle, phase: str, keep: int, way: Way, run: int) -> None:
        asked_id = f"early.{keep}.{way}.{self.seed}.{run}"
        async with self._parallel:
            after = asyncio.Event()
            asyncio.get_running_loop().call_later(0.03, after.set)
            await oracle.leave(asked_id, model="quick", stream=True, after=after, how=way, keep=keep)
            self.found.executed += 1
            if self.ledger.of(asked_id):
                self.found.problems.append(self._problem(phase, asked_id, "half a request reached an upstream"))

    async def _leave_connecting(self, oracle: Oracle, port: int, way: Way, run: int) -> None:
        """The upstream's kernel answers no SYN; the dialling socket must go with the client."""
        loop = asyncio.get_running_loop()
        async with self._connecting:
            for again in range(10):
                asked_id = f"connecting.{way}.{self.seed}.{run}.{again}"
                after, idle = asyncio.Event(), _dialling(port)
                leaving = asyncio.create_task(oracle.leave(asked_id, model="connect", stream=False, after=after, how=way))
                while not _dialling(port) - idle and not leaving.done():
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.06)
                ours = _dialling(port) - idle
                after.set()
                left_at = await leaving
                if len(ours) == 1:  # else the router was also asking for its load
                    break
            while ours & _dialling(port) and loop.time() - left_at < 2:
                await asyncio.sleep(0.002)
            self.found.executed += 1
            took = loop.time() - left_at
            self.found.took_s.append(took)
            if took > MOST_S:
                self.found.problems.append(self._problem("while connecting", asked_id, f"still dialling after {took * 1000:.0f} ms"))

    _connecting = asyncio.Semaphore(1)

    # -- odd clients

    async def _odd(self, router: Router) -> None:
        for name, check in (("pipelined", self._pipelined), ("half-close", self._half_close), ("http/1.0", self._old),
                            ("slow reader", self._slow_reader), ("slow head", self._slow_heads)):
            self.found.executed += 1
            wrong = await check(router)
            if wrong:
                self.found.problems.append(self._problem(name, "", wrong))

    async def _pipelined(self, router: Router) -> str:
        """A second request behind the first must not hide that the client leaves."""
        asked_id, second = f"pipelined.{self.seed}", f"pipelined.second.{self.seed}"
        phase = "before the engine's headers"
        route = f"leave{list(PHASES).index(phase)}"
        _reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(request_bytes(asked_id, model=route, stream=False, close=False) + request_bytes(second, model=route, stream=False))
        entry = await self._entry(asked_id)
        await asyncio.sleep(0.1)
        writer.close()
        left_at = asyncio.get_running_loop().time()
        if entry is None:
            return "the first request never reached the upstream"
        for _ in range(1000):
            if entry.ended_at is not None:
                took = entry.ended_at - left_at
                self.found.notes["pipelined leave"] = f"{took * 1000:.0f} ms"
                return "" if took <= MOST_S else f"the upstream was freed after {took * 1000:.0f} ms"
            await asyncio.sleep(0.001)
        return "the upstream's socket is still open a second after a pipelining client left"

    async def _half_close(self, router: Router) -> str:
        """A client that says it will send no more looks like one that left: it is treated as one, and that is documented."""
        asked_id, phase = f"half.{self.seed}", "before the engine's headers"
        _reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(request_bytes(asked_id, model=f"leave{list(PHASES).index(phase)}", stream=False))
        entry = await self._entry(asked_id)
        writer.write_eof()
        await asyncio.sleep(0.3)
        writer.close()
        gone = entry is not None and entry.ended_at is not None
        self.found.notes["half-closed client"] = "counts as gone" if gone else "is waited for"
        return "" if gone else "a half-closed client is waited for, which the documentation denies"

    async def _old(self, router: Router) -> str:
        """HTTP/1.0 knows no chunks: a stream there ends with the connection."""
        asked_id = f"old.{self.seed}"
        reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
        writer.write(request_bytes(asked_id, model="quick", stream=True, http="1.0"))
        async with asyncio.timeout(5):
            raw = await reader.read()
        writer.close()
        head, _, body = raw.partition(b"\r\n\r\n")
        if b"chunked" in head.lower():
            return "a client of HTTP/1.0 was sent chunks"
        seen = Seen(asked_id)
        read(head + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body, seen, stream=True)
        return "" if seen.ended == "complete" else f"the client saw: {seen}"

    async def _slow_reader(self, router: Router) -> str:
        """Nobody reads 40 MB: the engine must feel it, and the router's memory not."""
        asked_id = f"slow.{self.seed}"
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop, before = asyncio.get_running_loop(), router.target.rss_mb()
        await loop.sock_connect(sock, ("127.0.0.1", router.port))
        await loop.sock_sendall(sock, request_bytes(asked_id, model="flood", stream=True))
        await asyncio.sleep(2.0)
        entries, grown = self.ledger.of(asked_id), router.target.rss_mb() - before
        sock.close()
        sent = entries[0].sent if entries else 0
        self.found.notes["slow reader"] = f"{sent / 1e6:.1f} of 40 MB taken from the engine, {grown:.1f} MB more memory"
        if not entries or sent > 20e6 or grown > 8:
            return f"{sent / 1e6:.1f} MB were taken for a client that reads nothing; {grown:.1f} MB more memory"
        return ""

    async def _slow_heads(self, router: Router) -> str:
        """200 connections that never finish their head cost the others nothing."""
        idle = [await asyncio.open_connection("127.0.0.1", router.port) for _ in range(200)]
        for _, writer in idle:
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc")
        oracle = Oracle(router.port, allowed_s=5)
        seen = [await oracle.ask(f"beside.{self.seed}.{i}", model="quick", stream=False) for i in range(40)]
        for _, writer in idle:
            writer.close()
        bad = [s for s in seen if s.ended != "complete"]
        return f"beside 200 idle connections a client saw: {bad[0]}" if bad else ""

    def _audit(self, router: Router) -> None:
        """A request that was read leaves one record, cancelled; half a request leaves none that was sent anywhere."""
        records = router.records()
        for asked_id, found in records.items():
            if len(found) != 1:
                self.found.problems.append(self._problem("records", asked_id, f"{len(found)} records"))
            elif asked_id.startswith("leave") and (found[0]["outcome"], found[0]["status"]) != ("cancelled", 499):
                self.found.problems.append(self._problem("records", asked_id, f"a leaving client's record says {found[0]['outcome']}"))
        ids = {f"leave{n}.{m}.{w}.{self.seed}.{r}" for n in range(len(PHASES)) for m in "sp" for w in ("fin", "rst") for r in range(self.runs)}
        missing = ids - set(records)
        if missing:
            self.found.problems.append(self._problem("records", sorted(missing)[0], f"{len(missing)} cancelled requests left no record"))
        self.found.problems += [self._problem("log", "", line) for line in router.log_errors()[:3]]


def _flood(asked: Asked) -> list[Step]:
    text = answers.chunk(answers.event(asked.id, {"content": "word " * 200}))
    return [*answers.sends(asked, 1), *[Send(text * 40)] * 900, Complete()]


def _dialling(port: int) -> set[str]:
    """Local ends of the sockets that wait for an answer to their SYN to this port."""
    wanted, found = f":{port:04X}", set()
    with contextlib.suppress(OSError), Path("/proc/net/tcp").open() as table:
        for line in table:
            fields = line.split()
            if fields[2].endswith(wanted) and fields[3] == "02":
                found.add(fields[1])
    return found
