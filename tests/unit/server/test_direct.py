"""Plain requests: what is read without the parser, and the exchange that answers straight onto its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from pointsman.errors import BodyTooLarge, ClientGone, PointsmanError
from pointsman.server import connection
from pointsman.server.connection import Connection
from pointsman.server.direct import MAX_HEAD_BYTES, DirectExchange, HeadReader, read

LINES = {b"POST /x HTTP/1.1": "/x"}
HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\n{}"


def test_a_plain_request_is_read_at_once():
    found = read(WHOLE, LINES)

    assert found is not None
    assert (found.path, found.length, found.body, found.ambiguous) == ("/x", 2, b"{}", b"")
    assert found.headers == {b"host": b"localhost", b"content-type": b"application/json", b"content-length": b"2"}


def test_a_body_may_still_be_on_its_way():
    found = read(HEAD + b"Content-Length: 10\r\n\r\n{", LINES)

    assert found is not None
    assert (found.length, found.body) == (10, b"{")


@pytest.mark.parametrize("data", [
    HEAD + b"Content-Length: 2\r\n",
    HEAD + b"\r\n",
    HEAD + b"Content-Length: two\r\n\r\n{}",
    HEAD + b"Content-Length: +2\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nUpgrade: h2c\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}",
    HEAD + b"Content-Length: 2\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n{}",
    WHOLE + WHOLE,
    WHOLE.replace(b"/x ", b"/y "),
    WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    WHOLE.replace(b"Host:", b"Host :"),
    WHOLE.replace(b"\r\n", b"\n"),
    HEAD + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\nContent-Length: 2\r\n\r\n{}",
], ids=lambda data: str(data[60:110]))
def test_anything_else_is_for_the_parser(data):
    assert read(data, LINES) is None


OTHERS = (
    WHOLE, HEAD + b"Content-Length: 10\r\n\r\n{", HEAD + b"CONTENT-LENGTH:\t2 \r\n\r\n{}", HEAD + b"Content-Length: two\r\n\r\n{}",
    HEAD + b"Content-Length: 1\r\n\r\n{}", HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", HEAD + b"Content-Length: 2\r\nX: 1\r\n\r\n{}",
    HEAD + b"Content-Length: 2\nX: 1\r\n\r\n{}", HEAD + b"Content-Length: 2\r\n", HEAD + b"\r\n", WHOLE.replace(b"/x ", b"/y "), WHOLE + WHOLE,
    WHOLE.replace(b"localhost", b"elsewhere"), HEAD + b"X-Content-Length: 2\r\n\r\n{}", b"Content-Length: 2\r\n\r\n{}", b"", b"\r\n\r\n",
    b"POST /x HTTP/1.1\r\nContent-Length: 2\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n{}",
)


@pytest.mark.parametrize("first", OTHERS)
@pytest.mark.parametrize("then", OTHERS)
def test_what_a_connection_sent_before_changes_nothing_of_what_is_read(first, then):
    heads = HeadReader(LINES)

    assert heads.read(first) == read(first, LINES)
    assert heads.read(then) == read(then, LINES)
    assert heads.read(first) == read(first, LINES)


def test_a_head_that_is_kept_keeps_no_body_and_lends_nobody_its_headers():
    heads = HeadReader(LINES)
    heads.read(WHOLE)
    found = heads.read(HEAD + b"Content-Length: 1\r\n\r\n1")
    assert found is not None
    found.headers[b"host"] = b"changed"

    assert heads.read(WHOLE) == read(WHOLE, LINES)
    assert heads._known.body == b""


def test_a_header_that_may_come_once_and_came_twice_is_told():
    found = read(HEAD + b"Host: elsewhere\r\nContent-Length: 2\r\n\r\n{}", LINES)

    assert found is not None
    assert (found.ambiguous, found.headers[b"host"]) == (b"host", b"localhost")


class Wire(asyncio.Transport):
    """What was written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes] = []
        self.is_over = self.is_paused = self.has_ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said.append(bytes(data))

    def close(self) -> None:
        self.is_over = True

    abort = close

    def write_eof(self) -> None:
        self.has_ended = True

    def is_closing(self) -> bool:
        return self.is_over

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class App:
    """Reads the body and does what it is told with the exchange."""

    def __init__(self, then: Callable[[DirectExchange, bytes], Awaitable[None]], limit: int = 1_000_000) -> None:
        self.lines, self._then, self._limit = LINES, then, limit
        self.bodies: list[bytes | PointsmanError] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.bodies.append(b"by the parser")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def serve(self, exchange: DirectExchange) -> None:
        try:
            body = await exchange.body(self._limit)
        except (ClientGone, BodyTooLarge) as error:
            self.bodies.append(error)
            return
        self.bodies.append(body)
        await self._then(exchange, body)


async def fine(exchange: DirectExchange, body: bytes) -> None:
    await exchange.answer(200, b"yes", [(b"x", b"y")], b"z: 1\r\n")


Story = Callable[[Connection, Wire], Awaitable[None]]


def dialogue(app: App, *segments: bytes, then: Story | None = None) -> Wire:
    async def turns() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def story() -> Wire:
        config = uvicorn.Config(app, http=Connection, ws="none", lifespan="off", log_config=None, access_log=False,
                                interface="asgi3", proxy_headers=False)
        subject, wire = Connection(config=config, server_state=ServerState(), app_state={}), Wire()
        subject.connection_made(wire)
        for segment in segments:
            subject.data_received(segment)
            await turns()
        if then is not None:
            await then(subject, wire)
            await turns()
        subject.connection_lost(ConnectionResetError())
        await turns()
        assert not subject.tasks
        return wire

    return asyncio.run(story())


def test_an_answer_goes_out_in_one_piece_and_the_connection_stays():
    wire = dialogue(App(fine), WHOLE, WHOLE)

    assert wire.said == [b"HTTP/1.1 200 OK\r\nx: y\r\nz: 1\r\ncontent-length: 3\r\n\r\nyes"] * 2
    assert not wire.is_over


def test_one_task_answers_all_plain_requests_of_a_connection_and_ends_with_it():
    tasks = []

    async def told(exchange: DirectExchange, body: bytes) -> None:
        tasks.append(asyncio.current_task())
        assert exchange.task is tasks[-1]
        await fine(exchange, body)

    async def idle(subject: Connection, wire: Wire) -> None:
        assert not subject.tasks
        assert not tasks[0].done()

    wire = dialogue(App(told), WHOLE, WHOLE, WHOLE, then=idle)

    assert len(wire.said) == 3
    assert len(set(tasks)) == 1
    assert tasks[0].done()
    assert not tasks[0].cancelled()


def test_a_request_that_comes_while_the_last_one_is_tidied_up_is_not_kept_waiting():
    async def lingering(exchange: DirectExchange, body: bytes) -> None:
        await fine(exchange, body)
        await asyncio.Event().wait()

    async def over(subject: Connection, wire: Wire) -> None:
        assert len(subject.tasks) == 2
        for task in tuple(subject.tasks):
            task.cancel()

    wire = dialogue(App(lingering), WHOLE, WHOLE, then=over)

    assert len(wire.said) == 2


def test_a_body_that_comes_in_pieces_is_put_together():
    app = App(fine)
    wire = dialogue(app, HEAD + b"Content-Length: 6\r\n\r\n", b"ab", b"cd", b"ef", WHOLE)

    assert app.bodies == [b"abcdef", b"{}"]
    assert len(wire.said) == 2


def test_what_follows_a_body_is_the_next_request():
    app = App(fine)
    dialogue(app, HEAD + b"Content-Length: 2\r\n\r\n{", b"}" + b"GET /y HTTP/1.1\r\nHost: localhost\r\n\r\n", WHOLE)

    assert app.bodies == [b"{}", b"by the parser", b"{}"]


def test_the_parser_and_the_short_way_take_turns_on_one_connection():
    app = App(fine)
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    wire = dialogue(app, WHOLE, chunked, WHOLE, HEAD + b"Content-Le", b"ngth: 2\r\n\r\n{}", WHOLE)

    assert app.bodies == [b"{}", b"by the parser", b"{}", b"by the parser", b"{}"]
    assert not wire.is_over


def test_a_stream_is_chunked_and_ends():
    async def stream(exchange: DirectExchange, body: bytes) -> None:
        await exchange.start(200, [(b"x", b"y")])
        await exchange.write(b"data: 1\n\n")
        await exchange.finish(b"data: [DONE]\n\n")

    wire = dialogue(App(stream), WHOLE)

    assert b"".join(wire.said) == (b"HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n"
                                   b"9\r\ndata: 1\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def test_a_client_that_leaves_cancels_what_is_attended():
    ended: list[str] = []

    async def wait(exchange: DirectExchange, body: bytes) -> None:
        async def work() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                ended.append("gone" if exchange.is_gone else "stopped")
                raise

        await exchange.attended(work())
        ended.append("over")

    assert dialogue(App(wait), WHOLE).said == []
    assert ended == ["gone", "over"]


def test_a_client_that_leaves_before_its_body_is_complete_is_noticed():
    app = App(fine)
    dialogue(app, HEAD + b"Content-Length: 6\r\n\r\nab")

    assert [type(body) for body in app.bodies] == [ClientGone]


def test_a_body_that_is_too_large_is_not_waited_for_and_ends_the_connection():
    app = App(fine, limit=5)
    wire = dialogue(app, HEAD + b"Content-Length: 6\r\n\r\nab")

    assert [type(body) for body in app.bodies] == [BodyTooLarge]
    assert wire.is_over


@pytest.mark.parametrize(("linger_s", "is_over"), [(3600.0, False), (0.0, True)], ids=["before", "after"])
def test_an_answer_before_the_body_is_there_is_the_connections_last(monkeypatch, linger_s, is_over):
    """Closed at once the kernel would reset the connection, and the client might never read why."""
    async def refused(exchange: DirectExchange) -> None:
        await exchange.answer(401, b"", [(b"connection", b"close")])

    monkeypatch.setattr(connection, "LINGER_S", linger_s)
    app = App(fine)
    app.serve = refused  # type: ignore[method-assign]
    wire = dialogue(app, HEAD + b"Content-Length: 6\r\n\r\nab", b"cdef" + WHOLE)

    assert [said.count(b"connection: close") for said in wire.said] == [1]
    assert wire.has_ended
    assert wire.is_over is is_over


def test_a_reader_that_is_slow_holds_back_who_writes():
    written: list[bytes] = []

    async def stream(exchange: DirectExchange, body: bytes) -> None:
        await exchange.start(200, [])
        for part in (b"1", b"2"):
            await exchange.write(part)
            written.append(part)

    async def slow(subject: Connection, wire: Wire) -> None:
        subject.pause_writing()
        subject.data_received(WHOLE)
        for _ in range(5):
            await asyncio.sleep(0)
        assert written == []
        subject.resume_writing()

    dialogue(App(stream), then=slow)

    assert written == [b"1", b"2"]


def test_a_large_body_that_nobody_reads_yet_is_not_taken_in():
    async def held(subject: Connection, wire: Wire) -> None:
        subject.data_received(HEAD + b"Content-Length: 1000000\r\n\r\n")
        subject.data_received(b"a" * 100_000)
        assert wire.is_paused

    dialogue(App(fine), then=held)


@pytest.mark.parametrize("header", [(b"x", b"a\r\nb: c"), (b"x", b"a\nb"), (b"x\r", b"a"), (b"x", b"\0")])
def test_a_header_cannot_bring_another_one(header):
    async def sly(exchange: DirectExchange, body: bytes) -> None:
        with pytest.raises(RuntimeError):
            await exchange.answer(200, b"", [header])

    wire = dialogue(App(sly), WHOLE)

    assert wire.said == []


def test_an_idle_connection_is_closed_by_one_timer_for_all_its_answers():
    async def idle(subject: Connection, wire: Wire) -> None:
        timer = subject.timeout_keep_alive_task
        assert timer is not None
        subject.data_received(WHOLE)
        for _ in range(5):
            await asyncio.sleep(0)
        assert subject.timeout_keep_alive_task is timer
        subject.timeout_keep_alive_handler()
        assert not wire.is_over  # not idle for long enough: it looks again
        again = subject.timeout_keep_alive_task
        assert again is not None
        subject.timeout_keep_alive = 0
        subject.timeout_keep_alive_handler()
        again.cancel()

    assert dialogue(App(fine), WHOLE, then=idle).is_over
