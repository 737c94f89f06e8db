"""Faults of pools: everybody down, everybody failing, one stopped or killed, one slow, one lying, the herd at recovery."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

from measures import Found, Traffic
from world import SCALED, Plan, Router, Tier

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_ledger import Ledger
from pointsman.testing.fault_oracle import Oracle
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Asked, Complete, Drip, Scenario, Send, Stall, Step, Wait

_DIES_WITH_US = 1
_libc = ctypes.CDLL(None, use_errno=True)
BROKEN = Scenario(lambda asked: [Send(answers.plain("500 Internal Server Error", b'{"error":{"message":"no"}}'))])
AFTER_S = 2.0
"""S-07: from the fault to the last request that goes there."""


NOTICED_S = 13.0
"""Models are listed anew every ten seconds; a poll and a look later it is out of service."""
STARTS_S = 2.0
"""At first every endpoint counts as well, and small numbers have a floor: the share is that of a storm that goes on."""


class Child:
    """An endpoint in its own process."""

    def __init__(self, delay_s: float = 0.0, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "endpoint.py"), str(port), str(delay_s)], stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: _libc.prctl(_DIES_WITH_US, signal.SIGKILL))
        if self.process.stdout is None:
            raise RuntimeError("a child without a pipe")
        self.port = int(self.process.stdout.readline())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class FleetFaults:
    """Each case starts its own router."""

    def __init__(self, folder: Path, *, seed: int, quick: bool) -> None:
        self.folder, self.seed, self.quick = folder, seed, quick
        self.found = Found()
        self._again = f"make matrix ARGS='--part fleet --seed {seed}'"

    async def run(self) -> Found:
        for case in (self.storm, self.storm_of_a_tenth, self.outage, self.nobody, self.stopped, self.killed, self.bad_requests, self.liars,
                     self.slow_one, self.recovery, self.rolling, self.noticed, self.swapped):
            if self.quick and case in (self.slow_one, self.recovery, self.storm_of_a_tenth, self.outage, self.killed, self.rolling, self.swapped):
                continue
            self.found.executed += 1
            await self.found.judged(case, self.folder)
        return self.found

    # -- S-05

    async def storm(self) -> None:
        """P7: everything fails; what reaches the endpoints must stay near what was asked."""
        await self._amplification("all of them fail", BROKEN, 1.2)

    async def storm_of_a_tenth(self) -> None:
        """Every tenth attempt fails. Whoever hides that asks 1 + .1 + .01 + ... times: 1.11, and there is nothing to be saved on it."""
        asked_so_far = count(1)

        def some(asked: Asked) -> list[Step]:
            return list(answers.right(asked) if next(asked_so_far) % 10 else BROKEN.plan(asked))

        traffic = await self._amplification("one in ten fails", Scenario(some), 1.11)
        seen = sum(one.ended != "complete" for one in traffic.seen)
        self.found.measure("S-05", "one in ten fails: requests whose client saw it", f"{seen} of {len(traffic.seen)}", "≤ 0.1 % (three in a row)",
                           seen <= len(traffic.seen) / 1000 + 1, self._again)

    async def _amplification(self, what: str, scenario: Scenario, most: float) -> Traffic:
        ledger = Ledger()
        servers = [FaultServer(scenario, name=f"e{i}", ledger=ledger) for i in range(3)]
        for server in servers:
            await server.start()
        plan = Plan(clock=replace(SCALED, eject=10))
        plan.add("storm", Tier("storm-t", [s.url for s in servers[:2]]), Tier("storm-u", [servers[2].url]))
        async with Router(self.folder / f"storm{most}", plan) as router:
            traffic = Traffic(router, "storm", 150, "storm", seed=self.seed)
            began = asyncio.get_running_loop().time() + STARTS_S
            await traffic.run(6 if self.quick else 14)
            self._leaks("S-05", await router.leaks(sum(len(s.connections) for s in servers)))
        for server in servers:
            await server.aclose()
        ids = {seen.id for seen in traffic.seen if seen.began >= began}
        factor = sum(entry.id in ids for entry in ledger.entries) / len(ids)
        hung = sum(seen.ended in ("hung", "broken") for seen in traffic.seen)
        self.found.measure("S-05", f"attempts per request at 150/s, {what}", f"{factor:.2f}", f"≤ {most:g}", factor < most + 0.005 and not hung,
                           self._again)
        return traffic

    async def outage(self) -> None:
        """All three answer, then none does: the first seconds, in which retries onto whoever answered lately are free."""
        ledger = Ledger()
        servers = [FaultServer(name=f"e{i}", ledger=ledger) for i in range(3)]
        for server in servers:
            await server.start()
        plan = Plan(clock=replace(SCALED, eject=10))
        plan.add("outage", Tier("outage-t", [s.url for s in servers[:2]]), Tier("outage-u", [servers[2].url]))
        moment = []

        async def strike() -> None:
            moment.append(asyncio.get_running_loop().time())
            for server in servers:
                server.scenario = BROKEN

        async with Router(self.folder / "outage", plan) as router:
            traffic = Traffic(router, "outage", 150, "outage", seed=self.seed)
            await traffic.run(10, strike)
        for server in servers:
            await server.aclose()
        ids = {seen.id for seen in traffic.seen if seen.began >= moment[0]}
        factor = sum(entry.id in ids for entry in ledger.entries) / len(ids)
        self.found.measure("S-05", "the first 8 s after three endpoints that answered begin to fail", f"{factor:.2f}",
                           "≤ 1.4 (free for one second)", factor <= 1.4, self._again)

    def _leaks(self, id: str, leaks: list[str]) -> None:
        for leak in leaks:
            self.found.measure(id, "left behind", leak, "nothing", False, self._again)

    # -- P1

    async def nobody(self) -> None:
        """P1: all endpoints down: a 503 with Retry-After, at once."""
        servers = [FaultServer(Scenario(lambda asked: [], listens=False)) for _ in range(4)]
        for server in servers:
            await server.start()
        plan = Plan(clock=replace(SCALED, eject=10))
        plan.add("nobody", Tier("nobody-t", [s.url for s in servers[:2]]), Tier("nobody-u", [s.url for s in servers[2:]]))
        async with Router(self.folder / "nobody", plan) as router:
            oracle = Oracle(router.port, allowed_s=5)
            seen = [await oracle.ask(f"nobody.{i}", model="nobody", stream=i % 2 == 0) for i in range(60)]
            status, _ = await router.readiness()
        for server in servers:
            await server.aclose()
        slow = max(s.took_s for s in seen[20:])
        right = all(s.ended == "status" and s.status == 503 for s in seen)
        self.found.measure("P1", "everybody down: 503 with Retry-After, once that is known", f"at most {slow * 1000:.0f} ms", "≤ 100 ms",
                           right and slow <= 0.1, self._again)
        self.found.measure("P1", "readiness while every endpoint is ejected (the last way is still tried)", str(status), "200",
                           status == 200, self._again)

    # -- S-07

    async def stopped(self) -> None:
        await self._gone("stopped (SIGSTOP)", signal.SIGSTOP)

    async def killed(self) -> None:
        await self._gone("killed (SIGKILL)", signal.SIGKILL)

    async def _gone(self, how: str, number: int) -> None:
        """One of two endpoints goes under 60 requests a second, each taking 60 ms: when is the last one sent there?"""
        one, other = Child(0.06), Child(0.06)
        plan = Plan(clock=replace(SCALED, eject=60, deadline=8))
        plan.add("gone", Tier("gone-t", [one.url, other.url]))
        moment = [0.0]

        async def strike() -> None:
            moment[0] = time.time()
            one.signal(number)

        try:
            async with Router(self.folder / f"gone{number}", plan) as router:
                traffic = Traffic(router, "gone", 60, "gone", stream_share=0.7, seed=self.seed)
                await traffic.run(5 if self.quick else 8, strike)
            records = [r for found in router.records().values() for r in found]
        finally:
            one.end()
            other.end()
        late = [r["at"] + a["started_s"] - moment[0] for r in records for a in r["attempts"] if a["endpoint"] == "gone-t/0"]
        last = max(late, default=0.0)
        # A stream that had begun there breaks, and must; nothing else may.
        unseen = [s for s in traffic.failed if s.ended != "error"]
        self.found.measure("S-07", f"an endpoint is {how}: last request sent to it after", f"{max(0.0, last):.2f} s", f"≤ {AFTER_S:g} s",
                           last <= AFTER_S and len(late) > 5, self._again)
        self.found.measure("S-07", f"an endpoint is {how}: errors before the commit", f"{len(unseen)} of {len(traffic.seen)} requests"
                           + (f"; {unseen[0]}" if unseen else ""), "0", not unseen, self._again)

    async def bad_requests(self) -> None:
        """A client's own mistakes never cost an endpoint its place."""
        refuse = Scenario(lambda asked: [Send(answers.plain("400 Bad Request", b'{"error":{"message":"your fault","type":"invalid_request_error"}}'))])
        servers = [FaultServer(refuse), FaultServer(refuse)]
        for server in servers:
            await server.start()
        plan = Plan()
        plan.add("bad", Tier("bad-t", [s.url for s in servers]))
        count = 1000 if self.quick else 10_000
        async with Router(self.folder / "bad", plan) as router:
            oracle, numbers = Oracle(router.port, allowed_s=10), iter(range(count))

            async def ask() -> int:
                wrong = 0
                for i in numbers:
                    wrong += (await oracle.ask(f"bad.{i}", model="bad", stream=i % 2 == 0)).status != 400
                return wrong

            wrong = sum(await asyncio.gather(*(ask() for _ in range(24))))
            state = await router.admin("/state")
        for server in servers:
            await server.aclose()
        ejected = sum(e["state"] != "healthy" for e in state["pools"]["bad-t"]["endpoints"])
        self.found.measure("S-07", f"endpoints ejected by {count:,} bad requests", str(ejected), "0", not ejected and not wrong, self._again)

    # -- S-08

    async def liars(self) -> None:
        """P8: one of four endpoints lies about its load, in nine ways."""
        cases = _lies()
        plan, servers, shares = Plan(), [], {}
        for name, lie in cases.items():
            four = [FaultServer(Scenario(_busy), name=f"{name} {i}") for i in range(4)]
            for i, server in enumerate(four):
                server.get["/metrics"] = lie if i == 0 else _honest(server)
                await server.start()
            servers.append(four)
            plan.add(name, Tier(f"{name}-t", [s.url for s in four], engine="vllm", slots=16))
        count = 120 if self.quick else 600
        async with Router(self.folder / "liars", plan) as router:
            polled = await self._polled(servers)
            await asyncio.gather(*(self._ask_many(router, name, count) for name in cases))
        for name, four in zip(cases, servers, strict=True):
            shares[name] = four[0].requests / max(1, sum(s.requests for s in four)) - 0.25
            for server in four:
                await server.aclose()
        worst = max(shares, key=lambda name: shares[name])
        noise = 2 * (0.25 * 0.75 / count) ** 0.5
        self.found.measure(
            "S-08", f"extra share of traffic to an endpoint whose /metrics lies, worst of {len(cases)} lies ({worst}; metrics were"
            f"{'' if polled else ' not'} polled)", f"{shares[worst]:+.1%} ± {noise:.1%}", "≤ +5 %", shares[worst] <= 0.05 + noise, self._again)

    async def _polled(self, servers: list[list[FaultServer]]) -> bool:
        """Waits until the router has looked at every /metrics, if it ever does."""
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if all(s.opened for four in servers for s in four):
                return True
            await asyncio.sleep(0.1)
        return False

    async def _ask_many(self, router: Router, name: str, count: int) -> None:
        oracle, numbers = Oracle(router.port, allowed_s=10), iter(range(count))

        async def ask() -> None:
            for i in numbers:
                seen = await oracle.ask(f"{name}.{i}", model=name, stream=i % 2 == 0)
                if seen.ended != "complete":
                    self.found.measure("S-08", f"beside a liar ({name})", str(seen), "complete", False, self._again)

        await asyncio.gather(*(ask() for _ in range(6)))

    # -- P3, P5, P6

    async def slow_one(self) -> None:
        """P3: one of three endpoints answers 20 times slower: how much it still gets after ten seconds."""
        servers = [FaultServer(Scenario(_after(0.4 if i == 0 else 0.02)), name=f"e{i}") for i in range(3)]
        for server in servers:
            await server.start()
        plan = Plan()
        plan.add("slow", Tier("slow-t", [s.url for s in servers]))
        async with Router(self.folder / "slow", plan) as router:
            traffic = Traffic(router, "slow", 100, "slow", seed=self.seed)
            await traffic.run(10)
        share = servers[0].requests / sum(s.requests for s in servers)
        for server in servers:
            await server.aclose()
        self.found.measure("P3", "share of an endpoint that is 20 times slower, of three", f"{share:.0%}", "< 33 %; fewer is better",
                           share < 0.33 and not traffic.failed, self._again)

    async def recovery(self) -> None:
        """P5: an ejected endpoint that is back is tried by one request at a time, and serves again."""
        ledger = Ledger()
        bad, good = FaultServer(BROKEN, name="bad", ledger=ledger), FaultServer(Scenario(_after(0.01)), name="good", ledger=ledger)
        await bad.start()
        await good.start()
        plan = Plan(clock=replace(SCALED, eject=1.0))
        plan.add("back", Tier("back-t", [bad.url, good.url]))

        async def heal() -> None:
            bad.scenario = Scenario(lambda asked: [Stall()])  # a probe that takes for ever shows whether there is a second one
            for _ in range(40):
                await asyncio.sleep(0.05)
                probes.append(sum(entry.endpoint == "bad" for entry in ledger.running))
            bad.scenario = Scenario(answers.right)
            healed.append(bad.requests)

        probes: list[int] = []
        healed: list[int] = []
        async with Router(self.folder / "back", plan) as router:
            traffic = Traffic(router, "back", 80, "back", seed=self.seed, stream_share=0.0)
            await traffic.run(10, heal)
        again = bad.requests - healed[0]
        for server in (bad, good):
            await server.aclose()
        self.found.measure("P5", "requests at a time that probe an ejected endpoint", str(max(probes)), "≤ 1",
                           max(probes) <= 1, self._again)
        self.found.measure("P5", "requests that it got in the 6 s after it was well again", str(again), "> 50", again > 50, self._again)
        self.found.measure("P5", "errors meanwhile", traffic.summary(), "0", not traffic.failed, self._again)

    # -- P2, P4, P9

    async def rolling(self) -> None:
        """P2: three endpoints are restarted one after the other, each drained before, under 40 requests a second."""
        children = [Child(0.06) for _ in range(3)]
        plan = Plan()
        plan.add("rolling", Tier("rolling-t", [child.url for child in children]))
        back: list[bool] = []

        async def roll() -> None:
            for at in range(len(children)):
                path = f"/endpoints/rolling-t/{at}/drain"
                await router.admin(path, "POST", b'{"deadline": 30, "reason": "restart"}')
                await self._idle_at(router, "rolling-t", at)
                port = children[at].port
                await asyncio.to_thread(children[at].end)
                children[at] = Child(0.06, port)
                await router.admin(path, "DELETE")
                back.append(True)

        try:
            async with Router(self.folder / "rolling", plan) as router:
                traffic = Traffic(router, "rolling", 40, "rolling", stream_share=0.7, seed=self.seed)
                await traffic.run(12, roll)
                late = Traffic(router, "rolling", 40, "rolled", seed=self.seed)
                await late.run(2)
            records = [r for s in late.seen for r in router.records().get(s.id, [])]
        finally:
            for child in children:
                child.end()
        serving = {a["endpoint"] for r in records for a in r["attempts"]}
        self.found.measure("P2", "three endpoints drained and restarted one after the other: requests without their answer", traffic.summary(), "0",
                           not traffic.failed and not late.failed, self._again)
        self.found.measure("P2", "of them restarted, serving again", f"{len(back)}, {len(serving)}", "3, 3", len(back) == len(serving) == 3, self._again)

    async def _idle_at(self, router: Router, pool: str, at: int) -> None:
        """Returns when nothing runs there any more."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            state = await router.admin("/state")
            if not state["pools"][pool]["endpoints"][at]["in_flight"]:
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"{pool}/{at} still has requests after ten seconds")

    async def noticed(self) -> None:
        """P4: a machine of two is announced to go in 5 s, while streams of a second run on it."""
        ledger = Ledger()
        servers = [FaultServer(Scenario(_streams_for_a_second), name=f"e{i}", ledger=ledger) for i in range(2)]
        for server in servers:
            await server.start()
        plan = Plan(clock=replace(SCALED, deadline=8))
        plan.add("noticed", Tier("noticed-t", [s.url for s in servers]))
        moment: list[float] = []

        async def announce() -> None:
            await router.admin("/endpoints/noticed-t/0/drain", "POST", b'{"deadline": 5, "reason": "spot"}')
            moment.append(asyncio.get_running_loop().time())

        async with Router(self.folder / "noticed", plan) as router:
            traffic = Traffic(router, "noticed", 30, "noticed", stream_share=1.0, seed=self.seed)
            await traffic.run(3 if self.quick else 6, announce)
        for server in servers:
            await server.aclose()
        before = [entry.at for entry in ledger.at("e0")]
        last = max((at - moment[0] for at in before), default=0.0)
        self.found.measure("P4", "an endpoint is announced to go: last request sent to it after", f"{max(0.0, last):.2f} s", "≤ 1 s",
                           last <= 1.0 and bool(before), self._again)
        self.found.measure("P4", "streams cut by it", traffic.summary(), "0", not traffic.failed, self._again)

    async def swapped(self) -> None:
        """P9: one of two endpoints comes to list another model than ours."""
        servers = [FaultServer(Scenario(_busy), name=f"e{i}") for i in range(2)]
        for server in servers:
            server.get["/metrics"] = _honest(server)
            await server.start()
        plan = Plan()
        plan.add("swapped", Tier("swapped-t", [s.url for s in servers], engine="vllm"))
        counts: list[int] = []

        async def swap() -> None:
            servers[0].get["/v1/models"] = lambda: _page(b'{"object":"list","data":[{"id":"another","object":"model"}]}')
            await asyncio.sleep(NOTICED_S)
            counts.append(servers[0].requests)

        async with Router(self.folder / "swapped", plan) as router:
            traffic = Traffic(router, "swapped", 30, "swapped", seed=self.seed)
            await traffic.run(20, swap)
        asked = servers[0].requests - counts[0]
        for server in servers:
            await server.aclose()
        self.found.measure("P9", f"an endpoint lists another model: requests it gets {NOTICED_S:g} s later; errors", f"{asked}; {traffic.summary()}",
                           "0; 0", not asked and not traffic.failed and counts[0] > 0, self._again)


def _busy(asked: Asked) -> list[Step]:
    return [Wait(0.03), *answers.right(asked)]


def _streams_for_a_second(asked: Asked) -> list[Step]:
    texts = answers.text_events(asked.id)
    drips: list[Step] = [Drip(answers.chunk(data), 1.0 / len(texts), 100_000, 1) for data in texts]
    finish = b"".join(map(answers.chunk, answers.finish_events(asked)))
    return [*answers.sends(asked, 0), *drips, Send(finish + answers.END), Complete()]


def _after(delay_s: float) -> Callable[[Asked], list[Step]]:
    return lambda asked: [Wait(delay_s), *answers.right(asked)]


def _metrics(running: object, waiting: object, kv: object) -> bytes:
    labels = '{engine="0",model_name="m"}'
    return (f"# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{labels} {running}\n"
            f"# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{labels} {waiting}\n"
            f"# TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc{labels} {kv}\n").encode()


def _page(body: bytes, status: str = "200 OK") -> list[Step]:
    return [Send(answers.plain(status, body, content_type="text/plain; version=0.0.4"))]


def _honest(server: FaultServer) -> Callable[[], list[Step]]:
    return lambda: _page(_metrics(float(server.running), 1.0, 0.3))


def _lies() -> dict[str, Callable[[], list[Step]]]:
    frozen = _metrics(0.0, 0.0, 0.01)
    return {
        "absent": lambda: _page(b"not found", "404 Not Found"),
        "failing": lambda: _page(b"oops", "500 Internal Server Error"),
        "slow": lambda: [Wait(5.0), *_page(_metrics(0.0, 0.0, 0.0))],
        "garbage": lambda: _page(b"\x00\xff{]" * 50),
        "nan": lambda: _page(_metrics("NaN", "NaN", "NaN")),
        "zero": lambda: _page(_metrics(0.0, 0.0, 0.0)),
        "frozen": lambda: _page(frozen),
        "huge": lambda: _page(b"# filler\n" * 1_200_000 + _metrics(0.0, 0.0, 0.0)),
        "minus": lambda: _page(_metrics(-5.0, -100.0, -1.0)),
    }


def spool_cost_us() -> float:
    """What keeping a record costs a request, in microseconds (median of 2,000): part of S-21."""
    import tempfile

    import msgspec

    from pointsman.core.record import Attempt, Record
    from pointsman.records.spool import Spool

    attempt = Attempt(1, "small", "small", "small/0", "m", "chosen", 0.001, 0.5, 0.1, "answered")
    record = Record(id="0" * 32, at=0.0, kind="chat", requested_model="auto", route="auto", tenant="", key="", stream=True,
                    outcome="answered", status=200, duration_s=0.5, ttft_s=0.1, attempts=(attempt,))
    took = []
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "x.spool")
        for i in range(2000):
            one = msgspec.structs.replace(record, id=f"{i:032x}")
            began = time.perf_counter()
            spool.write(one)
            took.append(time.perf_counter() - began)
        spool.close()
    return sorted(took)[len(took) // 2] * 1e6


__all__ = ["BROKEN", "Child", "FleetFaults", "spool_cost_us"]
