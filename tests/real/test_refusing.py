"""A real engine that says no: full, or not to this request."""

from __future__ import annotations

import asyncio

import pytest
from client import Client, counted
from engine import Load
from fleet import a_fleet, a_pool

from pointsman.testing.router import RunningRouter


async def full(client: Client, url: str) -> None:
    """Until the engine itself refuses."""
    for _ in range(600):
        answer = await client.chat(url, model="counting", max_tokens=1)
        if answer.status == 503:
            assert "retry-after" not in answer.headers, "vLLM has begun to send Retry-After: use it"
            return
        await asyncio.sleep(0.05)
    raise AssertionError("never full")


def test_a_full_queue_is_answered_by_the_sibling_and_is_no_sickness(calm, narrow, measured):
    async def story():
        async with RunningRouter(a_fleet(a_pool("small", narrow.url, calm.url, balancer="round_robin"))) as router, Client() as client:
            with Load(narrow, 3):
                await full(client, narrow.url)
                answers = [await client.chat(router.url, stream=bool(i % 2)) for i in range(16)]
                assert {(answer.status, answer.text) for answer in answers} == {(200, counted(20))}
                endpoint = router.service.state()["pools"]["small"]["endpoints"][0]
                assert endpoint["state"] == "healthy"
            refused = [attempt for record in router.records() for attempt in record.attempts if attempt.outcome != "answered"]
            assert refused
            assert {(attempt.endpoint, attempt.upstream_status, attempt.error) for attempt in refused} == {("small/0", 503, "upstream_overloaded")}
            measured(f"16 answered, {len(refused)} refusals (503, no Retry-After) unseen; the full one stays healthy")

    asyncio.run(story())


def test_a_full_tier_climbs_as_saturated_and_alone_it_says_when_to_come_back(calm, narrow, measured):
    async def story():
        with Load(narrow, 3):
            async with RunningRouter(a_fleet(a_pool("small", narrow.url), a_pool("large", calm.url))) as router, Client() as client:
                await full(client, narrow.url)
                for _ in range(8):
                    assert (await client.chat(router.url)).text == counted(20)
                climbed = [record for record in router.records() if record.escalations]
                assert climbed
                assert {record.escalations[0].reason for record in climbed} == {"saturated"}
            async with RunningRouter(a_fleet(a_pool("small", narrow.url))) as router, Client() as client:
                await full(client, narrow.url)
                answers = [await client.chat(router.url) for _ in range(4)]
                refused = [answer for answer in answers if answer.status != 200]
                assert refused
                assert {answer.status for answer in refused} == {503}
                assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
                assert router.service.state()["pools"]["small"]["endpoints"][0]["state"] == "healthy"
            measured(f"{len(climbed)} of 8 climbed; alone: 503 with Retry-After {refused[0].headers['retry-after']}")

    asyncio.run(story())


@pytest.mark.parametrize(("fields", "param"), [
    ({"temperature": 5}, "temperature"), ({"logprobs": True, "top_logprobs": 50}, "logprobs"), ({"max_tokens": 0}, "max_tokens"),
    ({"messages": [{"role": "user", "content": "x" * 1500}]}, "input_tokens"),
])
def test_a_wrong_request_comes_back_with_the_engines_own_reason_and_is_not_tried_again(calm, measured, fields, param):
    async def story():
        async with RunningRouter(a_fleet(a_pool("small", calm.url, calm.url))) as router, Client() as client:
            direct = await client.chat(calm.url, **({"model": "counting"} | fields))
            answer = await client.chat(router.url, **fields)
            assert (answer.status, direct.status) == (400, 400)
            assert answer.error["message"] == direct.error["message"]
            assert answer.error["param"] == direct.error["param"]
            assert len(router.records()[0].attempts) == 1
            measured(f"400, param {answer.error['param']}")

    asyncio.run(story())


def test_a_name_that_the_engine_does_not_know_is_our_configurations_fault(calm, measured):
    async def story():
        settings = a_fleet(a_pool("small", calm.url, model="nobody"))
        async with RunningRouter(settings) as router, Client() as client:
            answer = await client.chat(router.url)
            assert answer.status in (502, 503)
            assert answer.error["code"] != "model_not_found", "the client's name was right"
            assert router.records()[0].attempts[0].upstream_status == 404
            measured(f"{answer.status} {answer.error['code']} with upstream_status 404")

    asyncio.run(story())
