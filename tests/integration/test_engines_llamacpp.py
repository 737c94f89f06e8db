"""A real llama.cpp that is full, is left, queues and dies: in the ordinary run, since it starts in a second."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from pointsman.core.settings import PollingSettings, RouteSettings, SaturationSettings, TierSettings
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.llamacpp import MODEL, LlamaCpp
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

LONG = {"max_tokens": 700, "temperature": 0, "ignore_eos": True}
"""Some twenty seconds of work on one thread: longer than any of these tests."""
SOON = PollingSettings(every_s=0.2, timeout_s=5.0)
PINNED = RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",))


@pytest.fixture
def engine() -> Iterator[LlamaCpp]:
    with LlamaCpp(slots=2) as running:
        yield running


def before(engine: LlamaCpp, large: str | None = None, **endpoint: Any) -> Any:
    """The engine as tier `small`, something else as `large`."""
    spec = an_endpoint("small/0", engine.url, **({"model": MODEL, "engine": "llamacpp", "slots": None} | endpoint))
    if large is None:
        settings = a_settings(a_pool("small", endpoints=(spec,)), route=RouteSettings(
            "auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",)))
    else:
        settings = a_settings(a_pool("small", endpoints=(spec,)), a_pool("large", large), route=PINNED)
    small = TierSettings("small", ("small",), saturation=SaturationSettings(probe_share=0.0))
    return msgspec.structs.replace(settings, polling=SOON, tiers=settings.tiers | {"small": small})


async def holds(what: Any, timeout_s: float = 120.0) -> None:
    """Until `what()`: the engine moves in its own time."""
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.02)


def told_tokens(engine: LlamaCpp) -> int:
    """Of the answers that it is giving."""
    return sum(next_["n_decoded"] for slot in engine.get("/slots") for next_ in slot.get("next_token", ()))


@contextmanager
def others(engine: LlamaCpp, requests: int) -> Iterator[None]:
    """Traffic that does not pass the router: the engine has it, and only its report tells."""
    gone = threading.Event()

    def ask() -> None:
        body = msgspec.json.encode({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Count."}]} | LONG)
        request = urllib.request.Request(f"{engine.url}/chat/completions", body, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                while not gone.is_set() and reply.readline():
                    pass
        except OSError:
            pass  # the engine ends with the test

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(requests)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        gone.set()
        engine.close()
        for thread in threads:
            thread.join(60)


def test_its_own_word_on_slots_is_the_limit_and_who_finds_none_free_goes_up(client, engine):
    """Nobody configured how many it runs at once: its report says two."""
    async def story():
        async with ModelServer(days.Answer("large")) as large:
            async with RunningRouter(before(engine, large.url), polls=True) as router, client(60) as c:
                def slots() -> Any:
                    return router.service.state()["pools"]["small"]["endpoints"][0].get("slots")

                async with asyncio.timeout(60):
                    while slots() != 2:
                        await asyncio.sleep(0.02)
                running = [asyncio.create_task(c.chat(router.url, stream=True, **LONG)) for _ in range(2)]
                await holds(lambda: engine.busy_slots() == 2)
                answers = [await c.chat(router.url) for _ in range(4)]
                assert [answer.text for answer in answers] == ["large"] * 4
                state = router.service.state()["tiers"]["small"]
                assert (state["is_fit"], state["reason"]) == (False, "in_flight")
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
                climbed = [record for record in router.records() if record.routing_tier == "large"]
                assert {record.escalations[0].reason for record in climbed} == {"saturated"}

    asyncio.run(story())


def test_requests_that_it_defers_divert_the_tier(client, engine):
    """llama.cpp has no figure for its KV cache: who waits is what it tells."""
    async def story():
        async with ModelServer(days.Answer("large")) as large:
            async with RunningRouter(before(engine, large.url), polls=True) as router, client(60) as c:
                with others(engine, 9):
                    async with asyncio.timeout(120):
                        while router.service.state()["tiers"]["small"]["reason"] != "waiting":
                            await asyncio.sleep(0.05)
                    assert (await c.chat(router.url)).text == "large"
                (record,) = router.records()
                assert (record.original_tier, record.escalations[0].reason) == ("small", "saturated")

    asyncio.run(story())


def test_a_client_that_leaves_frees_its_slot(client, engine):
    async def story():
        async with RunningRouter(before(engine)) as router, client(60) as c:
            task = asyncio.create_task(c.chat(router.url, stream=True, **LONG))
            await holds(lambda: engine.busy_slots() == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await holds(lambda: engine.busy_slots() == 0)
            assert router.leases == 0
            assert [record.outcome for record in router.records()] == ["cancelled"]

    asyncio.run(story())


def test_a_plain_request_is_finished_by_the_engine_though_its_client_has_left(client, engine):
    """llama.cpp notices a closed connection only when it writes. The lease is given back at once, and its report tells the rest."""
    async def story():
        async with RunningRouter(before(engine)) as router, client(60) as c:
            task = asyncio.create_task(c.chat(router.url, **(LONG | {"max_tokens": 100})))
            await holds(lambda: engine.busy_slots() == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(1):
                while router.leases:
                    await asyncio.sleep(0.005)
            await holds(lambda: engine.busy_slots() == 0)
            assert [record.outcome for record in router.records()] == ["cancelled"]

    asyncio.run(story())


def test_whoever_finds_the_only_tier_full_stands_in_line_and_is_answered(client, engine):
    async def story():
        async with RunningRouter(before(engine, slots=1)) as router, client(60) as c:
            first = asyncio.create_task(c.chat(router.url, stream=True, max_tokens=30, temperature=0))
            await holds(lambda: engine.busy_slots() == 1)
            second = await c.chat(router.url, max_tokens=3)
            assert (second.status, (await first).is_done) == (200, True)
            queued = [record.queued_s for record in router.records()]
            assert sorted(wait is not None and wait > 0.0 for wait in queued) == [False, True]

    asyncio.run(story())


def test_an_engine_that_is_killed_in_the_middle_of_an_answer_is_followed_by_another(client):
    """Two real ones on spot machines; one process ends without a word."""
    async def story(doomed: LlamaCpp, other: LlamaCpp) -> None:
        specs = tuple(an_endpoint(f"small/{i}", one.url, model=MODEL, engine="llamacpp", spot=True, slots=2)
                      for i, one in enumerate((doomed, other)))
        settings = a_settings(a_pool("small", endpoints=specs, balancer="round_robin"), route=RouteSettings(
            "auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",)))
        async with RunningRouter(settings) as router, client(60) as c:
            asked = {"stream": True, "max_tokens": 60, "temperature": 0, "ignore_eos": True, "stream_options": {"include_usage": True}}
            telling = [asyncio.create_task(c.chat(router.url, "Tell me about rivers.", **asked)) for _ in range(2)]
            await holds(lambda: doomed.busy_slots() == 1 and other.busy_slots() == 1)
            await holds(lambda: told_tokens(doomed) >= 5)
            doomed.close()
            answers = await asyncio.gather(*telling)
            assert all(answer.is_done and answer.error is None for answer in answers)
            assert all(len({chunk["id"] for chunk in answer.chunks}) == 1 for answer in answers)
            for answer in answers:
                (usage,) = [chunk["usage"] for chunk in answer.chunks if chunk.get("usage")]
                assert 59 <= usage["completion_tokens"] <= 61
            assert sorted(record.attempts[-1].reason for record in router.records()) == ["chosen", "continued"]
            assert router.leases == 0

    with LlamaCpp(slots=2) as doomed, LlamaCpp(slots=2) as other:
        asyncio.run(story(doomed, other))
