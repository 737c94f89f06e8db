"""A small HTTP/1.1 server whose every byte the caller decides: the ground under the fakes.

Why not a web framework? A bad day is a matter of bytes: a cut in the middle of a chunk, a reset, headers one byte
a second. A framework exists to make that impossible. What is left of HTTP here is reading requests (httptools)
and telling who closed a connection, and when.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import httptools

logger = logging.getLogger("pointsman.testing")

Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True, eq=False)
class Seen:
    """One request as it arrived. `at` and `closed_at` are monotonic seconds of the server's event loop."""

    method: str
    path: str
    """The request target, query included."""
    headers: list[tuple[str, str]]
    """In order of arrival, names as sent."""
    body: bytes
    at: float
    connection: int
    """Number of the connection, from 1: two requests with one number came over the same socket."""
    answered_at: float | None = None
    """When its handler was through: the reply (or what the script has of it) is with the socket. None = not (yet)."""
    closed_at: float | None = None
    """When the request's connection was gone; None = it is still open."""
    closed_by: Literal["", "client", "server"] = ""

    def header(self, name: str) -> str | None:
        """First value of a header, ignoring case."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


Handler = Callable[[Seen, "Connection"], Coroutine[Any, Any, None]]
Greeting = Callable[["Connection"], Coroutine[Any, Any, None] | None]


class Connection(asyncio.Protocol):
    """One accepted socket. Requests are handled one after the other; a client that leaves cancels the handler."""

    def __init__(self, server: WireServer) -> None:
        self.server = server
        self.number = 0
        self.is_lost = False
        self.closed_by: Literal["", "client", "server"] = ""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._target, self._body = b"", bytearray()
        self._headers: list[tuple[str, str]] = []
        # Requests read but not yet handled; the one being handled is `_seen`.
        self._queue: list[Seen] = []
        self._seen: Seen | None = None
        self._remembered: list[Seen] = []
        self._task: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._hangup_watch: Any = None

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream transport, as create_server makes
        self.number = self.server.opened(self)
        greeting = self.server.greet(self) if self.server.greet is not None else None
        if greeting is not None:
            self._start(greeting)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.reply(400, b"not HTTP", content_type="text/plain")
            self.close()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.closed_by = self.closed_by or "client"
        self._may_write.set()
        self._unwatch()
        if self._task is not None:
            self._task.cancel()
        now = asyncio.get_running_loop().time()
        for seen in self._remembered:
            seen.closed_at, seen.closed_by = now, self.closed_by
        self.server.lost(self)

    # -- httptools' side

    def on_message_begin(self) -> None:
        self._target, self._headers = b"", []
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))
        if name.lower() == b"expect":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        seen = Seen(
            self._parser.get_method().decode("latin-1"), self._target.decode("latin-1"), self._headers,
            bytes(self._body), asyncio.get_running_loop().time(), self.number,
        )
        if self.server.remembers:
            self._remembered.append(seen)
        self._queue.append(seen)
        if self._task is None:
            self._next()

    def _next(self) -> None:
        self._task = None
        if self._queue and not self.is_lost:
            self._seen = self._queue.pop(0)
            self._start(self.server.handler(self._seen, self))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the handler of a simulated server failed", exc_info=error)
            self.server.errors.append(error)
            self.reset()
        elif not task.cancelled() and self._seen is not None and not self.is_lost:
            self._seen.answered_at = asyncio.get_running_loop().time()
            self._seen = None
        self.server.changed()
        self._next()

    # -- the handler's side

    def write(self, data: bytes) -> None:
        """Hands bytes to the kernel; silently nothing once the connection is lost."""
        if self._transport is not None and not self.is_lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Waits until the client has taken enough of what was written."""
        await self._may_write.wait()

    def reply(self, status: int, body: bytes, *, content_type: str = "application/json", headers: Headers = ()) -> None:
        """A complete reply with a Content-Length."""
        self.write(head(status, (("content-type", content_type), ("content-length", str(len(body))), *headers)) + body)

    def close(self) -> None:
        """An orderly end (FIN), after what was written has gone out."""
        if self._transport is not None and not self.is_lost:
            self.closed_by = self.closed_by or "server"
            self._transport.close()

    def reset(self) -> None:
        """A hard end (RST): what is still in flight is lost."""
        if self._transport is None or self.is_lost:
            return
        self.closed_by = self.closed_by or "server"
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            # Linger zero is what turns the close into a reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def stop_reading(self) -> None:
        """Leaves what the client sends in the kernel; its hang-up is still noticed (where epoll exists)."""
        if self._transport is None or self.is_lost:
            return
        self._transport.pause_reading()
        if hasattr(select, "epoll") and self._hangup_watch is None:
            sock = self._transport.get_extra_info("socket")
            watch = select.epoll()
            watch.register(sock.fileno(), select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR)
            self._hangup_watch = watch
            asyncio.get_running_loop().add_reader(watch.fileno(), self._hung_up)

    def _hung_up(self) -> None:
        self._unwatch()
        self.closed_by = self.closed_by or "client"
        if self._transport is not None:
            self._transport.abort()

    def _unwatch(self) -> None:
        if self._hangup_watch is not None:
            asyncio.get_running_loop().remove_reader(self._hangup_watch.fileno())
            self._hangup_watch.close()
            self._hangup_watch = None


class WireServer:
    """Listens on a loopback port and gives each request to `handler(seen, connection)`.

    `greet(connection)` may return a coroutine that takes a fresh connection over before anything is read. `remembers` False:
    requests are not told when their connection closed, and so do not live as long as it does.
    """

    def __init__(self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0, greet: Greeting | None = None,
                 remembers: bool = True) -> None:
        self.handler, self.greet, self.remembers = handler, greet, remembers
        self.host, self.port = host, port
        self.connections: set[Connection] = set()
        self.errors: list[BaseException] = []
        """What handlers raised: an error of the script, never of the client."""
        self.opened_total = 0
        self._server: asyncio.Server | None = None
        # Holds the port while nobody listens, so that a connect is refused and nobody else takes it.
        self._placeholder: socket.socket | None = None
        self._waiters: list[asyncio.Future[None]] = []

    async def reserve(self) -> None:
        """Takes the port without listening: connecting is refused."""
        if self._placeholder is None and self._server is None:
            self._placeholder = self._bind()

    async def listen(self) -> None:
        """Accepts connections; the port stays the same over `stop_listening` and `listen`. OSError: it is taken."""
        if self._server is None:
            sock, self._placeholder = self._placeholder or self._bind(), None
            try:
                self._server = await asyncio.get_running_loop().create_server(
                    lambda: Connection(self), sock=sock, backlog=1024)
            except BaseException:
                sock.close()
                raise

    async def stop_listening(self, *, drop: bool = True) -> None:
        """From here on connections are refused; `drop` also closes the open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._placeholder = self._bind()
        if drop:
            await self.drop_connections()

    async def drop_connections(self) -> None:
        """Closes every open connection and waits until they are gone."""
        for connection in tuple(self.connections):
            connection.reset()
        await self.wait_for(lambda: not self.connections)

    async def aclose(self) -> None:
        await self.stop_listening()
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None

    async def wait_for(self, holds: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Returns once `holds()`; asked again on every request, reply and close. TimeoutError after `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
                await waiter

    def changed(self) -> None:
        """Something happened that a waiter may have waited for."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def opened(self, connection: Connection) -> int:
        self.connections.add(connection)
        self.opened_total += 1
        self.changed()
        return self.opened_total

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.changed()

    def _bind(self) -> socket.socket:
        # The protocol is named so that asyncio sets TCP_NODELAY; else an event waits 40 ms for the ACK of the last.
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, self.port))
        except BaseException:
            sock.close()
            raise
        self.port = int(sock.getsockname()[1])
        return sock


def head(status: int, headers: Headers = ()) -> bytes:
    """Status line and headers of a reply, up to and including the empty line."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body; an empty one is the end of it."""
    return b"%x\r\n%b\r\n" % (len(data), data)
