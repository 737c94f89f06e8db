"""What a real vLLM says about its load, and what the router makes of it."""

from __future__ import annotations

import asyncio
import time

from client import Client, counted
from engine import NAME, Load
from fleet import NEVER, PRICE, a_fleet, a_pool

from pointsman.core.fleet import EndpointSpec, LoadReport
from pointsman.core.settings import SaturationSettings
from pointsman.testing.router import RunningRouter
from pointsman.upstream.load_report.reader import HttpLoadReader


async def reported(url: str, **fields: object) -> LoadReport:
    reader = HttpLoadReader()
    try:
        endpoint = EndpointSpec(id="p/0", pool="p", url=url, model=NAME, price=PRICE, **fields)
        return await reader.read(endpoint, asyncio.get_running_loop().time() + 30)
    finally:
        await reader.aclose()


def test_it_is_recognised_without_being_told_and_its_figures_move(calm, measured):
    async def story():
        idle = await reported(calm.url)
        assert (idle.engine, idle.version, idle.models, idle.context) == ("vllm", calm.version(), (NAME,), 1024)
        assert (idle.running, idle.waiting, idle.kv_usage, idle.is_awake) == (0, 0, 0.0, True)
        with Load(calm, 14):
            until = time.monotonic() + 60
            while time.monotonic() < until:
                busy = await reported(calm.url)
                if (busy.running or 0) >= 6 and (busy.waiting or 0) >= 2 and (busy.kv_usage or 0) > 0.5:
                    break
                await asyncio.sleep(0.2)
            else:
                raise AssertionError(f"never busy: {busy}")
        assert busy.progress > idle.progress
        measured(f"{busy.engine} {busy.version}; idle 0/0/0 %, under load {busy.running} running, {busy.waiting} waiting, KV {busy.kv_usage:.0%}")

    asyncio.run(story())


def test_an_engine_that_keeps_its_figures_to_itself_is_unknown_and_not_idle(narrow, measured):
    report = asyncio.run(reported(narrow.url))

    assert (report.engine, report.running, report.waiting, report.kv_usage) == ("vllm", None, None, None)
    measured("--disable-log-stats: load unknown")


def test_answers_stay_whole_while_the_engine_throws_requests_out_of_its_cache(calm, measured):
    async def story():
        before = calm.metric("vllm:num_preemptions_total")
        async with RunningRouter(a_fleet(a_pool("small", calm.url))) as router, Client() as client:
            answers = await asyncio.gather(*(client.chat(router.url, stream=True, max_tokens=500) for _ in range(6)))
        thrown_out = calm.metric("vllm:num_preemptions_total") - before
        assert [answer.text == counted(500) for answer in answers] == [True] * 6
        assert all(answer.is_done and answer.usage["completion_tokens"] == 500 for answer in answers)
        assert thrown_out >= 1
        measured(f"{thrown_out:.0f} preemptions; 6 streams of 500 tokens, no token lost")

    asyncio.run(story())


def test_a_queue_at_the_engine_sends_new_requests_to_the_tier_above_within_three_seconds(calm, narrow, measured):
    """The other traffic is not ours: only polling can see it."""
    async def story():
        settings = a_fleet(a_pool("small", calm.url), a_pool("large", narrow.url), saturation=SaturationSettings(probe_share=0.0))
        async with RunningRouter(settings, polls=True) as router, Client() as client:
            assert (await client.chat(router.url, max_tokens=1)).headers["x-route-tier-name"] == "small"
            with Load(calm, 20):
                while await asyncio.to_thread(calm.metric, "vllm:num_requests_waiting") < 5:
                    await asyncio.sleep(0.05)
                began = time.monotonic()
                diverted = None
                asked_at: dict[asyncio.Task, float] = {}
                while diverted is None and time.monotonic() - began < 60:
                    # When it was asked counts, not when it was answered: a busy machine takes its time with that.
                    asked_at[asyncio.create_task(client.chat(router.url, max_tokens=1))] = time.monotonic() - began
                    await asyncio.wait(asked_at, timeout=0.25)
                    above = [at for task, at in asked_at.items() if task.done() and task.result().headers.get("x-route-tier-name") == "large"]
                    diverted = min(above, default=None)
                    await asyncio.sleep(0.05)
                assert diverted is not None, router.service.state()["tiers"]
                state = router.service.state()["tiers"]["small"]
                assert not state["is_fit"]
                assert state["reason"] in ("waiting", "kv")
            records = [record for record in router.records() if record.escalations]
            assert {record.escalations[0].reason for record in records} == {"saturated"}
            assert {record.original_tier for record in records} == {"small"}
            assert diverted < 3.0
            measured(f"diverted {diverted:.1f} s after the engine's own count of waiting reached 5 ({state['detail']})")

    asyncio.run(story())


def test_slow_first_tokens_break_the_promise_and_the_tier_above_answers(calm, narrow, measured):
    async def story():
        import msgspec

        from pointsman.core.settings import SlaSettings, TierSettings

        settings = a_fleet(a_pool("small", calm.url), a_pool("large", narrow.url))
        promise = TierSettings("small", ("small",), sla=SlaSettings(None, 0.25), saturation=NEVER)
        settings = msgspec.structs.replace(settings, tiers=settings.tiers | {"small": promise})
        async with RunningRouter(settings, polls=True) as router, Client() as client:
            # Far more than there is room for: most wait for their first token.
            answers = await asyncio.gather(*(client.chat(router.url, stream=True, max_tokens=120) for _ in range(40)))
            assert {answer.text == counted(120) for answer in answers} == {True}
            began = time.monotonic()
            while (await client.chat(router.url, stream=True, max_tokens=1)).headers["x-route-tier-name"] != "large":
                assert time.monotonic() - began < 3.0
            state = router.service.state()["tiers"]["small"]
            assert state["reason"] == "ttft", state
            assert [record.escalations[0].reason for record in router.records() if record.escalations][-1] == "sla", state
            measured(f"{state['detail']}; next request to the tier above after {time.monotonic() - began:.2f} s")

    asyncio.run(story())
