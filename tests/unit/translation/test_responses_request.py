"""A Responses body becomes a chat body: nothing lost, nothing invented, and every objection with its path."""

import json

import pytest

from pointsman.classify.subject import subject
from pointsman.core.request import Kind
from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.server.body import parse
from pointsman.translation.responses_request import ANSWERED, MAPPED, OF_CHAT, PASSED, STATEFUL, translate_request


def chat_of(**fields):
    body, _ = translate_request(json.dumps({"model": "auto", "input": "hi"} | fields).encode())
    return json.loads(body)


def echo_of(**fields):
    _, asked = translate_request(json.dumps({"model": "auto", "input": "hi"} | fields, indent=2).encode())
    assert b"\n" not in asked.echo
    return json.loads(b"{" + asked.echo + b"}")


def refused(**fields):
    with pytest.raises((MalformedBody, UnsupportedField)) as caught:
        chat_of(**fields)
    return caught.value


def test_a_string_is_one_user_message():
    assert chat_of() == {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


def test_instructions_come_first_as_the_system_message():
    assert chat_of(instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]


def test_what_both_apis_know_passes_untouched():
    fields = {"temperature": 0.25, "top_p": 0.9, "metadata": {"team": "a"}, "user": "u1", "prompt_cache_key": "k",
              "safety_identifier": "s", "service_tier": "flex"}

    assert {key: value for key, value in chat_of(**fields).items() if key in fields} == fields


def test_unknown_fields_are_kept_for_the_engine_byte_for_byte():
    body, _ = translate_request(b'{"model":"auto","input":"hi","min_p": 0.050, "vendor":{"x" : 1e400}}')

    assert b'"min_p": 0.050' in body
    assert b'"vendor":{"x" : 1e400}' in body


def test_names_that_differ_are_mapped():
    chat = chat_of(max_output_tokens=50, reasoning={"effort": "low", "summary": "auto"}, text={"verbosity": "high"})

    assert (chat["max_tokens"], chat["reasoning_effort"], chat["verbosity"]) == (50, "low", "high")
    assert not {"max_output_tokens", "max_completion_tokens", "reasoning", "text", "input"} & set(chat)


@pytest.mark.parametrize(("given", "expected"), [
    ({"format": {"type": "text"}}, None),
    ({"format": {"type": "json_object"}}, {"type": "json_object"}),
    ({"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True, "description": None}},
     {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}),
])
def test_the_text_format_is_the_response_format(given, expected):
    assert chat_of(text=given).get("response_format") == expected


def test_the_members_of_a_schema_keep_their_order_and_their_writing():
    schema = b'{"type":"object","properties":{"z":{"maximum":1.50},"a":{}}}'
    body, _ = translate_request(
        b'{"model":"auto","input":"hi","text":{"format":{"type":"json_schema","name":"n","schema":' + schema + b"}}}")

    assert b'"schema":' + schema in body


@pytest.mark.parametrize(("fields", "expected"), [
    ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
    ({"include": ["message.output_text.logprobs"], "top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    ({"include": ["reasoning.encrypted_content"]}, {}),
    ({"include": None, "top_logprobs": None}, {}),
])
def test_logprobs_are_asked_for_in_the_chats_way(fields, expected):
    chat = chat_of(**fields)

    assert {key: chat[key] for key in ("logprobs", "top_logprobs") if key in chat} == expected


def test_a_stream_asks_for_usage_since_its_last_event_tells_it():
    chat = chat_of(stream=True, stream_options={"include_obfuscation": False})

    assert (chat["stream"], chat["stream_options"]) == (True, {"include_usage": True})
    assert "stream_options" not in chat_of(stream=False)


@pytest.mark.parametrize("name", sorted(STATEFUL))
def test_state_is_refused_with_a_sentence(name):
    error = refused(**{name: True if name == "background" else "resp_1"})

    assert isinstance(error, UnsupportedField)
    assert error.param == name
    assert "keeps no conversation state" in str(error)


@pytest.mark.parametrize("fields", [{"background": False}, {"previous_response_id": None}, {"conversation": None}, {"store": True}])
def test_state_that_is_not_asked_for_is_no_objection(fields):
    assert set(chat_of(**fields)) == {"model", "messages"}


@pytest.mark.parametrize("name", sorted(OF_CHAT))
def test_a_field_of_the_chat_api_is_refused_with_the_name_it_has_here(name):
    error = refused(**{name: 1})

    assert (error.param, OF_CHAT[name] in str(error)) == (name, True)


HOSTED = ["web_search", "web_search_preview", "file_search", "code_interpreter", "mcp", "image_generation", "tool_search"]
OWN = {"type": "function", "name": "f", "parameters": {}}


@pytest.mark.parametrize("kind", ["computer_use_preview", "local_shell", "shell"])
def test_a_built_in_tool_is_refused_by_its_name(kind):
    error = refused(tools=[OWN, {"type": kind}])

    assert (error.param, repr(kind) in str(error)) == ("tools[1].type", True)


@pytest.mark.parametrize("kind", HOSTED)
def test_a_hosted_tool_is_left_out_while_there_are_others_and_refused_when_it_is_what_was_asked_for(kind):
    body, asked = translate_request(json.dumps({"model": "auto", "input": "hi", "tools": [OWN, {"type": kind}]}).encode())
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": kind}]}

    assert [tool["function"]["name"] for tool in json.loads(body)["tools"]] == ["f"]
    assert (asked.dropped, asked.is_plain, asked.only_at_origin) == ((kind,), False, "")
    assert refused(tools=[{"type": kind}]).param == "tools[0].type"
    for choice in ({"type": kind}, allowed):
        assert refused(tools=[OWN, {"type": kind}], tool_choice=choice).param == "tools[1].type"


@pytest.mark.parametrize("fields", [
    {"tools": [{"type": "web_search"}]}, {"tools": [{"type": "shell"}]}, {"tools": [OWN], "tool_choice": {"type": "shell"}},
    {"input": [{"type": "web_search_call", "id": "ws_1"}, {"role": "user", "content": "hi"}]},
    {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}, {"type": "input_text", "text": "hi"}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_video", "url": "u"}]}]},
])
def test_what_only_openai_can_do_is_remembered_where_it_could_be_asked(fields):
    assert isinstance(refused(**fields), UnsupportedField)
    body, asked = translate_request(json.dumps({"model": "auto", "input": "hi"} | fields).encode(), lenient=True)

    assert asked.only_at_origin
    assert not asked.is_plain
    assert parse(body, Kind.CHAT).model == "auto"


@pytest.mark.parametrize(("fields", "is_plain"), [
    ({}, True), ({"tools": [OWN]}, True), ({"tools": [{"type": "custom", "name": "patch"}]}, False),
    ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "user", "content": "hi"}]}, False),
])
def test_engines_get_only_what_they_are_known_to_understand(fields, is_plain):
    _, asked = translate_request(json.dumps({"model": "auto", "input": "hi"} | fields).encode())

    assert asked.is_plain is is_plain


@pytest.mark.parametrize(("body", "param"), [
    (b"[]", None), (b"", None), (b"{", None), (b'{"a":NaN}', None), (b'{"model":"auto"}', "input"),
    (b'{"model":"auto","input":7}', "input"), (b'{"model":"auto","input":[]}', "input"),
    (b'{"model":"auto","input":"a","input":"b"}', "input"), (b'{"model":"auto","input":"a","stream":"yes"}', "stream"),
    (b'{"model":"auto","input":"a","max_output_tokens":"9"}', "max_output_tokens"),
    (b'{"model":"auto","input":"a","instructions":["x"]}', "instructions"),
    (b'{"model":"auto","input":"a","include":"x"}', "include"),
    (b'{"model":"auto","input":"a","tools":{}}', "tools"), (b'{"model":"auto","input":"a","tools":[{}]}', "tools[0].type"),
    (b'{"model":"auto","input":"a","tools":[{"type":"function"}]}', "tools[0].name"),
    (b'{"model":"auto","input":"a","text":{"format":{"type":"yaml"}}}', "text.format.type"),
    (b'{"model":"auto","input":"a","reasoning":3}', "reasoning"), (b'{"model":"auto","input":"a","tool_choice":4}', "tool_choice"),
    (b'{"model":"auto","input":"\xff"}', None),
])
def test_a_bad_body_says_where(body, param):
    with pytest.raises((MalformedBody, UnsupportedField)) as caught:
        translate_request(body)

    assert caught.value.param == param


def test_a_body_that_is_nested_too_deeply_is_refused():
    with pytest.raises(MalformedBody, match="deeper than 8"):
        translate_request(b'{"model":"auto","input":"a","x":' + b"[" * 9 + b"]" * 9 + b"}", max_depth=8)


def test_half_a_character_is_replaced_and_the_rest_stays():
    body, _ = translate_request(rb'{"model":"auto","input":"a\ud83d b\ud83d\ude80 c\u00e9"}')

    assert json.loads(body)["messages"][0]["content"] == "a\ufffd b🚀 cé"


def test_texts_are_not_decoded_and_encoded_again():
    body, _ = translate_request(rb'{"model":"auto","input":"\u00e9\/\ud83d\ude80 tab\t"}')

    assert rb'"\u00e9\/\ud83d\ude80 tab\t"' in body


def test_the_response_repeats_what_was_asked():
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}]
    asked = {"instructions": "a\nb", "max_output_tokens": 9, "metadata": {"k": "v"}, "parallel_tool_calls": False, "tools": tools,
             "tool_choice": "required", "temperature": 0.5, "top_p": 0.1, "user": "u", "top_logprobs": 0,
             "text": {"verbosity": "low"}, "reasoning": {"effort": "high"}, "store": True, "truncation": "auto"}

    assert echo_of(**asked) == asked | {
        "store": False, "truncation": "disabled", "background": False, "previous_response_id": None, "max_tool_calls": None,
        "prompt_cache_key": None, "safety_identifier": None}


def test_the_response_says_the_defaults_where_nothing_was_asked():
    echo = echo_of()

    assert (echo["tools"], echo["tool_choice"], echo["parallel_tool_calls"]) == ([], "auto", True)
    assert (echo["metadata"], echo["text"], echo["store"]) == ({}, {"format": {"type": "text"}}, False)
    assert (echo["temperature"], echo["top_p"], echo["instructions"]) == (None, None, None)


def test_every_field_has_one_fate():
    groups = [set(STATEFUL), set(OF_CHAT), MAPPED, ANSWERED, PASSED]

    assert sum(map(len, groups)) == len(set().union(*groups))


def test_what_a_coding_agent_wraps_around_the_question_is_set_aside():
    body, _ = translate_request(json.dumps({"model": "auto", "instructions": "You are a coding agent.", "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions instructions>…"}]},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "rename the flag"},
            {"type": "input_text", "text": "<environment_context>\n<cwd>/repo</cwd>\nprove it\n</environment_context>"}]},
    ]}).encode())

    assert subject(parse(body, Kind.CHAT)).text == "rename the flag"
