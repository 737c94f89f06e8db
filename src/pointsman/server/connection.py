"""One client connection: uvicorn's HTTP/1.1 protocol with the limits it leaves out.

Why not leave heads to the parser? httptools collects a header, however long, until memory ends, waits for the rest for
ever, and reports trailers as headers: a key sent after the body would be as good as one sent before it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from weakref import ReferenceType, ref

from uvicorn._types import ASGI3Application, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pointsman.errors import HeadTimeout, HeadTooLarge, MalformedHttp, RequestError
from pointsman.server.direct import MAX_HEAD_BYTES, DirectExchange, HeadReader, Plain
from pointsman.server.problems import body_of

_log = logging.getLogger(__name__)

LINGER_S = 2.0
"""After a refusal, how long the rest of a body is read and thrown away. Closed at once the kernel would reset the connection, and many
a client that is still sending would never see why. As long as a body of 32 MiB takes at 16 MiB/s; nginx waits 5 s."""
HEAD_TIMEOUT_S = 30.0
"""From the first byte of a head to its last, and on a new connection to the first. As long as a body may pause."""
_LARGE_HEAD = f"the request's head is larger than {MAX_HEAD_BYTES} bytes"

_UPGRADE = re.compile(rb"(?i)\r\nupgrade(?=[ \t]*:[ \t]*h2c[ \t]*\r\n)")
"""An offer to speak HTTP/2, as Java's client makes with every first request. httptools would take it for a promise and
never read the body; refusing it is our right (RFC 9110 §7.8), so the parser is shown another name."""


def _without_upgrade(_: re.Match[bytes]) -> bytes:
    return b"\r\nx-offer"


class Connection(HttpToolsProtocol):
    """What `Listener` makes of every accepted socket."""

    _is_body = False
    """Only set between a head and the end of its message: headers that come then are trailers."""
    _unread = 0
    """Bytes received since the parser last finished a head, a piece of body or a message."""
    _head_timer: asyncio.TimerHandle | None = None
    _is_refused = False
    _running: RequestResponseCycle | DirectExchange | None = None
    """The exchange under way, or the last one. `self.cycle` is the latest that has begun, which may wait behind it."""
    _direct: DirectExchange | None = None
    """Only set while the rest of a plain request's body is awaited: it is no business of the parser's."""
    _worker: asyncio.Task[None] | None = None
    """The task that answers plain requests, or the last one that did."""
    _next: asyncio.Future[DirectExchange | None] | None = None
    """Only set while the worker waits for another request."""
    _idle_since = 0.0
    """When the last answer was complete."""
    _is_upgraded = False
    """An upgrade was asked for: what the parser makes of the bytes behind it is for the parser alone."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        lines: Mapping[bytes, str] = getattr(self.app, "lines", {})
        # None: this application has nothing that may be read without the parser.
        self._heads = HeadReader(lines) if lines else None
        self._serves: Callable[[DirectExchange], Coroutine[Any, Any, None]] = getattr(self.app, "serve", self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        if self.timeout_keep_alive_task is not None:  # it would hold all this for 75 s
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        if self._next is not None:
            self._next.set_result(None)
            self._next = None
        running, self._direct = self._running, None
        if isinstance(running, DirectExchange):
            if not running.response_complete:
                running.leave()
            latest: Any = self.cycle
            nobody: Any = None
            self.cycle = nobody if latest is running else latest
        elif running is not None and not running.response_complete:
            running.disconnected = True  # uvicorn tells only the latest of pipelined requests
            running.message_event.set()
        super().connection_lost(exc)
        self._let_go()

    def _let_go(self) -> None:
        """Who waits for the end of an exchange holds it himself. Held from here too, it and this would have to wait for the collector."""
        nothing: Any = None
        self.cycle = self.scope = self._running = nothing
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._direct is not None:
            data = self._feed(self._direct, data)
        elif self._heads is not None and (request := self._plain(data, self._heads)) is not None:
            self._serve(request)
            return
        if not data:
            return
        self._unread += len(data)
        if b"h2c" in data and not self._is_body:
            data = _UPGRADE.sub(_without_upgrade, data)
        super().data_received(data)
        if self._unread > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge(_LARGE_HEAD))
        elif self._unread and self._head_timer is None and not self._is_body:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    # -- keep-alive

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn asks for it with every segment. The timer stays: it looks for itself whether the connection was idle."""

    def on_response_complete(self) -> None:
        """As uvicorn's, but for the timer: one in 75 s instead of one per request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._idle_since = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self.cycle is not None and not self.cycle.response_complete:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0.01 or self._unread or self._is_body:
            self.timeout_keep_alive_task = self.loop.call_later(max(left, 1.0), self.timeout_keep_alive_handler)
        elif not self.transport.is_closing():
            self.transport.close()

    # -- plain requests

    def _plain(self, data: bytes, heads: HeadReader) -> Plain | None:
        """A plain request at the beginning of `data`, when nothing else is under way."""
        if self._unread or self._is_body or self._is_upgraded or not (self.cycle is None or self.cycle.response_complete):
            return None
        return heads.read(data)

    def _serve(self, request: Plain) -> None:
        if self._head_timer is not None:
            self._stop_head_timer()
        exchange = DirectExchange(self, request)
        if len(request.body) < request.length:
            self._direct = exchange
        cycle: Any = exchange
        self._running = self.cycle = cycle
        if self._next is not None:
            task = self._worker
            self._next.set_result(exchange)
            self._next = None
        else:
            task = self._worker = self.loop.create_task(self._work(exchange))
        exchange.task = task
        if task is not None:
            self.tasks.add(task)

    def _feed(self, exchange: DirectExchange, data: bytes) -> bytes:
        rest = exchange.feed(data)
        if exchange.is_whole:
            self._direct = None
        return rest

    async def _work(self, exchange: DirectExchange | None) -> None:
        """Answers one plain request after the other. Why one task for all of them? Making one costs a request more than
        waking one that waits."""
        worker = self._worker
        while exchange is not None:
            try:
                await self._run(exchange)
            finally:
                if worker is not None:
                    self.tasks.discard(worker)
            if self._running is not exchange or self._next is not None or self.transport.is_closing():
                return
            self._next = following = self.loop.create_future()
            try:
                exchange = await following
            finally:
                if self._next is following:
                    self._next = None

    async def _run(self, exchange: DirectExchange) -> None:
        try:
            await self._serves(exchange)
        except Exception:  # noqa: BLE001  a bug, after the answer began: cut it
            _log.exception("an exchange ended without an answer")
        finally:
            if not exchange.response_complete:
                self.transport.close()

    # -- the parser's callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unread, self._is_body = 0, True
        if self._head_timer is not None:
            self._stop_head_timer()
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:  # it came at once
            self._refuse(HeadTooLarge(_LARGE_HEAD))
            return
        self._is_upgraded = self._is_upgraded or self.parser.should_upgrade()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread, self._is_body = 0, False
        if not self._is_refused:
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        if cycle.scope["http_version"] == "1.0":
            cycle.send = _unchunked(cycle)  # type: ignore[method-assign,assignment]
        cycle.scope["abort"] = partial(self._hang_up, ref(cycle))  # type: ignore[typeddict-unknown-key]
        super()._start_asgi_task(cycle, app)

    def _hang_up(self, known: ReferenceType[RequestResponseCycle]) -> None:
        """In the middle of a response, on purpose: uvicorn would log a response that is not complete as somebody's mistake."""
        if (cycle := known()) is not None:
            cycle.disconnected = True
        self.transport.abort()

    # -- refusals before there is a request

    def send_400_response(self, msg: str) -> None:
        self._refuse(MalformedHttp("these bytes are no HTTP/1.1 request; nothing of them was done"))

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._unread:
            self._refuse(HeadTimeout(f"the request's head did not arrive within {HEAD_TIMEOUT_S:g} s"))
        else:  # a new connection on which nothing was ever said
            self.transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Says why and hangs up. Where an answer is still owed to the request before, that is the last thing said: what came behind it
        must neither get into its middle nor be taken for it."""
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        self._stop_head_timer()
        running = self._running
        if running is not None and not running.response_complete and _is_whole(running):
            running.keep_alive = False
            return
        if running is None or running.response_complete or not running.response_started:
            self.transport.write(_response(error))
        self.transport.close()

    def linger(self) -> None:
        """Closes a connection on which the answer came before the end of the request."""
        if self.transport.is_closing():
            return
        self._is_refused = True
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _is_whole(running: RequestResponseCycle | DirectExchange) -> bool:
    """All of the request is here."""
    return running.is_whole if isinstance(running, DirectExchange) else not running.more_body


def _unchunked(cycle: RequestResponseCycle) -> Callable[[ASGISendEvent], Coroutine[Any, Any, None]]:
    """`cycle.send` for a client of HTTP/1.0, which knows no chunks: what has no length ends with the connection."""
    send, is_counted = cycle.send, True

    async def unchunked(message: ASGISendEvent) -> None:
        nonlocal is_counted
        if message["type"] == "http.response.start":
            is_counted = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            cycle.chunked_encoding = None if is_counted else False
        elif not is_counted and message["type"] == "http.response.body":
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    return unchunked


def _response(error: RequestError) -> bytes:
    body, status = body_of(error), HTTPStatus(error.status)
    head = (f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "x-should-retry: false\r\nconnection: close\r\n\r\n")
    return head.encode() + body
