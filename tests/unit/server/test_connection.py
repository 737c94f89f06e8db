"""One connection with a transport that only remembers: heads that are too much, too late or no heads, and trailers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from pointsman.server import connection
from pointsman.server.connection import Connection
from pointsman.server.direct import MAX_HEAD_BYTES

HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"


class Wire(asyncio.Transport):
    """What was written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.said, self.is_over = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True

    def is_closing(self) -> bool:
        return self.is_over

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def dialogue(*segments: bytes, app: Any = None, then: Callable[[Connection, Wire], Awaitable[None]] | None = None) -> tuple[Wire, list[Any]]:
    """Feeds segments to a fresh connection; returns its wire and the scopes that the application got."""
    scopes: list[Any] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def story() -> Wire:
        config = uvicorn.Config(app or answer, http=Connection, ws="none", lifespan="off", log_config=None, access_log=False)
        subject, wire = Connection(config=config, server_state=ServerState(), app_state={}), Wire()
        subject.connection_made(wire)
        for segment in segments:
            subject.data_received(segment)
        for _ in range(5):
            await asyncio.sleep(0)
        if then is not None:
            await then(subject, wire)
        subject.connection_lost(ConnectionResetError())
        return wire

    return asyncio.run(story()), scopes


def test_a_right_request_is_answered_and_the_connection_stays() -> None:
    wire, scopes = dialogue(HEAD + b"\r\n")

    assert wire.said.startswith(b"HTTP/1.1 200 ")
    assert (wire.is_over, len(scopes)) == (False, 1)


def test_bytes_that_are_no_request_get_an_error_as_openai_writes_it() -> None:
    wire, scopes = dialogue(b"\x16\x03\x01 hello\r\n\r\n")

    assert wire.said.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"malformed_http"' in wire.said
    assert (wire.is_over, scopes) == (True, [])


@pytest.mark.parametrize("endless", [b"X: " + b"a" * 10_000, b"X: y\r\n" * 2000], ids=["one header", "many headers"])
def test_a_head_without_end_is_refused_once_it_is_too_large(endless: bytes) -> None:
    wire, scopes = dialogue(HEAD, *[endless] * (MAX_HEAD_BYTES // len(endless) + 1), endless)

    assert wire.said.startswith(b"HTTP/1.1 431 ")
    assert wire.said.count(b"HTTP/1.1") == 1
    assert (wire.is_over, scopes) == (True, [])


@pytest.mark.parametrize("line", [HEAD, b"GET /" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n"], ids=["headers", "url"])
def test_a_head_that_is_too_large_is_refused_also_when_it_comes_at_once(line: bytes) -> None:
    wire, scopes = dialogue(line + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\nContent-Length: 2\r\n\r\n{}")

    assert wire.said.startswith(b"HTTP/1.1 431 ")
    assert wire.said.count(b"HTTP/1.1") == 1
    assert (wire.is_over, scopes) == (True, [])


def test_a_stream_to_a_client_of_http_1_0_has_no_chunks_and_ends_with_the_connection() -> None:
    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    old, _ = dialogue(b"GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n", app=stream)
    new, _ = dialogue(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", app=stream)

    assert b"chunked" not in old.said
    assert old.said.endswith(b"\r\n\r\nonetwo")
    assert old.is_over
    assert new.said.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_an_answer_with_a_length_keeps_it_for_a_client_of_http_1_0() -> None:
    wire, _ = dialogue(b"GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n")

    assert b"content-length: 0" in wire.said
    assert wire.is_over


def test_a_large_body_is_no_large_head() -> None:
    wire, _ = dialogue(HEAD + b"Content-Length: 1000000\r\n\r\n", *[b"a" * 100_000] * 10)

    assert wire.said.startswith(b"HTTP/1.1 200 ")
    assert not wire.is_over


def test_an_endless_trailer_is_refused() -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.get_running_loop().create_future()

    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: "
    wire, _ = dialogue(chunked, *[b"a" * 10_000] * 8, app=never)

    assert wire.said.startswith(b"HTTP/1.1 431 ")
    assert wire.is_over


def test_trailers_do_not_become_headers() -> None:
    wire, scopes = dialogue(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Api-Key: late\r\n\r\n")

    assert wire.said.startswith(b"HTTP/1.1 200 ")
    assert b"x-api-key" not in dict(scopes[0]["headers"])


def test_a_head_that_does_not_come_to_its_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.0)
    slow, _ = dialogue(HEAD, then=lambda *_: asyncio.sleep(0.01))
    silent, _ = dialogue(then=lambda *_: asyncio.sleep(0.01))

    assert slow.said.startswith(b"HTTP/1.1 408 ")
    assert (silent.said, silent.is_over) == (b"", True)


@pytest.mark.parametrize("has_begun", [True, False])
def test_garbage_behind_a_request_does_not_get_into_its_answer_nor_is_it_taken_for_it(has_begun: bool) -> None:
    goes_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if not has_begun:
            await goes_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await goes_on.wait()
        await send({"type": "http.response.body", "body": b"whole"})

    async def garbage(subject: Connection, wire: Wire) -> None:
        subject.data_received(b"\x00 garbage\r\n\r\n")
        assert not wire.is_over
        goes_on.set()
        for _ in range(5):
            await asyncio.sleep(0)

    wire, _ = dialogue(HEAD + b"\r\n", app=slow, then=garbage)

    assert wire.said.startswith(b"HTTP/1.1 200 ")
    assert wire.said.count(b"HTTP/1.1") == 1
    assert wire.said.endswith(b"whole")
    assert wire.is_over


def test_a_client_that_leaves_is_noticed_by_the_first_of_its_pipelined_requests() -> None:
    noticed = []

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        noticed.append((await receive())["type"])

    async def leave(subject: Connection, wire: Wire) -> None:
        subject.connection_lost(ConnectionResetError())
        for _ in range(5):
            await asyncio.sleep(0)

    dialogue((HEAD + b"\r\n") * 3, app=wait, then=leave)

    assert noticed == ["http.disconnect"]


def test_no_timer_outlives_a_connection_that_was_reset() -> None:
    async def reset(subject: Connection, wire: Wire) -> None:
        assert subject.timeout_keep_alive_task is not None
        subject.connection_lost(ConnectionResetError())
        assert subject.timeout_keep_alive_task is None
        assert subject._head_timer is None

    dialogue(HEAD + b"\r\n", then=reset)


def test_a_response_that_is_broken_off_on_purpose_is_no_mistake_to_log(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks_off(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        scope["abort"]()

    wire, _ = dialogue(HEAD + b"\r\n", app=breaks_off)

    assert wire.is_over
    assert not caplog.records
