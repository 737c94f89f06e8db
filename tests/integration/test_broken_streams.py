"""Streams that break without notice, on real sockets: another endpoint of the same model goes on, and the client sees one answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai import AsyncOpenAI

from pointsman.core.settings import HealthSettings, RouteSettings
from pointsman.testing import fault_answers as answers
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.fault_oracle import Oracle
from pointsman.testing.fault_replies import STREAMS
from pointsman.testing.fault_server import FaultServer
from pointsman.testing.fault_steps import Close, Scenario, Stall
from pointsman.testing.llamacpp import LlamaCpp
from pointsman.testing.router import RunningRouter

BREAKS = {fault.id: fault for fault in STREAMS if fault.stream in ("during", "either") and not fault.id.startswith("U38")}
ASK = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Count from one to ten in words."}]}


def a_router(*urls: str, engine: str = "vllm", **route: Any) -> RunningRouter:
    """Endpoints of one pool, none of which is ever ejected."""
    endpoints = tuple(an_endpoint(f"small/{n}", url, engine=engine, slots=4) for n, url in enumerate(urls))
    pool = a_pool("small", endpoints=endpoints, health=HealthSettings(eject_after=1000, eject_s=0.1, eject_max_s=0.1))
    values: dict[str, Any] = {"deadline_s": 5.0, "stall_timeout_s": 0.2} | route
    return RunningRouter(a_settings(pool, route=RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), **values)))


async def until_met(router: RunningRouter, bad: FaultServer, **more: Any) -> tuple[str, Any]:
    """The first answer whose request the bad endpoint was asked first; all before it were right, too."""
    oracle = Oracle(router.service.port, allowed_s=6.0)
    for number in range(40):
        seen = await oracle.ask(f"r{number}", model="auto", stream=True, **more)
        if bad.ledger.of(seen.id)[0].endpoint == bad.name:
            return seen.id, seen
        assert seen.ended == "complete", str(seen)
    raise AssertionError("the bad endpoint was never asked")


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_a_break_after_the_first_words_is_hidden(fault):
    async def story() -> None:
        good = FaultServer(name="good")
        async with FaultServer(fault.scenario, ledger=good.ledger, name="bad") as bad, good, a_router(bad.url, good.url) as router:
            asked_id, seen = await until_met(router, bad)
            assert seen.ended == "complete", str(seen)
            record = next(r for r in router.records() if r.client_request_id == asked_id)
            assert [a.outcome for a in record.attempts] == ["failed", "answered"]
            assert record.outcome == "answered"
            assert router.leases == 0

    asyncio.run(story())


@pytest.mark.parametrize(("engine", "more", "route"), [
    ("openai", {}, {}), ("vllm", {"logprobs": True}, {}), ("vllm", {"response_format": {"type": "text"}}, {}),
    ("vllm", {}, {"continue_streams": "never"})])
def test_what_nobody_can_go_on_with_ends_in_one_honest_error(engine, more, route):
    cut = Scenario(lambda asked: [*answers.sends(asked, 2), Close()])

    async def story() -> None:
        good = FaultServer(name="good")
        async with FaultServer(cut, ledger=good.ledger, name="bad") as bad, good, a_router(bad.url, good.url, engine=engine, **route) as router:
            _, seen = await until_met(router, bad, more=more)
            assert seen.ended == "error", str(seen)
            assert len(bad.ledger.of(seen.id)) == 1

    asyncio.run(story())


def test_a_client_that_leaves_while_another_goes_on_cancels_that():
    cut = Scenario(lambda asked: [*answers.sends(asked, 2), Stall()])
    slow = Scenario(lambda asked: [Stall()] if asked.told else answers.right(asked))

    async def story() -> None:
        good = FaultServer(slow, name="good")
        async with FaultServer(cut, ledger=good.ledger, name="bad") as bad, good, a_router(bad.url, good.url) as router:
            loop, oracle = asyncio.get_running_loop(), Oracle(router.service.port, allowed_s=6)
            for number in range(40):
                asked_id, leave = f"r{number}", asyncio.Event()
                asking = asyncio.create_task(oracle.leave(asked_id, model="auto", stream=True, after=leave, how="fin"))
                while not asking.done() and not any(e.endpoint == "good" for e in good.ledger.of(asked_id)):
                    await asyncio.sleep(0.002)
                entries = good.ledger.of(asked_id)
                leave.set()
                left_at = await asking
                if len(entries) == 2:
                    while entries[-1].is_running and loop.time() - left_at < 2:
                        await asyncio.sleep(0.002)
                    assert not entries[-1].is_running
                    assert entries[-1].ended_at - left_at < 0.25
                    await router.at_rest()
                    assert router.leases == 0
                    return
        raise AssertionError("the bad endpoint was never asked first")

    asyncio.run(story())


def test_the_official_sdk_reads_one_answer():
    cut = Scenario(lambda asked: [*answers.sends(asked, 3), Close()])

    async def story() -> None:
        async with FaultServer(cut, name="bad") as bad, FaultServer(name="good") as good, a_router(bad.url, good.url) as router:
            async with AsyncOpenAI(base_url=router.url, api_key="none", max_retries=0) as sdk:
                for number in range(20):
                    stream = await sdk.chat.completions.create(model="auto", stream=True, stream_options={"include_usage": True},
                                                               messages=[{"role": "user", "content": answers.prompt_of(f"r{number}")}])
                    chunks = [chunk async for chunk in stream]
                    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == answers.text_of(f"r{number}")
                    assert len({chunk.id for chunk in chunks}) == 1
                    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
                    (usage,) = [chunk.usage for chunk in chunks if chunk.usage]
                    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
            assert any(record.attempts[-1].reason == "continued" for record in router.records())

    asyncio.run(story())


def test_a_real_engine_that_is_killed_in_the_middle_of_its_answer_is_followed_by_another(client):
    """llama.cpp twice, killed with -9 after its first words; greedy, so that the whole can be compared with what one alone says."""
    asked = ASK | {"temperature": 0, "max_tokens": 60, "stream_options": {"include_usage": True}}

    async def alone(url: str) -> str:
        async with client() as c, a_router(url, engine="llamacpp", deadline_s=60.0, stall_timeout_s=30.0) as router:
            return (await c.post(f"{router.url}/chat/completions", asked)).text

    async def story(first: LlamaCpp, second: LlamaCpp) -> None:
        whole = await alone(first.url)
        async with a_router(first.url, second.url, engine="llamacpp", deadline_s=60.0, stall_timeout_s=30.0) as router:
            async with AsyncOpenAI(base_url=router.url, api_key="none", max_retries=0) as sdk:
                stream = await sdk.chat.completions.create(**asked)
                text, told, ids, finishes, usage = "", "", set(), [], None
                async for chunk in stream:
                    ids.add(chunk.id)
                    usage = chunk.usage or usage
                    for choice in chunk.choices:
                        text += choice.delta.content or ""
                        finishes += [choice.finish_reason] if choice.finish_reason else []
                    if not told and text.count(" ") == 5:
                        told = text
                        (first if first.busy_slots() else second).close()
            assert len(ids) == 1
            assert len(finishes) == 1
            assert usage is not None
            assert usage.completion_tokens <= 61
            (record,) = router.records()
            assert [(a.reason, a.outcome) for a in record.attempts] == [("chosen", "failed"), ("continued", "answered")]
            assert text.startswith(told)
            assert whole.startswith(told)
            assert len(text) > len(told) + 20
            assert router.leases == 0

    with LlamaCpp() as first, LlamaCpp() as second:
        asyncio.run(story(first, second))
