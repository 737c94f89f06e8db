"""Whatever the chunking, the same events."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.testing.factories import a_request
from pointsman.upstream.formats.openai_stream import StreamReader
from pointsman.upstream.sse import Decoder, NoEvents

LINES = st.sampled_from([
    b"data: {\"a\":1}", b"data:{}", b"data", b"data: ", b": comment", b"event: x", b"id: 1", b"retry: 2", b"", b"", b"foo",
    "data: é€😀".encode(), b"data: [DONE]", b" data: indented", b"\xef\xbb\xbfdata: bom",
])
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r"])), max_size=30).map(
    lambda lines: b"".join(line + end for line, end in lines))


@st.composite
def cut(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    whole = draw(streams)
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=40)))
    edges = [0, *places, len(whole)]
    return whole, [whole[a:b] for a, b in itertools.pairwise(edges)]


def decode(chunks: list[bytes]) -> list[tuple[bytes, bytes]] | None:
    decoder = Decoder(named=True)
    try:
        return [pair for chunk in chunks for pair in zip(decoder.feed(chunk), decoder.names, strict=True)]
    except NoEvents:
        return None


def by_the_book(stream: bytes) -> list[tuple[bytes, bytes]] | None:
    """WHATWG HTML §9.2.6, read slowly; None for a field that is not ASCII, which the standard ignores and we do not: it was a
    data line before its first byte was spoiled."""
    events, data, name = [], [], b""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in text.split(b"\n")[:-1]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                events.append((b"\n".join(data), name))
            data, name = [], b""
        elif field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif not field.isascii():
            return None
    return events


@settings(deadline=None, max_examples=400)  # shared machines pause; odd cuts are rare
@given(cut(STREAMS | st.binary(max_size=60)))
def test_any_chunking_gives_the_events_of_the_standard(case: tuple[bytes, list[bytes]]) -> None:
    whole, chunks = case

    assert decode(chunks) == decode([whole]) == decode([bytes((b,)) for b in whole]) == by_the_book(whole)


CHUNKS = st.sampled_from([
    b'{"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}],"usage":null}',
    '{"choices":[{"index":0,"delta":{"content":"é😀"},"finish_reason":null}]}'.encode(),
    b'{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null}],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
    b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}',
    b'{"error":{"message":"m","code":500}}', b"[DONE]", b"garbage",
])


@settings(deadline=None, max_examples=400)  # shared machines pause; odd cuts are rare
@given(cut(st.lists(CHUNKS, max_size=12).map(lambda events: b"".join(b"data: " + e + b"\n\n" for e in events))),
       st.booleans())
def test_any_chunking_gives_the_same_answer(case: tuple[bytes, list[bytes]], include_usage: bool) -> None:
    def read(chunks: list[bytes]) -> tuple[object, ...]:
        decoder, reader = Decoder(), StreamReader("small/0", a_request(include_usage=include_usage))
        passed: list[bytes] = []
        for chunk in chunks:
            if reader.failure is None and not reader.done:
                passed += reader.feed(decoder.feed(chunk)).events
        reader.end()
        return passed, reader.reply, str(reader.failure), reader.began

    whole, chunks = case

    assert read(chunks) == read([whole])
