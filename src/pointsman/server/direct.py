"""A plain request, which is nearly every one: read without a parser, answered straight onto its connection.

Why a second way in? At a hundred requests per second nothing is in a core's caches when one arrives, and an answer waits
for as much code and data as its request touches. A parser with a callback per header, an event, a message per step of
the response cost more than deciding (bench/throughput).

Why is that safe? Only what is plain is read here: a known request line, headers that are tokens with printable values,
one length. Anything else is not judged but left to the parser, which gets the same bytes from their beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import NamedTuple, Protocol

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from pointsman.core.head import fields
from pointsman.errors import BodyTimeout, ClientGone
from pointsman.server.exchange import BODY_TIMEOUT_S, BODY_WHOLE_S, ONCE, Exchange, Headers, empty, too_large

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together, and whatever else stands between two bytes of body. 64 KiB: twice what nginx takes."""
_SPECIAL = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
"""Headers that change what the bytes after the head are."""
_FRAMING = frozenset((b"content-length", b"connection"))
_CLOSE = (b"connection", b"close")
_LENGTH = b"\r\ncontent-length:"


class Plain(NamedTuple):
    """What `read` made of a head, and as much of the body as came with it."""

    path: str
    headers: dict[bytes, bytes]
    ambiguous: bytes
    length: int
    body: bytes


def read(data: bytes, lines: Mapping[bytes, str]) -> Plain | None:
    """One plain request, or None: let the parser look at it. `lines` has the known request lines with their paths."""
    head, end, body = data.partition(b"\r\n\r\n")
    path = lines.get(head[:head.find(b"\r\n")])
    if path is None or not end or len(head) > MAX_HEAD_BYTES or (found := fields(head)) is None:
        return None
    headers, again = found
    if not _SPECIAL.isdisjoint(headers) or headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or len(length) > 15 or len(body) > int(length):
        return None
    if not again:
        return Plain(path, headers, b"", int(length), body)
    if not _FRAMING.isdisjoint(again):
        return None
    return Plain(path, headers, next((name for name in again if name in ONCE), b""), int(length), body)


class HeadReader:
    """`read` for one connection: a client sends the same head with every request, but for the length of its body.

    Why only the last head? Heads hold keys: they are forgotten with the connection.
    """

    __slots__ = ("_known", "_lines", "_rest")

    def __init__(self, lines: Mapping[bytes, str]) -> None:
        self._lines = lines
        # The last plain head without its length, and what it was found to be.
        self._rest = b""
        self._known: Plain | None = None

    def read(self, data: bytes) -> Plain | None:
        """As the function of that name."""
        head, end, body = data.partition(b"\r\n\r\n")
        at = head.lower().find(_LENGTH)
        if at < 0 or not end:
            return read(data, self._lines)
        stop = head.find(b"\r\n", at + 2)
        rest = head[:at] + head[stop:] if stop > 0 else head[:at]
        known = self._known
        if known is None or rest != self._rest:
            found = read(data, self._lines)
            if found is not None:
                self._rest, self._known = rest, found._replace(body=b"")
            return found
        length = head[at + len(_LENGTH):stop if stop > 0 else None].strip(b" \t")
        if not length.isdigit() or len(length) > 15 or len(body) > int(length):
            return None
        return Plain(known.path, {**known.headers, b"content-length": length}, known.ambiguous, int(length), body)


class Server(Protocol):
    """The connection, as its exchange sees it."""

    transport: asyncio.Transport
    flow: FlowControl
    client: tuple[str, int] | None

    def on_response_complete(self) -> None: ...

    def linger(self) -> None: ...


class DirectExchange(Exchange):
    """An exchange without ASGI. To uvicorn, which keeps the connections, it is the cycle under way."""

    def __init__(self, server: Server, request: Plain) -> None:
        self.method, self.path, self.headers, self.ambiguous, self._length, body = "POST", *request
        self.is_started = self.is_gone = False
        self.response_complete = False
        self.keep_alive = True
        """False once the process stops: this answer is the connection's last."""
        self.task: asyncio.Task[None] | None = None
        self._server = server
        self._parts, self._size = [body], len(body)
        # Set while somebody waits for more of the body.
        self._waiter: asyncio.Future[None] | None = None
        self._is_attended = False

    # -- the connection's side -----------------------------------------------------------------------------

    @property
    def response_started(self) -> bool:
        return self.is_started

    @property
    def is_whole(self) -> bool:
        """The body is here."""
        return self._size == self._length

    def feed(self, data: bytes) -> bytes:
        """Takes more of the body; returns what is beyond it."""
        part = data[:self._length - self._size]
        self._parts.append(part)
        self._size += len(part)
        if self._waiter is None and self._size > HIGH_WATER_LIMIT and not self.is_whole:
            self._server.flow.pause_reading()
        self._wake()
        return data[len(part):]

    def leave(self) -> None:
        """The client has left."""
        self.is_gone = True
        if self._is_attended and self.task is not None:
            self.task.cancel()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- the handlers' side --------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        client = self._server.client
        return client[0] if client else ""

    async def body(self, limit: int) -> bytes:
        if self.headers.get(b"content-type") != b"application/json" or b"content-encoding" in self.headers:
            self._check_media_type()
        if self._length > limit:
            raise too_large(limit)
        if self._size < self._length:
            await self._rest_of_it()
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        if not self._length:
            raise empty()
        return self._parts[0]

    async def _rest_of_it(self) -> None:
        try:
            async with asyncio.timeout(BODY_WHOLE_S):
                while self._size < self._length:
                    await self._more()
        except TimeoutError as exc:
            raise BodyTimeout(f"the body was not complete within {BODY_WHOLE_S:g} s") from exc

    async def _more(self) -> None:
        if self.is_gone:
            raise ClientGone
        self._waiter = asyncio.get_running_loop().create_future()
        self._server.flow.resume_reading()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                await self._waiter
        except TimeoutError as exc:
            raise BodyTimeout(f"nothing of the body arrived for {BODY_TIMEOUT_S:g} s") from exc
        finally:
            self._waiter = None

    def abort(self) -> None:
        self._server.transport.abort()

    async def start(self, status: int, headers: Headers, lines: bytes = b"") -> None:
        if self._server.flow.write_paused:
            await self._drained()
        self.is_started = True
        if not self.is_gone:
            self._server.transport.write(self._head(status, headers, lines) + b"transfer-encoding: chunked\r\n\r\n")

    async def write(self, data: bytes) -> None:
        if self._server.flow.write_paused:
            await self._drained()
        if data and not self.is_gone:
            self._server.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self, data: bytes = b"") -> None:
        if self._server.flow.write_paused:
            await self._drained()
        end = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        self._complete(end)

    async def answer(self, status: int, body: bytes, headers: Headers, lines: bytes = b"") -> None:
        if self._server.flow.write_paused:
            await self._drained()
        self.is_started = True
        self._complete(b"%bcontent-length: %d\r\n\r\n%b" % (self._head(status, headers, lines), len(body), body))

    async def attended(self, work: Awaitable[None]) -> None:
        """As for any exchange; the connection itself tells when the client leaves, so nobody has to watch for it."""
        self._is_attended = True
        try:
            if self.is_gone:
                self.leave()
            await work
        except asyncio.CancelledError:
            if not self.is_gone or self.task is None:
                raise
            self.task.uncancel()
        finally:
            self._is_attended = False

    async def _drained(self) -> None:
        if not self.is_gone:
            await self._server.flow.drain()

    def _head(self, status: int, headers: Headers, lines: bytes) -> bytes:
        if (not self.keep_alive or not self.is_whole) and _CLOSE not in headers:
            headers = [*headers, _CLOSE]
        head = b"".join([b"%b: %b\r\n" % header for header in headers])
        if head.count(b"\n") != len(headers) or head.count(b"\r") != len(headers) or b"\0" in head:
            raise RuntimeError("a header with an end of line in it")
        if _CLOSE in headers:
            self.keep_alive = False
        return STATUS_LINE[status] + head + lines

    def _complete(self, data: bytes) -> None:
        if self.is_gone or self.response_complete:
            return
        self.response_complete = True
        self._server.transport.write(data)
        if not self.is_whole:
            self._server.linger()
        elif not self.keep_alive:
            self._server.transport.close()
        self._server.on_response_complete()
