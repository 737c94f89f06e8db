"""A chat's fields as Anthropic takes them; it refuses those that it does not know."""

import json

import pytest

from pointsman.errors import Untranslatable
from pointsman.testing.native_days import _FIELDS
from pointsman.translation.messages_request import JSON_ONLY, LEFT_OUT, messages_body

TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}}


def body_of(**fields):
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | fields
    return json.loads(messages_body(json.dumps(chat).encode(), 777))


def test_a_limit_is_always_given():
    assert body_of() == {"model": "m", "max_tokens": 777, "messages": [{"role": "user", "content": "hi"}]}
    assert body_of(max_tokens=5)["max_tokens"] == 5
    assert body_of(max_tokens=5, max_completion_tokens=6)["max_tokens"] == 6


@pytest.mark.parametrize(("given", "made"), [
    ({"stop": "x"}, {"stop_sequences": ["x"]}), ({"stop": ["x", "\n"]}, {"stop_sequences": ["x"]}), ({"stop": "\n"}, {}),
    ({"temperature": 1.7}, {"temperature": 1.0}), ({"temperature": 0, "top_p": 0.5}, {"temperature": 0}), ({"top_p": 0.5}, {"top_p": 0.5}),
    ({"user": "u"}, {"metadata": {"user_id": "u"}}), ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    ({"top_k": 5, "thinking": {"type": "adaptive"}}, {"top_k": 5, "thinking": {"type": "adaptive"}}),
    ({"cache_control": {"type": "ephemeral"}}, {"cache_control": {"type": "ephemeral"}}), ({"thinking": None}, {}),
    ({"response_format": {"type": "text"}}, {}), ({"response_format": {"type": "json_object"}}, {"system": JSON_ONLY}),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "x": 1.50}}}},
     {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "x": 1.50}}}}),
    ({"tools": []}, {}), ({"tool_choice": "auto"}, {}),
    ({"min_p": 0.1, "anything": {"else": 1}}, {}), ({"seed": 1, "n": 1, "logprobs": False}, {}),
])
def test_fields_become_what_they_mean(given, made):
    plain = body_of()

    assert body_of(**given) == plain | made


@pytest.mark.parametrize(("given", "choice"), [
    ({}, None), ({"tool_choice": "auto"}, {"type": "auto"}), ({"tool_choice": "none"}, {"type": "none"}),
    ({"tool_choice": "required"}, {"type": "any"}), ({"parallel_tool_calls": True}, None),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
    ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
])
def test_tools_and_their_choice(given, choice):
    made = body_of(tools=[TOOL], **given)

    assert made["tools"] == [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True}]
    assert made.get("tool_choice") == choice


def test_a_function_without_parameters_takes_an_empty_object():
    made = body_of(functions=[{"name": "f"}])

    assert made["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]


@pytest.mark.parametrize("fields", [
    {"n": 2}, {"logprobs": True}, {"modalities": ["text", "audio"]}, {"web_search_options": {}}, {"tools": [{"type": "custom"}]},
    {"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, {"tools": [TOOL], "tool_choice": "any"}, {"max_tokens": "many"},
])
def test_what_would_be_another_answer_is_untranslatable(fields):
    with pytest.raises(Untranslatable):
        body_of(**fields)


def test_no_field_goes_through_that_anthropic_would_refuse():
    everything = dict.fromkeys(LEFT_OUT, "x") | {"temperature": 1, "stop": "x", "user": "u", "tools": [TOOL], "vllm_xargs": {}}

    assert set(body_of(**everything)) <= _FIELDS


def test_a_long_body_takes_linear_time():
    many = [{"role": role, "content": "x" * 50} for _ in range(20_000) for role in ("user", "assistant")]

    assert len(body_of(messages=many)["messages"]) == 40_000
