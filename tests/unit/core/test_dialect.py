"""What an endpoint is sent: the client's own bytes where it can read them, else their translation."""

import json

import pytest

from pointsman.core.dialect import body_for, is_native
from pointsman.core.request import Native, Span
from pointsman.core.scan import members
from pointsman.errors import Untranslatable
from pointsman.testing.factories import a_request, an_endpoint

SPEAKS = an_endpoint(dialects=("chat", "messages", "responses"), model="served")
ORIGIN = an_endpoint(dialects=("messages",), is_origin=True, model="served")
CHAT = an_endpoint(model="served")


def asked(body, dialect="messages", **fields):
    found = {field.key: Span(field.start, field.end) for field in members(body)[0]}
    system = found.get("system") or found.get("instructions")
    return a_request(native=Native(dialect, body, found["model"], members(body)[1], system, **fields))


def test_a_chat_is_spliced_as_ever():
    assert json.loads(body_for(CHAT, a_request()))["model"] == "served"
    assert not is_native(SPEAKS, a_request())


def test_only_the_model_changes_in_the_clients_own_bytes():
    request = asked(b'{ "max_tokens":1e1 ,"model":"auto", "x":[ ] }')

    assert body_for(SPEAKS, request) == b'{ "max_tokens":1e1 ,"model":"served", "x":[ ] }'
    assert json.loads(body_for(CHAT, request))["messages"]


@pytest.mark.parametrize(("dialect", "body", "field", "made"), [
    ("messages", b'{"model":"a"}', "system", "S"), ("messages", b'{"model":"a","system":"O"}', "system", "S\n\nO"),
    ("messages", b'{"model":"a","system":null}', "system", "S"), ("messages", b'{"model":"a","system":[ ]}', "system", [{"type": "text", "text": "S"}]),
    ("messages", b'{"model":"a","system":[{"type":"text","text":"O"}]}', "system", [{"type": "text", "text": "S"}, {"type": "text", "text": "O"}]),
    ("responses", b'{"model":"a"}', "instructions", "S"), ("responses", b'{"instructions":"O","model":"a"}', "instructions", "S\n\nO"),
])
def test_a_rules_system_prompt_comes_first(dialect, body, field, made):
    assert json.loads(body_for(SPEAKS, asked(body, dialect), "S"))[field] == made


def test_what_is_not_plain_goes_as_it_is_to_the_origin_only():
    request = asked(b'{"model":"a"}', is_plain=False)

    assert (is_native(SPEAKS, request), is_native(ORIGIN, request)) == (False, True)
    assert b"messages" in body_for(SPEAKS, request)


def test_what_has_no_translation_cannot_go_anywhere_else():
    request = asked(b'{"model":"a"}', is_plain=False, only_at_origin="a PDF")

    assert body_for(ORIGIN, request) == b'{"model":"served"}'
    with pytest.raises(Untranslatable, match="a PDF"):
        body_for(CHAT, request)


def test_accounting_is_for_the_origin():
    body = b'{"model":"a","system":[1,2]}'
    request = asked(body, billing=Span(body.index(b"1"), body.index(b"2")))

    assert body_for(SPEAKS, request) == b'{"model":"served","system":[2]}'
    assert body_for(ORIGIN, request) == b'{"model":"served","system":[1,2]}'


def test_what_the_origin_must_be_told_otherwise_it_is():
    body = b'{"model":"a","messages":[1,2]}'
    request = asked(body, for_origin=((Span(body.index(b"["), body.index(b"]") + 1), b"[2]"),))

    assert body_for(ORIGIN, request) == b'{"model":"served","messages":[2]}'
    assert body_for(SPEAKS, request) == b'{"model":"served","messages":[1,2]}'
