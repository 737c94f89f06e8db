"""Verified cascades in front of a real llama.cpp: its own log-probabilities, its own slots."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from pointsman.core.settings import CascadeSettings, HoldSettings, RouteSettings
from pointsman.core.verdict import Rates
from pointsman.core.verifying import Logprobs
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.llamacpp import MODEL, LlamaCpp
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

LARGE = "The large one knows better."
LONG = {"max_tokens": 700, "temperature": 0, "ignore_eos": True}
"""Longer than any of these tests."""
SURE, DOUBTFUL = ((-100.0, 0.98), (0.0, 0.99)), ((-100.0, 0.01), (0.0, 0.02))
"""Curves that find every answer good, or bad."""


@pytest.fixture(scope="module")
def engine() -> Iterator[LlamaCpp]:
    with LlamaCpp(slots=2) as running:
        yield running


def before(engine: LlamaCpp, large: str, curve: Any, **cascade: Any) -> Any:
    spec = an_endpoint("small/0", engine.url, model=MODEL, engine="llamacpp", slots=None)
    route = RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",),
                          cascade=CascadeSettings(hold=HoldSettings(6, 30.0), **cascade), verify=(Logprobs(rates=Rates(0.02, 0.02), curve=curve),))
    return a_settings(a_pool("small", endpoints=(spec,)), a_pool("large", large), route=route)


async def until(what: Any, timeout_s: float = 120.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("mode", ["benefit", "threshold"])
def test_a_doubtful_beginning_frees_its_slot_before_the_larger_one_has_said_a_word(client, engine, mode):
    async def story():
        async with ModelServer(days.Answer(LARGE, first_token_after=6.0)) as large:
            async with RunningRouter(before(engine, large.url, DOUBTFUL, mode=mode)) as router, client(60) as c:
                asking = asyncio.create_task(c.chat(router.url, stream=True, **LONG))
                await large.wait_for(lambda: large.requests, 120)
                await until(lambda: engine.busy_slots() == 0, 5.0)
                assert not asking.done()
                assert (await asking).text == LARGE
                (record,) = router.records()
                (check,) = record.checks
                assert check.features["logprobs.mean"] < 0
                assert not check.is_whole
                assert [(a.tier, a.outcome) for a in record.attempts] == [("small", "cancelled"), ("large", "answered")]
                assert router.leases == 0

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_an_accepted_answer_is_what_the_engine_says_unasked(client, engine, stream):
    async def story():
        fields = {"max_tokens": 12, "temperature": 0, "seed": 1, "cache_prompt": False}
        async with ModelServer() as large, RunningRouter(before(engine, large.url, SURE)) as router, client(60) as c:
            heard = await c.chat(router.url, stream=stream, **fields)
            own = await c.chat(engine.url, stream=stream, model=MODEL, **fields)
            assert heard.status == own.status == 200
            assert lasting(heard.body, stream=stream) == lasting(own.body, stream=stream)
            assert b"logprobs" not in heard.body
            (record,) = router.records()
            assert record.checks[0].features["logprobs.mean"] <= 0

    asyncio.run(story())


def lasting(body: bytes, *, stream: bool) -> list[Any]:
    """What an engine says again when it is asked again: no ids, stamps or times."""
    parts = [line[6:] for line in body.decode().split("\n") if line.startswith("data: {")] if stream else [body.decode()]
    return [{name: value for name, value in json.loads(part).items() if name not in ("id", "created", "timings")} for part in parts]
