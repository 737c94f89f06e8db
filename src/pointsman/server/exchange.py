"""One HTTP exchange over ASGI: read the request, write the answer, notice when the client leaves."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pointsman.errors import BodyTimeout, BodyTooLarge, ClientGone, MalformedBody, UnsupportedMediaType

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
BODY_TIMEOUT_S = 30.0
"""Longest pause between two parts of a body."""
BODY_WHOLE_S = 300.0
"""From the end of the head to the end of the body: 32 MiB over a line of 1 Mbit/s. Without it a client that sends a byte every
29 s would hold a connection for ever."""
WATCH_AFTER_S = 0.05
"""When the watch for a leaving client starts. Most failures and all decisions are over before; starting it at once
would cost every request a task for nothing, and 50 ms still leaves 200 of the 250 ms that cancelling may take."""

ONCE = frozenset((b"host", b"authorization", b"x-api-key", b"content-type", b"content-length", b"content-encoding"))
"""Headers that may come once: whoever reads the other one sees another request."""
_ID = re.compile(r"[^A-Za-z0-9._:-]")


class Exchange:
    """What the handlers see of HTTP."""

    path: str
    method: str
    headers: dict[bytes, bytes]
    """Lower-case name -> first value."""
    ambiguous: bytes
    """The name of a header that came twice and may come once."""
    is_started: bool
    """A part of the response is out."""
    is_gone: bool
    """The client has left."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self.path, self.method = str(scope["path"]), str(scope["method"])
        self.headers, self.ambiguous = {}, b""
        for name, value in scope["headers"]:
            if name not in self.headers:
                self.headers[name] = value
            elif name in ONCE:
                self.ambiguous = name
        self.is_started = False
        self.is_gone = False

    @property
    def peer(self) -> str:
        client = self._scope.get("client")
        return str(client[0]) if client else ""

    @property
    def request_id(self) -> str:
        """The client's own X-Request-ID, harmless: at most 128 of `A-Z a-z 0-9 . _ : -`."""
        value = self.headers.get(b"x-request-id")
        return _ID.sub("", value.decode("latin-1")[:128]) if value else ""

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLarge, BodyTimeout, UnsupportedMediaType, ClientGone, MalformedBody."""
        self._check_media_type()
        length = self.headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > limit:
            raise too_large(limit)
        message = await self._part()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            try:
                async with asyncio.timeout(BODY_WHOLE_S):
                    body = await self._rest(body, limit)
            except TimeoutError as exc:
                raise BodyTimeout(f"the body was not complete within {BODY_WHOLE_S:g} s") from exc
        if len(body) > limit:
            raise too_large(limit)
        if not body:
            raise empty()
        return body

    def _check_media_type(self) -> None:
        media = self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media != b"application/json":
            raise UnsupportedMediaType(f"send `Content-Type: application/json`, not {media.decode('latin-1')[:80]!r}")
        if b"content-encoding" in self.headers and self.headers[b"content-encoding"].lower() != b"identity":
            raise UnsupportedMediaType("compressed bodies are not accepted; send the JSON as it is")

    async def _part(self) -> MutableMapping[str, Any]:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                message = await self._receive()
        except TimeoutError as exc:
            raise BodyTimeout(f"nothing of the body arrived for {BODY_TIMEOUT_S:g} s") from exc
        if message["type"] == "http.disconnect":
            self.is_gone = True
            raise ClientGone
        return message

    async def _rest(self, first: bytes, limit: int) -> bytes:
        parts, size = [first], len(first)
        while True:
            message = await self._part()
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > limit:
                raise too_large(limit)
            if not message.get("more_body"):
                return b"".join(parts)

    def abort(self) -> None:
        """Closes the connection now, whatever waits to be sent."""
        abort = self._scope.get("abort")
        if abort is not None:
            abort()

    async def start(self, status: int, headers: Headers, lines: bytes = b"") -> None:
        """Status and headers; `lines` are more of them, each `name: value` and CRLF, known to be well-formed."""
        self.is_started = True
        more = [(name, value) for name, _, value in (line.partition(b": ") for line in lines.split(b"\r\n")) if name]
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": data})

    async def answer(self, status: int, body: bytes, headers: Headers, lines: bytes = b"") -> None:
        """A whole response; `lines` as in `start`."""
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))], lines)
        await self.finish(body)

    async def attended(self, work: Awaitable[None]) -> None:
        """Awaits `work` while the client is there. When it leaves, `work` is cancelled and this returns: whoever did the
        work has noted it, and nobody waits for a response."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an exchange runs in a task")
        watch = Watch(self, task)
        try:
            await work
        except asyncio.CancelledError:
            if not self.is_gone:
                raise
            task.uncancel()
        finally:
            watch.close()

    async def disconnected(self) -> None:
        """Returns when the client has left. Call it only once the body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.is_gone = True


class ExchangePort:
    """What every `gateway.port.Port` over HTTP shares."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def is_gone(self) -> bool:
        return self._exchange.is_gone

    def abort(self) -> None:
        self._exchange.abort()


class Watch:
    """While open: cancels `task` as soon as the client leaves."""

    def __init__(self, exchange: Exchange, task: asyncio.Task[Any]) -> None:
        self._exchange, self._task = exchange, task
        self._watching: asyncio.Task[None] | None = None
        self._starting = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._start)

    def _start(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        await self._exchange.disconnected()
        self._task.cancel()

    def close(self) -> None:
        self._starting.cancel()
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None  # its end holds this


def empty() -> MalformedBody:
    return MalformedBody("the body is empty; send a JSON object")


def too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit} bytes; `server.max_body` sets the limit")
