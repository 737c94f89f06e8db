"""Where a request goes and what it looks like there: names, rules, the gate, pools in order, system prompts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pointsman.config.load import load_text
from pointsman.testing import days
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

CONFIG = """
auth:
  keys:
    - {{name: app, key: "${{APP}}", tenant: acme}}
    - {{name: law, key: "${{LAW}}", tenant: lawyers}}
tiers:
  small:
    model: small-model
    capabilities: {{context: 600, tools: true, vision: false, json_schema: false, logprobs: false}}
    endpoints: [{{url: "{a}"}}]
  middle: {{pools: [first, second]}}
  large:
    model: large-model
    capabilities: {{context: 4000, tools: false, vision: true}}
    endpoints: [{{url: "{c}", model: vendor/Large-Turbo}}]
pools:
  first:
    model: shared-model
    capabilities: {{context: 1500, vision: false}}
    endpoints:
      - {{url: "{a}", provider: acorn, model: acorn/shared}}
      - {{url: "{b}", provider: birch, model: birch/shared}}
  second:
    model: second-model
    capabilities: {{context: 2500}}
    endpoints: [{{url: "{c}"}}]
routes:
  auto:
    ladder: [small, middle, large]
    pipeline: [rules, "pinned:small"]
    deadline: 5s
    answer_timeout: 1s
    rules:
      - {{when: {{regex: "(?i)\\\\border[- ]?\\\\d{{6,}}\\\\b"}}, tier: middle, reason: order lookup}}
      - {{when: {{header: {{X-Team: "legal|tax"}}}}, tier: large, reason: team}}
      - {{when: {{metadata: {{plan: gold}}}}, pool: second, reason: gold plan}}
      - {{when: {{tenant: lawyers}}, tier: large, reason: tenant}}
      - {{when: {{keywords: [refund]}}, tier: small, system: "Refunds take 14 days.", reason: refunds}}
      - {{when: {{keywords: [named]}}, model: second-model, reason: by model}}
  other: {{ladder: [large, small], default_tier: small, pipeline: [largest]}}
"""
APP = {"authorization": "Bearer sk-app"}


class Town:
    """Three engines and the router of `CONFIG` before them."""

    def __init__(self, client):
        self.engines = {name: ModelServer(days.Answer(f"I am {name}.")) for name in "abc"}
        self._client = client()

    async def __aenter__(self):
        for engine in self.engines.values():
            await engine.start()
        urls = {name: engine.url for name, engine in self.engines.items()}
        self.router = RunningRouter(load_text(CONFIG.format(**urls), environ={"APP": "sk-app", "LAW": "sk-law"}))
        await self.router.__aenter__()
        return self

    async def __aexit__(self, *_):
        await self._client.__aexit__()
        await self.router.__aexit__(None, None, None)
        for engine in self.engines.values():
            await engine.aclose()

    async def ask(self, text="hi", model="auto", headers=None, **fields):
        """The answer, and the body that its engine got (None: nobody was asked)."""
        for engine in self.engines.values():
            engine.requests.clear()
        body = {"model": model, "messages": [{"role": "user", "content": text}]} | fields
        heard = await self._client.post(f"{self.router.url}/chat/completions", body, APP | (headers or {}))
        seen = [json.loads(request.body) for engine in self.engines.values() for request in engine.requests]
        return heard, seen[-1] if seen else None

    async def where(self, *args, **fields):
        heard, seen = await self.ask(*args, **fields)
        return heard.headers.get("x-route-tier-name"), seen["model"] if seen else heard.status


def test_a_name_means_what_it_says(client):
    async def story():
        async with Town(client) as town:
            assert await town.where(model="auto") == ("small", "small-model")
            assert await town.where(model="auto:auto") == ("small", "small-model")
            assert await town.where(model="other") == ("small", "small-model")  # its last rung
            assert await town.where(model="small") == ("small", "small-model")
            assert await town.where(model="large") == ("large", "vendor/Large-Turbo")
            assert await town.where(model="large-model") == ("large", "vendor/Large-Turbo")
            assert (await town.where(model="second-model"))[1] == "second-model"
            assert await town.where(model="vendor/Large-Turbo") == (None, 404)  # an endpoint's name is not ours
            assert await town.where(model="Small") == (None, 404)

    asyncio.run(story())


def test_a_providers_model_stays_with_that_provider(client):
    async def story():
        async with Town(client) as town:
            for _ in range(12):
                assert (await town.where(model="birch/shared-model"))[1] == "birch/shared"
                assert (await town.where(model="acorn/shared-model"))[1] == "acorn/shared"
            # At once: one after another they may all go to whichever has been a little quicker lately.
            await asyncio.gather(*(town.ask(model="shared-model") for _ in range(20)))
            either = {json.loads(request.body)["model"] for engine in town.engines.values() for request in engine.requests}
            assert either == {"acorn/shared", "birch/shared"}
            await town.engines["b"].stop_listening()
            heard, seen = await town.ask(model="birch/shared-model")
            assert (heard.status, seen) == (503, None)

    asyncio.run(story())


def test_rules_decide_by_text_header_metadata_tenant_and_model(client):
    async def story():
        async with Town(client) as town:
            for expected, reason, ask in [
                ("middle", "order lookup", {"text": "Where is Order-1234567?"}),
                ("small", "always small", {"text": "Where is order 12345?"}),
                ("large", "team", {"headers": {"x-team": "legal"}}),
                ("small", "always small", {"headers": {"x-team": "legalese"}}),
                ("large", "tenant", {"headers": {"authorization": "Bearer sk-law"}}),
                ("small", "always small", {"headers": {"x-tenant": "lawyers"}}),
                ("small", "always small", {"metadata": {"plan": "golden"}}),
                ("small", "refunds", {"text": "A REFUND, please"}),
            ]:
                heard, _ = await town.ask(**ask)
                assert (heard.headers["x-route-tier-name"], heard.headers["x-route-reason"]) == (expected, reason), ask
            heard, seen = await town.ask(metadata={"plan": "gold"})
            assert (seen["model"], heard.headers["x-route-reason"]) == ("second-model", "gold plan")
            heard, seen = await town.ask("the named one")
            assert (seen["model"], heard.headers["x-route-decided-by"]) == ("second-model", "rules")

    asyncio.run(story())


def test_a_specialists_prompt_arrives_first_and_once(client):
    async def story():
        async with Town(client) as town:
            _, seen = await town.ask("refund?")
            assert seen["messages"] == [{"role": "system", "content": "Refunds take 14 days."},
                                        {"role": "user", "content": "refund?"}]
            own = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "refund?", "name": "Ann"}]
            _, seen = await town.ask(messages=own)
            assert seen["messages"] == [{"role": "system", "content": "Refunds take 14 days.\n\nBe kind."}, own[1]]
            _, seen = await town.ask("hello")
            assert seen["messages"] == [{"role": "user", "content": "hello"}]

    asyncio.run(story())


PICTURE = [{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


PASSED_OVER: list[tuple[dict[str, Any], str, str | None]] = [
    ({"text": "x" * 900}, "small", "small-model"),
    ({"text": "x" * 2400}, "middle", None),
    ({"text": "x" * 5400}, "middle", "second-model"),  # the first pool of the tier is too short for it
    ({"text": "x" * 8700}, "large", "vendor/Large-Turbo"),
    ({"text": "hi", "max_tokens": 2000}, "middle", "second-model"),
    ({"messages": PICTURE}, "middle", "second-model"),  # unknown: allowed; declared false: passed over
    ({"tools": TOOLS}, "small", "small-model"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, "middle", None),
    ({"logprobs": True}, "middle", None),
    ({"model": "middle", "messages": PICTURE}, "middle", "second-model"),
]


def test_the_gate_passes_over_who_cannot(client):
    async def story():
        async with Town(client) as town:
            for ask, tier, model in PASSED_OVER:
                where, sent = await town.where(**ask)
                assert where == tier, ask
                assert sent == model or (model is None and sent.endswith("/shared")), ask

    asyncio.run(story())


def test_when_nothing_fits_a_sentence_says_why(client):
    async def story():
        async with Town(client) as town:
            for ask in ({"text": "x" * 20_000}, {"messages": PICTURE, "tools": TOOLS, "max_tokens": 3000},
                        {"text": "x" * 3000, "model": "small"}, {"messages": PICTURE, "model": "small-model"}):
                heard, seen = await town.ask(**ask)
                assert (heard.status, heard.error["code"], seen) == (400, "no_capable_model", None)
                assert len(heard.error["message"]) > 40
            heard, _ = await town.ask("x" * 20_000)
            assert "4,000" in heard.error["message"]
            assert heard.headers["x-should-retry"] == "false"
            assert {(r.status, r.outcome, len(r.attempts)) for r in town.router.records()} == {(400, "rejected", 0)}

    asyncio.run(story())


def test_the_next_pool_of_a_tier_serves_while_the_first_is_down(client):
    async def story():
        async with Town(client) as town:
            assert (await town.where(model="middle"))[1].endswith("/shared")
            for name in "ab":
                await town.engines[name].stop_listening()
            for _ in range(12):
                heard, seen = await town.ask(model="middle")
                assert (heard.status, seen["model"]) == (200, "second-model")
                assert heard.headers["x-route-model"] == "second-model"
            assert {r.outcome for r in town.router.records()} == {"answered"}

    asyncio.run(story())


def test_a_climb_is_told_with_its_reason_and_paid_once(client):
    async def story():
        async with Town(client) as town:
            town.engines["a"].days = [days.server_error()]
            heard, seen = await town.ask("order 1234567")
            assert heard.status == 200
            await town.engines["a"].stop_listening()
            await town.engines["b"].stop_listening()
            heard, seen = await town.ask()
            assert (heard.status, seen["model"]) == (200, "second-model")
            assert heard.headers["x-route-tier-name"] == "middle"
            assert "small -> middle: failed" in heard.headers["x-route-reason"]
            record = town.router.records()[-1]
            assert (record.original_tier, record.routing_tier, record.rung) == ("small", "middle", 2)
            assert int(heard.headers["x-route-attempts"]) == len(record.attempts)

    asyncio.run(story())
