"""`/v1/messages` over real sockets: translated, routed as any chat, answered in Anthropic's shape."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from hashlib import sha256

import aiohttp
import msgspec
import pytest

from pointsman.classify.subject import subject
from pointsman.core.request import Kind
from pointsman.core.settings import Condition, KeySettings, RouteSettings, Rule
from pointsman.server.body import parse
from pointsman.testing import days
from pointsman.testing.anthropic_reader import read_frames, read_message
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter
from pointsman.translation.anthropic_request import translated

GOOD = "Paris is the capital of France."
ASK = {"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "What is the capital of France?"}]}
WEATHER = {"name": "weather", "description": "Weather of a city", "input_schema": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}
QUESTION = "Rename the variable x to count in this file."
REMINDER = ("<system-reminder>\nAs you answer, you can use this context:\n# claudeMd\nProve every theorem rigorously, derive the "
            "asymptotic complexity step by step and refactor the distributed lock-free scheduler.\n</system-reminder>")
CODING = {
    "model": "auto", "max_tokens": 32000, "stream": True, "temperature": 1,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.9; cc_entrypoint=cli; cch=8f3a1;"},
        {"type": "text", "text": "You are an agent that writes software.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Prove what you claim. " * 400, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": REMINDER},
            {"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "I must read it first.", "signature": "sig"},
            {"type": "tool_use", "id": "toolu_01", "name": "Read", "input": {"file_path": "a.py"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_01", "content": "1\tx = 1\n" * 300 + REMINDER},
            {"type": "text", "text": REMINDER}]},
    ],
    "tools": [{"name": "Read", "description": "Reads a file.", "input_schema": {
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"file_path": {"type": "string"}},
        "required": ["file_path"], "additionalProperties": False}}],
    "metadata": {"user_id": "user_1_account__session_2"}, "thinking": {"type": "enabled", "budget_tokens": 31999},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}, "output_config": {"effort": "high"},
}
PATIENT = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), deadline_s=5.0, ttft_timeout_s=0.6,
                        stall_timeout_s=0.3, answer_timeout_s=0.6)


@dataclass(frozen=True)
class Reasoning(days.Answer):
    """Thinks before it answers."""

    def _deltas(self, asked):
        thoughts = [({"reasoning_content": piece}, [piece]) for piece in ("Let ", "me ", "think.")]
        return thoughts + super()._deltas(asked)


def visited(story, *script, settings=None, **options):
    async def visit():
        async with ModelServer(*script) as server:
            made = settings(server) if settings else a_settings(a_pool("small", server.url), route=PATIENT, **options)
            async with RunningRouter(made) as router:
                await story(router, server)

    asyncio.run(visit())


def asked(**fields):
    return ASK | fields


def test_a_plain_answer(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", ASK, {"anthropic-version": "2023-06-01", "x-request-id": "mine-1"})
        (record,) = router.records()
        assert heard.status == 200
        assert heard.json == {
            "id": f"msg_{record.id}", "type": "message", "role": "assistant", "model": "test-model",
            "content": [{"type": "text", "text": GOOD}], "stop_reason": "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 4, "output_tokens": 8, "cache_read_input_tokens": 8},
        }
        assert heard.headers["x-route-tier-name"] == "small"
        assert heard.headers["request-id"] == heard.headers["x-request-id"] == "mine-1"
        assert float(heard.headers["x-route-cost-usd"]) > 0
        sent = server.requests[0]
        assert json.loads(sent.body)["messages"] == ASK["messages"]
        assert sent.path == "/v1/chat/completions"
        assert not {name for name, _ in sent.headers if name.startswith("anthropic")}
        assert (record.kind, record.outcome, record.usage.cached_tokens) == ("chat", "answered", 8)

    visited(story, days.Answer(GOOD, usage_tokens=(12, 8), cached_tokens=8))


def test_a_stream_is_a_whole_message_with_the_engines_usage(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages?beta=true", asked(stream=True))
        message = read_message(heard.body)
        (record,) = router.records()
        assert message["content"] == [{"type": "text", "text": GOOD}]
        assert (message["id"], message["stop_reason"]) == (f"msg_{record.id}", "end_turn")
        assert message["usage"] == {"input_tokens": 4, "output_tokens": 8, "cache_read_input_tokens": 8}
        assert b"cost" not in heard.body
        assert heard.headers["content-type"].startswith("text/event-stream")
        assert heard.headers["x-route-record"] == heard.headers["request-id"] == record.id
        assert record.cost_nano_usd > 0
        kinds = [event["type"] for event in read_frames(heard.body)]
        assert (kinds.count("content_block_delta"), kinds.count("ping")) == (8, 0)

    visited(story, days.Answer(GOOD, usage_tokens=(12, 8), cached_tokens=8))


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_tools_both_ways(client, stream):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", asked(stream=stream, tools=[WEATHER], tool_choice={"type": "any"}))
        message = read_message(heard.body) if stream else heard.json
        calls = [(block["name"], json.loads(block["input"]) if stream else block["input"]) for block in message["content"]]
        assert calls == [("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})]
        assert message["stop_reason"] == "tool_use"
        body = json.loads(server.requests[0].body)
        assert (body["tool_choice"], body["tools"][0]["function"]["parameters"]) == ("required", WEATHER["input_schema"])

    visited(story, days.Answer(tool_calls=(("weather", '{"city": "Paris"}'), ("weather", '{"city": "Rome"}'))))


@pytest.mark.parametrize("asks", [True, False], ids=["asked", "not asked"])
def test_thinking_shows_to_those_who_asked(client, asks):
    async def story(router, server):
        async with client() as c:
            thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if asks else {}
            heard = await c.post(f"{router.url}/messages", asked(stream=True, **thinking))
        content = read_message(heard.body)["content"]
        shown = [{"type": "thinking", "thinking": "Let me think.", "signature": ""}] if asks else []
        assert content == [*shown, {"type": "text", "text": GOOD}]

    visited(story, Reasoning(GOOD))


def test_hidden_thinking_keeps_the_connection_alive(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", asked(stream=True))
        kinds = [event["type"] for event in read_frames(heard.body)]
        assert kinds.count("ping") == 1  # within one second
        assert read_message(heard.body)["content"] == [{"type": "text", "text": GOOD}]

    visited(story, Reasoning(GOOD, between=0.01))


def test_an_engine_that_answers_a_stream_in_one_piece(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", asked(stream=True))
        assert read_message(heard.body)["content"] == [{"type": "text", "text": GOOD}]

    visited(story, days.JsonForStream())


BAD = [
    ({"model": "autoo"}, 404, "not_found_error", "model"),
    ({"model": "claude-sonnet-4-5"}, 404, "not_found_error", "model"),
    ({"messages": [{"role": "user", "content": [{"type": "mystery"}]}]}, 400, "invalid_request_error", "messages.0.content.0.type"),
    ({"max_tokens": "many"}, 400, "invalid_request_error", "max_tokens"),
    ({"api_base": "http://evil"}, 400, "invalid_request_error", "api_base"),
]


@pytest.mark.parametrize(("fields", "status", "kind", "param"), BAD)
@pytest.mark.parametrize("path", ["messages", "messages/count_tokens"])
def test_a_request_at_fault_is_told_so_in_its_own_words(client, fields, status, kind, param, path):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/{path}", asked(**fields))
        assert (heard.status, heard.json["type"]) == (status, "error")
        assert (heard.error["type"], heard.error["param"]) == (kind, param)
        assert heard.headers["x-should-retry"] == "false"
        assert not server.requests
        records = router.records()
        assert [record.id for record in records] == ([heard.json["request_id"]] if path == "messages" else [])

    visited(story)


def test_every_refusal_under_the_path_has_anthropics_shape(client):
    async def story(router, server):
        async with client() as c:
            without = await c.post(f"{router.url}/messages", ASK)
            wrong = await c.get(f"{router.url}/messages", {"x-api-key": "sk-1"})
            nowhere = await c.post(f"{router.url}/messages/batches", ASK, {"x-api-key": "sk-1"})
            for_openai = await c.post(f"{router.url}/chat/completions", ASK)
            good = await c.post(f"{router.url}/messages", ASK, {"x-api-key": "sk-1"})
            also = await c.post(f"{router.url}/messages", ASK, {"authorization": "Bearer sk-1"})
        assert [(heard.status, heard.json["error"]["type"]) for heard in (without, wrong, nowhere)] == [
            (401, "authentication_error"), (405, "invalid_request_error"), (404, "not_found_error")]
        assert all(heard.json["type"] == "error" for heard in (without, wrong, nowhere))
        assert "type" not in for_openai.json
        assert (good.status, also.status) == (200, 200)

    visited(story, keys=(KeySettings("app", sha256(b"sk-1").digest()),))


@pytest.mark.parametrize(("day", "status", "kind"), [
    (lambda: days.rate_limited("7"), 429, "rate_limit_error"), (days.overloaded, 503, "overloaded_error"),
    (days.server_error, 502, "api_error"), (days.unauthorized, 502, "api_error"), (days.Hang, 504, "timeout_error"),
    (days.bad_request, 400, "invalid_request_error"), (days.too_large, 413, "request_too_large"),
])
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_an_upstream_that_cannot_answer(client, day, status, kind, stream):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", asked(stream=stream))
        assert (heard.status, heard.json["error"]["type"]) == (status, kind)
        assert heard.headers["content-type"] == "application/json"
        assert heard.headers["request-id"] == heard.json["request_id"] == router.records()[0].id
        if status == 429:
            assert heard.headers["retry-after"] == "7"

    visited(story, day())


@pytest.mark.parametrize(("day", "kind"), [
    (lambda: days.StallAfter(3), "timeout_error"), (lambda: days.CutAfter(3, "rst"), "api_error"), (lambda: days.InBandError(3), "api_error"),
])
def test_a_stream_that_breaks_ends_in_one_error_event_and_nothing_after(client, day, kind):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", asked(stream=True))
        events = read_frames(heard.body)
        (record,) = router.records()
        assert heard.status == 200
        assert [event["type"] for event in events].count("error") == 1
        assert events[-1]["type"] == "error"
        assert not {"message_delta", "message_stop"} & {event["type"] for event in events}
        assert (events[-1]["error"]["type"], events[-1]["request_id"], record.outcome) == (kind, record.id, "failed")

    visited(story, day())


def test_a_stream_that_is_slow_to_begin_is_opened_with_pings(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", asked(stream=True))
        assert [event["type"] for event in read_frames(heard.body)][:2] == ["ping", "ping"]
        assert read_message(heard.body)["content"] == [{"type": "text", "text": GOOD}]
        assert heard.headers["x-route-tier"] == "pending"

    route = msgspec.structs.replace(PATIENT, open_after_s=0.05, ttft_timeout_s=2.0)
    visited(story, days.Answer(GOOD, first_token_after=0.15), settings=lambda s: a_settings(a_pool("small", s.url), route=route))


def test_an_opened_stream_that_fails_ends_in_an_error_event(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages", asked(stream=True))
        kinds = [event["type"] for event in read_frames(heard.body)]
        assert heard.status == 200
        assert set(kinds[:-1]) == {"ping"}
        assert kinds[-1] == "error"

    visited(story, days.Hang(), settings=lambda s: a_settings(a_pool("small", s.url), route=msgspec.structs.replace(PATIENT, open_after_s=0.05)))


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_a_client_that_leaves_frees_the_engine(stream):
    async def story(router, server):
        async with aiohttp.ClientSession() as session:
            asking = asyncio.create_task(session.post(f"{router.url}/messages", json=asked(stream=stream)))
            await server.wait_for(lambda: server.requests)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await server.wait_for(lambda: server.open_connections == 0)
        while router.service.gateway.in_flight:
            await asyncio.sleep(0.01)
        (record,) = router.records()
        assert (record.outcome, router.leases) == ("cancelled", 0)

    route = msgspec.structs.replace(PATIENT, ttft_timeout_s=5.0, answer_timeout_s=5.0)
    visited(story, days.Hang(), settings=lambda s: a_settings(a_pool("small", s.url), route=route))


def test_counting_tokens_is_an_estimate_that_says_so_and_leaves_no_record(client):
    async def story(router, server):
        async with client() as c:
            heard = await c.post(f"{router.url}/messages/count_tokens", {k: v for k, v in ASK.items() if k != "max_tokens"})
            longer = await c.post(f"{router.url}/messages/count_tokens", asked(tools=[WEATHER]))
        assert heard.json == {"input_tokens": 15}
        assert heard.headers["x-route-token-count"] == "estimated"
        assert longer.json["input_tokens"] > 40
        assert not server.requests
        assert not router.records()

    visited(story)


def test_rules_see_the_path_and_the_metadata_and_may_add_to_the_system_prompt(client):
    async def story(router, server):
        async with client() as c:
            for fields in ({"metadata": {"user_id": "vip-1"}}, {"system": [{"type": "text", "text": "Be brief."}]}):
                await c.post(f"{router.url}/messages", asked(**fields))
            await c.post(f"{router.url}/chat/completions", ASK)
        assert [record.decision.reason for record in router.records()[:2]] == ["vip", "anthropic"]
        systems = [[m["content"] for m in json.loads(r.body)["messages"] if m["role"] == "system"] for r in server.requests]
        assert systems == [["You matter."], ["Say who you are.\n\nBe brief."], []]

    rules = (Rule("vip", Condition(metadata={"user_id": "vip-.*"}), tier="small", system="You matter.", reason="vip"),
             Rule("anthropic", Condition(path="^/v1/messages$"), tier="small", system="Say who you are.", reason="anthropic"))
    route = msgspec.structs.replace(PATIENT, pipeline=("rules", "pinned:small"), rules=rules)
    visited(story, settings=lambda s: a_settings(a_pool("small", s.url), route=route))


def test_a_coding_harness_is_set_aside():
    body, _ = translated(json.dumps(CODING).encode())
    request = parse(body, Kind.CHAT)

    assert subject(request).text == QUESTION
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "tool", "user"]
    assert not request.messages[0].text.startswith("x-anthropic")


def test_a_coding_harness_is_routed_by_what_its_user_wants(client):
    """The same decision as for the bare question with the same tools, whatever the harness wraps around it."""
    async def story(router, server):
        bare = {k: CODING[k] for k in ("model", "max_tokens", "tools", "stream")} | {"messages": [{"role": "user", "content": QUESTION}]}
        async with client() as c:
            for body in (CODING, bare):
                assert read_message((await c.post(f"{router.url}/messages", body)).body)["stop_reason"] == "end_turn"
        wrapped, plain = (record.decision for record in router.records())
        assert (wrapped.tier, wrapped.decided_by) == (plain.tier, plain.decided_by)
        sent = json.loads(server.requests[0].body)
        assert sent["user"] == "user_1_account__session_2"
        assert not {"thinking", "context_management", "output_config", "system", "metadata"} & set(sent)

    visited(story, settings=lambda s: a_settings(a_pool("small", s.url), a_pool("large", s.url)))
