"""The oracle finds what no client should ever be sent."""

from __future__ import annotations

import json

import pytest

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_oracle import Seen, read
from pointsman.testing.fault_steps import Asked

ID = "r1"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = answers.events(Asked(ID, stream=True))
ERROR = {"error": {"message": "it broke", "type": "upstream_error", "code": "upstream_stalled"},
         "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}


def judged(raw: bytes, *, stream: bool = False) -> Seen:
    seen = Seen(ID)
    read(raw, seen, stream=stream)
    return seen


def streamed(*events: bytes, end: bytes = answers.END) -> Seen:
    return judged(STREAM_HEAD + b"".join(map(answers.chunk, events)) + end, stream=True)


def error_frame() -> bytes:
    return b"data: " + json.dumps(ERROR).encode() + b"\n\n"


def test_the_right_answers_are_complete():
    assert judged(answers.plain("200 OK", answers.completion(ID))).ended == "complete"
    assert streamed(*EVENTS).ended == "complete"


def test_somebody_elses_answer_is_found():
    assert "the answer is" in str(judged(answers.plain("200 OK", answers.completion("r2"))))


@pytest.mark.parametrize(("raw", "what"), [
    (b"HTTP/1.1 200 OK\r\ncontent-le", "no complete response head"),
    (answers.plain("200 OK", answers.completion(ID))[:-1], "were announced"),
    (answers.plain("200 OK", answers.completion(ID)) + b"!", "were announced"),
    (answers.plain("200 OK", answers.completion(ID), "transfer-encoding: chunked"), "neither or both"),
    (answers.plain("200 OK", answers.completion(ID), "a: b", "a: c"), "came twice"),
    (answers.plain("502 Bad Gateway", b"<html>", content_type="text/html"), "of type text/html"),
    (answers.plain("502 Bad Gateway", b'{"error":{"message":"no"}}'), "lacks message, type or code"),
    (answers.plain("503 Gone", b'{"error":{"message":"no","type":"t","code":"c"}}'), "without a Retry-After"),
    (answers.plain("200 OK", b'{"choices":[NaN]}'), "NaN"),
])
def test_a_plain_answer_that_is_wrong(raw, what):
    seen = judged(raw)

    assert seen.ended == "broken"
    assert what in str(seen)


@pytest.mark.parametrize(("events", "end", "what"), [
    (EVENTS[:-1], answers.END, "neither [DONE] nor an error frame"),
    (EVENTS, b"", "was cut"),
    (EVENTS, answers.END + b"x", "after the end"),
    ([*EVENTS, EVENTS[1]], answers.END, "a frame after the [DONE]"),
    ([EVENTS[0], *EVENTS[2:]], answers.END, "the answer is"),
    ([EVENTS[0], EVENTS[1], *EVENTS[1:]], answers.END, "the answer is"),
    ([*EVENTS[:3], error_frame(), answers.DONE], answers.END, "a frame after the error"),
    ([*EVENTS[:3], EVENTS[3][:-10] + error_frame()], answers.END, "not JSON"),
    ([EVENTS[0], b"data: \xff\n\n"], answers.END, "utf-8"),
    ([EVENTS[2], error_frame()], answers.END, "not how the answer goes"),
])
def test_a_stream_that_is_wrong(events, end, what):
    seen = streamed(*events, end=end)

    assert seen.ended == "broken"
    assert what in str(seen)


def test_a_stream_may_end_in_one_error_frame():
    seen = streamed(*EVENTS[:4], error_frame())

    assert (seen.ended, seen.error["code"]) == ("error", "upstream_stalled")


def test_an_error_response_is_a_proper_end():
    seen = judged(answers.plain("429 Slow", b'{"error":{"message":"no","type":"t","code":"c"}}', "retry-after: 3"))

    assert (seen.ended, seen.status, seen.retry_after_s) == ("status", 429, 3.0)
