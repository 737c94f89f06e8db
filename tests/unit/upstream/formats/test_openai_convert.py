import json

from pointsman.core.request import Kind
from pointsman.testing.factories import a_request
from pointsman.upstream.formats.openai_convert import as_events
from pointsman.upstream.formats.openai_stream import StreamReader

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ANSWER = {
    "id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi", "refusal": None}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": None, "tool_calls": [CALL]}, "finish_reason": "tool_calls"},
    ], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def test_a_plain_answer_becomes_a_stream_that_reads_as_complete() -> None:
    request = a_request(stream=True, choices=2)
    events = as_events(request, json.dumps(ANSWER).encode())
    stream = StreamReader("small/0", request)

    assert stream.feed(events).events == events
    assert stream.finished
    assert stream.reply.finish_reasons == ("stop", "tool_calls")
    chunks = [json.loads(event) for event in events]
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "Hi"}
    assert chunks[2]["choices"][0]["delta"]["tool_calls"] == [{"index": 0} | CALL]
    assert not any("usage" in c for c in chunks)


def test_usage_follows_when_it_was_asked_for() -> None:
    events = as_events(a_request(include_usage=True), json.dumps(ANSWER).encode())

    assert json.loads(events[-1])["usage"] == ANSWER["usage"]
    assert json.loads(events[-1])["choices"] == []


def test_completions_stream_text() -> None:
    body = {"id": "x", "object": "text_completion", "choices": [{"index": 0, "text": "abc", "finish_reason": "length"}]}

    [event] = as_events(a_request(kind=Kind.COMPLETION), json.dumps(body).encode())

    assert json.loads(event)["choices"][0] | {"logprobs": None} == {
        "index": 0, "text": "abc", "finish_reason": "length", "logprobs": None}
