"""The judge on a real llama.cpp with a real small model: the mechanics, not the judgement, for this model says nearly the same of
everything. That it does is part of what is looked at: such a judge must move nothing."""

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
  medium: {{model: medium-chat, endpoints: [{endpoint}]}}
  large: {{model: large-chat, endpoints: [{endpoint}]}}
routes:
  auto:
    quality: 0.72
    default_tier: medium
    pipeline: [rules, heuristic, judge]
    judge: {{band: 0.1, deadline: 100s, share: 1.0, form: {form}, learns_from: {learns_from}, reliability: 0.8}}
"""
ENDPOINT = '{{url: "{url}", engine: llamacpp, slots: 4, model: {model}, gpu: {{type: RTX 4090, usd_per_hour: 0.51, tokens_per_s: 1000}}}}'
BORDERLINE = "Write a Python function that parses a CSV file and explains its errors."
EASY = "hi"


@pytest.fixture(scope="module")
def engine():
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(LlamaCpp())
        except NoLlamaCpp as why:
            pytest.skip(str(why))


def settings(engine, form="auto", learns_from=20):
    return load_text(CONFIG.format(endpoint=ENDPOINT.format(url=engine.url, model=MODEL), form=form, learns_from=learns_from))


async def decided(router, prompt):
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    async with aiohttp.ClientSession() as session, session.post(f"{router.url}/route", json=body) as answer:
        return json.loads(await answer.read())


def view(decision):
    return next(view for view in decision["stages"] if view["stage"] == "judge")


@pytest.mark.parametrize("form", ["auto", "enum"])
def test_a_real_model_names_a_rung_and_is_paid_for_it(engine, form):
    async def story():
        async with RunningRouter(settings(engine, form)) as router:
            decision = await decided(router, BORDERLINE)
            said = view(decision)
            assert (said["outcome"], said["result"]) == ("refined", "answered"), said
            assert "of 3 (P " in said["reason"]
            (question,) = router.records()[-1].questions
            assert question.usage.output_tokens == 1 or form == "enum"
            assert 0 < said["cost_nano_usd"] == question.cost_nano_usd == router.records()[-1].cost_nano_usd

    asyncio.run(story())


def test_the_probabilities_of_a_real_model_are_more_than_its_word(engine):
    async def story():
        async with RunningRouter(settings(engine, "logprobs")) as router:
            shares = view(await decided(router, BORDERLINE))["reason"].partition("(P ")[2].partition(")")[0]
            assert 0.33 < float(shares) < 1.0

    asyncio.run(story())


def test_what_is_not_borderline_costs_the_small_tier_nothing(engine):
    async def story():
        async with RunningRouter(settings(engine)) as router:
            assert view(await decided(router, EASY))["outcome"] == "skipped"
            assert router.records()[-1].questions == ()

    asyncio.run(story())


def test_a_model_that_says_the_same_of_everything_changes_no_tier(engine):
    async def story():
        async with RunningRouter(settings(engine, learns_from=20)) as router:
            return [await decided(router, f"{BORDERLINE} Variant {i}.") for i in range(12)]

    decisions = asyncio.run(story())
    assert {view(decision)["result"] for decision in decisions} == {"answered"}
    assert {decision["tier"] for decision in decisions} == {decisions[0]["tier"]}
    last = view(decisions[-1])["scores"]["by_tier"]
    said_before = decisions[-1]["stages"][1]["scores"]["by_tier"]
    assert all(abs(last[tier]["p"] - said_before[tier]["p"]) < 0.03 for tier in last)
