"""Which API an endpoint is spoken to in."""

import json

import pytest

from pointsman.core.request import Kind, Native, Span
from pointsman.errors import BadAnswer, Untranslatable
from pointsman.testing.factories import a_request, an_endpoint
from pointsman.upstream.formats.form import NATIVE_MESSAGES, NATIVE_RESPONSES, OPENAI, OVER_MESSAGES, form_of

ALL = ("chat", "messages", "responses")


def native(dialect, **fields):
    return a_request(native=Native(dialect, b"{}", Span(0, 0), 1, **fields))


@pytest.mark.parametrize(("dialects", "is_origin", "request_", "form"), [
    (("chat",), False, a_request(), OPENAI), (ALL, False, a_request(), OPENAI), (("messages",), True, a_request(), OVER_MESSAGES),
    (ALL, False, native("messages"), NATIVE_MESSAGES), (ALL, False, native("responses"), NATIVE_RESPONSES),
    (("chat",), False, native("messages"), OPENAI), (("messages",), True, native("responses"), OVER_MESSAGES),
    (ALL, False, native("messages", is_plain=False), OPENAI), (ALL, True, native("messages", is_plain=False), NATIVE_MESSAGES),
])
def test_the_clients_own_where_it_is_spoken_else_a_chat_else_messages(dialects, is_origin, request_, form):
    assert form_of(an_endpoint(dialects=dialects, is_origin=is_origin), request_) is form


def test_each_form_has_its_paths_and_messages_no_embeddings():
    assert [OPENAI.path(a_request(kind=kind)) for kind in Kind] == ["/chat/completions", "/completions", "/embeddings"]
    assert OVER_MESSAGES.path(a_request()) == NATIVE_MESSAGES.path(a_request()) == "/messages"
    assert NATIVE_RESPONSES.path(a_request()) == "/responses"
    with pytest.raises(Untranslatable):
        OVER_MESSAGES.path(a_request(kind=Kind.EMBEDDING))


def test_bodies_pass_as_they_are_or_become_messages():
    body = (a_request().body,)

    assert OPENAI.written(an_endpoint(), body) is body
    assert json.loads(OVER_MESSAGES.written(an_endpoint(max_output=9), body)[0])["max_tokens"] == 9


def test_a_whole_answer_to_a_streamed_request_becomes_chunks_only_where_chunks_are_heard():
    message = json.dumps({"type": "message", "model": "m", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}).encode()

    assert b"Hi" in OVER_MESSAGES.events("small/0", a_request(), message)[0]
    with pytest.raises(BadAnswer):
        NATIVE_MESSAGES.events("small/0", a_request(), message)
