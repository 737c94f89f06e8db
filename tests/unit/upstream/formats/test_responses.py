"""Responses, passed on as they are: what bears content, and whether they ended well."""

import json
from pathlib import Path

import pytest

from pointsman import errors
from pointsman.core.reply import Usage
from pointsman.testing.factories import a_request
from pointsman.testing.native_days import Response
from pointsman.upstream.formats.responses import ResponseReader, read_response, read_usage
from pointsman.upstream.sse import Decoder

CAPTURES = Path(__file__).parents[3] / "fixtures" / "engines"


def body_of(name):
    return (CAPTURES / name).read_bytes().partition(b"<<< ")[2].partition(b"\n\n")[2]


def data_of(day):
    return [json.dumps(event).encode() for event in day.events()]


def read(events):
    reader = ResponseReader("small/0", a_request(stream=True))
    return reader, reader.feed(events)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llamacpp"])
def test_what_engines_really_said(engine):
    body = body_of(f"{engine}_responses.txt")
    reply = read_response("small/0", body)
    assert (reply.body, reply.dialect, reply.usage.input_tokens) == (body, "responses", 31)

    events = Decoder().feed(body_of(f"{engine}_responses_stream.txt"))
    reader, batch = read(events)
    assert (reader.done, reader.failure, batch.content, batch.events) == (True, None, True, events)
    assert reader.reply.usage.input_tokens == 31
    assert reader.reply.dialect == "responses"


def test_content_begins_with_the_first_word_or_call():
    events = data_of(Response())
    assert not read(events[:2])[1].content
    assert read(events[2:3])[1].content
    assert read([b'{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}'])[1].content
    assert not read([b'{"type":"response.output_item.added","item":{"type":"message"}}'])[1].content


def test_nothing_is_read_behind_the_last_event():
    events = data_of(Response())
    reader, batch = read([*events, b'{"type":"late"}'])

    assert (reader.done, batch.events, reader.reply.usage) == (True, events, Usage(12, 7, 4))


@pytest.mark.parametrize("day", [Response(is_failing=True), Response(is_cut=True)])
def test_a_broken_one_is_no_answer(day):
    reader, _ = read(data_of(day))
    reader.end()

    assert isinstance(reader.failure, errors.UpstreamError)
    assert reader.reply.usage is None


@pytest.mark.parametrize(("event", "error"), [
    (b'{"type":"error","code":"rate_limit_exceeded","message":"slow"}', errors.RateLimited),
    (b'{"type":"error","error":{"type":"overloaded","message":"x"}}', errors.UpstreamOverloaded),
    (b'{"type":"response.cancelled"}', errors.UpstreamFailed), (b"[DONE]", errors.BadAnswer), (b"{", errors.BadAnswer),
    (b'{"type":7}', errors.BadAnswer),
])
def test_failures_are_what_they_say(event, error):
    assert type(read([b"", event])[0].failure) is error


@pytest.mark.parametrize(("fields", "finish"), [
    ({"status": "completed", "output": []}, "stop"), ({"status": "completed", "output": [{"type": "function_call"}]}, "tool_calls"),
    ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"), ({"status": "incomplete"}, "length"),
])
def test_why_it_stopped(fields, finish):
    assert read_response("small/0", json.dumps(fields).encode()).finish_reasons == (finish,)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status":"queued"}', b"<html>", b"[]"])
def test_what_is_no_response_is_no_answer(body):
    with pytest.raises(errors.BadAnswer):
        read_response("small/0", body)


def test_a_failed_one_is_its_error():
    with pytest.raises(errors.RateLimited):
        read_response("small/0", b'{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"}}')
    with pytest.raises(errors.UpstreamFailed):
        read_response("small/0", b'{"status":"failed"}')


def test_usage_that_makes_no_sense_is_unknown():
    assert read_usage(None) is None
    assert read_usage({"input_tokens": 1}) is None
