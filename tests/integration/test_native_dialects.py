"""Engines that speak the client's own API are handed its bytes; the rest hears a translation, attempt by attempt."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from pointsman.core.settings import RouteSettings
from pointsman.testing import days
from pointsman.testing.anthropic_reader import read_frames, read_message
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.testing.native_days import Message, Response
from pointsman.testing.router import RunningRouter

GOOD = "Paris is the capital of France."
QUICK = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), deadline_s=5.0)
ASK = {"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "What is the capital of France?"}]}
ALL = ("chat", "messages", "responses")
SEARCH = {"type": "web_search", "external_web_access": False}
SHELL = {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}, "strict": False}


def visited(story, *script, dialects=ALL, **options):
    async def visit():
        async with ModelServer(*script) as server:
            pool = a_pool("small", endpoints=(an_endpoint("small/0", server.url, dialects=dialects, **options),))
            async with RunningRouter(a_settings(pool, route=QUICK)) as router:
                await story(router, server)

    asyncio.run(visit())


@pytest.mark.parametrize("stream", [False, True])
def test_an_engines_message_passes_as_it_is(client, stream):
    day = Message(is_strict=False)

    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", ASK | {"stream": stream})
        assert server.requests[0].path == "/v1/messages"
        assert "x-api-key" not in dict(server.requests[0].headers)
        if stream:
            assert read_message(heard.body)["content"] == [{"type": "text", "text": GOOD}]
            assert [e["type"] for e in read_frames(heard.body)] == [e["type"] for e in day.events("test-model")]
        else:
            assert heard.body == day.body("test-model")

    visited(story, day)


@pytest.mark.parametrize("stream", [False, True])
def test_an_engines_response_passes_as_it_is(client, stream):
    day = Response()
    body = b'{"model" : "auto", "input":"Hello",  "stream":' + json.dumps(stream).encode() + b', "timeout": 4, "store": false}'

    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/responses", body)
        assert server.requests[0].path == "/v1/responses"
        assert server.requests[0].body == body.replace(b'"auto"', b'"test-model"').replace(b', "timeout": 4', b"")
        if stream:
            expected = [e | {"sequence_number": n} for n, e in enumerate(day.events())]
            assert heard.body == b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in expected)
        else:
            assert heard.json["id"] == "resp_native"
        (record,) = router.records()
        assert (record.outcome, record.usage.input_tokens, record.usage.cached_tokens) == ("answered", 12, 4)

    visited(story, day)


def test_a_response_that_breaks_fails_in_its_own_words(client):
    async def story(router, server):
        async with client() as c:
            failed = await c.post(f"{router.url}/responses", {"model": "auto", "input": "Hello", "stream": True})
            cut = await c.post(f"{router.url}/responses", {"model": "auto", "input": "Hello", "stream": True})
        for heard in (failed, cut):
            names = [line.removeprefix("event: ") for line in heard.body.decode().splitlines() if line.startswith("event: ")]
            assert names[-1] == "response.failed"
            last = json.loads(heard.body.decode().rstrip().rpartition("data: ")[2])
            assert (last["sequence_number"], last["response"]["status"]) == (3, "failed")
            assert last["response"]["error"]["message"]
        assert [record.outcome for record in router.records()] == ["failed", "failed"]

    visited(story, Response(is_failing=True), Response(is_cut=True))


@pytest.mark.parametrize("stream", [False, True])
def test_what_an_engine_may_not_understand_is_translated_for_it(client, stream):
    schema = {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}

    async def story(router, server):
        async with client() as c:
            await c.post(f"{router.url}/messages", ASK | {"output_config": schema, "stream": stream})
            await c.post(f"{router.url}/responses", {"model": "auto", "input": "Hi", "stream": stream, "tools": [
                {"type": "custom", "name": "apply_patch"}]})
        assert [request.path for request in server.requests] == ["/v1/chat/completions"] * 2
        assert json.loads(server.requests[0].body)["response_format"]["type"] == "json_schema"

    visited(story, days.Answer(GOOD))


@pytest.mark.parametrize("stream", [False, True])
def test_a_hosted_tool_beside_others_is_left_out_and_said_so(client, stream):
    async def story(router, server):
        async with client() as c:
            ask = {"model": "auto", "input": "Hi", "stream": stream}
            heard = await c.post(f"{router.url}/responses", ask | {"tools": [SHELL, SEARCH], "tool_choice": "auto"})
            alone = await c.post(f"{router.url}/responses", ask | {"tools": [SEARCH]})
            forced = await c.post(f"{router.url}/responses", ask | {"tools": [SHELL, SEARCH], "tool_choice": {"type": "web_search"}})
            claude = await c.post(f"{router.url}/messages", ASK | {"stream": stream, "tools": [
                {"name": "Read", "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}]})
            metrics = (await c.get(f"{router.root}/metrics")).body.decode()
        assert heard.headers["x-route-dropped"] == claude.headers["x-route-dropped"] == "web_search"
        assert [[t["function"]["name"] for t in json.loads(r.body)["tools"]] for r in server.requests] == [["shell"], ["Read"]]
        assert (alone.status, forced.status) == (400, 400)
        assert alone.json["error"]["param"] == "tools[0].type"
        assert 'pointsman_tools_dropped_total{tool="web_search"} 2.0' in metrics

    visited(story, days.Answer(GOOD), dialects=("chat",))


def test_a_rules_system_prompt_joins_the_clients_own(client):
    from pointsman.core.settings import Condition, Rule

    route = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("rules",), rules=(
        Rule("agent", Condition(keywords=("capital",)), tier="small", system="You know the map."),))

    async def visit():
        async with ModelServer(Message(is_strict=False), Message(is_strict=False), Message(is_strict=False), Response()) as server:
            pool = a_pool("small", endpoints=(an_endpoint("small/0", server.url, dialects=ALL),))
            async with RunningRouter(a_settings(pool, route=route)) as router, client() as c:
                await c.post(f"{router.url}/messages", ASK)
                await c.post(f"{router.url}/messages", ASK | {"system": "Be brief."})
                await c.post(f"{router.url}/messages", ASK | {"system": [{"type": "text", "text": "Be brief."}]})
                await c.post(f"{router.url}/responses", {"model": "auto", "input": "The capital?", "instructions": "Be brief."})
                bodies = [json.loads(request.body) for request in server.requests]
        assert [body.get("system") for body in bodies] == [
            "You know the map.", "You know the map.\n\nBe brief.",
            [{"type": "text", "text": "You know the map."}, {"type": "text", "text": "Be brief."}], None]
        assert bodies[3]["instructions"] == "You know the map.\n\nBe brief."

    asyncio.run(visit())


def test_claude_codes_accounting_does_not_reach_an_engine_whose_cache_it_would_spoil(client):
    system = [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=8f3a1;"}, {"type": "text", "text": "Be brief."}]

    async def story(router, server):
        async with client() as c:
            await c.post(f"{router.url}/messages", ASK | {"system": system})
        assert json.loads(server.requests[0].body)["system"] == system[1:]

    visited(story, Message(is_strict=False))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("missing", [days.Status(404, b'{"detail":"Not Found"}'), days.Status(405, b'{"detail":"Method Not Allowed"}')])
def test_an_engine_too_old_for_the_api_is_asked_again_translated_and_keeps_its_health(client, stream, missing):
    async def story(router, server):
        async with client() as c:
            heard = [await c.post(f"{router.url}/messages", ASK | {"stream": stream}) for _ in range(3)]
            await c.post(f"{router.url}/responses", {"model": "auto", "input": "Hi"})
        for answer in heard:
            message = read_message(answer.body) if stream else answer.json
            assert message["content"] == [{"type": "text", "text": GOOD}]
        assert [request.path for request in server.requests] == [
            "/v1/messages", *["/v1/chat/completions"] * 3, "/v1/responses", "/v1/chat/completions"]
        assert [len(record.attempts) for record in router.records()] == [1, 1, 1, 1]
        assert router.service.gateway.graph.fleet.is_fit("small", 0.0)

    good = days.Answer(GOOD)
    visited(story, missing, good, good, good, missing, good)


def test_a_model_that_is_not_there_is_a_mistake_in_the_configuration_and_no_old_engine(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", ASK)
        assert heard.status == 502
        assert {request.path for request in server.requests} == {"/v1/messages"}

    visited(story, days.not_found())


def test_a_message_without_a_limit_is_translated_since_engines_insist_on_one(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", {k: v for k, v in ASK.items() if k != "max_tokens"})
        assert heard.status == 200
        assert server.requests[0].path == "/v1/chat/completions"

    visited(story, days.Answer(GOOD))
