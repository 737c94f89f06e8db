import pytest

from pointsman.upstream.sse import MAX_EVENT_BYTES, Decoder, EventTooLarge, NoEvents

TOO_MANY = MAX_EVENT_BYTES // 65536 + 1


def decoded(*chunks: bytes) -> list[bytes]:
    decoder = Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize(("chunks", "events"), [
    ((b'data: {"a":1}\n\n',), [b'{"a":1}']),
    ((b"data: 1\n\ndata: 2\n\n",), [b"1", b"2"]),
    ((b"data: 1\n\ndata: 2\n", b"\n"), [b"1", b"2"]),
    ((b"data:1\n\n",), [b"1"]),  # the space is optional
    ((b"data:  1\n\n",), [b" 1"]),  # and only one of them goes
    ((b"data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n",), [b"1", b"2", b"3"]),
    ((b"data: 1\r", b"\n\r", b"\ndata: 2\r\n\r\n"), [b"1", b"2"]),
    ((b"data: 1\r\n", b"\n"), [b"1"]),  # a LF after a whole CRLF is a line end of its own
    ((b"\xef\xbb\xbfdata: 1\n\n",), [b"1"]),
    ((b"\xef", b"\xbb", b"\xbfdata: 1\n\n"), [b"1"]),
    ((b": keep-alive\n\ndata: 1\n\n",), [b"1"]),
    ((b"data: 1\ndata: 2\n\n",), [b"1\n2"]),
    ((b"data: 1\n: comment\ndata: 2\nretry: 5\nid: 7\n\n",), [b"1\n2"]),
    ((b"data\n\n",), [b""]),
    ((b"\n\n\n\ndata: 1\n\n\n\n",), [b"1"]),
    ((b"foo: bar\n\ndata: 1\n\n",), [b"1"]),
    (("data: é€😀\n\n".encode(),), ["é€😀".encode()]),
    ((b"",), []),
])
def test_events_are_read_as_the_standard_says(chunks: tuple[bytes, ...], events: list[bytes]) -> None:
    assert decoded(*chunks) == events


def test_an_event_without_its_blank_line_is_lost_and_said_to_be_pending() -> None:
    decoder = Decoder()

    assert decoder.feed(b"data: 1\n\ndata: 2\n") == [b"1"]
    assert decoder.pending
    assert decoder.feed(b"\n") == [b"2"]
    assert not decoder.pending


def test_event_names_are_kept_for_those_who_read_them() -> None:
    decoder = Decoder(named=True)

    assert decoder.feed(b"event: ping\ndata: 1\n\ndata: 2\n\nevent: stop\n\ndata: 3\n\n") == [b"1", b"2", b"3"]
    assert decoder.names == [b"ping", b"", b""]


@pytest.mark.parametrize("chunks", [
    [b"data: " + b"x" * MAX_EVENT_BYTES],
    [b"data: " + b"x" * MAX_EVENT_BYTES + b"\n\n"],
    [b"data: " + b"x" * 65536 + b"\n"] * TOO_MANY,
    [b": " + b"x" * 65536] * TOO_MANY,
    [b"x" * 65536] * TOO_MANY,
])
def test_a_never_ending_event_is_not_collected(chunks: list[bytes]) -> None:
    with pytest.raises(EventTooLarge):
        decoded(*chunks)


def test_an_event_just_under_the_limit_passes() -> None:
    data = b"x" * (MAX_EVENT_BYTES - 6)

    assert decoded(b"data: " + data + b"\n\n") == [data]
    assert decoded(b"data: ", data, b"\n", b"\n") == [data]


def test_a_long_event_in_small_pieces_takes_linear_time() -> None:
    decoder = Decoder()
    events = decoder.feed(b"data: ")
    for _ in range(200_000):
        events += decoder.feed(b"abcd")

    assert decoder.feed(b"\n\n") == [b"abcd" * 200_000]


@pytest.mark.parametrize("line", [b"\x9bata: {}", b"data\xc5 {}", "größe: 1".encode()])
def test_a_line_whose_field_cannot_be_one_is_not_passed_over(line: bytes) -> None:
    with pytest.raises(NoEvents):
        Decoder().feed(b"data: 1\n\n" + line + b"\n\n")


def test_an_unknown_field_and_a_comment_in_any_language_are_passed_over() -> None:
    assert Decoder().feed("foo: bar\n: größe\ndata: 1\n\n".encode()) == [b"1"]
