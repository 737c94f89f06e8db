"""A chat completion as a message."""

import json

import pytest

from pointsman.translation.anthropic_reply import message, stopped, usage
from pointsman.translation.anthropic_request import Remembered

SHOWN = Remembered(shows_thinking=True, stop_sequences=("END",), input_tokens=9)


def answered(said, finish="stop", remembered=SHOWN, **choice):
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant"} | said, "finish_reason": finish} | choice],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 16}}}
    return json.loads(message(json.dumps(body).encode(), "msg_1", remembered))


def call(name, arguments, id="call_1"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_golden_reply():
    said = {"reasoning_content": "hm", "content": "I look.", "tool_calls": [call("weather", '{"city": "Paris"}')]}

    assert answered(said, "tool_calls") == {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Paris"}}],
        "stop_reason": "tool_use", "stop_sequence": None,
        "usage": {"input_tokens": 4, "output_tokens": 5, "cache_read_input_tokens": 16},
    }


def test_thinking_that_was_not_asked_for_is_not_shown():
    assert answered({"reasoning": "hm", "content": "4"}, remembered=Remembered())["content"] == [{"type": "text", "text": "4"}]
    assert answered({"reasoning": "hm", "content": "4"})["content"][0]["thinking"] == "hm"


def test_an_empty_answer_has_no_blocks():
    assert answered({"content": ""}, "length") | {"usage": None} == {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "max_tokens",
        "stop_sequence": None, "usage": None}


@pytest.mark.parametrize(("finish", "matched", "has_tools", "reason"), [
    ("stop", None, False, ("end_turn", None)), ("length", None, False, ("max_tokens", None)),
    ("length", None, True, ("max_tokens", None)), ("tool_calls", None, True, ("tool_use", None)),
    ("tool_calls", None, False, ("end_turn", None)), ("stop", None, True, ("tool_use", None)),
    ("content_filter", None, False, ("refusal", None)), ("stop", "END", False, ("stop_sequence", "END")),
    ("stop", "other", False, ("end_turn", None)), ("stop", 128009, False, ("end_turn", None)),
    ("whatever", None, False, ("end_turn", None)), (None, None, False, ("end_turn", None)),
])
def test_why_it_stopped(finish, matched, has_tools, reason):
    assert stopped(finish, matched, SHOWN, has_tools=has_tools) == reason


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
def test_engines_name_the_stop_sequence_in_two_ways(field):
    reply = answered({"content": "a"}, **{field: "END"})

    assert (reply["stop_reason"], reply["stop_sequence"]) == ("stop_sequence", "END")


def test_a_refusal_is_text_and_a_reason():
    reply = answered({"content": None, "refusal": "I cannot."})

    assert (reply["content"], reply["stop_reason"]) == ([{"type": "text", "text": "I cannot."}], "refusal")


@pytest.mark.parametrize(("arguments", "becomes"), [
    ('{"a": 1}', {"a": 1}), ("", {}), (None, {}), ({"a": 1}, {"a": 1}), ('{"a": ', {"invalid_json": '{"a": '}),
    ("[1]", {"invalid_json": "[1]"}), ('{"a": 1} {"b"', {"invalid_json": '{"a": 1} {"b"'}),
])
def test_arguments_become_an_object(arguments, becomes):
    assert answered({"tool_calls": [call("f", arguments)]})["content"][0]["input"] == becomes


def test_a_call_without_id_gets_one_of_its_own():
    blocks = answered({"tool_calls": [call("f", "{}", None), call("g", "{}", "")]})["content"]

    assert [block["id"] for block in blocks] == ["toolu_1_0", "toolu_1_1"]


@pytest.mark.parametrize(("found", "becomes"), [
    ({"prompt_tokens": 7, "completion_tokens": 2}, {"input_tokens": 7, "output_tokens": 2}),
    ({"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0}},
     {"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": 0}),
    ({"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 99}}, {"input_tokens": 7, "output_tokens": 2}),
    ({"prompt_tokens": 7, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}, "prompt_tokens_details": None},
     {"input_tokens": 7, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 1}}),
    (None, {"input_tokens": 9, "output_tokens": 3}),
    ({"prompt_tokens": "x", "completion_tokens": -1}, {"input_tokens": 9, "output_tokens": 3}),
])
def test_usage_is_said_in_anthropics_fields_and_estimated_where_unknown(found, becomes):
    assert usage(found, SHOWN, chars=10) == becomes


def test_content_in_parts_is_one_text():
    assert answered({"content": [{"type": "text", "text": "a"}, {"type": "x"}, {"type": "text", "text": "b"}]})["content"] == [
        {"type": "text", "text": "ab"}]
