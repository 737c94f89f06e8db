"""A chat completion becomes a Response object."""

import json

import pytest
from openai.types.responses import Response

from pointsman.translation.responses_reply import Origin, translate_reply, usage_of
from pointsman.translation.responses_request import translate_request

ID = "01a200a37f727226acd613e3d8f16adf"


def response(message, finish="stop", *, tools=(), usage=None, logprobs=None, **fields):
    _, asked = translate_request(json.dumps({"model": "auto", "input": "hi", "tools": tools} | fields).encode())
    body = json.dumps({"id": "x", "model": "served", "usage": usage, "choices": [
        {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish, "logprobs": logprobs}]})
    value = json.loads(translate_reply(body.encode(), asked, Origin(ID, 1795307077)))
    Response.model_validate(value)  # the SDK's own schema, not only its lenient reading
    return value


def test_a_text_becomes_one_message_of_the_output():
    value = response({"content": "Grüße \"🚀\"\n", "refusal": None, "tool_calls": None}, temperature=0.5)

    assert value["output"] == [{
        "id": f"msg_{ID}_0", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": 'Grüße "🚀"\n', "annotations": [], "logprobs": []}]}]
    assert (value["id"], value["object"], value["created_at"], value["model"]) == (f"resp_{ID}", "response", 1795307077, "served")
    assert (value["status"], value["error"], value["incomplete_details"], value["temperature"]) == ("completed", None, None, 0.5)


def test_reasoning_text_and_calls_in_the_order_in_which_a_model_says_them():
    value = response({"content": "Let me look.", "reasoning_content": "hm", "reasoning": "hm", "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}}]}, "tool_calls")

    assert [item["type"] for item in value["output"]] == ["reasoning", "message", "function_call"]
    assert value["output"][0] == {"id": f"rs_{ID}_0", "type": "reasoning", "status": "completed", "summary": [],
                                  "content": [{"type": "reasoning_text", "text": "hm"}]}
    assert value["output"][2] == {"id": f"fc_{ID}_2", "type": "function_call", "status": "completed", "call_id": "call_a",
                                  "name": "weather", "arguments": '{"city": "Zürich"}'}


def test_a_custom_tool_and_a_namespace_come_back_as_they_were_offered():
    tools = [{"type": "custom", "name": "patch"},
             {"type": "namespace", "name": "crm", "description": "", "tools": [{"type": "function", "name": "find"}]}]
    value = response({"content": None, "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "patch", "arguments": '{"input":"+ \\"x\\"\\n"}'}},
        {"id": "call_b", "type": "function", "function": {"name": "crm__find", "arguments": "{}"}}]}, "tool_calls", tools=tools)

    assert value["output"] == [
        {"id": f"ctc_{ID}_0", "type": "custom_tool_call", "status": "completed", "call_id": "call_a", "name": "patch",
         "input": '+ "x"\n'},
        {"id": f"fc_{ID}_1", "type": "function_call", "status": "completed", "call_id": "call_b", "name": "find",
         "namespace": "crm", "arguments": "{}"}]


def test_calls_without_an_id_or_under_one_id_can_be_told_apart():
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    value = response({"content": None, "tool_calls": [call, call | {"id": "same"}, call | {"id": "same"}]}, "tool_calls")

    assert [item["call_id"] for item in value["output"]] == [f"call_{ID}_0", "same", f"call_{ID}_2"]


def test_a_refusal_is_a_part_of_the_message():
    value = response({"content": None, "refusal": "I cannot."})

    assert value["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot."}]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete_with_its_reason(finish, reason):
    value = response({"content": "Once upon"}, finish)

    assert (value["status"], value["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert value["output"][0]["status"] == "incomplete"


def test_an_empty_answer_has_no_items():
    value = response({"content": ""})

    assert (value["output"], value["status"]) == ([], "completed")


def test_logprobs_come_with_their_text():
    entries = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.5, "bytes": [98]}]}]
    value = response({"content": "a"}, logprobs={"content": entries}, top_logprobs=1)

    assert value["output"][0]["content"][0]["logprobs"] == entries


def test_parts_of_text_are_one_text():
    value = response({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "odd"}]})

    assert value["output"][0]["content"][0]["text"] == "ab"


def test_usage_keeps_what_the_engine_counted():
    value = response({"content": "a"}, usage={
        "prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37, "prompt_tokens_details": {"cached_tokens": 24},
        "completion_tokens_details": {"reasoning_tokens": 5}})

    assert value["usage"] == {
        "input_tokens": 30, "input_tokens_details": {"cached_tokens": 24, "cache_write_tokens": 0}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 37}


@pytest.mark.parametrize("usage", [None, [], {}, {"prompt_tokens": 3}, {"prompt_tokens": -1, "completion_tokens": 2},
                                   {"prompt_tokens": True, "completion_tokens": 2}])
def test_usage_that_is_unknown_is_null(usage):
    assert usage_of(usage) == b"null"


def test_a_cost_stands_beside_the_counts():
    usage = json.loads(usage_of({"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": None}, 1_500_000_123))

    assert (usage["total_tokens"], usage["cost_usd"], usage["input_tokens_details"]["cached_tokens"]) == (5, 1.500000123, 0)
