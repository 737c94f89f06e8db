"""Events of a message as chunks of a chat."""

import json

import msgspec

from pointsman.testing.native_days import Message, text, thought, use
from pointsman.translation.messages_stream import ChatChunks, StreamEvent


def as_event(event):
    return msgspec.json.decode(json.dumps(event), type=StreamEvent)


def chunks_of(events):
    chunks = ChatChunks(99)
    made = [json.loads(data) for event in events for data in chunks.read(as_event(event))]
    last = chunks.usage_chunk()
    return made, None if last is None else json.loads(last)


def deltas_of(*content, **fields):
    return [chunk["choices"][0]["delta"] for chunk in chunks_of(Message(content, **fields).events("claude-x"))[0]]


def test_a_text_begins_with_the_role_and_ends_with_a_reason():
    made, last = chunks_of(Message((text("Paris."),)).events("claude-x"))

    assert made[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in made) == "Paris."
    assert (made[-1]["choices"][0]["finish_reason"], made[-1]["choices"][0]["delta"]) == ("stop", {})
    assert {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in made} == {
        ("msg_native", "chat.completion.chunk", 99, "claude-x")}
    assert last["usage"] == {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}
    assert last["choices"] == []


def test_calls_are_numbered_and_each_has_arguments_that_can_be_read():
    deltas = [delta["tool_calls"][0] for delta in deltas_of(text("x"), use("t1", "f", a=1), use("t2", "g")) if "tool_calls" in delta]

    assert [(d["index"], d["id"], d["function"]["name"]) for d in deltas if "id" in d] == [(0, "t1", "f"), (1, "t2", "g")]
    assert ["".join(d["function"]["arguments"] for d in deltas if d["index"] == i) for i in (0, 1)] == ['{"a":1}', "{}"]


def test_a_call_that_was_whole_at_its_start_is_told():
    events = [{"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}},
              {"type": "content_block_stop", "index": 0}]
    chunks = ChatChunks(0)
    made = [json.loads(data) for event in events
            for data in chunks.read(as_event(event))]

    assert json.loads(made[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]) == {"a": 1}


def test_thoughts_and_their_signature():
    deltas = deltas_of(thought("Let me see.", "sig"), text("x"))

    assert "".join(d.get("reasoning_content", "") for d in deltas) == "Let me see."
    assert [d["thinking_blocks"] for d in deltas if "thinking_blocks" in d] == [[{"type": "thinking", "thinking": "", "signature": "sig"}]]


def test_texts_at_the_start_of_a_block_hidden_thoughts_and_strange_events():
    events = [{"type": "content_block_start", "content_block": {"type": "text", "text": "Hi"}},
              {"type": "content_block_start", "content_block": {"type": "redacted_thinking", "data": "d"}},
              {"type": "content_block_delta", "delta": {"type": "citations_delta"}}, {"type": "content_block_stop"}, {"type": "new"}]
    made, last = chunks_of(events)

    assert [chunk["choices"][0]["delta"] for chunk in made] == [
        {"content": "Hi"}, {"thinking_blocks": [{"type": "redacted_thinking", "data": "d"}]}]
    assert last is None


def test_the_sequence_that_was_met_is_told_as_engines_tell_it():
    made, _ = chunks_of(Message(stop="stop_sequence", sequence="END").events("m"))

    assert (made[-1]["choices"][0]["finish_reason"], made[-1]["choices"][0]["stop_reason"]) == ("stop", "END")
