import json
from typing import Any

import pytest

from pointsman import errors
from pointsman.core.reply import Usage
from pointsman.core.request import Kind
from pointsman.testing.factories import a_request
from pointsman.upstream.formats.openai import read_reply


def answer(**fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return json.dumps({"id": "x", "model": "m", "choices": [choice], "usage": usage} | fields, ensure_ascii=False).encode()


def test_an_answer_keeps_its_bytes_and_says_what_it_cost() -> None:
    body = answer(strange={"ü": 12345678901234567890})

    reply = read_reply("small/0", a_request(), body)

    assert reply.body is body
    assert (reply.usage, reply.model, reply.finish_reasons, reply.output_chars) == (Usage(5, 2), "m", ("stop",), 5)


def test_tool_calls_reasoning_and_text_count_as_output() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    message = {"content": None, "reasoning": "hm", "tool_calls": [call]}

    tools = read_reply("s/0", a_request(), answer(choices=[{"message": message, "finish_reason": "tool_calls"}]))
    text = read_reply("s/0", a_request(kind=Kind.COMPLETION), answer(choices=[{"text": "abc", "finish_reason": "length"}]))

    assert tools.output_chars >= len("hm") + len('{"a":1}') + len("f")
    assert text.output_chars == 3


@pytest.mark.parametrize("body", [
    b"", b"   ", b"<html>hi</html>", b"[]", b"12", b"null", b'{"choices":', b"data: {}\n\n", b"\xff{}", b"[" * 100_000,
    answer(choices=[]), answer(choices=None), answer(choices={}), answer(choices=[{"message": {"content": "x"}}]),
    answer(choices=[{"message": {"content": "x"}, "finish_reason": None}]),
    answer(choices=[{"message": {"content": "x"}, "finish_reason": ""}]),
    answer().replace(b"Paris", b"Par\xffis"), answer()[:-1], answer() + b"}", b'{"a":NaN}',
])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(errors.BadAnswer):
        read_reply("small/0", a_request(), body)


@pytest.mark.parametrize(("body", "kind"), [
    (b'{"error":{"message":"m","code":500}}', errors.UpstreamFailed),
    (b'{"error":"boom"}', errors.UpstreamFailed),
    (b'{"error":{"message":"m","type":"rate_limit_error"}}', errors.RateLimited),
    (b'{"object":"error","message":"m","type":"BadRequestError","code":400}', errors.RequestRefused),
    (answer(error={"message": "m", "code": 529}), errors.UpstreamOverloaded),
    (answer(choices=[{"message": {"content": "x"}, "finish_reason": "abort"}]), errors.UpstreamFailed),
])
def test_an_error_inside_a_200_is_an_error(body: bytes, kind: type) -> None:
    with pytest.raises(errors.UpstreamError) as caught:
        read_reply("small/0", a_request(), body)

    assert type(caught.value) is kind


def test_a_null_error_is_none() -> None:
    assert read_reply("small/0", a_request(), answer(error=None)).finish_reasons == ("stop",)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "5", "completion_tokens": 2}, "many", 3])
def test_senseless_usage_is_unknown_and_no_reason_to_lose_the_answer(usage: object) -> None:
    assert read_reply("small/0", a_request(), answer(usage=usage)).usage is None


@pytest.mark.parametrize("vectors", [0, 1, 3])
def test_embeddings_must_be_as_many_as_the_inputs(vectors: int) -> None:
    body = json.dumps({"data": [{"embedding": [0.5] * 4}] * vectors, "usage": {"prompt_tokens": 9, "total_tokens": 9}})

    with pytest.raises(errors.BadAnswer):
        read_reply("e/0", a_request(kind=Kind.EMBEDDING, inputs=2), body.encode())


def test_embeddings_may_be_numbers_or_base64() -> None:
    body = json.dumps({"model": "m", "data": [{"embedding": [0.5]}, {"embedding": "AAA="}],
                       "usage": {"prompt_tokens": 9, "total_tokens": 9}}).encode()

    reply = read_reply("e/0", a_request(kind=Kind.EMBEDDING, inputs=2), body)

    assert (reply.usage, reply.model, reply.body) == (Usage(9, 0), "m", body)


@pytest.mark.parametrize("data", [[{}], [1], "x", None])
def test_data_without_vectors_is_no_answer(data: object) -> None:
    with pytest.raises(errors.BadAnswer):
        read_reply("e/0", a_request(kind=Kind.EMBEDDING, inputs=1), json.dumps({"data": data}).encode())
