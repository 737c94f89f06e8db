"""Verified cascades before a real llama.cpp, with the verifiers of the configuration: real log-probabilities decide."""

from __future__ import annotations

import asyncio
import contextlib
import json

import aiohttp
import pytest

from pointsman.config.load import load_text
from pointsman.testing.llamacpp import MODEL, LlamaCpp, NoLlamaCpp
from pointsman.testing.router import RunningRouter

CONFIG = """
tiers:
  small: {{model: small-chat, endpoints: [{endpoint}]}}
  large: {{model: large-chat, endpoints: [{endpoint}]}}
routes:
  auto:
    pipeline: ["pinned:small"]
    verify: [well_formed, logprobs]
    cascade: {cascade}
"""
ENDPOINT = '{{url: "{url}", engine: llamacpp, slots: 4, model: {model}, gpu: {{type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}}}}'
SURE, LOST, LONG = "Count from one to ten: one, two, three,", "Xqzv wrrb? Name the ninth emperor of Zzyx.", "Tell me a story about a fox."


@pytest.fixture(scope="module")
def engine():
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(LlamaCpp())
        except NoLlamaCpp as why:
            pytest.skip(str(why))


def settings(engine, cascade):
    return load_text(CONFIG.format(endpoint=ENDPOINT.format(url=engine.url, model=MODEL), cascade=cascade))


async def ask(router, prompt, **fields):
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": 24} | fields
    async with aiohttp.ClientSession() as session, session.post(f"{router.url}/chat/completions", json=body) as answer:
        raw = await answer.read()
    await router.at_rest()
    return {name.lower(): value for name, value in answer.headers.items()}, raw, router.records()[-1]


@pytest.mark.parametrize("stream", [False, True])
def test_real_log_probabilities_are_read_kept_and_not_shown(engine, stream):
    async def story():
        async with RunningRouter(settings(engine, "{mode: threshold, threshold: 0.0, hold: {tokens: 8, or: 5s}}")) as router:
            headers, raw, record = await ask(router, LONG, stream=stream)
            assert b"logprob" not in raw
            (check,) = record.checks
            assert -20 < check.features["logprobs.mean"] < 0
            assert [finding.verifier for finding in check.by][-1] == "logprobs"
            assert (record.outcome, record.routing_tier, check.is_whole) == ("answered", "small", not stream)
            assert headers.get("x-route-hold") == ("8 tokens" if stream else None)
            assert json.loads(raw.split(b"data: ")[1] if stream else raw)["object"].startswith("chat.completion")

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_small_one_is_not_sure_of_climbs(engine, stream):
    async def story():
        async with RunningRouter(settings(engine, "{mode: threshold, threshold: 1.0, hold: {tokens: 8, or: 5s}}")) as router:
            headers, raw, record = await ask(router, LONG, stream=stream)
            assert b"logprob" not in raw
            assert headers["x-route-tier-name"] == "large"
            assert [(a.tier, a.outcome) for a in record.attempts] == [
                ("small", "cancelled" if stream else "answered"), ("large", "answered")]
            assert record.escalations[0].reason == "verifier"
            assert router.leases == 0

    asyncio.run(story())


def test_a_surer_answer_scores_higher(engine):
    async def story():
        async with RunningRouter(settings(engine, "{mode: benefit}")) as router:
            sure = (await ask(router, SURE))[2].checks[0]
            lost = (await ask(router, LOST))[2].checks[0]
            assert sure.features["logprobs.mean"] > lost.features["logprobs.mean"]

    asyncio.run(story())
