"""Before an engine that reads one prompt after the other and is asked for more than it can read: whose turn it is, over real sockets."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
from rich.console import Console

from pointsman.cli.fleet_picture import screen
from pointsman.core.settings import KeySettings, RouteSettings
from pointsman.pools.balancers import load
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer, ServerThread
from pointsman.testing.router import RunningRouter

from .test_workers import CONFIG, Router, folder

__all__ = ["folder"]

TOKEN_S = 0.0001
WARM_UP = 12
"""Answers after which an endpoint's reading can be foretold."""
KEYS = tuple(KeySettings(name, sha256(name.encode()).digest(), tenant=tenant, priority=priority)
             for name, tenant, priority in (("hog", "hog", "normal"), ("boss", "hog", "high"), ("other", "other", "normal")))


class Reads(days.Day):
    """Reads prompts in the order of arrival, at four letters a token, and answers each at once."""

    def __init__(self) -> None:
        self.reading = asyncio.Lock()
        self.order: list[str] = []

    async def serve(self, exchange: days.Exchange) -> None:
        prompt = exchange.asked.texts[0]
        self.order.append(prompt.partition(" ")[0])
        async with self.reading:
            await asyncio.sleep(len(prompt) / 4 * TOKEN_S)
        await days.Answer().serve(exchange)


def a_prompt(name: str, tokens: int) -> str:
    return (f"{name} " + f"{name}-word " * tokens)[: 4 * tokens]


async def ask(client, router: RunningRouter, key: str, name: str, tokens: int) -> float:
    """How long it took."""
    clock = asyncio.get_running_loop().time
    began = clock()
    heard = await client.post(f"{router.url}/chat/completions", {
        "model": "auto", "stream": True, "messages": [{"role": "user", "content": a_prompt(name, tokens)}]}, {"x-api-key": key})
    assert (heard.status, heard.is_done) == (200, True)
    return clock() - began


def settings(url: str):
    route = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",))
    made = a_settings(a_pool("small", endpoints=(an_endpoint("small/0", url, slots=None),), balancer="prefix"), route=route)
    return msgspec.structs.replace(made, keys=KEYS)


def waiting(router: RunningRouter) -> int:
    return router.service.anterooms()["small"]["waiting"]


async def flood(client, router: RunningRouter, count: int) -> list[asyncio.Task[float]]:
    """One tenant's, of which the most wait."""
    asking = [asyncio.create_task(ask(client, router, "hog", f"h{n}", 150)) for n in range(count)]
    async with asyncio.timeout(5.0):
        while waiting(router) < count * 0.8:
            await asyncio.sleep(0.002)
    return asking


@pytest.fixture(autouse=True)
def _reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two prompts instead of twenty: the test has no minutes."""
    monkeypatch.setattr(load, "READS_LEAST_S", 0.03)
    monkeypatch.setattr(load, "READS_MOST_S", 0.03)


def test_a_tenant_that_floods_delays_itself_and_not_another(client) -> None:
    async def story() -> None:
        async with ModelServer(Reads()) as engine, RunningRouter(settings(engine.url)) as router, client() as c:
            alone = [await ask(c, router, "other", f"w{n}", 20 * n) for n in range(1, WARM_UP + 1)]
            asking = await flood(c, router, 80)
            room = router.service.anterooms()["small"]
            others = [await ask(c, router, "other", f"o{n}", 150) for n in range(8)]
            assert waiting(router) > 0, "the flood has gone on all the time"
            hogs = await asyncio.gather(*asking)

            assert median(others) < alone[-1] + 0.15
            assert median(others) < median(hogs) / 3
            assert room["tenants"] == {"hog": room["waiting"]}
            assert router.service.anterooms()["small"] == {"waiting": 0, "oldest_s": None, "tenants": {}}
            assert (router.leases, router.service.in_flight) == (0, 0)

    asyncio.run(story())


def test_a_high_priority_overtakes(client) -> None:
    async def story() -> None:
        day = Reads()
        async with ModelServer(day) as engine, RunningRouter(settings(engine.url)) as router, client() as c:
            for n in range(1, WARM_UP + 1):
                await ask(c, router, "hog", f"w{n}", 20 * n)
            asking = await flood(c, router, 40)
            before = len(day.order)
            boss = await ask(c, router, "boss", "b0", 400)
            hogs = await asyncio.gather(*asking)

            assert day.order.index("b0") <= before + 3
            assert boss < median(hogs)

    asyncio.run(story())


def test_clients_that_leave_while_they_wait_leave_nothing_behind(client) -> None:
    async def story() -> None:
        day = Reads()
        async with ModelServer(day) as engine, RunningRouter(settings(engine.url)) as router, client() as c:
            for n in range(1, WARM_UP + 1):
                await ask(c, router, "hog", f"w{n}", 20 * n)
            asking = await flood(c, router, 40)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            async with asyncio.timeout(5.0):
                while waiting(router) or router.leases or router.service.in_flight:
                    await asyncio.sleep(0.002)

            assert len(day.order) < WARM_UP + 20, "who waited was never sent"
            await ask(c, router, "other", "after", 100)

    asyncio.run(story())


def test_the_operator_sees_who_waits(client) -> None:
    async def story() -> None:
        async with ModelServer(Reads()) as engine, RunningRouter(settings(engine.url)) as router, client() as c:
            for n in range(1, WARM_UP + 1):
                await ask(c, router, "other", f"w{n}", 20 * n)
            asking = await flood(c, router, 40)
            asking.append(asyncio.create_task(ask(c, router, "other", "o", 150)))
            while "other" not in router.service.anterooms()["small"]["tenants"]:
                await asyncio.sleep(0.001)
            wanting = router.service._wanting("small")
            state, page = router.service.state(), router.service.metrics()[0].decode()
            await asyncio.gather(*asking)

            assert wanting >= 30, "more machines would be for these"
            room, lines = state["pools"]["small"]["anteroom"], dict(line.rsplit(" ", 1) for line in page.splitlines())
            assert room["waiting"] == sum(room["tenants"].values())
            assert 0.0 < room["oldest_s"] < 5.0
            assert float(lines['pointsman_anteroom_waiting{pool="small"}']) > 20
            assert float(lines['pointsman_anteroom_oldest_seconds{pool="small"}']) > 0.0
            assert float(lines['pointsman_anteroom_tenant_waiting{pool="small",tenant="hog"}']) > 20
            console = Console(width=250)
            with console.capture() as shown:
                console.print(screen(state, "http://x"))
            assert f"hog {room['tenants']['hog']}" in shown.get()

    asyncio.run(story())


class Holds(days.Day):
    """Answers at once, until it holds: then nobody hears anything before it is let go."""

    def __init__(self) -> None:
        self.lets = asyncio.Event()
        self.lets.set()

    async def let(self, goes: bool) -> None:
        (self.lets.set if goes else self.lets.clear)()

    async def serve(self, exchange: days.Exchange) -> None:
        await self.lets.wait()
        await days.Answer().serve(exchange)


def test_of_several_workers_all_who_wait_are_told_together(folder: Path, client) -> None:
    async def story(router: Router, engine: ServerThread[ModelServer], day: Holds) -> None:
        async def say(n: int) -> int:
            async with client() as c:
                body = {"model": "small", "stream": True, "messages": [{"role": "user", "content": f"{n} " * n}]}
                return (await c.post(f"http://127.0.0.1:{router.port}/v1/chat/completions", body)).status

        def room() -> dict[str, Any]:
            found: dict[str, Any] = router.admin("/state")["pools"]["small"]["anteroom"]
            return found

        for n in range(10, 50):
            assert await say(n) == 200
        engine.run(day.let(False))
        asking = []
        async with asyncio.timeout(30.0):
            while (seen := await asyncio.to_thread(room))["waiting"] < 4:  # once an endpoint has been silent for long enough
                asking.append(asyncio.create_task(say(100 + len(asking))))
                await asyncio.sleep(0.05)
        assert (seen["tenants"], seen["oldest_s"] > 0.0) == ({"anonymous": seen["waiting"]}, True)
        assert router.counted("pointsman_anteroom_waiting") >= 4
        engine.run(day.let(True))
        assert set(await asyncio.gather(*asking)) == {200}
        await asyncio.to_thread(router.until, lambda: room() == {"waiting": 0, "oldest_s": None, "tenants": {}})

    day = Holds()
    with ServerThread(ModelServer(day)) as engine:
        endpoint = f'{{url: "{engine.server.url}", usd_per_million: {{input: 1, output: 2}}}}'
        (folder / "router.yaml").write_text(CONFIG.format(model="small-model", endpoints=endpoint) + "    balancer: prefix\n")
        with Router(folder) as router:
            asyncio.run(story(router, engine, day))
