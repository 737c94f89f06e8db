"""Whatever an engine mixes and however it is cut, an Anthropic client hears one well-formed message with all of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.request import Kind
from pointsman.errors import RequestError
from pointsman.server.body import parse
from pointsman.testing.anthropic_reader import read_message
from pointsman.translation.anthropic_reply import message
from pointsman.translation.anthropic_request import Remembered, translated
from pointsman.translation.anthropic_stream import MessageStream

SHOWN = Remembered(shows_thinking=True, input_tokens=1)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | text, lambda inner: st.lists(inner, max_size=2), max_leaves=4)
objects = st.dictionaries(text, values, max_size=3)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


def cuts(draw, whole):
    """`whole` in pieces."""
    at = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    return [whole[a:b] for a, b in zip([0, *at], [*at, len(whole)], strict=True)]


@st.composite
def answers(draw):
    """(thinking, text, calls) and chunks that say so, every part in pieces, the parts in any mixture."""
    thinking, said = draw(text), draw(text)
    calls = draw(st.lists(st.tuples(names, objects), max_size=3))
    queues = [[{"reasoning_content": piece} for piece in cuts(draw, thinking)], [{"content": piece} for piece in cuts(draw, said)]]
    for i, (name, given_input) in enumerate(calls):
        pieces = cuts(draw, json.dumps(given_input))
        opening = {"index": i, "id": f"call_{i}", "function": {"name": name, "arguments": pieces[0]}}
        queues.append([{"tool_calls": [opening]}] + [
            {"tool_calls": [{"index": i, "function": {"arguments": piece}}]} for piece in pieces[1:]])
    deltas = []
    while any(queues):
        deltas.append(draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    chunks = [json.dumps({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode() for delta in deltas]
    chunks.append(json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if calls else "stop"}]}).encode())
    return thinking, said, calls, chunks


def of(content, kind, field):
    return "".join(block[field] for block in content if block["type"] == kind)


@given(answers(), st.data(), st.booleans())
def test_any_mixture_is_one_well_formed_message_that_lost_nothing(answer, data, shows_thinking):
    thinking, said, calls, chunks = answer
    stream = MessageStream("msg_1", SHOWN if shows_thinking else Remembered())
    sent = b""
    while chunks:
        size = data.draw(st.integers(1, len(chunks)))
        sent += stream.feed(chunks[:size])
        chunks = chunks[size:]

    heard = read_message(sent + stream.finish())

    content = heard["content"]
    assert of(content, "text", "text") == said
    assert of(content, "thinking", "thinking") == (thinking if shows_thinking else "")
    tools = {block["id"]: block for block in content if block["type"] == "tool_use"}
    assert {name: (block["name"], json.loads(block["input"])) for name, block in tools.items()} == {
        f"call_{i}": call for i, call in enumerate(calls)}
    assert len(tools) == sum(block["type"] == "tool_use" for block in content)
    assert heard["stop_reason"] == ("tool_use" if calls else "end_turn")


@given(st.lists(st.dictionaries(st.sampled_from(["content", "reasoning", "refusal", "tool_calls"]), st.one_of(
    values, objects, st.lists(st.fixed_dictionaries({}, optional={
        "index": values, "id": values, "function": st.fixed_dictionaries({}, optional={"name": values, "arguments": values | objects})}))))))
def test_no_engine_can_make_a_stream_that_is_out_of_order(deltas):
    stream = MessageStream("msg_1", SHOWN)
    sent = stream.feed([json.dumps({"choices": [{"delta": delta}]}).encode() for delta in deltas])

    assert read_message(sent + stream.finish())["role"] == "assistant"


@given(answers())
def test_a_plain_answer_says_what_the_stream_says(answer):
    thinking, said, calls, _ = answer
    body = {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "content": said, "reasoning_content": thinking, "tool_calls": [
            {"id": f"call_{i}", "function": {"name": name, "arguments": json.dumps(given)}} for i, (name, given) in enumerate(calls)]}}]}

    content = json.loads(message(json.dumps(body).encode(), "msg_1", SHOWN))["content"]

    assert of(content, "text", "text") == said
    assert of(content, "thinking", "thinking") == thinking
    assert [(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"] == [
        (f"call_{i}", name, given) for i, (name, given) in enumerate(calls)]


blocks_of_assistant = st.lists(st.one_of(
    st.builds(lambda t: {"type": "text", "text": t}, text),
    st.builds(lambda n, i, v: {"type": "tool_use", "id": f"toolu_{i}", "name": n, "input": v}, names, st.integers(0, 9), objects),
    st.just({"type": "thinking", "thinking": "x", "signature": ""})), max_size=4)
blocks_of_user = st.lists(st.one_of(
    st.builds(lambda t: {"type": "text", "text": t}, text.filter(bool)),
    st.builds(lambda t, i: {"type": "tool_result", "tool_use_id": f"toolu_{i}", "content": t}, text, st.integers(0, 9))), max_size=4)
turns = st.lists(st.one_of(
    st.builds(lambda b: {"role": "assistant", "content": b}, blocks_of_assistant | text),
    st.builds(lambda b: {"role": "user", "content": b}, blocks_of_user | text)), max_size=5)


def blocks_in(turns, role, kind):
    return [block for turn in turns if turn["role"] == role for block in (
        [{"type": "text", "text": turn["content"]}] if isinstance(turn["content"], str) else turn["content"]) if block["type"] == kind]


@given(turns, st.lists(st.tuples(names, objects), max_size=2))
def test_texts_ids_inputs_results_and_tools_all_arrive(turns, tools):
    asked = {"model": "auto", "max_tokens": 9, "messages": turns,
             "tools": [{"name": name, "input_schema": schema} for name, schema in tools]}
    body, _ = translated(json.dumps(asked).encode())

    sent = json.loads(body)
    request = parse(body, Kind.CHAT)  # what we make, we accept

    calls = [call for m in sent["messages"] for call in m.get("tool_calls", ())]
    assert [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls] == [
        (b["id"], b["name"], b["input"]) for b in blocks_in(turns, "assistant", "tool_use")]
    assert [(m["tool_call_id"], m["content"]) for m in sent["messages"] if m["role"] == "tool"] == [
        (b["tool_use_id"], b["content"]) for b in blocks_in(turns, "user", "tool_result")]
    for role in ("assistant", "user"):
        said = "".join(m["content"] if isinstance(m["content"], str) else "".join(p["text"] for p in m["content"] or ())
                       for m in sent["messages"] if m["role"] == role)
        assert said == "".join(b["text"] for b in blocks_in(turns, role, "text"))
    assert [(t["function"]["name"], t["function"]["parameters"]) for t in sent.get("tools", ())] == tools
    assert request.tools == len(tools)


@given(st.binary(max_size=60) | st.recursive(values | objects, lambda inner: st.fixed_dictionaries({}, optional={
    "model": inner, "messages": st.lists(st.fixed_dictionaries({}, optional={"role": inner, "content": inner}), max_size=2),
    "system": inner, "tools": inner, "tool_choice": inner, "metadata": inner, "stop_sequences": inner, "output_config": inner}),
    max_leaves=8).map(lambda value: json.dumps(value).encode()))
def test_any_body_is_translated_or_refused_with_a_sentence(body):
    refused = None
    try:
        translated(body)
    except RequestError as error:
        refused = error

    assert refused is None or (refused.client_status == 400 and str(refused))


def test_the_reader_of_these_tests_forgives_nothing():
    whole = MessageStream("msg_1", SHOWN)
    frames = (whole.feed([b'{"choices":[{"delta":{"content":"a"}}]}']) + whole.finish()).split(b"\n\n")

    for i in {*range(len(frames) - 1)} - {2}:  # without its only delta a block is empty, which is allowed
        with pytest.raises(ValueError, match=r"\w"):
            read_message(b"\n\n".join(frames[:i] + frames[i + 1:]))
