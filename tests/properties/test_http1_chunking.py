"""Whatever the segments, the same response; whatever the bytes, an end and never a foreign exception."""

import asyncio
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.errors import UpstreamError
from pointsman.upstream.exchange import MAX_BODY_BYTES
from pointsman.upstream.http1 import Connection


class Wire(asyncio.Transport):
    """A transport that goes nowhere; `abort` reports the loss at once."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection, self._closing = connection, False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def writelines(self, list_of_data: Any) -> None: ...

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)


async def receive(segments: list[bytes], whole: bool) -> tuple[object, ...]:
    """What a caller learns when these segments arrive and the peer then closes."""
    loop = asyncio.get_running_loop()
    kept: list[Connection] = []
    connection = Connection(loop, ("h", 80), kept.append, lambda _: None)
    wire = Wire(connection)
    connection.connection_made(wire)
    connection.request("small/0", (b"",), whole=whole)

    def arrive() -> None:
        for segment in segments:
            if segment and not wire.is_closing():
                connection.data_received(segment)
        wire.abort()

    loop.call_soon(arrive)
    body = b""
    until = loop.time() + 5
    try:
        await connection.answered(until)
        if whole:
            body, _ = await connection.rest(MAX_BODY_BYTES, until)
        else:
            while data := await connection.read(until):
                body += data
    except UpstreamError as error:
        connection.abort()
        outcome: object = type(error)
    else:
        outcome = None
        connection.finish()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return connection.status if outcome is None else 0, body if outcome is None else b"", outcome


HEADS = st.sampled_from([
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\na: b\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 No\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
])


@settings(deadline=None)  # shared machines pause
@given(HEADS, st.lists(st.integers(0, 120), max_size=20), st.booleans())
def test_any_segments_give_the_same_response(wire: bytes, places: list[int], whole: bool) -> None:
    edges = [0, *sorted(min(p, len(wire)) for p in places), len(wire)]
    segments = [wire[a:b] for a, b in itertools.pairwise(edges)]

    assert asyncio.run(receive(segments, whole)) == asyncio.run(receive([wire], whole))


@settings(deadline=None)  # shared machines pause
@given(st.lists(st.binary(max_size=40) | HEADS | st.just(b"HTTP/1.1 200 OK\r\n"), max_size=8), st.booleans())
def test_any_bytes_end_in_an_answer_or_an_error_of_ours(segments: list[bytes], whole: bool) -> None:
    asyncio.run(receive(segments, whole))
