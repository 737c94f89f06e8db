"""Whatever a model says, in whatever order and pieces: a well-formed response stream, and a conversation that goes on as it was."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type_unchecked
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from pointsman.translation.responses_reply import Origin, translate_reply
from pointsman.translation.responses_request import translate_request
from pointsman.translation.responses_stream import ResponseEvents

ORIGIN = Origin("01a200a37f727226acd613e3d8f16adf", 1795307077)
TOOLS = [{"type": "function", "name": "plain", "parameters": {"type": "object"}}, {"type": "custom", "name": "free"},
         {"type": "namespace", "name": "crm", "description": "", "tools": [{"type": "function", "name": "find"}]}]
CHAT_NAMES = st.sampled_from(["plain", "free", "crm__find", "unheard-of"])
TEXT = st.text(max_size=12)

texts = st.sampled_from(["content", "reasoning", "reasoning_content", "refusal"]).flatmap(
    lambda field: TEXT.map(lambda text: {field: text}))
calls = st.builds(
    lambda index, call_id, name, arguments: {"tool_calls": [
        {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]},
    st.integers(0, 3), st.sampled_from([None, "call_a", "call_b", "call_c"]), st.none() | CHAT_NAMES, st.none() | TEXT)
deltas = st.lists(texts | calls | st.just({}), max_size=25)
chunkings = st.lists(st.integers(1, 4), min_size=1, max_size=25)


def chunk(delta):
    return json.dumps({"model": "served", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode()


def asked():
    return translate_request(json.dumps({"model": "auto", "input": "hi", "tools": TOOLS, "stream": True}).encode())[1]


def fed(stream, said, sizes):
    """What the stream says when `said` arrives in batches of these sizes."""
    data, at, turn = [], 0, 0
    while at < len(said):
        size = sizes[turn % len(sizes)]
        data.append(stream.feed([chunk(delta) for delta in said[at:at + size]]))
        at, turn = at + size, turn + 1
    return b"".join(data)


def events_of(data):
    frames = data.decode().split("\n\n")[:-1]
    found = [json.loads(frame.split("\n", 1)[1].removeprefix("data: ")) for frame in frames]
    assert [frame.split("\n")[0] for frame in frames] == [f"event: {event['type']}" for event in found]
    return found


def check(events):
    """The rules of the stream; returns the items that were opened and not closed."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    items, parts, done = {}, {}, set()
    for event in events[2:-1]:
        kind, at = event["type"].removeprefix("response."), event["output_index"]
        if kind == "output_item.added":
            assert at == len(items)
            items[at] = event["item"]["id"]
            continue
        assert at in items
        assert at not in done
        assert event.get("item_id", items[at]) == items[at]
        if kind == "content_part.added":
            assert (at, event["content_index"]) not in parts
            parts[at, event["content_index"]] = ""
        elif kind == "content_part.done":
            part = event["part"]
            assert parts.pop((at, event["content_index"])) == part.get("text", part.get("refusal"))
        elif kind.endswith("text.delta") or kind == "refusal.delta":
            parts[at, event["content_index"]] += event["delta"]
        elif kind.endswith(("arguments.delta", "input.delta")):
            parts[at] = parts.get(at, "") + event["delta"]
        elif kind.endswith(("arguments.done", "input.done")):
            assert parts.pop(at, "") == event.get("arguments", event.get("input"))
        elif kind == "output_item.done":
            assert event["item"]["id"] == items[at]
            assert not [key for key in parts if key == at or (isinstance(key, tuple) and key[0] == at)]
            done.add(at)
    return set(items) - done


def read_by_the_sdk(events):
    state = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in events:
        state.handle_event(construct_type_unchecked(type_=ResponseStreamEvent, value=event))
    return state._completed_response


@settings(deadline=None)  # the SDK builds its models when first used
@given(deltas, chunkings)
def test_a_stream_is_well_formed_and_whole(said, sizes):
    stream = ResponseEvents(asked(), ORIGIN)
    events = events_of(fed(stream, said, sizes) + stream.end())

    assert check(events) == set()
    last = events[-1]
    assert last["type"] == "response.completed"
    Response.model_validate(last["response"])
    done = [e for e in events if e["type"] == "response.output_item.done"]
    assert last["response"]["output"] == [e["item"] for e in sorted(done, key=lambda e: e["output_index"])]
    assert [item.id for item in read_by_the_sdk(events).output] == [item["id"] for item in last["response"]["output"]]
    for field, kind in (("content", "output_text"), ("refusal", "refusal")):
        heard = "".join(e["delta"] for e in events if e["type"] == f"response.{kind}.delta")
        assert heard == "".join(delta.get(field, "") for delta in said)


@given(deltas, chunkings, chunkings)
def test_how_events_are_batched_makes_no_difference(said, sizes, others):
    one, other = ResponseEvents(asked(), ORIGIN), ResponseEvents(asked(), ORIGIN)

    assert fed(one, said, sizes) + one.end() == fed(other, said, others) + other.end()


@given(deltas, chunkings)
def test_a_failure_at_any_point_closes_nothing_that_is_not_whole(said, sizes):
    stream = ResponseEvents(asked(), ORIGIN)
    events = events_of(fed(stream, said, sizes) + stream.fail({"message": "gone", "code": "upstream_stalled"}))

    still_open = check(events)
    assert events[-1]["type"] == "response.failed"
    closed = {e["item"]["id"] for e in events if e["type"] == "response.output_item.done"}
    calls_told = {i["id"] for i in events[-1]["response"]["output"] if i["type"].endswith("_call")}
    assert calls_told <= closed
    assert all(e["item"]["type"] in ("message", "reasoning") for e in events if e["type"] == "response.output_item.done")
    assert len(still_open) + len(closed) == sum(e["type"] == "response.output_item.added" for e in events)


# -- a conversation that goes on

whole_calls = st.lists(
    st.tuples(st.sampled_from(["plain", "crm__find", "free"]), TEXT), max_size=3).map(lambda found: [
        {"id": f"call_{i}", "type": "function", "function": {
            "name": name, "arguments": json.dumps({"input": text}, ensure_ascii=False, separators=(",", ":"))}}
        for i, (name, text) in enumerate(found)])


@given(st.text(max_size=30), whole_calls, st.lists(st.text(max_size=20), min_size=3, max_size=3))
def test_what_a_model_said_comes_back_to_it_as_it_said_it(text, calls, outputs):
    """Chat message -> response -> input of the next request -> chat message."""
    message = {"role": "assistant", "content": text or None, "tool_calls": calls}
    body = json.dumps({"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    output = json.loads(translate_reply(body, asked(), ORIGIN))["output"]
    answers = [{"type": item["type"] + "_output", "call_id": item["call_id"], "output": outputs[i]}
               for i, item in enumerate(item for item in output if "call_id" in item)]
    again, _ = translate_request(json.dumps({
        "model": "auto", "tools": TOOLS, "input": [{"role": "user", "content": "hi"}, *output, *answers]}).encode())
    _, *said = json.loads(again)["messages"]

    expected = [{"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})] if text or calls else []
    assert [_with_parsed_arguments(m) for m in said] == [_with_parsed_arguments(m) for m in expected] + [
        {"role": "tool", "tool_call_id": f"call_{i}", "content": outputs[i]} for i in range(len(calls))]


def _with_parsed_arguments(message):
    """JSON of arguments may be written otherwise, as long as it says the same."""
    return message | {"tool_calls": [
        call | {"function": call["function"] | {"arguments": json.loads(call["function"]["arguments"])}}
        for call in message["tool_calls"]]} if "tool_calls" in message else message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)


@given(st.dictionaries(st.text(max_size=8).map(lambda key: f"x-{key}"), json_values, max_size=4), json_values, st.integers(0, 4))
def test_what_we_do_not_know_arrives_as_it_was_sent(fields, schema, indent):
    body = json.dumps(fields | {"model": "auto", "input": "hi", "text": {"format": {
        "type": "json_schema", "name": "n", "schema": schema or {}}}}, indent=indent or None).encode()
    chat = json.loads(translate_request(body)[0])

    assert {key: chat[key] for key in fields} == fields
    assert chat["response_format"]["json_schema"]["schema"] == (schema or {})
