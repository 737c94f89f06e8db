"""A client's bytes become a request, or a 400 that names the culprit."""

import pytest

from pointsman.core.request import Kind, Message, Needs
from pointsman.errors import MalformedBody, RequestError, UnsupportedField
from pointsman.server.body import parse

HI = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]'


def chat(rest: bytes = b"}"):
    return parse(HI + rest, Kind.CHAT)


@pytest.mark.parametrize(("body", "path"), [
    (b'{"messages":[]}', "model"),
    (b'{"model":"a"}', "messages"),
    (b'{"model":7,"messages":[]}', "model"),
    (b'{"model":"a","messages":[{"content":"x"}]}', "messages[0].role"),
    (b'{"model":"a","messages":[{"role":"user","content":{"a":1}}]}', "messages[0].content"),
    (b'{"model":"a","messages":[],"max_tokens":"many"}', "max_tokens"),
    (b'{"model":"a","model":"b","messages":[]}', "model"),
    (b'{"model":"a","mod\\u0065l":"b","messages":[]}', "model"),
    (b'{"model":"a","messages":[],"messages":[]}', "messages"),
    (b'{"model":"a","messages":[],"stream":true,"stream":false}', "stream"),
    (b'{"model":"a","messages":[],"fallbacks":"b"}', "fallbacks"),
    (b'{"model":"a","messages":[],"fallbacks":["b",{"x":["c"]}]}', "fallbacks[1]"),
    (b'{"model":"a","messages":[],"fallbacks":[{"model":7}]}', "fallbacks[0].model"),
    (b'{"model":"a","messages":[],"fallbacks":[{"model":"b","timeout":7}]}', "fallbacks[0]"),
    (b'{"model":"a","messages":[],"models":[{}]}', "models[0]"),
    (b'{"model":"a","messages":[],"timeout":0}', "timeout"),
    (b'{"model":"a","messages":[],"timeout":"1"}', "timeout"),
    (b'{"model":"a","messages":[],"num_retries":-1}', "num_retries"),
    (b'{"model":"a","messages":[],"num_retries":1,"num_retries":1}', "num_retries"),
    (b'{"model":"a","messages":[],"disable_fallbacks":1}', "disable_fallbacks"),
    (b'{"model":"a","messages":[],"mock_testing_fallbacks":true}', "mock_testing_fallbacks"),
    (b'{"model":"a","messages":[],"provider":{}}', "provider"),
    (b'{"model":"a","messages":[],"api_base":"http://evil"}', "api_base"),
])
def test_an_objection_names_the_path(body, path):
    with pytest.raises(RequestError) as caught:
        parse(body, Kind.CHAT)

    assert caught.value.param == path
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'"text"', b"null", b"\xff{}", b'{"model":"\xc3"}', HI + b',"t":NaN}', HI + b',"t":-Infinity}',
    HI + b',"a":' + b"[" * 70 + b"]" * 70 + b"}", b'{"a":' * 100_000, b"[" * 100_000, HI + b"} trailing",
    HI + b',"a":"\x01"}', b'{"model":null,"messages":[],"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    b'{"model":{"a":' + b"[" * 5_000 + b"]" * 5_000 + b'},"messages":[]}',
])
def test_what_is_no_json_object_is_a_400_and_never_a_crash(body):
    with pytest.raises(MalformedBody):
        parse(body, Kind.CHAT)


def test_router_only_fields_are_refused_with_a_reason():
    with pytest.raises(UnsupportedField, match="credentials come from the configuration"):
        chat(b',"api_key":"sk-1"}')


def test_content_given_as_a_list_of_parts_is_text_too():
    body = (b'{"model":"a","messages":[{"role":"user","content":[{"type":"text","text":"one"},"two",'
            b'{"type":"image_url","image_url":{"url":"data:"}},{"type":"text","text":"three"}]}]}')

    request = parse(body, Kind.CHAT)
    assert request.messages == (Message("user", "one\ntwo\nthree"),)
    assert request.images == 1
    assert request.needs.vision


def test_an_assistant_turn_without_content_is_empty_text():
    request = parse(b'{"model":"a","messages":[{"role":"assistant","tool_calls":[]},{"role":"x","content":null}]}', Kind.CHAT)

    assert [m.text for m in request.messages] == ["", ""]


def test_needs_are_read_from_the_request():
    request = chat(b',"tools":[{},{}],"response_format":{"type":"json_schema","json_schema":{}},"logprobs":true,"max_tokens":100}')

    assert request.tools == 2
    assert request.needs == Needs(len(request.body) // 3 + 100, tools=True, json_schema=True, logprobs=True)


def test_max_completion_tokens_wins_over_max_tokens():
    assert chat(b',"max_tokens":5,"max_completion_tokens":7}').max_tokens == 7
    assert chat().max_tokens is None


def test_metadata_keeps_its_strings_and_ignores_the_rest():
    assert chat(b',"metadata":{"team":"legal","n":123456789012345678901234567890}}').metadata == {"team": "legal"}
    assert chat(b',"metadata":[1]}').metadata == {}


def test_unknown_fields_are_nobodys_business():
    assert chat(b',"guided_choice":["a"],"models_x":1}').model == "auto"


@pytest.mark.parametrize(("prompt", "choices", "text"), [
    (b'"one"', 1, "one"), (b'["one","two"]', 2, "one\ntwo"), (b"[1,2,3]", 1, ""), (b"[[1],[2]]", 2, ""),
])
def test_a_completion_prompt_is_the_user_text(prompt, choices, text):
    request = parse(b'{"model":"a","prompt":' + prompt + b"}", Kind.COMPLETION)

    assert (request.choices, request.messages) == (choices, (Message("user", text),))


@pytest.mark.parametrize(("value", "count"), [(b'"x"', 1), (b'["x","y"]', 2), (b"[1,2]", 1), (b"[[1],[2],[3]]", 3)])
def test_embeddings_count_their_inputs(value, count):
    assert parse(b'{"model":"e","input":' + value + b"}", Kind.EMBEDDING).inputs == count


@pytest.mark.parametrize("key", ["Model", "MODEL", "API_KEY", "Stream", "\\u017ftream", "Messages"])
def test_a_twin_in_other_case_does_not_slip_past_to_engines_that_ignore_case(key):
    with pytest.raises(MalformedBody, match="write it as"):
        chat(b',"%s":"x"}' % key.encode())
