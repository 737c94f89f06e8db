"""Whatever is said, a chat put to Anthropic and a message put to a chat lose nothing on the way there and back."""

import json
from contextlib import suppress
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.request import Kind
from pointsman.errors import RequestError, Untranslatable
from pointsman.server.body import parse
from pointsman.testing.anthropic_reader import read_message
from pointsman.testing.factories import a_request
from pointsman.testing.native_days import Message, text, thought, use
from pointsman.translation.anthropic_reply import message
from pointsman.translation.anthropic_request import Remembered, translated
from pointsman.translation.anthropic_stream import MessageStream
from pointsman.translation.messages_reply import completion
from pointsman.translation.messages_request import messages_body
from pointsman.upstream.formats.anthropic_stream import ChatOverMessages, MessageReader

characters = st.characters(exclude_categories=["Cs"])
words = st.text(characters, min_size=1, max_size=12)
values = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | words, lambda inner: st.lists(inner, max_size=2), max_leaves=4)
objects = st.dictionaries(words, values, max_size=3)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
SHOWN = Remembered(shows_thinking=True)


# -- answers: message -> chat -> message


@st.composite
def contents(draw):
    """Blocks as a model says them: thoughts, words, calls."""
    blocks = [thought(draw(words), "")] if draw(st.booleans()) else []
    blocks += [text(draw(words))] if draw(st.booleans()) else []
    blocks += [{"type": "tool_use", "id": f"toolu_{i}", "name": draw(names), "input": draw(objects)} for i in range(draw(st.integers(0, 3)))]
    return tuple(blocks or [text(draw(words))])


counts = st.integers(0, 10**6)
usages = st.fixed_dictionaries({"input_tokens": counts, "output_tokens": counts},
                               optional={"cache_read_input_tokens": counts, "cache_creation_input_tokens": counts})
days = st.builds(lambda content, usage, stop: Message(content, usage=usage, stop="" if any(b["type"] == "tool_use" for b in content) else stop),
                 contents(), usages, st.sampled_from(["", "max_tokens", "refusal"]))


@given(days)
def test_a_plain_message_comes_back_as_it_was(day):
    said = json.loads(day.body("m"))
    back = json.loads(message(completion(day.body("m"), 0), "msg_native", SHOWN))

    assert back == said | {"usage": back["usage"]}
    assert back["usage"] == said["usage"]


@given(days, st.data())
def test_a_streamed_message_comes_back_as_it_was_in_any_chunking(day, data):
    events = [json.dumps(event).encode() for event in day.events("m")]
    reader = ChatOverMessages("small/0", a_request(stream=True, include_usage=True))
    stream, sent = MessageStream("msg_native", SHOWN), b""
    while events and not reader.done:
        size = data.draw(st.integers(1, len(events)))
        batch, events = reader.feed(events[:size]), events[size:]
        sent += stream.feed(batch.events)
    back = read_message(sent + stream.finish())
    for block in back["content"]:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["input"])

    assert reader.failure is None
    assert back["content"] == list(day.content)
    assert (back["stop_reason"], back["usage"]) == (day.stop_reason, day.usage)


@given(st.lists(st.binary(max_size=30) | st.sampled_from([json.dumps(e).encode() for e in Message((text("x"), use("t", "f"))).events("m")]), max_size=8))
def test_whatever_an_endpoint_sends_is_an_answer_or_a_failure_and_never_an_exception(events):
    for kind in (MessageReader, ChatOverMessages):
        reader = kind("small/0", a_request(stream=True))
        batch = reader.feed(events)
        reader.end()
        assert reader.failure is not None or reader.finished
        assert kind is ChatOverMessages or batch.events == [e for e in events if e][:len(batch.events)]


# -- questions: chat -> message -> chat


@st.composite
def chats(draw):
    """Chat bodies that both formats can say: a system prompt, turns, calls with their results, images, tools."""
    messages = [{"role": "system", "content": draw(words)}] if draw(st.booleans()) else []
    messages.append({"role": "user", "content": draw(words)})
    for turn in range(draw(st.integers(0, 3))):
        calls = [{"id": f"{draw(ids)}-{turn}-{i}", "type": "function", "function": {
            "name": draw(names), "arguments": json.dumps(draw(objects))}} for i in range(draw(st.integers(0, 2)))]
        said = draw(words)
        messages.append({"role": "assistant", "content": said} | ({"tool_calls": calls} if calls else {}))
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(words)} for call in calls]
        images = [{"type": "image_url", "image_url": {"url": draw(st.sampled_from(["data:image/png;base64,iVBO", "https://x/y.png"]))}}]
        spoken = draw(words)
        messages.append({"role": "user", "content": [{"type": "text", "text": spoken}, *images] if draw(st.booleans()) else spoken})
    chat = {"model": "m", "messages": messages, "max_tokens": draw(st.integers(1, 99))}
    if draw(st.booleans()):
        chat["tools"] = [{"type": "function", "function": {"name": draw(names), "description": draw(words), "parameters": draw(objects)}}]
        chat |= draw(st.sampled_from([{}, {"tool_choice": "required"}, {"tool_choice": "none"}, {"tool_choice": "auto", "parallel_tool_calls": False}]))
    if draw(st.booleans()):
        chat["stop"] = [draw(names)]
    if draw(st.booleans()):
        chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": draw(objects), "strict": True}}
    if draw(st.booleans()):
        chat["user"] = draw(words)
    return chat


@given(chats())
def test_a_chat_comes_back_as_it_was(chat):
    there = messages_body(json.dumps(chat).encode(), 1)
    back = json.loads(translated(there)[0])

    for turn in (*chat["messages"], *back["messages"]):
        for call in turn.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        if turn["role"] == "assistant" and turn is chat["messages"][-1]:
            turn["content"] = turn["content"].rstrip() or turn["content"]
    assert back.pop("metadata", None) is None
    assert back == chat


@given(chats())
def test_turns_alternate_and_every_result_stands_behind_its_call(chat):
    turns = json.loads(messages_body(json.dumps(chat).encode(), 1))["messages"]

    assert all(one["role"] != other["role"] for one, other in pairwise(turns))
    for one, other in zip(turns, [*turns[1:], {"content": []}], strict=True):
        calls = [block["id"] for block in one["content"] if isinstance(block, dict) and block["type"] == "tool_use"]
        results = [block.get("tool_use_id") for block in other["content"][:len(calls)] if isinstance(block, dict)]
        assert calls == results


@given(st.recursive(values, lambda inner: st.dictionaries(st.sampled_from(["role", "content", "type", "text", "tool_calls", "function"]), inner, max_size=3)
                    | st.lists(inner, max_size=2), max_leaves=8))
def test_whatever_passes_our_door_is_translated_or_refused_in_words(odd):
    body = msgspec.json.encode({"model": "m", "messages": [odd] if isinstance(odd, dict) else odd})
    try:
        parse(body, Kind.CHAT)
    except RequestError:
        return
    with suppress(Untranslatable):
        json.loads(messages_body(body, 1))
