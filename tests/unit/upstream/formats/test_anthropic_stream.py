"""Streamed messages, passed on as they are or as chunks: what bears content, and whether it ended well."""

import json
from pathlib import Path

import pytest

from pointsman import errors
from pointsman.core.reply import Usage
from pointsman.testing.factories import a_request
from pointsman.testing.native_days import Message, text, use
from pointsman.upstream.formats.anthropic_stream import ChatOverMessages, MessageReader
from pointsman.upstream.sse import Decoder

CAPTURES = Path(__file__).parents[3] / "fixtures" / "engines"


def data_of(day):
    return [json.dumps(event).encode() for event in day.events("m")]


def read(events, reader=MessageReader, **fields):
    following = reader("small/0", a_request(stream=True, **fields))
    return following, following.feed(events)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llamacpp"])
def test_what_engines_really_streamed(engine):
    events = Decoder().feed((CAPTURES / f"{engine}_messages_stream.txt").read_bytes().partition(b"<<< ")[2].partition(b"\n\n")[2])
    native, batch = read(events)
    chat, chunks = read(events, ChatOverMessages, include_usage=True)

    assert batch.events == events
    assert (native.done, native.failure, batch.content) == (True, None, True)
    assert (native.reply.usage.input_tokens, native.reply.usage.output_tokens, native.reply.dialect) == (37, 4, "messages")
    assert (chat.done, chat.reply.finish_reasons, chat.reply.dialect) == (True, ("length",), "chat")
    assert json.loads(chunks.events[-1])["usage"]["completion_tokens"] == 4


def test_content_begins_with_the_first_word_and_not_before():
    events = data_of(Message((text("Paris."),)))
    reader, batch = read(events[:3])  # start, block start, ping
    assert (batch.content, reader.began, reader.finished) == (False, False, False)

    assert reader.feed(events[3:4]).content
    assert reader.began


def test_a_call_bears_content_by_its_name():
    events = data_of(Message((use("t", "f"),)))

    assert read(events[:2])[1].content


def test_it_is_complete_with_its_reason_and_over_with_its_stop():
    events = data_of(Message())
    reader, batch = read(events[:-1])
    assert (reader.finished, reader.done, len(batch.events)) == (True, False, len(events) - 1)

    assert reader.feed([events[-1], b'{"type":"late"}']).events == [events[-1]]
    assert reader.done
    assert reader.reply.usage == Usage(10, 7)


def test_a_reason_without_a_stop_is_enough_and_a_stop_without_a_reason_is_not():
    events = data_of(Message())
    reader, _ = read(events[:-1])
    reader.end()
    assert reader.failure is None

    reader, _ = read([*events[:-2], events[-1]])
    assert isinstance(reader.failure, errors.BadAnswer)
    assert not reader.done


def test_a_done_of_a_chat_ends_it_too():
    reader, batch = read([*data_of(Message())[:-1], b"[DONE]"])

    assert (reader.done, batch.events[-1][:6] != b"[DONE]") == (True, True)
    assert isinstance(read([b"[DONE]"])[0].failure, errors.BadAnswer)


def test_events_before_a_failure_are_handed_out():
    events = data_of(Message(error={"type": "overloaded_error", "message": "busy"}))
    reader, batch = read(events)

    assert isinstance(reader.failure, errors.UpstreamOverloaded)
    assert batch.events == events[:-1]


@pytest.mark.parametrize("garbage", [b"{", b"[]", b'{"type":7}', b'{"type":"x\xff"}', b'{"type":"content_block_delta","delta":{"text":1}}'])
def test_garbage_is_a_bad_answer(garbage):
    reader, _ = read([b"", garbage])

    assert isinstance(reader.failure, errors.BadAnswer)


def test_usage_is_a_chunk_of_its_own_for_a_chat_that_asked():
    events = data_of(Message())

    assert "usage" not in json.loads(read(events, ChatOverMessages)[1].events[-1])
    assert json.loads(read(events, ChatOverMessages, include_usage=True)[1].events[-1])["choices"] == []
