import json
from typing import Any

import pytest

from pointsman import errors
from pointsman.core.reply import Usage
from pointsman.testing.factories import a_request
from pointsman.upstream.formats.openai_stream import StreamReader


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **fields: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return json.dumps({"id": "x", "model": "m", "choices": [choice]} | fields).encode()


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
ROLE, HELLO, END = chunk({"role": "assistant", "content": ""}), chunk({"content": "Hello"}), chunk(finish="stop")
LAST = json.dumps({"id": "x", "choices": [], "usage": USAGE}).encode()


def reader(**request: Any) -> StreamReader:
    return StreamReader("small/0", a_request(stream=True, **request))


def test_a_good_stream_passes_unchanged_and_is_complete() -> None:
    stream = reader(include_usage=True)

    assert stream.feed([ROLE]).events == [ROLE]
    assert not stream.began
    assert stream.feed([HELLO]).content
    assert not stream.finished
    assert stream.feed([END, LAST, b"[DONE]"]).events == [END, LAST]
    assert stream.failure is None
    assert stream.done
    reply = stream.reply
    assert (reply.usage, reply.model, reply.finish_reasons, reply.output_chars) == (Usage(5, 2), "m", ("stop",), 5)


@pytest.mark.parametrize("event", [
    ROLE, chunk({}), chunk({"content": None}), chunk({"content": "", "reasoning_content": None}), chunk({"tool_calls": []}),
    chunk(finish=""), LAST, json.dumps({"choices": None}).encode(), json.dumps({"id": "x"}).encode(),
    json.dumps({"choices": [{"index": 0, "delta": None}]}).encode(), json.dumps({"choices": [{"text": ""}]}).encode(),
])
def test_empty_and_role_only_events_bear_no_content(event: bytes) -> None:
    stream = reader(include_usage=True)

    assert not stream.feed([event]).content
    assert not stream.began


@pytest.mark.parametrize("event", [
    HELLO, chunk({"reasoning": "x"}), chunk({"reasoning_content": "x"}), chunk({"refusal": "no"}),
    chunk({"audio": {"data": "AA"}}), chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}),
    chunk({"tool_calls": [{"index": 0}]}), chunk({"function_call": {"name": "f"}}), chunk({"content": [{"text": "x"}]}),
    END, json.dumps({"choices": [{"text": "x"}]}).encode(),
])
def test_content_in_any_form_bears_content(event: bytes) -> None:
    stream = reader()

    assert stream.feed([event]).content
    assert stream.began


def test_usage_that_only_we_asked_for_does_not_pass() -> None:
    stream = reader()

    batch = stream.feed([chunk({"content": "a"}, usage=None), chunk(finish="stop", usage=USAGE), LAST, b"[DONE]"])

    assert batch.events == [chunk({"content": "a"}), chunk(finish="stop")]
    assert stream.reply.usage == Usage(5, 2)


def test_usage_that_the_client_asked_for_passes() -> None:
    events = [chunk({"content": "a"}, usage=None), chunk(finish="stop", usage=USAGE), LAST]

    assert reader(include_usage=True).feed(events).events == events


def test_empty_choices_without_usage_pass() -> None:
    filters = json.dumps({"choices": [], "prompt_filter_results": []}).encode()

    assert reader().feed([filters]).events == [filters]


@pytest.mark.parametrize(("event", "kind"), [
    (b'{"error":{"message":"engine died","code":500}}', errors.UpstreamFailed),
    (b'{"error":"engine died"}', errors.UpstreamFailed),
    (b'{"error":{"message":"slow down","type":"rate_limit_error"}}', errors.RateLimited),
    (b'{"error":{"message":"too long","type":"BadRequestError","code":400}}', errors.RequestRefused),
    (b'{"object":"error","message":"The request queue is full.","code":503}', errors.UpstreamOverloaded),
    (chunk(finish="error", error={"message": "provider gone", "code": 502}), errors.UpstreamFailed),
    (chunk(finish="error"), errors.UpstreamFailed),
    (chunk(finish="abort"), errors.UpstreamFailed),
    (b"not json", errors.BadAnswer), (b'{"choices":[', errors.BadAnswer), (b"[]", errors.BadAnswer),
    (b'{"choices":[{"delta":{"content":"\xff"}}]}', errors.BadAnswer), (b'{"id":"\xff"}', errors.BadAnswer),
    (b'{"choices":"x"}', errors.BadAnswer), (b"[" * 5000, errors.BadAnswer), (b'{"a":' * 5000, errors.BadAnswer),
    (b"[DONE]", errors.BadAnswer),
])
@pytest.mark.parametrize("before", [[], [ROLE], [ROLE, HELLO]])
def test_a_failure_ends_the_stream_after_the_events_before_it(before: list[bytes], event: bytes, kind: type) -> None:
    stream = reader()

    assert stream.feed([*before, event, END, b"[DONE]"]).events == before
    assert type(stream.failure) is kind


def test_done_alone_is_no_success() -> None:
    stream = reader()
    stream.feed([HELLO])
    stream.feed([b"[DONE]"])

    assert "finish_reason" in str(stream.failure)


def test_an_end_without_finish_reason_is_no_success() -> None:
    stream = reader()
    stream.feed([HELLO])
    stream.end()

    assert isinstance(stream.failure, errors.BadAnswer)


def test_every_choice_must_finish() -> None:
    stream = reader(choices=2)
    stream.feed([chunk({"content": "a"}, index=0), chunk({"content": "b"}, index=1), chunk(finish="stop", index=1)])
    assert not stream.finished
    stream.feed([chunk(finish="length", index=0)])

    assert stream.finished
    assert stream.reply.finish_reasons == ("length", "stop")


def test_choices_that_never_came_are_missed_at_an_end_without_done() -> None:
    stream = reader(choices=2)
    stream.feed([END])
    stream.end()

    assert isinstance(stream.failure, errors.BadAnswer)


def test_an_engine_that_knows_no_n_has_answered_when_it_says_done() -> None:
    stream = reader(choices=2)
    stream.feed([END, b"[DONE]"])

    assert (stream.failure, stream.done) == (None, True)


def test_a_second_finish_reason_and_content_after_it_do_no_harm() -> None:
    stream = reader()
    stream.feed([HELLO, END, HELLO, END, b"[DONE]", b"garbage"])

    assert stream.failure is None
    assert stream.reply.output_chars == 10


def test_choices_without_end_are_not_followed() -> None:
    stream = reader()
    stream.feed([chunk({"content": "x"}, index=i) for i in range(2000)])

    assert isinstance(stream.failure, errors.BadAnswer)


def test_empty_data_is_skipped() -> None:
    assert reader().feed([b"", HELLO]).events == [HELLO]
