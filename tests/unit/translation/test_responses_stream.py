"""Chunks of a chat stream become the events of a response stream."""

import json

import pytest

from pointsman.translation.responses_reply import Origin, translate_reply
from pointsman.translation.responses_request import translate_request
from pointsman.translation.responses_stream import ResponseEvents

ID = "01a200a37f727226acd613e3d8f16adf"
ORIGIN = Origin(ID, 1795307077)


def asked(**fields):
    return translate_request(json.dumps({"model": "auto", "input": "hi", "stream": True} | fields).encode())[1]


def chunk(delta=None, finish=None, **fields):
    return json.dumps({"id": "x", "model": "served", "choices": [
        {"index": 0, "delta": delta or {}, "finish_reason": finish, **fields}]}).encode()


def call(index, name=None, arguments=None, id=None):
    return {"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]}


def events_of(data):
    frames = data.decode().split("\n\n")
    assert frames.pop() == ""
    found = []
    for frame in frames:
        name, line = frame.split("\n")
        event = json.loads(line.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def play(*chunks, **fields):
    stream = ResponseEvents(asked(**fields), ORIGIN)
    return events_of(b"".join([*(stream.feed([data]) for data in chunks), stream.end()]))


def kinds(events):
    return [event["type"].removeprefix("response.") for event in events]


HELLO = (chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))


def test_a_text_in_the_official_order():
    events = play(*HELLO)

    assert kinds(events) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed"]
    assert [event["sequence_number"] for event in events] == list(range(10))
    item = f"msg_{ID}_0"
    assert events[2]["item"] == {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    assert events[3] == {"type": "response.content_part.added", "sequence_number": 3, "item_id": item, "output_index": 0,
                         "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}}
    assert events[4] == {"type": "response.output_text.delta", "sequence_number": 4, "item_id": item, "output_index": 0,
                         "content_index": 0, "delta": "Hel", "logprobs": []}
    assert (events[6]["text"], events[7]["part"]["text"], events[8]["item"]["content"][0]["text"]) == ("Hello",) * 3
    assert events[8]["item"]["status"] == "completed"


def test_the_first_events_show_the_response_before_its_answer():
    created, going = play(*HELLO)[:2]

    assert created["response"] == going["response"]
    assert {key: created["response"][key] for key in ("id", "status", "output", "usage", "model", "store")} == {
        "id": f"resp_{ID}", "status": "in_progress", "output": [], "usage": None, "model": "served", "store": False}


def test_the_last_event_is_the_plain_response():
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    message = {"role": "assistant", "content": "Hello"}
    plain = translate_reply(json.dumps({"model": "served", "usage": usage, "choices": [
        {"index": 0, "message": message, "finish_reason": "stop"}]}).encode(), asked(), ORIGIN)
    last = play(*HELLO, json.dumps({"choices": [], "usage": usage}).encode())[-1]

    assert last["response"] == json.loads(plain)


def test_reasoning_is_closed_before_the_answer_begins():
    events = play(chunk({"reasoning_content": "Hm"}), chunk({"reasoning": "m."}), chunk({"content": "Yes"}), chunk({}, "stop"))

    assert kinds(events)[2:-1] == [
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done",
        "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done"]
    assert (events[6]["text"], events[7]["part"]) == ("Hmm.", {"type": "reasoning_text", "text": "Hmm."})


def test_a_refusal_has_its_own_events():
    events = play(chunk({"refusal": "No"}), chunk({"refusal": "."}), chunk({}, "stop"))

    assert kinds(events)[3:8] == ["content_part.added", "refusal.delta", "refusal.delta", "refusal.done", "content_part.done"]
    assert events[6]["refusal"] == "No."


def test_calls_grow_side_by_side():
    events = play(
        chunk({"content": "Look:"}), chunk(call(0, "weather", "", "call_a")), chunk(call(0, None, '{"a"')),
        chunk(call(1, "time", '{"b"', "call_b")), chunk(call(0, None, ":1}")), chunk(call(1, None, ":2}")), chunk({}, "tool_calls"))

    deltas = [(e["output_index"], e["delta"]) for e in events if e["type"].endswith("arguments.delta")]
    assert deltas == [(1, '{"a"'), (2, '{"b"'), (1, ":1}"), (2, ":2}")]
    done = [e["item"] for e in events if e["type"].endswith("item.done")]
    assert [(i["type"], i.get("call_id"), i.get("arguments")) for i in done] == [
        ("message", None, None), ("function_call", "call_a", '{"a":1}'), ("function_call", "call_b", '{"b":2}')]
    assert events[-1]["response"]["output"] == done


def test_calls_that_all_are_number_nought_are_told_apart_by_their_ids():
    events = play(chunk(call(0, "a", "{}", "call_a")), chunk(call(0, "b", "{}", "call_b")), chunk({}, "tool_calls"))

    assert [(i["name"], i["call_id"], i["arguments"]) for i in events[-1]["response"]["output"]] == [
        ("a", "call_a", "{}"), ("b", "call_b", "{}")]


def test_arguments_that_come_before_the_name_wait_for_it():
    events = play(chunk(call(0, None, '{"a"', "call_a")), chunk(call(0, "weather", ":1}")), chunk({}, "tool_calls"))

    assert events[2]["item"]["name"] == "weather"
    assert events[-1]["response"]["output"][0]["arguments"] == '{"a":1}'


def test_a_custom_tools_input_comes_when_it_is_whole():
    events = play(chunk(call(0, "patch", '{"inp', "call_a")), chunk(call(0, None, 'ut":"+ x\\n"}')), chunk({}, "tool_calls"),
                  tools=[{"type": "custom", "name": "patch"}])

    assert kinds(events)[2:-1] == [
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done"]
    assert (events[2]["item"]["input"], events[3]["delta"], events[4]["input"], events[5]["item"]["input"]) == (
        "", "+ x\n", "+ x\n", "+ x\n")


def test_an_answer_that_was_cut_ends_incomplete():
    events = play(chunk({"content": "On"}), chunk({}, "length"))

    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events[-2]["item"]["status"] == "incomplete"


def test_only_the_item_that_was_cut_is_incomplete():
    events = play(chunk({"content": "On"}), chunk(call(0, "f", '{"a', "call_a")), chunk({}, "length"))

    assert [item["status"] for item in events[-1]["response"]["output"]] == ["completed", "incomplete"]


def test_logprobs_travel_with_their_deltas_and_are_gathered_at_the_end():
    def token(text):
        return {"token": text, "logprob": -0.1, "bytes": [1], "top_logprobs": []}

    events = play(chunk({"content": "a"}, logprobs={"content": [token("a")]}),
                  chunk({"content": "b"}, "stop", logprobs={"content": [token("b")]}))

    assert [e["logprobs"] for e in events if e["type"].endswith("text.delta")] == [[token("a")], [token("b")]]
    assert next(e for e in events if e["type"].endswith("text.done"))["logprobs"] == [token("a"), token("b")]


def test_usage_and_cost_are_in_the_last_event():
    stream = ResponseEvents(asked(), ORIGIN)
    stream.feed([*HELLO, json.dumps({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}).encode()], 1_000)
    usage = events_of(stream.end())[-1]["response"]["usage"]

    assert (usage["input_tokens"], usage["total_tokens"], usage["cost_usd"]) == (9, 11, 0.000001)


def test_a_broken_answer_fails_and_leaves_open_what_never_became_whole():
    stream = ResponseEvents(asked(), ORIGIN)
    events = events_of(
        stream.feed([chunk({"content": "Half"}), chunk(call(0, "f", '{"a', "call_a"))])
        + stream.fail({"message": "gone", "type": "upstream_error", "param": None, "code": "upstream_connection_lost", "record_id": ID}))

    assert kinds(events)[-1] == "failed"
    response = events[-1]["response"]
    assert (response["status"], response["error"]["code"], response["error"]["record_id"]) == ("failed", "upstream_connection_lost", ID)
    assert [item["type"] for item in response["output"]] == ["message"]
    assert [e["item"]["type"] for e in events if e["type"].endswith("item.done")] == ["message"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_a_failure_before_anything_was_said_is_a_whole_stream_of_its_own():
    events = events_of(ResponseEvents(asked(), ORIGIN).fail({"message": "no", "code": 400}))

    assert kinds(events) == ["created", "in_progress", "failed"]
    assert (events[-1]["response"]["error"]["code"], events[-1]["response"]["model"]) == ("400", "auto")


def test_texts_pass_as_they_were_written():
    stream = ResponseEvents(asked(), ORIGIN)

    data = stream.feed([rb'{"choices":[{"delta":{"content":"\u00e9\/\ud83d\ude80"}}]}'])

    assert rb'"delta":"\u00e9\/\ud83d\ude80"' in data


@pytest.mark.parametrize("logprobs", [3, [], {"content": 3}, {"content": None}, {}, "x"])
def test_odd_logprobs_cost_no_answer(logprobs):
    events = play(chunk({"content": "a"}, "stop", logprobs=logprobs))

    assert events[-1]["response"]["output"][0]["content"][0] == {
        "type": "output_text", "text": "a", "annotations": [], "logprobs": []}


@pytest.mark.parametrize("delta", [{"content": 3}, {"content": {"a": 1}}, {"tool_calls": "x"}, {"tool_calls": ["x"]},
                                   {"tool_calls": [{"function": 3}]}, {"content": [3]}])
def test_odd_deltas_end_well_all_the_same(delta):
    assert kinds(play(chunk(delta), chunk({"content": "a"}, "stop")))[-1] == "completed"


def test_other_choices_were_never_asked_for():
    other = json.dumps({"choices": [{"index": 1, "delta": {"content": "x"}}]}).encode()

    assert play(*HELLO, other)[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"


def test_a_call_that_never_was_one_is_not_shown():
    assert play(chunk({"tool_calls": [{"index": 0}]}), chunk({"content": "a"}, "stop"))[-1]["response"]["output"][0]["type"] == "message"
    assert len(play(chunk({"tool_calls": [{"index": 0}]}), chunk({}, "stop"))[-1]["response"]["output"]) == 0
