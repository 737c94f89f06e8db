"""Endpoints that speak Anthropic's API: every client reaches them, each in its own words."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from pointsman.core.price import TokenPrice
from pointsman.core.settings import RouteSettings
from pointsman.testing import days
from pointsman.testing.anthropic_reader import read_frames, read_message
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.testing.native_days import Message, text, thought, use
from pointsman.testing.router import RunningRouter
from pointsman.upstream.load_report.reader import HttpLoadReader

GOOD = "Paris is the capital of France."
QUICK = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), deadline_s=5.0)
ASK = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
USAGE = {"input_tokens": 3, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 8}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
KNOWN = {"engine": "anthropic", "dialects": ("messages",), "is_origin": True, "api_key": "sk-ant-1", "model": "claude-x",
         "price": TokenPrice(3.0, 15.0, 0.3)}


def claude(url, id="small/0", **fields):
    return an_endpoint(id, url, **(KNOWN | fields))


def visited(story, *script, more=(), **options):
    async def visit():
        async with ModelServer(*script) as server:
            pool = a_pool("small", server.url, endpoints=(claude(server.url, **options), *more))
            async with RunningRouter(a_settings(pool, route=QUICK)) as router:
                await story(router, server)

    asyncio.run(visit())


def sent(server, number=-1):
    return json.loads(server.requests[number].body)


def test_a_chat_is_asked_and_answered_in_messages(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/chat/completions", ASK | {"stop": ["END"], "user": "u1", "seed": 1})
        assert heard.status == 200
        answer = heard.json
        assert heard.text == GOOD
        assert (answer["object"], answer["model"], answer["choices"][0]["finish_reason"]) == ("chat.completion", "claude-x", "stop")
        assert answer["usage"] == {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18,
                                   "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2}}
        request = server.requests[0]
        headers = dict(request.headers)
        assert request.path == "/v1/messages"
        assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-ant-1", "2023-06-01")
        assert sent(server) == {"model": "claude-x", "max_tokens": 8192, "messages": ASK["messages"], "stop_sequences": ["END"],
                                "metadata": {"user_id": "u1"}}
        (record,) = router.records()
        assert (record.usage.input_tokens, record.usage.cached_tokens, record.usage.output_tokens) == (10, 5, 8)
        assert record.cost_nano_usd > 0

    visited(story, Message(usage=USAGE))


def test_a_chat_stream_has_chunks_usage_and_an_end(client):
    async def story(router, server):
        async with client() as c:
            asked = ASK | {"stream": True, "stream_options": {"include_usage": True}, "max_completion_tokens": 50}
            heard = await c.post(f"{router.url}/chat/completions", asked)
            plain = await c.post(f"{router.url}/chat/completions", ASK | {"stream": True})
        assert heard.is_done
        assert heard.text == plain.text == GOOD
        assert heard.chunks[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 5, "cache_write_tokens": 2}
        assert not any(chunk.get("usage") for chunk in plain.chunks)
        assert [c["choices"][0]["finish_reason"] for c in heard.chunks if c["choices"]][-1] == "stop"
        assert (sent(server, 0)["max_tokens"], sent(server, 0)["stream"]) == (50, True)

    visited(story, Message(usage=USAGE))


@pytest.mark.parametrize("stream", [False, True])
def test_tools_travel_both_ways(client, stream):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/chat/completions", ASK | {
                "stream": stream, "tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False})
            if stream:
                pieces = [d for chunk in heard.chunks for c_ in chunk["choices"] for d in c_["delta"].get("tool_calls", ())]
                assert [p["index"] for p in pieces if "id" in p] == [0, 1]
                calls = [(i, "".join(p["function"].get("arguments", "") for p in pieces if p["index"] == i)) for i in (0, 1)]
            else:
                said = heard.json["choices"][0]["message"]
                calls = list(enumerate(call["function"]["arguments"] for call in said["tool_calls"]))
                assert heard.json["choices"][0]["finish_reason"] == "tool_calls"
            assert [(i, json.loads(a)) for i, a in calls] == [(0, {"city": "Rome"}), (1, {})]
            await c.post(f"{router.url}/chat/completions", ASK | {"tools": [TOOL], "messages": [
                *ASK["messages"],
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "functions.weather:0", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}]},
                {"role": "tool", "tool_call_id": "functions.weather:0", "content": "22 degrees"}]})
        first = sent(server, 0)
        assert first["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
        assert first["tools"] == [{"name": "weather", "input_schema": TOOL["function"]["parameters"]}]
        call, result = sent(server)["messages"][1:]
        assert call["content"][0]["input"] == {"city": "Rome"}
        assert result["role"] == "user"
        assert result["content"][0] == {"type": "tool_result", "tool_use_id": call["content"][0]["id"], "content": "22 degrees"}

    visited(story, Message((text("Let me look."), use("toolu_1", "weather", city="Rome"), use("toolu_2", "weather"))))


def test_images_documents_and_a_schema_arrive(client):
    async def story(router, server):
        async with client() as c:
            await c.post(f"{router.url}/chat/completions", {
                "model": "auto", "response_format": {"type": "json_schema", "json_schema": {
                    "name": "x", "strict": True, "schema": {"type": "object", "properties": {}, "additionalProperties": False}}},
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [
                    {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}]}]})
        body = sent(server)
        assert body["system"] == "Be brief."
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": {
            "type": "object", "properties": {}, "additionalProperties": False}}}
        assert body["messages"][0]["content"] == [
            {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "a.pdf"}]

    visited(story, Message((text("{}"),)))


def test_thoughts_are_shown_and_can_be_given_back(client):
    async def story(router, server):
        async with client() as c:
            plain = await c.post(f"{router.url}/chat/completions", ASK | {"thinking": {"type": "enabled", "budget_tokens": 2000}})
            streamed = await c.post(f"{router.url}/chat/completions", ASK | {"stream": True})
            said = plain.json["choices"][0]["message"]
            await c.post(f"{router.url}/chat/completions", ASK | {"messages": [*ASK["messages"], said, {"role": "user", "content": "Sure?"}]})
        assert said["reasoning_content"] == "Let me see."
        deltas = [chunk["choices"][0]["delta"] for chunk in streamed.chunks]
        assert "".join(d.get("reasoning_content", "") for d in deltas) == "Let me see."
        assert [d["thinking_blocks"][0]["signature"] for d in deltas if "thinking_blocks" in d] == ["c2lnbmVk"]
        assert sent(server)["messages"][1]["content"] == [thought("Let me see."), text(GOOD)]
        assert sent(server, 0)["thinking"] == {"type": "enabled", "budget_tokens": 2000}

    visited(story, Message((thought("Let me see."), text(GOOD))))


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_comes_from_a_message(client, stream):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/responses", {"model": "auto", "input": "Hello", "stream": stream})
        done = json.loads(heard.body.decode().rstrip().rpartition("data: ")[2])["response"] if stream else heard.json
        assert (done["status"], done["output"][0]["content"][0]["text"]) == ("completed", GOOD)
        assert done["usage"]["input_tokens_details"] == {"cached_tokens": 5, "cache_write_tokens": 2}

    visited(story, Message(usage=USAGE))


@pytest.mark.parametrize("stream", [False, True])
def test_a_clients_own_message_passes_byte_for_byte(client, stream):
    body = (b'{ "model":"auto",\n "max_tokens" : 64, "num_retries": 1, "stream":' + json.dumps(stream).encode()
            + b', "system":[{"type":"text","text":"x-anthropic-billing-header: cch=1;"},{"type":"text","text":"Hi"}],'
            b' "context_management":{"edits":[]}, "messages":[{"role":"user","content":"\\u00e9"}] }')
    day = Message((thought("hm"), text(GOOD), use("toolu_1", "Read", path="a")), usage=USAGE)

    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages?beta=true", body, {
                "content-type": "application/json", "anthropic-beta": "context-management-2025-06-27,oauth-2025-04-20"})
        request = server.requests[0]
        assert request.body == body.replace(b'"auto"', b'"claude-x"').replace(b' "num_retries": 1,', b"")
        assert dict(request.headers)["anthropic-beta"] == "context-management-2025-06-27,oauth-2025-04-20"
        if stream:
            expected = b"".join(b"event: %b\ndata: %b\n\n" % (e["type"].encode(), msgspec.json.encode(e)) for e in day.events("claude-x"))
            assert heard.body == expected
        else:
            assert heard.body == day.body("claude-x")
        assert heard.headers["x-route-tier-name"] == "small"
        (record,) = router.records()
        assert (record.outcome, record.usage.input_tokens, record.usage.cached_tokens) == ("answered", 10, 5)

    visited(story, day)


def test_what_only_anthropic_can_do_goes_to_anthropic(client):
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
    ask = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": [pdf, {"type": "text", "text": "What is it?"}]}],
           "tools": [{"type": "web_search_20250305", "name": "web_search"}]}

    async def visit():
        async with ModelServer(days.Answer("no")) as engine, ModelServer(Message()) as anthropic:
            settings = a_settings(a_pool("small", engine.url), a_pool("large", endpoints=(claude(anthropic.url, "large/0"),)),
                                  route=RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",)))
            async with RunningRouter(settings) as router, client() as c:
                heard = await c.post(f"{router.url}/messages", ask)
                pinned = await c.post(f"{router.url}/messages", ask | {"model": "small"})
                assert (heard.status, heard.headers["x-route-tier-name"]) == (200, "large")
                assert json.loads(anthropic.requests[0].body)["messages"] == ask["messages"]
                assert not engine.requests
                assert pinned.status == 400

    asyncio.run(visit())


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("day", "status", "kind"), [
    (days.overloaded(), 503, "overloaded_error"),
    (days.Status(429, b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}', retry_after="7"), 429, "rate_limit_error"),
    (days.Status(401, b'{"type":"error","error":{"type":"authentication_error","message":"sk-ant-1 is bad"}}'), 502, "api_error"),
    (days.Status(400, b'{"type":"error","error":{"type":"invalid_request_error","message":"messages: too long"}}'), 400,
     "invalid_request_error"),
])
def test_refusals_mean_what_they_mean(client, path, stream, day, status, kind):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/{path}", ASK | {"max_tokens": 9, "stream": stream})
        assert heard.status == status
        assert b"sk-ant-1" not in heard.body
        if status == 429:
            assert heard.headers["retry-after"] == "7"
        if status == 400:
            assert heard.json["error"]["message"] == "messages: too long"
        if path == "messages":
            assert heard.json["error"]["type"] == kind

    visited(story, day)


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
@pytest.mark.parametrize("day", [Message(error={"type": "overloaded_error", "message": "Overloaded"}), Message(is_cut=True)])
def test_a_stream_that_breaks_is_no_answer(client, path, day):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/{path}", ASK | {"max_tokens": 9, "stream": True})
        if path == "messages":
            assert read_frames(heard.body)[-1]["type"] == "error"
            assert "message_stop" not in heard.body.decode()
        else:
            assert heard.error["message"]
            assert not heard.is_done
        (record,) = router.records()
        assert record.outcome == "failed"

    visited(story, day)


@pytest.mark.parametrize("stream", [False, True])
def test_a_retry_may_change_the_api_and_the_client_never_sees_it(client, stream):
    async def visit():
        async with ModelServer(days.Status(500)) as sick, ModelServer(days.Answer(GOOD)) as well:
            pool = a_pool("small", endpoints=(claude(sick.url), an_endpoint("small/1", well.url)))
            other = a_pool("large", well.url)
            settings = a_settings(pool, other, route=RouteSettings(
                "auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",)))
            async with RunningRouter(settings) as router, client() as c:
                for _ in range(6):
                    heard = await c.post(f"{router.url}/messages", ASK | {"max_tokens": 9, "stream": stream})
                    assert heard.status == 200
                    message = read_message(heard.body) if stream else heard.json
                    assert message["content"] == [{"type": "text", "text": GOOD}]
                assert sick.requests
                assert {request.path for request in well.requests} == {"/v1/chat/completions"}

    asyncio.run(visit())


def test_what_cannot_be_said_to_anthropic_goes_elsewhere_or_is_refused(client):
    async def story(router, server):
        async with client() as c:
            many = await c.post(f"{router.url}/chat/completions", ASK | {"n": 2})
        assert (many.status, many.error["code"]) == (400, "untranslatable")
        assert many.headers["x-should-retry"] == "false"
        assert not server.requests

    visited(story, Message())


def test_checking_it_asks_for_its_models_its_own_way():
    async def visit():
        async with ModelServer(model="claude-x") as server:
            reader = HttpLoadReader()
            try:
                report = await reader.read(claude(server.url), asyncio.get_running_loop().time() + 5)
            finally:
                await reader.aclose()
            (probe,) = server.probes
        assert report.models == ("claude-x",)
        assert probe.path == "/v1/models?limit=1000"
        assert dict(probe.headers)["x-api-key"] == "sk-ant-1"

    asyncio.run(visit())


def test_a_conversation_that_moves_here_from_an_engine_leaves_the_engines_thoughts_behind(client):
    ask = {"model": "auto", "max_tokens": 9, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [
        *ASK["messages"], {"role": "assistant", "content": [thought("hm", ""), text("Paris?")]}, {"role": "user", "content": "Sure?"}]}

    async def story(router, server):
        async with client() as c:
            await c.post(f"{router.url}/messages", ask)
        assert sent(server)["messages"][1]["content"] == [text("Paris?")]
        assert sent(server)["thinking"] == ask["thinking"]

    visited(story, Message())
