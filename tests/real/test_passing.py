"""What passes through untouched, in each of the three APIs that vLLM speaks itself."""

from __future__ import annotations

import asyncio

import pytest
from client import Client, asked, counted
from engine import NAME
from fleet import a_fleet, a_pool

from pointsman.testing.router import RunningRouter

VOLATILE = ("id", "created", "model")


def lasting(chunk):
    """A chunk or body without what differs from call to call."""
    return {name: value for name, value in chunk.items() if name not in VOLATILE}


def by_choice(answer):
    """The events of each choice in their order; how choices interleave is the engine's mood."""
    events = [lasting(chunk) for chunk in answer.chunks if chunk["choices"]]
    return sorted(events, key=lambda chunk: chunk["choices"][0]["index"])


@pytest.mark.parametrize("extra", [
    {"logprobs": True, "top_logprobs": 3}, {"return_token_ids": True}, {"structured_outputs": {"choice": [" 7", " 8"]}},
    {"logprobs": True, "top_logprobs": 3, "structured_outputs": {"regex": "[123]"}},
    {"n": 2, "temperature": 0.5}, {"stop": [" 3"]},
], ids=["logprobs", "token ids", "choice", "regex logprobs", "two choices", "stop"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_what_the_engine_adds_reaches_the_client_as_it_was(calm, extra, stream):
    async def story():
        async with RunningRouter(a_fleet(a_pool("small", calm.url))) as router, Client() as client:
            fields = {"max_tokens": 4, "stream": stream, "seed": 1} | extra
            direct = await client.chat(calm.url, model=NAME, **fields)
            routed = await client.chat(router.url, **fields)
            assert routed.status == direct.status == 200
            if stream:
                assert by_choice(routed) == by_choice(direct)
                assert routed.usage["completion_tokens"] == direct.usage["completion_tokens"]
                assert routed.is_done
            else:
                assert lasting(routed.json) == lasting(direct.json)

    asyncio.run(story())


@pytest.mark.parametrize("native", [True, False], ids=["native", "translated"])
@pytest.mark.parametrize(("path", "body", "said"), [  # the last: where each API has its text
    ("messages", {"max_tokens": 5, "messages": asked()["messages"]}, lambda answer: answer["content"][0]["text"]),
    ("responses", {"max_output_tokens": 5, "input": "hi"}, lambda answer: answer["output"][0]["content"][0]["text"]),
], ids=["messages", "responses"])
def test_anthropic_and_responses_clients_are_served_natively_or_translated(calm, measured, path, body, said, native):
    async def story():
        dialects = ("chat", "messages", "responses") if native else ("chat",)
        async with RunningRouter(a_fleet(a_pool("small", calm.url, dialects=dialects))) as router, Client() as client:
            before = calm.log.read_text("utf-8", "replace").count(f"POST /v1/{path} ")
            answer = await client.post(f"{router.url}/{path}", {"model": "auto"} | body)
            assert answer.status == 200, answer.body
            assert said(answer.json) == counted(5)
            stream = await client.post(f"{router.url}/{path}", {"model": "auto", "stream": True} | body)
            assert stream.status == 200
            assert counted(5).strip().split()[-1] in stream.body.decode()
            assert router.records()[0].usage.output_tokens == 5
            assert [record.outcome for record in router.records()] == ["answered"] * 2
            asked = calm.log.read_text("utf-8", "replace").count(f"POST /v1/{path} ") - before
            assert asked == (2 if native else 0)
            measured(f"the engine was asked at {f'/v1/{path}' if native else '/v1/chat/completions'}")

    asyncio.run(story())
