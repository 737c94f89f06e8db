"""A message as a chat completion."""

import json

import pytest

from pointsman.translation.messages_reply import chat_usage, completion, finish_of


def chat_of(*content, **fields):
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": list(content),
               "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 4}} | fields
    return json.loads(completion(json.dumps(message).encode(), 99))


def test_texts_are_one_text():
    answer = chat_of({"type": "text", "text": "Paris "}, {"type": "text", "text": "é."})

    assert answer == {
        "id": "msg_1", "object": "chat.completion", "created": 99, "model": "claude-x",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris é."}, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}


def test_calls_and_thoughts():
    said = chat_of({"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
                   {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1.5}}, stop_reason="tool_use")["choices"][0]

    assert said["finish_reason"] == "tool_calls"
    assert said["message"]["content"] is None
    assert said["message"]["tool_calls"] == [{"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1.5}'}}]
    assert said["message"]["reasoning_content"] == "hm"
    assert [block["type"] for block in said["message"]["thinking_blocks"]] == ["thinking", "redacted_thinking"]


def test_thoughts_of_engines_have_no_signature_to_keep():
    said = chat_of({"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "x"})["choices"][0]["message"]

    assert "thinking_blocks" not in said


def test_what_hosted_tools_wrote_is_not_the_answer():
    said = chat_of({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "text", "text": "x"}, "odd")

    assert said["choices"][0]["message"] == {"role": "assistant", "content": "x"}


@pytest.mark.parametrize(("reason", "finish"), [
    ("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"), ("refusal", "content_filter"),
    ("model_context_window_exceeded", "length"), ("pause_turn", "stop"), ("something_new", "stop"), (7, "stop"),
])
def test_why_it_stopped(reason, finish):
    assert finish_of(reason) == finish


def test_the_sequence_that_was_met_is_told_as_engines_tell_it():
    assert chat_of(stop_reason="stop_sequence", stop_sequence="END")["choices"][0]["stop_reason"] == "END"


@pytest.mark.parametrize(("usage", "said"), [
    (None, None), ({"input_tokens": 1}, None), ({"input_tokens": -1, "output_tokens": 1}, None),
    ({"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4},
     {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 4}}),
    ({"input_tokens": 1, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 1}},
     {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 1}}),
])
def test_what_it_used(usage, said):
    assert chat_usage(usage) == said
