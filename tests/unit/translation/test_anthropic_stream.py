"""Chunks in, frames out."""

import json

import pytest

from pointsman.testing.anthropic_reader import read_frames, read_message
from pointsman.translation.anthropic_request import Remembered
from pointsman.translation.anthropic_stream import MessageStream

SHOWN = Remembered(shows_thinking=True, stop_sequences=("END",), input_tokens=9)


def chunk(finish=None, usage=None, choice=None, **delta):
    choices = [{"index": 0, "delta": delta, "finish_reason": finish} | (choice or {})] if delta or finish else []
    return json.dumps({"model": "m", "choices": choices} | ({"usage": usage} if usage else {})).encode()


def piece(index, arguments=None, name=None, id=None):
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    call = {"index": index, "id": id, "function": function}
    return {k: v for k, v in call.items() if v is not None}


def streamed(*chunks, remembered=SHOWN):
    stream = MessageStream("msg_1", remembered)
    return b"".join(stream.feed([c]) for c in chunks) + stream.finish()


def blocks(*chunks, **options):
    return read_message(streamed(*chunks, **options))["content"]


def test_a_golden_stream():
    frames = streamed(
        chunk(role="assistant", content=""), chunk(reasoning_content="hm"), chunk(content="I "), chunk(content="look."),
        chunk(tool_calls=[piece(0, "", "weather", "call_1")]), chunk(tool_calls=[piece(0, '{"city":')]),
        chunk(tool_calls=[piece(0, ' "Paris"}')]), chunk("tool_calls"),
        chunk(usage={"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 16}}))

    assert frames.startswith(b'event: message_start\ndata: {"type":"message_start",')
    assert read_frames(frames) == [
        {"type": "message_start", "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
            "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 0}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": ""}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I "}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "look."}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "call_1", "name": "weather", "input": {}}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ' "Paris"}'}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
         "usage": {"input_tokens": 4, "output_tokens": 5, "cache_read_input_tokens": 16}},
        {"type": "message_stop"},
    ]


def test_a_piece_is_sent_as_soon_as_it_comes():
    stream = MessageStream("msg_1", SHOWN)

    assert [event["type"] for event in read_frames(stream.feed([chunk(role="assistant")]))] == ["message_start"]
    assert [event["type"] for event in read_frames(stream.feed([chunk(content="a")]))] == ["content_block_start", "content_block_delta"]
    assert [event["type"] for event in read_frames(stream.feed([chunk(content="b"), chunk(content="c")]))] == ["content_block_delta"] * 2


def test_calls_that_come_one_after_the_other_are_streamed_without_waiting():
    stream = MessageStream("msg_1", SHOWN)
    stream.feed([chunk(tool_calls=[piece(0, '{"a":1}', "f", "x")])])

    events = read_frames(stream.feed([chunk(tool_calls=[piece(1, "", "g", "y")]), chunk(tool_calls=[piece(1, "{")])]))

    assert [event["type"] for event in events] == ["content_block_stop", "content_block_start", "content_block_delta"]


def test_pieces_of_two_calls_that_are_mixed_come_apart():
    found = blocks(
        chunk(tool_calls=[piece(0, '{"a"', "f", "x"), piece(1, '{"b"', "g", "y")]), chunk(content="meanwhile"),
        chunk(tool_calls=[piece(1, ":2}"), piece(0, ":1}")]), chunk("tool_calls"))

    assert found == [
        {"type": "tool_use", "id": "x", "name": "f", "input": '{"a":1}'},
        {"type": "tool_use", "id": "y", "name": "g", "input": '{"b":2}'},
        {"type": "text", "text": "meanwhile"},
    ]


def test_calls_without_arguments_and_without_end_still_come():
    found = blocks(chunk(tool_calls=[piece(0, "", "f", "x")]), chunk(tool_calls=[piece(1, '{"cut', "g", "y")]), chunk("length"))

    assert [(block["name"], block["input"]) for block in found] == [("f", ""), ("g", '{"cut')]


def test_calls_that_an_engine_numbers_badly_are_told_apart_by_their_ids():
    by_zero = [chunk(tool_calls=[piece(0, '{"n":1}', "f", "x")]), chunk(tool_calls=[piece(0, '{"n":2}', "f", "y")])]
    by_nothing = [chunk(tool_calls=[{"id": "x", "function": {"name": "f", "arguments": '{"n":1}'}},
                                    {"id": "y", "function": {"name": "f", "arguments": '{"n":2}'}}])]

    for chunks in (by_zero, by_nothing):
        assert [(block["id"], block["input"]) for block in blocks(*chunks, chunk("tool_calls"))] == [("x", '{"n":1}'), ("y", '{"n":2}')]


def test_a_call_waits_for_its_name():
    found = blocks(chunk(tool_calls=[piece(0, "{", id="x")]), chunk(tool_calls=[piece(0, "}", "f")]), chunk("stop"))

    assert found == [{"type": "tool_use", "id": "x", "name": "f", "input": "{}"}]


def test_a_call_without_id_gets_one():
    assert blocks(chunk(tool_calls=[piece(0, "{}", "f")]), chunk("stop"))[0]["id"] == "toolu_1_0"


def test_arguments_sent_as_an_object_are_text_again():
    assert blocks(chunk(tool_calls=[piece(0, {"a": 1}, "f", "x")]), chunk("stop"))[0]["input"] == '{"a":1}'


def test_hidden_thinking_leaves_no_trace():
    frames = streamed(chunk(reasoning="hm"), chunk(content="4"), chunk("stop"), remembered=Remembered())

    assert read_message(frames)["content"] == [{"type": "text", "text": "4"}]


def test_it_says_while_it_hides_thinking():
    stream = MessageStream("msg_1", Remembered())

    said = []
    for heard in (chunk(role="assistant"), chunk(reasoning="hm"), chunk(content="4"), chunk("stop")):
        stream.feed([heard])
        said.append(stream.is_hiding)

    assert said == [False, True, False, False]


def test_text_and_thinking_may_take_turns():
    found = blocks(chunk(reasoning="a"), chunk(content="b"), chunk(reasoning="c"), chunk(content="d"), chunk("stop"))

    assert [(block["type"], block.get("text") or block.get("thinking")) for block in found] == [
        ("thinking", "a"), ("text", "b"), ("thinking", "c"), ("text", "d")]


def test_an_answer_without_a_word_is_still_a_message():
    message = read_message(streamed())

    assert (message["content"], message["stop_reason"], message["usage"]) == ([], "end_turn", {"input_tokens": 9, "output_tokens": 0})


def test_other_choices_are_not_heard():
    assert blocks(chunk(content="a"), chunk(content="b", choice={"index": 1}), chunk("stop")) == [{"type": "text", "text": "a"}]


@pytest.mark.parametrize(("last", "reason"), [
    (chunk("stop"), ("end_turn", None)), (chunk("length"), ("max_tokens", None)), (chunk("content_filter"), ("refusal", None)),
    (chunk("stop", choice={"stop_reason": "END"}), ("stop_sequence", "END")),
    (chunk("stop", choice={"matched_stop": "END"}), ("stop_sequence", "END")), (chunk("stop", refusal="no"), ("refusal", None)),
])
def test_why_it_stopped(last, reason):
    message = read_message(streamed(chunk(content="a"), last))

    assert (message["stop_reason"], message["stop_sequence"]) == reason


def test_usage_that_never_comes_is_estimated():
    assert read_message(streamed(chunk(content="x" * 10), chunk("stop")))["usage"] == {"input_tokens": 9, "output_tokens": 3}


def test_usage_is_what_was_said_last():
    usage = read_message(streamed(
        chunk(content="a", usage={"prompt_tokens": 5, "completion_tokens": 1}),
        chunk("stop", usage={"prompt_tokens": 5, "completion_tokens": 2})))["usage"]

    assert usage == {"input_tokens": 5, "output_tokens": 2}
