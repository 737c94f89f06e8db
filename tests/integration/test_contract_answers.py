"""What upstreams may say and still be understood: the contract of a request, byte by byte, over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pointsman.core.settings import Condition, RouteSettings, Rule
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter
from pointsman.testing.wire import head

EVENTS = head(200, (("content-type", "text/event-stream"), ("connection", "close")))
JSON = head(200, (("content-type", "application/json"), ("connection", "close")))
DONE = b"data: [DONE]\n\n"


def event(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "x", "choices": [choice]} | fields).encode() + b"\n\n"


def plain(content: Any = "hi", **fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return json.dumps({"id": "x", "choices": [choice]} | fields).encode()


def says(*parts: bytes | float, start: bytes = EVENTS) -> days.Raw:
    return days.Raw((start, *parts))


HI, STOP = event({"content": "hi"}), event({}, "stop")


def hear(client: Any, day: days.Day, *, stream: bool = True, **fields: Any) -> Any:
    """What a client hears of one upstream, and the record it left."""

    async def story() -> Any:
        route = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",),
                              deadline_s=4.0, ttft_timeout_s=1.0, stall_timeout_s=1.0, answer_timeout_s=1.0)
        async with ModelServer(day) as server:
            settings = a_settings(a_pool("small", server.url), route=route)
            async with RunningRouter(settings) as router, client() as c:
                heard = await c.chat(router.url, stream=stream, **fields)
                assert router.leases == 0
                (record,) = router.records()
                return heard, record, server.requests

    return asyncio.run(story())


# ---------------------------------------------------------------------------------------------------------
# Answers


@pytest.mark.parametrize("body", [
    says(HI, STOP, DONE, DONE),
    says((HI + STOP + DONE).replace(b"\n", b"\r\n")),
    says(b": ping\n\n", 0.05, b": ping\n\n", HI, STOP, DONE),
    says(HI, STOP),
    says(HI, STOP, DONE, start=b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"),
    says(HI, STOP, DONE, start=b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + EVENTS),
], ids=["done twice", "crlf", "comments first", "no done", "http/1.0", "103 first"])
def test_an_unusual_stream_is_an_answer(client, body):
    heard, record, _ = hear(client, body)
    assert (heard.status, heard.text, heard.error, heard.is_done) == (200, "hi", None, True)
    assert record.outcome == "answered"


@pytest.mark.parametrize("first", [
    {"reasoning_content": "hm"}, {"reasoning": "hm"}, {"refusal": "no"}, {"audio": {"data": "UklG"}},
    {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
], ids=lambda delta: next(iter(delta)))
def test_everything_that_answers_is_content(client, first):
    heard, record, _ = hear(client, says(event(first), 0.3, event({}, "stop"), DONE))
    assert (heard.status, heard.error, heard.is_done) == (200, None, True)
    assert record.ttft_s < 0.25


def test_data_of_several_lines_arrives_as_data_of_several_lines(client):
    heard, _, _ = hear(client, says(
        b'data: {"id":"x","choices":\ndata: [{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n', DONE))
    first, done, rest = heard.body.split(b"\n\n")
    assert first == b'data: {"id":"x","choices":\ndata: [{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}'
    assert (done, rest) == (b"data: [DONE]", b"")


def test_one_event_of_megabytes_is_an_event(client):
    text = "x" * 3_000_000
    heard, _, _ = hear(client, says(event({"content": text}, "stop"), DONE))
    assert (heard.status, heard.text) == (200, text)


def test_an_engine_that_knows_no_n_answers_streamed_as_plain(client):
    assert hear(client, says(HI, STOP, DONE), n=2)[0].error is None
    assert hear(client, says(plain(), start=JSON), stream=False, n=2)[0].status == 200


def test_half_an_emoji_passes_in_both_directions(client):
    body = b'{"model":"auto","stream":%s,"\\ud800":1,"messages":[{"role":"user","content":"cut \\ud83d"}]}'

    async def story():
        halves = event({"content": "\ud83d"}) + event({"content": "\ude80"}, "stop") + DONE
        assert rb"\ud83d" in halves
        for stream, day, expected in (
            (b"true", says(halves), halves), (b"false", says(plain("x\ud83d"), start=JSON), plain("x\ud83d")),
            (b"true", says(plain("x\ud83d"), start=JSON), "x\ufffd".encode()),
        ):
            async with (ModelServer(day) as server, client() as c,
                        RunningRouter(a_settings(a_pool("small", server.url))) as router):
                heard = await c.post(f"{router.url}/chat/completions", body % stream)
                assert heard.status == 200
                sent = server.requests[0].body
                assert sent.startswith((body % stream).replace(b'"auto"', b'"test-model"')[:-1])
                assert expected in heard.body
                assert stream == b"false" or (heard.error is None and heard.is_done)

    asyncio.run(story())


def test_a_rules_prompt_meets_half_an_emoji(client):
    async def story():
        rule = Rule("r", Condition(text=".*"), tier="small", system="Be kind.")
        route = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("rules",), rules=(rule,))
        async with ModelServer(days.Answer("ok")) as server:
            settings = a_settings(a_pool("small", server.url), route=route)
            async with RunningRouter(settings) as router, client() as c:
                for body in (b'{"model":"auto","messages":[{"role":"system","content":"\\ud83d"},{"role":"user","content":"x"}]}',
                             b'{"model":"auto","messages":[{"role":"user","content":"\\ud83d"}]}'):
                    assert (await c.post(f"{router.url}/chat/completions", body)).status == 200
                assert (await c.post(f"{router.url}/completions", b'{"model":"auto","prompt":"\\ud83d"}')).status == 200
                assert all(b"Be kind." in request.body for request in server.requests)

    asyncio.run(story())


# ---------------------------------------------------------------------------------------------------------
# Failures


def test_comments_alone_are_no_first_token(client):
    heard, record, _ = hear(client, says(*(part for _ in range(30) for part in (b": ping\n\n", 0.1))))
    assert (heard.status, record.error) == (504, "upstream_first_token_timeout")


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_a_compressed_answer_is_none(client, stream):
    start = (EVENTS if stream else JSON).replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    heard, record, _ = hear(client, says(b"\x1f\x8b\x08", start=start), stream=stream)
    assert (heard.status, record.error) == (502, "upstream_bad_answer")


def test_a_stream_for_a_plain_request_is_no_answer(client):
    heard, record, _ = hear(client, says(HI, STOP, DONE), stream=False)
    assert (heard.status, record.error) == (502, "upstream_bad_answer")


def test_what_a_broken_stream_had_generated_is_charged(client):
    error = b'data: {"error":{"message":"the engine died","type":"InternalServerError","code":500}}\n\n'
    _, record, _ = hear(client, says(event({"content": "word " * 300}), error))
    assert (record.outcome, record.cost_basis) == ("failed", "estimated")
    assert record.cost_nano_usd > 0
    _, refused, _ = hear(client, says(error))
    assert refused.cost_nano_usd == 0


@pytest.mark.parametrize("error", [b'{"error":{"message":"no"}}', b'{"error":"no"}', b'{"object":"error","message":"no"}',
                                   b'{"error":{"message":"no","code":400,"type":"BadRequestError"}}',
                                   b'{"error":{"code":"context_length_exceeded"}}'])
def test_a_terminal_frame_always_has_its_four_fields(client, error):
    heard, record, _ = hear(client, says(HI, b"data: " + error + b"\n\n"))
    assert set(heard.error) >= {"message", "type", "code", "record_id"}
    assert heard.error["record_id"] == record.id
    assert not heard.is_done


def test_a_long_retry_after_reaches_the_client_whole(client):
    assert hear(client, days.rate_limited("3600"))[0].headers["retry-after"] == "3600"


@pytest.mark.parametrize("status", [401, 402, 403])
def test_what_a_provider_says_about_our_key_stays_here(client, status):
    said = b'{"error":{"message":"Incorrect API key provided: sk-secret","type":"invalid_request_error"}}'
    heard, _, _ = hear(client, days.Status(status, said))
    assert (heard.status, heard.error["upstream_status"], heard.headers["x-should-retry"]) == (502, status, "false")
    assert b"sk-secret" not in heard.body
