"""Turns of a chat as Anthropic takes them: one system prompt, results before words, nothing empty."""

import msgspec
import pytest

from pointsman.errors import Untranslatable
from pointsman.translation.messages_turns import ChatTurn, Turns, call_id


def turns(*messages):
    made = Turns()
    for number, message in enumerate(messages):
        made.add(msgspec.convert(message, ChatTurn) if "thinking_blocks" not in message else
                 msgspec.json.decode(msgspec.json.encode(message), type=ChatTurn), number)
    system, said = made.finished()
    return system, msgspec.json.decode(msgspec.json.encode(said))


def user(text):
    return {"role": "user", "content": text}


def call(id="call_1", arguments='{"a": 1e2}', name="f"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_all_system_prompts_become_the_one_at_the_top():
    system, said = turns({"role": "system", "content": "One."}, user("hi"), {"role": "developer", "content": [{"type": "text", "text": "Two."}]})

    assert (system, said) == ("One.\n\nTwo.", [user("hi")])


def test_marked_for_the_cache_they_stay_blocks():
    made = Turns()
    part = msgspec.json.decode(b'{"role":"system","content":[{"type":"text","text":"One.","cache_control":{"type":"ephemeral"}}]}', type=ChatTurn)
    made.add(part, 0)

    assert msgspec.json.encode(made.finished()[0]) == b'[{"type":"text","text":"One.","cache_control":{"type":"ephemeral"}}]'


def test_results_and_the_words_after_them_are_one_turn():
    _, said = turns(user("hi"), {"role": "assistant", "content": "Let me see.", "tool_calls": [call(), call("call_2")]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "one"},
                    {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "two"}]}, user("Well?"))

    assert [block["type"] for block in said[1]["content"]] == ["text", "tool_use", "tool_use"]
    assert said[1]["content"][1] == {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 100.0}}
    assert said[2] == {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
        {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "two"}]},
        {"type": "text", "text": "Well?"}]}


@pytest.mark.parametrize(("arguments", "given"), [
    ("", {}), ("  ", {}), ('{"x":"\\u00e9"}', {"x": "é"}), ("[1]", {"invalid_json": "[1]"}), ('{"x":', {"invalid_json": '{"x":'}),
    ({"x": 1}, {"x": 1}), (None, {}),
])
def test_arguments_are_the_object_that_they_were_meant_to_be(arguments, given):
    _, said = turns(user("hi"), {"role": "assistant", "tool_calls": [call(arguments=arguments)]}, {"role": "tool", "tool_call_id": "call_1", "content": ""})

    assert said[1]["content"][0]["input"] == given


@pytest.mark.parametrize("id", ["functions.find:0", "a b", "", "ü", "x" * 300 + ":"])
def test_ids_that_anthropic_refuses_change_alike_in_call_and_result(id):
    _, said = turns(user("hi"), {"role": "assistant", "tool_calls": [call(id or "f")]}, {"role": "tool", "tool_call_id": id, "name": "f", "content": "x"})
    used, result = said[1]["content"][0]["id"], said[2]["content"][0]["tool_use_id"]

    assert used == result
    assert used.replace("-", "").replace("_", "").isalnum()
    assert used.isascii()


def test_ids_that_differ_stay_different():
    assert call_id("a:b") != call_id("a.b")
    assert call_id("call_1") == "call_1"


def test_the_old_way_to_call_a_function_is_heard():
    _, said = turns(user("hi"), {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                    {"role": "function", "name": "f", "content": "7"})

    assert (said[1]["content"][0]["id"], said[2]["content"][0]["tool_use_id"]) == ("f", "f")


def test_empty_texts_are_left_out_and_a_last_assistant_turn_ends_without_space():
    _, said = turns(user([{"type": "text", "text": ""}, {"type": "text", "text": "hi"}]), {"role": "assistant", "content": ""},
                    {"role": "assistant", "content": "The answer is \n"})

    assert said == [user("hi"), {"role": "assistant", "content": "The answer is"}]


def test_thoughts_with_signatures_come_first():
    block = {"type": "thinking", "thinking": "hm", "signature": "s"}
    _, said = turns(user("hi"), {"role": "assistant", "content": "Yes.", "reasoning_content": "hm", "thinking_blocks": [block]}, user("Sure?"))

    assert said[1]["content"] == [block, {"type": "text", "text": "Yes."}]


@pytest.mark.parametrize("message", [
    user([{"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}]), user([{"type": "image_url", "image_url": {"url": "ftp://x"}}]),
    user([{"type": "file", "file": {"file_id": "f"}}]), {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]},
])
def test_what_anthropic_has_no_words_for_is_untranslatable(message):
    with pytest.raises(Untranslatable) as caught:
        turns(message)

    assert (caught.value.sent, caught.value.retryable, caught.value.client_status) == (False, True, 400)
