"""Items of a Responses request as messages of a chat."""

import base64
import json

import pytest

from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.translation.responses_input import messages_of
from pointsman.translation.responses_tools import Toolbox

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Zürich"}',
        "status": "completed"}


def messages(*items, instructions=None, tools=None):
    box = Toolbox(json.dumps(tools).encode())
    return json.loads(messages_of(json.dumps(instructions).encode(), json.dumps(items).encode(), box))


def called(*names, id="call_1", arguments='{"city": "Zürich"}'):
    return [{"id": id, "type": "function", "function": {"name": name, "arguments": arguments}} for name in names]


def test_a_message_is_a_message_with_and_without_its_type():
    assert messages({"role": "user", "content": "a"}, {"type": "message", "role": "assistant", "content": "b"}) == [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def test_one_text_part_is_a_string_and_several_stay_apart():
    assert messages({"role": "user", "content": [{"type": "input_text", "text": "a"}]}) == [{"role": "user", "content": "a"}]
    assert messages({"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]}) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]


def test_an_image_keeps_its_url_and_detail():
    url = "data:image/png;base64,iVBORw0KGgo="

    assert messages({"role": "user", "content": [
        {"type": "input_text", "text": "what?"}, {"type": "input_image", "image_url": url, "detail": "low"},
        {"type": "input_image", "image_url": url}]}) == [{"role": "user", "content": [
            {"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
            {"type": "image_url", "image_url": {"url": url}}]}]


def test_audio_passes_as_it_is():
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}

    assert messages({"role": "user", "content": [part]}) == [{"role": "user", "content": [part]}]


def test_a_text_file_is_its_text():
    data = "data:text/markdown;base64," + base64.b64encode("# Grüße".encode()).decode()

    assert messages({"role": "user", "content": [{"type": "input_file", "file_data": data, "filename": "a.md"}]}) == [
        {"role": "user", "content": "a.md:\n\n# Grüße"}]


def test_what_stands_before_the_first_turn_is_one_system_message():
    assert messages(
        {"role": "developer", "content": [{"type": "input_text", "text": "b"}, {"type": "input_text", "text": "c"}]},
        {"role": "system", "content": "d"}, {"role": "user", "content": "e"}, {"role": "developer", "content": "f"},
        instructions="a") == [
            {"role": "system", "content": "a\n\nb\n\nc\n\nd"}, {"role": "user", "content": "e"}, {"role": "system", "content": "f"}]


def test_text_and_calls_of_one_turn_are_one_message():
    said = {"role": "assistant", "type": "message", "id": "msg_1", "status": "completed",
            "content": [{"type": "output_text", "text": "Looking.", "annotations": [], "logprobs": []}]}
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "21 °C"}

    assert messages({"role": "user", "content": "?"}, reasoning, said, CALL, CALL | {"call_id": "call_2"}, output) == [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "Looking.", "tool_calls": called("weather") + called("weather", id="call_2")},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 °C"}]


def test_calls_without_text_have_no_content_and_text_behind_them_joins_them():
    assert messages(CALL) == [{"role": "assistant", "content": None, "tool_calls": called("weather")}]
    assert messages(CALL, {"role": "assistant", "content": "Wait."}) == [
        {"role": "assistant", "content": "Wait.", "tool_calls": called("weather")}]


def test_one_call_after_another_is_a_turn_each():
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}

    assert [m["role"] for m in messages(CALL, output, CALL, output)] == ["assistant", "tool", "assistant", "tool"]


def test_an_output_may_be_a_list_of_parts():
    url = "https://example.test/a.png"
    (message,) = messages({"type": "function_call_output", "call_id": "call_1", "output": [
        {"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": url}]})

    assert message == {"role": "tool", "tool_call_id": "call_1", "content": [
        {"type": "text", "text": "seen"}, {"type": "image_url", "image_url": {"url": url}}]}


def test_a_refusal_is_what_the_assistant_had_said():
    assert messages({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}) == [
        {"role": "assistant", "content": "No."}]


def test_a_custom_call_is_the_call_of_its_function():
    items = [{"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": '*** "x"\n'},
             {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"}]
    call, output = messages(*items, tools=[{"type": "custom", "name": "patch"}])

    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"input": '*** "x"\n'}
    assert output == {"role": "tool", "tool_call_id": "call_1", "content": "done"}


def test_a_call_in_a_namespace_has_the_name_under_which_it_is_offered():
    tools = [{"type": "namespace", "name": "crm", "description": "", "tools": [{"type": "function", "name": "find"}]}]
    (call,) = messages(CALL | {"name": "find", "namespace": "crm"}, tools=tools)

    assert call["tool_calls"][0]["function"]["name"] == "crm__find"


@pytest.mark.parametrize(("item", "param"), [
    ({"type": "item_reference", "id": "msg_1"}, "input[1].type"),
    ({"type": "web_search_call", "id": "ws_1", "status": "completed"}, "input[1].type"),
    ({"type": "compaction", "encrypted_content": "x"}, "input[1].type"),
    ({}, "input[1].type"), ({"role": "wizard", "content": "x"}, "input[1].role"), ({"role": "user"}, "input[1].content"),
    ({"role": "user", "content": [{"text": "x"}]}, "input[1].content[0].type"),
    ({"role": "user", "content": [{"type": "input_text"}]}, "input[1].content[0].text"),
    ({"role": "user", "content": [{"type": "input_video"}]}, "input[1].content[0].type"),
    ({"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}, "input[1].content[0].image_url"),
    ({"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}, "input[1].content[0].file_data"),
    ({"role": "user", "content": [{"type": "input_file", "file_data": "data:application/pdf;base64,AA=="}]},
     "input[1].content[0].file_data"),
    ({"role": "user", "content": [{"type": "input_file", "file_data": "data:text/plain;base64,/w=="}]},
     "input[1].content[0].file_data"),
    ({"type": "function_call", "name": "f", "arguments": "{}"}, "input[1].call_id"),
    ({"type": "function_call", "call_id": "c", "arguments": "{}"}, "input[1].name"),
    ({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}, "input[1].arguments"),
    ({"type": "function_call_output", "output": "x"}, "input[1].call_id"),
    ({"type": "function_call_output", "call_id": "c", "output": 3}, "input[1].output"),
    (7, "input[1]"),
])
def test_what_cannot_be_carried_is_refused_with_its_path(item, param):
    with pytest.raises((MalformedBody, UnsupportedField)) as caught:
        messages({"role": "user", "content": "a"}, item)

    assert caught.value.param == param
