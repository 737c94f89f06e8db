"""One HTTP/1.1 client connection: an asyncio protocol around httptools, one response at a time.

Why our own? A routed request has some 300 µs; a general client takes more than that alone, and the one that
is fast kept sockets open for seconds after a cancel. Here a wait is one future, a deadline one lazy timer, and
giving up is `transport.abort()`.

Why is there no waiting for a drained write buffer? The request is a handful of byte strings already in memory:
the transport keeps references to them, there is nothing to hold back. A peer that never reads runs into `until`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from typing import cast

import httptools

from pointsman.core.head import fields
from pointsman.errors import BadAnswer, ConnectionLost, UpstreamError
from pointsman.upstream.exchange import (
    LINGER_S,
    MAX_BODY_BYTES,
    MAX_ERROR_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEAD_FIELDS,
    OutOfTime,
)

MAX_INFORMATIONAL = 10
"""1xx responses skipped before the peer counts as broken."""
HIGH_WATER = 64 * 1024
"""Unread stream bytes at which reading pauses: the engine then feels the slow client."""
KEEPALIVE_S = 15
LATE_S = 0.1
"""A timer that rings this late tells of a process that stood still: too few processors, a suspended machine."""
GRACE_S = 0.05
"""What a wait whose time was up meanwhile gets on top, once: whatever had arrived by then is read within it."""
NO_LINGER = struct.pack("ii", 1, 0)
USER_TIMEOUT_MS = 20_000
"""A peer that vanished without a FIN is noticed after 20 s, also while nothing is being sent (keep-alive probes)."""


class Connection(asyncio.Protocol):
    """Satisfies `Exchange`. `idle` is called when it may carry another request, `gone` when its socket closed."""

    __slots__ = (
        "_chunks", "_ended", "_extra", "_failure", "_fields", "_framing", "_gone", "_grace_until", "_head_bytes", "_idle",
        "_informational", "_keep", "_late_until", "_left", "_limit", "_lingering", "_loop", "_name", "_parser", "_paused", "_size",
        "_skipping", "_timer", "_timer_at", "_transport", "_until", "_waiter", "_whole", "busy", "headers", "heard",
        "idle_since", "key", "status",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, key: tuple[str, int],
        idle: Callable[[Connection], None], gone: Callable[[Connection], None],
    ) -> None:
        self._loop, self.key, self._idle, self._gone = loop, key, idle, gone
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._until = 0.0
        # A limit that passed while the process stood still, and what it became.
        self._late_until = self._grace_until = -1.0
        self._waiter: asyncio.Future[None] | None = None
        self.idle_since = 0.0
        self._chunks: list[bytes] = []
        self.busy = self._paused = self._lingering = False
        self._reset("", False)

    def _reset(self, name: str, whole: bool) -> None:
        self._name, self._whole = name, whole
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.heard = False
        self._failure: UpstreamError | None = None
        self._chunks.clear()
        self._size = self._fields = self._head_bytes = self._framing = self._informational = 0
        self._left = -1  # bytes that are missing of a plain answer's body; -1: the parser reads
        self._limit = MAX_ERROR_BYTES
        self._ended = self._extra = self._skipping = self._keep = False

    # ------------------------------------------------------------------------------------- the caller's side

    def request(self, name: str, pieces: Sequence[bytes], *, whole: bool) -> None:
        """Writes a request; `name` is the endpoint's, for messages. Only on a connection that is not busy."""
        self._reset(name, whole)
        self.busy = True
        if self._transport is not None:
            self._transport.writelines(pieces)

    async def answered(self, until: float) -> None:
        """Returns when the head (whole: the body too, or more than its limit) is here."""
        while not (self._ended or (self.status and not self._whole) or self._size > self._limit or self._refusing):
            if self._failure is not None:
                raise self._failure
            waiter = self._waiter = self._loop.create_future()
            self._arm(until)
            try:
                await waiter
            finally:
                self._waiter = None

    async def rest(self, limit: int, until: float) -> tuple[bytes, bool]:
        self._whole, self._limit = True, limit
        self._resume()
        while not (self._ended or self._size > limit or self._refusing):
            await self._wait(until)
        body = self._take()
        return (body, self._ended) if len(body) <= limit else (body[:limit], False)

    async def read(self, until: float) -> bytes:
        while not self._chunks:
            if self._ended:
                return b""
            self._resume()
            # As in `_wait`, without a coroutine of its own: every open stream waits here.
            if self._failure is not None:
                raise self._failure
            waiter = self._waiter = self._loop.create_future()
            self._arm(until)
            try:
                await waiter
            finally:
                self._waiter = None
        return self._take()

    def finish(self) -> None:
        if not self.busy or self._lingering:
            return
        if self._failure is not None:
            self.close()
        elif self._ended:
            self._park()
        else:
            self._lingering = True
            self._arm(self._loop.time() + LINGER_S)
            self._resume()

    def abort(self) -> None:
        if self.busy and not self._lingering:  # after `finish` it is not the caller's any more
            self.close()

    def close(self) -> None:
        """The pool's end of it: whatever is under way, the socket is closed now."""
        is_unanswered = self.busy and not self._ended
        self.busy = self._lingering = False
        self._disarm()
        self._chunks.clear()
        if self._failure is None and not self._ended:
            self._failure = ConnectionLost(f"the connection to endpoint {self._name} was given up")
        self._wake()
        if self._transport is not None:
            if is_unanswered or self._transport.get_write_buffer_size():
                self._reset_when_closed()
            self._transport.abort()

    def _reset_when_closed(self) -> None:
        """A peer that has stopped reading would learn of a FIN only behind megabytes that it never takes: what our own
        buffer no longer holds may wait in the kernel's."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def _refusing(self) -> bool:
        """Cut off within an error's body: the status says enough."""
        return self._failure is not None and self.status >= 300

    def _take(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        return data

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _park(self) -> None:
        """After a complete response: back to the pool, or closed when anything about it is odd."""
        transport = self._transport
        self._lingering = False
        if (not self._keep or self._extra or transport is None or transport.is_closing()
                or transport.get_write_buffer_size()):
            self.close()
            return
        self.busy = False
        self._chunks.clear()
        self._resume()
        self.idle_since = self._loop.time()
        self._idle(self)

    # ------------------------------------------------------------------------------------- waiting

    async def _wait(self, until: float) -> None:
        if self._failure is not None:
            raise self._failure
        waiter = self._waiter = self._loop.create_future()
        self._arm(until)
        try:
            await waiter
        finally:
            self._waiter = None

    def _arm(self, until: float) -> None:
        # Lazy: a timer that fires early only re-arms itself, so that a deadline that moves on with every event
        # or request costs one timer per timeout and connection.
        if until == self._late_until:  # asked again after a piece that said nothing
            until = self._grace_until
            if until <= self._loop.time():
                self._waiter = None
                raise OutOfTime
        self._until = until
        if self._timer is None or until < self._timer_at:
            self._disarm()
            self._timer_at = min(until, self._loop.time() + 3600)
            self._timer = self._loop.call_at(self._timer_at, self._ring)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        waiting = self._waiter is not None and not self._waiter.done()
        if not waiting and not self._lingering:
            # Whoever was woken a moment ago may ask again by the same limit: in a busy process each ring might find a piece come before it.
            if self._loop.time() + 0.002 >= self._until != self._grace_until:
                self._be_late()
            return
        if self._loop.time() + 0.002 < self._until:  # uvloop's clock and timers count milliseconds
            self._arm(self._until)
        elif self._lingering:
            self.close()
        elif self._loop.time() - self._timer_at > LATE_S and self._until != self._grace_until:
            # We were late, not the peer: timers ring before sockets are read, and its answer may be waiting in ours. Late again
            # afterwards says nothing for it: sockets are read between two rings.
            self._be_late()
            self._arm(self._grace_until)
        elif self._waiter is not None:
            self._waiter.set_exception(OutOfTime())

    def _be_late(self) -> None:
        """The limit of this wait has passed: what it becomes for whoever asks by it again."""
        now = self._loop.time()
        self._late_until, self._grace_until = self._until, now + (GRACE_S if now - self._timer_at > LATE_S else 0.0)

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        if self._failure is None and not self._ended:
            self._failure = error
        if self._transport is not None:
            self._transport.abort()
        if self._lingering:
            self.close()
        self._wake()

    # ------------------------------------------------------------------------------------- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is None:
            return
        options = [(socket.IPPROTO_TCP, "TCP_NODELAY", 1), (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
                   (socket.IPPROTO_TCP, "TCP_KEEPIDLE", KEEPALIVE_S), (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
                   (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", USER_TIMEOUT_MS)]
        for level, option, value in options:
            number = getattr(socket, option, None)
            if number is not None:
                sock.setsockopt(level, number, value)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._parser = None  # the parser knows us: together they would wait for the collector
        until_close = b"content-length" not in self.headers and b"transfer-encoding" not in self.headers
        if self.busy and exc is None and self.status and not self._ended and until_close and not self._failure:
            self._ended = True  # neither length nor chunks: the end of the connection is the end of the body
            self._wake()
        elif self.busy:
            where = "in the middle of its answer" if self.heard else "before answering"
            self._fail(ConnectionLost(f"endpoint {self._name} closed the connection {where}"
                                      + (f": {exc}" if exc else ""), upstream_status=self.status or None))
        if not self.busy or self._lingering:
            self.close()
        self._disarm()
        self._gone(self)

    def data_received(self, data: bytes) -> None:
        if not self.busy:
            self.close()  # nobody asked: a late or forged response must not meet the next request
            return
        self.heard = True
        if self._failure is not None:
            return
        if self._left >= 0:
            self._more(data)
        elif self.status or self._framing or not self._plain(data):
            self._parse(data)
        if self._lingering:
            if self._ended:
                self._park()
        elif self._whole:
            if self._ended or self._size > self._limit:
                self._wake()
        else:
            if self._size > HIGH_WATER and not self._paused and self._transport is not None and not self._ended:
                self._paused = True
                self._transport.pause_reading()
            if self._chunks or self._ended or self.status:
                self._wake()

    def _plain(self, data: bytes) -> bool:
        """Reads the beginning of an answer that needs no parser: a 200 with a length, as most plain answers are."""
        if not data.startswith(b"HTTP/1.1 200 "):
            return False
        head, end, body = data.partition(b"\r\n\r\n")
        found = fields(head) if end and len(head) <= MAX_HEAD_BYTES else None
        if found is None or found[1] or len(found[0]) > MAX_HEAD_FIELDS:
            return False
        headers = found[0]
        if b"transfer-encoding" in headers or b"upgrade" in headers:
            return False
        length = headers.get(b"content-length", b"")
        is_kept = headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        if not is_kept or not length.isdigit() or len(length) > 15 or len(body) > int(length):
            return False
        self.status, self.headers, self._keep, self._limit = 200, headers, True, MAX_BODY_BYTES
        self._left = int(length)
        if body or not self._left:
            self._more(body)
        return True

    def _more(self, data: bytes) -> None:
        """More of a plain answer's body."""
        part = data if len(data) <= self._left else data[:self._left]
        self._extra = self._extra or len(part) < len(data)
        self._left -= len(part)
        if part and not self._ended:
            self.on_body(part)
        self._ended = self._ended or (not self._left and self._failure is None)

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if self._ended:
                self._extra = True
            else:
                self._flaw(f"broken HTTP: {exc}")
        if self._framing > MAX_HEAD_BYTES and not self._ended:
            self._flaw(f"more than {MAX_HEAD_BYTES} bytes of headers or chunk framing")

    def _flaw(self, what: str) -> None:
        self._fail(BadAnswer(f"endpoint {self._name} sent {what}", upstream_status=self.status or None))

    # ------------------------------------------------------------------------------------- httptools' side

    def on_message_begin(self) -> None:
        if self._ended:
            self._extra = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._ended or self.status:  # trailers say nothing we want
            self._head_bytes += len(name) + len(value)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._flaw("too many trailers")
            return
        self._fields += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._fields > MAX_HEAD_FIELDS or self._head_bytes > MAX_HEAD_BYTES:
            if self._failure is None:  # said once; the thousands behind it are in the same piece of data
                self._flaw(f"more than {MAX_HEAD_FIELDS} headers or {MAX_HEAD_BYTES} bytes of them")
        else:
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._ended or self._parser is None or self._failure is not None:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._informational += 1
            self._skipping = True
            self.headers.clear()
            if self._informational > MAX_INFORMATIONAL:
                self._flaw(f"more than {MAX_INFORMATIONAL} informational responses")
            return
        self.status = status
        self._skipping = False
        self._framing = 0
        self._keep = bool(self._parser.should_keep_alive())
        coding = self.headers.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":
            self._flaw(f"an unknown transfer coding {coding[:40].decode('latin-1')!r}")
        if 200 <= status < 300:
            self._limit = MAX_BODY_BYTES

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        if self._ended or self._lingering or self._failure is not None:
            return
        self._chunks.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        if self._skipping:
            self._skipping = False
        elif self.status and self._failure is None:
            self._ended = True
