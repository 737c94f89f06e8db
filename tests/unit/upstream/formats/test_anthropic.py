"""Is this a message, and what does it say about itself?"""

import json
from pathlib import Path

import pytest

from pointsman import errors
from pointsman.core.reply import Usage
from pointsman.upstream.formats.anthropic import message_error, read_as_chat, read_message, read_usage

CAPTURES = Path(__file__).parents[3] / "fixtures" / "engines"
GOOD = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Paris."}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 5}}


def said(**fields):
    return json.dumps(GOOD | fields).encode()


def test_a_message_is_kept_as_it_is():
    reply = read_message("small/0", said())

    assert (reply.body, reply.model, reply.finish_reasons, reply.dialect) == (said(), "m", ("stop",), "messages")
    assert reply.usage == Usage(8, 4, 5)
    assert reply.output_chars >= len("Paris.")


def test_as_a_chat_it_is_a_completion():
    reply = read_as_chat("small/0", said())

    assert json.loads(reply.body)["choices"][0]["message"]["content"] == "Paris."
    assert (reply.usage, reply.dialect) == (Usage(8, 4, 5), "chat")


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llamacpp"])
def test_what_engines_really_said(engine):
    body = (CAPTURES / f"{engine}_messages.txt").read_bytes().partition(b"<<< ")[2].partition(b"\n\n")[2]
    reply = read_message("small/0", body)

    assert (reply.body, reply.usage.output_tokens, reply.usage.input_tokens) == (body, 8, 37)
    assert json.loads(read_as_chat("small/0", body).body)["choices"][0]["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize("body", [
    b"", b"{}", b"[]", b"<html>", said(content=None), said(stop_reason=None), said(stop_reason=""), b'{"content":[],"stop_reason":1}',
    b'{"id":"\xff","content":[]}',
])
def test_what_is_no_message_is_no_answer(body):
    with pytest.raises(errors.BadAnswer):
        read_message("small/0", body)


def test_blocks_of_odd_shapes_are_no_answer_to_a_chat():
    with pytest.raises(errors.BadAnswer, match="odd message"):
        read_as_chat("small/0", said(content=[{"type": {}}]))


@pytest.mark.parametrize(("kind", "error", "status"), [
    ("overloaded_error", errors.UpstreamOverloaded, 529), ("rate_limit_error", errors.RateLimited, 429),
    ("api_error", errors.UpstreamFailed, 500), ("authentication_error", errors.CredentialRefused, 401),
    ("permission_error", errors.CredentialRefused, 403), ("billing_error", errors.CredentialRefused, 402),
    ("invalid_request_error", errors.RequestRefused, 400), ("request_too_large", errors.RequestRefused, 413),
    ("timeout_error", errors.UpstreamFailed, 504), ("something_new", errors.UpstreamFailed, 500),
])
def test_an_error_inside_an_answer_is_what_its_type_says(kind, error, status):
    with pytest.raises(error) as caught:
        read_message("small/0", json.dumps({"type": "error", "error": {"type": kind, "message": "no"}}).encode())

    assert caught.value.upstream_status == status
    assert type(message_error("small/0", None)) is errors.UpstreamFailed


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": "3", "output_tokens": 4}, {"input_tokens": 10**12, "output_tokens": 4}])
def test_usage_that_makes_no_sense_is_unknown(usage):
    assert read_usage(usage) is None
