"""What people bring along from other routers: each row of `docs/reference/habits.md`, over real sockets."""

from __future__ import annotations

import asyncio
import json

import pytest

from pointsman.config.load import load_text
from pointsman.testing import days
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

CONFIG = """
auth:
  keys:
    - {{name: app, key: "${{APP}}"}}
    - {{name: held, key: "${{HELD}}", routes: [auto]}}
    - {{name: near, key: "${{NEAR}}", pools: [small]}}
tiers:
  small: {{model: small-model, capabilities: {{context: 1000, tools: true}}, endpoints: [{{url: "{a}", usd_per_million: {{input: 1, output: 2}}}}]}}
  large: {{model: large-model, endpoints: [{{url: "{b}", model: theirs, api_key: "${{SECRET}}"}}]}}
  other: {{pools: [here, there]}}
pools:
  here: {{model: here-model, endpoints: [{{url: "{c}", provider: acorn}}, {{url: "{a}", provider: birch, model: birch-here}}]}}
  there: {{model: there-model, endpoints: [{{url: "{c}"}}]}}
  vectors: {{model: vectors, capabilities: {{embeddings: true}}, endpoints: [{{url: "{c}"}}]}}
routes:
  auto:
    ladder: [small, large]
    pipeline: [rules, "pinned:small"]
    deadline: 5s
    ttft_timeout: 2s
    answer_timeout: 2s
    rules: [{{when: {{metadata: {{tags: "vip|gold"}}}}, tier: large, reason: tagged}}]
"""
ENVIRON = {"APP": "sk-app", "HELD": "sk-held", "NEAR": "sk-near", "SECRET": "sk-upstream"}
APP = {"authorization": "Bearer sk-app"}
HI = [{"role": "user", "content": "hi"}]


class House:
    def __init__(self, client):
        self.engines = {name: ModelServer(days.Answer(f"I am {name}.")) for name in "abc"}
        self.client = client()

    async def __aenter__(self):
        for engine in self.engines.values():
            await engine.start()
        urls = {name: engine.url for name, engine in self.engines.items()}
        self.router = RunningRouter(load_text(CONFIG.format(**urls), environ=ENVIRON))
        await self.router.__aenter__()
        return self

    async def __aexit__(self, *_):
        await self.client.__aexit__()
        await self.router.__aexit__(None, None, None)
        for engine in self.engines.values():
            await engine.aclose()

    def sick(self, *names):
        for name in names:
            self.engines[name].days = [days.server_error()]

    async def ask(self, headers=None, path="/v1/chat/completions", **fields):
        for engine in self.engines.values():
            engine.requests.clear()
        body = {"model": "auto", "messages": HI} | fields
        return await self.client.post(f"{self.router.root}{path}", body, APP | (headers or {}))

    def asked(self):
        """Every body that reached an engine, by its model."""
        return [json.loads(r.body) for name in "abc" for r in self.engines[name].requests]


def told(client, story):
    async def whole():
        async with House(client) as house:
            await story(house)

    asyncio.run(whole())


def test_routes_are_there_without_v1(client):
    async def story(house):
        root = house.router.root
        assert (await house.ask(path="/chat/completions")).text == "I am a."
        assert (await house.ask(path="/completions", prompt="hi")).status == 200
        heard = await house.client.post(f"{root}/responses", {"model": "auto", "input": "hi"}, APP)
        assert (heard.status, heard.json["object"]) == (200, "response")
        assert (await house.ask(path="/route")).json["tier"] == "small"
        assert (await house.client.post(f"{root}/embeddings", {"model": "vectors", "input": "x"}, APP)).status == 200
        for path in ("/models", "/models/large-model", "/model/info"):
            short, long = await house.client.get(root + path, APP), await house.client.get(f"{root}/v1{path}", APP)
            assert (short.status, short.body) == (200, long.body)
        assert (await house.ask(path="/messages")).status == 404

    told(client, story)


def test_health_sorts_the_endpoints_and_needs_a_key(client):
    async def story(house):
        root = house.router.root
        assert (await house.client.get(f"{root}/health")).status == 401
        said = (await house.client.get(f"{root}/health", APP)).json
        assert (said["healthy_count"], said["unhealthy_count"]) == (6, 0)
        assert {"model": "theirs", "model_id": "large/0", "state": "healthy"} in said["healthy_endpoints"]
        house.sick("b")
        for _ in range(8):
            await house.ask(model="large")
        said = (await house.client.get(f"{root}/health", APP)).json
        assert [e["model_id"] for e in said["unhealthy_endpoints"]] == ["large/0"]
        near = (await house.client.get(f"{root}/health", {"x-api-key": "sk-near"})).json
        assert (near["healthy_count"], near["unhealthy_count"]) == (1, 0)

    told(client, story)


def test_model_info_tells_what_models_can_and_cost_but_no_secrets(client):
    async def story(house):
        heard = await house.client.get(f"{house.router.root}/v1/model/info", APP)
        entries = {(e["model_name"], e["model_info"]["id"]): e for e in heard.json["data"]}
        small = entries["small-model", "small/0"]["model_info"]
        assert (small["max_input_tokens"], small["supports_function_calling"], small["supports_vision"]) == (1000, True, None)
        assert (small["input_cost_per_token"], small["output_cost_per_token"]) == (1e-6, 2e-6)
        assert entries["large-model", "large/0"]["litellm_params"] == {"model": "theirs"}
        assert "input_cost_per_token" not in entries["large-model", "large/0"]["model_info"]
        assert ("birch/here-model", "here/1") in entries
        assert ("birch/here-model", "here/0") not in entries
        assert b"sk-upstream" not in heard.body
        assert b"127.0.0.1" not in heard.body
        near = (await house.client.get(f"{house.router.root}/v1/model/info", {"x-api-key": "sk-near"})).json["data"]
        assert not any(e["model_info"]["id"] == "large/0" for e in near)

    told(client, story)


def test_lookalike_headers_are_on_every_answer(client):
    async def story(house):
        heard = await house.ask()
        found = {k.removeprefix("x-litellm-"): v for k, v in heard.headers.items() if k.startswith("x-litellm-")}
        assert 0 <= float(found.pop("overhead-duration-ms")) < 2000
        assert found == {
            "call-id": heard.headers["x-route-record"], "model-group": "auto", "model-id": "small/0", "model-name": "small-model",
            "attempted-retries": "0", "attempted-fallbacks": "0", "response-cost": heard.headers["x-route-cost-usd"],
        }
        streamed = await house.ask(stream=True)
        assert streamed.headers["x-litellm-response-cost"] == streamed.headers["x-route-cost-usd"]
        house.sick("a")
        climbed = await house.ask()
        assert (climbed.headers["x-litellm-model-id"], climbed.headers["x-litellm-attempted-fallbacks"]) == ("large/0", "1")
        assert climbed.headers["x-litellm-attempted-retries"] == "0"
        assert "x-litellm-response-cost" not in climbed.headers  # nobody knows what the large one costs
        unknown = await house.ask(model="nobody")
        assert (unknown.headers["x-litellm-model-group"], unknown.status) == ("nobody", 404)

    told(client, story)


@pytest.mark.parametrize("fields", [
    {"fallbacks": ["there-model"]}, {"fallbacks": [{"model": "there-model"}]}, {"fallbacks": [{"small-model": ["there-model"]}]},
    {"models": ["small-model", "there-model"]}, {"models": None, "fallbacks": ["acorn/here-model"]}, {"fallbacks": ["other"]},
])
def test_alternatives_answer_when_the_model_cannot(client, fields):
    async def story(house):
        assert (await house.ask(model="small-model", **fields)).text == "I am a."
        assert house.asked() == [{"model": "small-model", "messages": HI}]
        house.sick("a")
        assert (await house.ask(model="small-model", **fields)).text == "I am c."
        assert (await house.ask(model="small-model")).status == 502

    told(client, story)


@pytest.mark.parametrize(("path", "fields"), [
    ("/v1/messages", {"max_tokens": 9}), ("/v1/responses", {"input": "hi"}), ("/v1/completions", {"prompt": "hi"}),
])
def test_fields_are_for_us_in_every_api(client, path, fields):
    async def story(house):
        house.sick("a")
        messages = {} if "input" in fields or "prompt" in fields else {"messages": HI}
        body = {"model": "small-model", "fallbacks": ["there-model"], "num_retries": 5, "timeout": 4} | messages | fields
        heard = await house.client.post(f"{house.router.root}{path}", body, APP)
        assert (heard.status, heard.headers["x-litellm-model-id"]) == (200, "there/0")
        assert all(not {"fallbacks", "num_retries", "timeout"} & sent.keys() for sent in house.asked())

    told(client, story)


def test_alternatives_come_in_order_and_streams_take_them_too(client):
    async def story(house):
        house.sick("a")
        heard = await house.ask(model="small-model", fallbacks=["large-model", "there-model"], stream=True)
        assert (heard.text, heard.headers["x-litellm-attempted-fallbacks"]) == ("I am b.", "1")
        assert heard.headers["x-route-reason"] == "the client named it; small -> large: fallback"
        house.sick("b")
        heard = await house.ask(model="small-model", fallbacks=["large-model", "there-model"])
        assert (heard.text, heard.headers["x-litellm-attempted-fallbacks"]) == ("I am c.", "2")

    told(client, story)


def test_one_models_other_provider_may_be_its_alternative(client):
    async def story(house):
        house.sick("a")
        heard = await house.ask(model="birch/here-model", fallbacks=["acorn/here-model"])
        assert heard.text == "I am c."
        assert (await house.ask(model="birch/here-model")).status == 502

    told(client, story)


def test_alternatives_are_held_to_the_key(client):
    async def story(house):
        heard = await house.ask(fallbacks=["there-modl"])
        assert (heard.status, heard.error["param"]) == (404, "fallbacks[0]")
        assert "'there-model'" in heard.error["message"]
        held = await house.ask({"authorization": "Bearer sk-held"}, models=["there-model"])
        assert (held.status, held.error["param"]) == (403, "models")
        house.sick("a")
        near = await house.ask({"authorization": "Bearer sk-near"}, fallbacks=["there-model"])
        assert (near.status, len(house.engines["c"].requests)) == (502, 0)
        vectors = await house.client.post(
            f"{house.router.url}/embeddings", {"model": "vectors", "input": "x", "fallbacks": ["small-model"]}, APP)
        assert (vectors.status, vectors.error["param"]) == (400, "fallbacks[0]")

    told(client, story)


def test_disabled_fallbacks_keep_a_request_on_its_tier(client):
    async def story(house):
        house.sick("a")
        assert (await house.ask()).text == "I am b."
        heard = await house.ask(disable_fallbacks=True, fallbacks=["there-model"])
        assert (heard.status, len(house.engines["b"].requests), len(house.engines["c"].requests)) == (502, 0, 0)
        assert (await house.ask(disable_fallbacks=False)).text == "I am b."

    told(client, story)


@pytest.mark.parametrize(("headers", "fields", "attempts"), [
    ({}, {"num_retries": 0}, 1), ({}, {"num_retries": 1}, 2), ({}, {"num_retries": 9}, 3),
    ({"x-litellm-num-retries": "0"}, {}, 1), ({"x-litellm-num-retries": "5"}, {"num_retries": 1}, 2),
])
def test_retries_lower_the_attempts(client, headers, fields, attempts):
    async def story(house):
        house.sick("a", "b", "c")
        heard = await house.ask(headers, fallbacks=["there-model"], **fields)
        assert (heard.status, len(house.asked())) == (502, attempts)

    told(client, story)


@pytest.mark.parametrize(("headers", "fields"), [
    ({}, {"timeout": 0.2}), ({"x-litellm-timeout": "0.2"}, {}), ({"x-litellm-timeout": "0.2"}, {"timeout": 100}),
])
def test_a_timeout_is_the_deadline(client, headers, fields):
    async def story(house):
        house.engines["a"].days = [days.Hang()]
        heard = await house.ask(headers, model="small-model", **fields)
        assert (heard.status, heard.error["code"]) == (504, "deadline_exceeded")
        assert "0.2" in heard.error["message"]

    told(client, story)


@pytest.mark.parametrize(("headers", "fields"), [
    ({}, {"stream_timeout": 0.1}), ({"x-litellm-stream-timeout": "0.1"}, {}), ({"x-litellm-stream-timeout": "0.1"}, {"stream_timeout": 1}),
])
def test_a_stream_timeout_is_the_time_to_first_content(client, headers, fields):
    async def story(house):
        house.engines["a"].days = [days.Hang()]
        heard = await house.ask(headers, model="small-model", stream=True, **fields)
        assert (heard.status, heard.error["code"]) == (504, "upstream_first_token_timeout")
        assert house.router.records()[-1].attempts[0].duration_s < 1  # the route would wait two seconds
        heard = await house.ask(headers, stream=True, **fields)
        assert heard.text == "I am b."  # the next tier is tried in time
        assert all("stream_timeout" not in sent for sent in house.asked())
        house.engines["a"].days = [days.Answer("I am a.", first_token_after=0.15)]
        assert (await house.ask(headers, model="small-model", **fields)).text == "I am a."  # plain answers have no first content

    told(client, story)


def test_without_a_model_the_first_of_models_is_it_and_the_others_follow(client):
    async def story(house):
        url = f"{house.router.url}/chat/completions"
        heard = await house.client.post(url, {"models": ["small-model", "there-model"], "messages": HI}, APP)
        assert (heard.text, heard.headers["x-litellm-model-group"]) == ("I am a.", "small-model")
        assert house.asked() == [{"model": "small-model", "messages": HI}]
        house.sick("a")
        heard = await house.client.post(url, {"model": None, "models": ["small-model", "there-model"], "messages": HI}, APP)
        assert heard.text == "I am c."
        heard = await house.client.post(url, {"models": [], "messages": HI}, APP)
        assert (heard.status, heard.error["param"]) == (400, "model")

    told(client, story)


def test_a_decision_alone_objects_to_the_same_alternatives(client):
    async def story(house):
        heard = await house.ask(path="/v1/route", fallbacks=["there-modl"])
        assert (heard.status, heard.error["param"]) == (404, "fallbacks[0]")
        held = await house.ask({"authorization": "Bearer sk-held"}, path="/v1/route", models=["there-model"])
        assert (held.status, held.error["param"]) == (403, "models")
        heard = await house.ask(path="/v1/route", fallbacks=["there-model"])
        assert (heard.status, heard.json["tier"]) == (200, "small")
        assert not [name for name in heard.headers if name.startswith("x-litellm-")]

    told(client, story)


def test_a_body_that_cannot_be_read_has_the_call_id(client):
    async def story(house):
        heard = await house.ask(num_retries="many")
        assert heard.status == 400
        assert heard.headers["x-litellm-call-id"] == heard.headers["x-route-record"] == heard.error["record_id"]

    told(client, story)


def test_no_header_of_an_upstream_reaches_the_client_under_a_name_that_people_pace_themselves_by(client):
    async def story(house):
        house.engines["a"].days = [days.Answer("I am a.", headers=(("x-ratelimit-remaining-requests", "3"), ("llm_provider-x", "y")))]
        heard = await house.ask()
        assert heard.text == "I am a."
        left_out = ("x-ratelimit", "llm_provider", "x-litellm-model-api-base", "x-litellm-response-duration-ms", "x-portkey")
        assert not [name for name in heard.headers if name.startswith(left_out)]

    told(client, story)


@pytest.mark.parametrize(("headers", "fields"), [
    ({}, {"metadata": {"user_id": "u", "tags": ["x", "vip"]}}), ({}, {"tags": ["gold"]}), ({"x-litellm-tags": "vip"}, {}),
])
def test_tags_of_a_message_request_are_for_rules_too(client, headers, fields):
    async def story(house):
        heard = await house.ask(headers, path="/v1/messages", max_tokens=9, **fields)
        assert (heard.status, heard.headers["x-route-tier-name"]) == (200, "large")

    told(client, story)


@pytest.mark.parametrize(("headers", "metadata", "tier"), [
    ({}, {"tags": ["x", "gold"], "session_id": "s"}, "large"), ({}, {"tags": "vip"}, "large"), ({}, {"tags": ["golden"]}, "small"),
    ({"x-litellm-tags": "x, vip"}, {"tags": ["y"]}, "large"), ({}, {"tags": [1, {"vip": 1}]}, "small"), ({}, {"tags": 7}, "small"),
])
def test_tags_are_for_rules_and_metadata_is_passed_on(client, headers, metadata, tier):
    async def story(house):
        heard = await house.ask(headers, metadata=metadata)
        assert heard.headers["x-route-tier-name"] == tier
        assert house.asked()[0]["metadata"] == metadata

    told(client, story)


def test_what_is_not_for_us_is_passed_on_and_headers_go_nowhere(client):
    async def story(house):
        fields = {"session_id": "s", "cache": {}, "plugins": [], "user": "u", "service_tier": "auto"}
        headers = {"x-litellm-end-user-id": "u", "x-session-id": "s", "http-referer": "h", "x-title": "t",
                   "x-portkey-provider": "openai", "x-portkey-config": "{}", "x-portkey-trace-id": "t"}
        heard = await house.ask(headers, **fields)
        assert heard.headers["x-route-tier-name"] == "small"
        assert house.asked()[0] == {"model": "small-model", "messages": HI} | fields
        assert all(house.engines["a"].requests[0].header(name) in ("", None) for name in headers)

    told(client, story)


@pytest.mark.parametrize(("headers", "fields", "param"), [
    ({}, {"mock_testing_fallbacks": True}, "mock_testing_fallbacks"), ({}, {"provider": {"order": []}}, "provider"),
    ({}, {"timeout": -1}, "timeout"), ({}, {"stream_timeout": 0}, "stream_timeout"), ({}, {"tags": "vip"}, "tags"),
    ({"x-litellm-stream-timeout": "soon"}, {}, "x-litellm-stream-timeout"), ({}, {"num_retries": 1.5}, "num_retries"),
    ({"x-litellm-timeout": "nan"}, {}, "x-litellm-timeout"), ({"x-litellm-num-retries": "two"}, {}, "x-litellm-num-retries"),
    ({"x-litellm-num-retries": "-1"}, {}, "x-litellm-num-retries"), ({}, {"models": ["small-model"] * 17}, "models"),
])
def test_what_cannot_be_done_is_refused_with_a_sentence(client, headers, fields, param):
    async def story(house):
        heard = await house.ask(headers, **fields)
        assert (heard.status, heard.error["param"], house.asked()) == (400, param, [])
        assert heard.error["message"].startswith(param)
        assert (await house.ask(mock_testing_fallbacks=False)).status == 200
        assert house.asked() == [{"model": "small-model", "messages": HI}]

    told(client, story)
