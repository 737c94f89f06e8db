"""Calls to models: one wire for http, one for https, and one way of reading what comes back.

Foreign trouble becomes an error of `pointsman.errors` here and in the transports, nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from pointsman.core.fleet import EndpointSpec
from pointsman.core.protocols import ReplyStream
from pointsman.core.reply import Batch, Reply
from pointsman.core.request import ChatRequest
from pointsman.errors import (
    AnswerTimeout,
    BadAnswer,
    FirstTokenTimeout,
    Misconfigured,
    NotSpoken,
    StreamStalled,
    UpstreamError,
)
from pointsman.upstream.exchange import (
    EVENTS,
    JSON,
    MAX_BODY_BYTES,
    MAX_ERROR_BYTES,
    Exchange,
    OutOfTime,
    Target,
    Transport,
)
from pointsman.upstream.formats.form import Form, Reader, form_of
from pointsman.upstream.formats.openai import check_encoding
from pointsman.upstream.formats.openai_errors import from_status
from pointsman.upstream.http1 import GRACE_S
from pointsman.upstream.plain import PlainTransport
from pointsman.upstream.sse import Decoder, NoEvents
from pointsman.upstream.tls import TlsTransport

_log = logging.getLogger(__name__)
AFTER_FINISH_S = 1.0
"""How long usage or `[DONE]` may follow a complete answer."""
UNSPOKEN_S = 600.0
"""How long an endpoint without the client's API is not asked for it again: until somebody may have upgraded it."""
TARGETS_MAX = 4096
"""Endpoints remembered before the table starts anew (reloads leave old ones behind)."""


class HttpUpstream:
    """Satisfies `core.protocols.Upstream`. `formats.form` knows which API an endpoint is spoken to in.

    `tls` None: certificates are verified against the system's authorities.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._plain: Transport = PlainTransport()
        self._tls: Transport = TlsTransport(tls)
        self._targets: dict[tuple[str, str | None, str, tuple[tuple[str, str], ...]], Target] = {}
        self._unspoken: dict[tuple[str, int], float] = {}

    async def ask(self, endpoint: EndpointSpec, request: ChatRequest, body: Sequence[bytes], *, until: float) -> Reply:
        """A plain call; see the protocol."""
        form = self._form(endpoint, request)
        try:
            with _Call(lambda: AnswerTimeout(f"endpoint {endpoint.id} did not answer in time")) as call:
                written = form.written(endpoint, body)
                call.exchange = exchange = await self._send(endpoint, b"POST", form.path(request), JSON, written, True, until, _betas(request))
                return form.read(endpoint.id, request, await _whole(endpoint, exchange, until))
        except Misconfigured as exc:
            raise self._unless_spoken(endpoint, form, exc) from exc

    async def stream(
        self, endpoint: EndpointSpec, request: ChatRequest, body: Sequence[bytes], *, until: float
    ) -> ReplyStream:
        """A streamed call; see the protocol."""
        form = self._form(endpoint, request)
        try:
            with _Call(lambda: FirstTokenTimeout(f"endpoint {endpoint.id} sent no headers in time")) as call:
                written = form.written(endpoint, body)
                call.exchange = exchange = await self._send(endpoint, b"POST", form.path(request), EVENTS, written, False, until, _betas(request))
                kind = exchange.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
                if exchange.status == 200 and kind == EVENTS:
                    check_encoding(endpoint.id, exchange.headers)
                    stream = HttpReplyStream(endpoint, form.reader(endpoint.id, request), exchange)
                    call.exchange = None  # the stream's from here on
                    return stream
                if 200 <= exchange.status < 300 and kind != JSON:
                    raise BadAnswer(f"endpoint {endpoint.id} answered a streamed request with {kind[:60].decode('latin-1')!r}",
                                    upstream_status=exchange.status)
                answer = await _whole(endpoint, exchange, until)
                return WholeReplyStream(form.read(endpoint.id, request, answer), form.events(endpoint.id, request, answer))
        except Misconfigured as exc:
            raise self._unless_spoken(endpoint, form, exc) from exc

    def _form(self, endpoint: EndpointSpec, request: ChatRequest) -> Form:
        """The API to speak. Raises NotSpoken."""
        form = form_of(endpoint, request)
        if form.is_native:
            self._check_spoken(endpoint, form)
        return form

    def _check_spoken(self, endpoint: EndpointSpec, form: Form) -> None:
        """Raises NotSpoken when the endpoint said lately that it has no such path."""
        until = self._unspoken.get((endpoint.url, id(form)))
        if until is not None and until > asyncio.get_running_loop().time():
            raise NotSpoken(f"endpoint {endpoint.id} does not speak the client's API", sent=False)

    def _unless_spoken(self, endpoint: EndpointSpec, form: Form, error: Misconfigured) -> UpstreamError:
        """What a 404 means: the path is missing, which is remembered, or the model is, which no translation helps."""
        if not form.is_native or b"model" in (error.body or b"").lower():
            return error
        if len(self._unspoken) >= TARGETS_MAX:
            self._unspoken.clear()
        self._unspoken[endpoint.url, id(form)] = asyncio.get_running_loop().time() + UNSPOKEN_S
        _log.warning("%s does not speak an API that its `engine` or `dialects` says it does (%s): its requests are translated",
                     endpoint.id, error)
        return NotSpoken(str(error), upstream_status=error.upstream_status)

    async def get(self, endpoint: EndpointSpec, suffix: str, *, until: float) -> bytes:
        """The JSON body of a GET below the endpoint's URL (`/models`)."""
        with _Call(lambda: AnswerTimeout(f"endpoint {endpoint.id} did not answer {suffix} in time")) as call:
            call.exchange = exchange = await self._send(endpoint, b"GET", suffix, JSON, (), True, until)
            return await _whole(endpoint, exchange, until)

    async def post(self, endpoint: EndpointSpec, suffix: str, body: bytes, *, until: float, most: int = MAX_BODY_BYTES) -> bytes:
        """The body of the 2xx answer to JSON posted to the endpoint's URL: for services of the operator's that are no models.

        `most`: bytes of an answer that is read; a longer one is BadAnswer, and its connection is closed there."""
        with _Call(lambda: AnswerTimeout(f"{endpoint.id} did not answer in time")) as call:
            call.exchange = exchange = await self._send(endpoint, b"POST", suffix, JSON, (body,), most == MAX_BODY_BYTES, until)
            return await _whole(endpoint, exchange, until, most)

    def __repr__(self) -> str:
        return f"<HttpUpstream {self._plain!r}>"

    async def aclose(self) -> None:
        await self._plain.aclose()
        await self._tls.aclose()

    def _send(
        self, endpoint: EndpointSpec, method: bytes, suffix: str, accept: bytes, body: Sequence[bytes], whole: bool,
        until: float, betas: str = "",
    ) -> Awaitable[Exchange]:
        """The transport's own `send` for this endpoint. No coroutine around it: a request pays for each, and again whenever it wakes."""
        key = (endpoint.url, endpoint.api_key, endpoint.engine, endpoint.headers)
        target = self._targets.get(key)
        if target is None:
            if len(self._targets) >= TARGETS_MAX:
                self._targets.clear()
            target = self._targets[key] = Target(endpoint)
        if betas and target.is_anthropic:
            target = Target(endpoint, betas)
        transport = self._tls if target.tls else self._plain
        return transport.send(endpoint, target, method, suffix, accept, body, whole=whole, until=until)


class _Call:
    """One exchange to its end: the connection is given back when all went well, and closed whatever else has come of it."""

    __slots__ = ("_late", "exchange")

    def __init__(self, late: Callable[[], UpstreamError]) -> None:
        """`late`: what it is called that `until` passed."""
        self._late = late
        # None until it has begun, and once it is somebody else's.
        self.exchange: Exchange | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        exchange = self.exchange
        if exchange is not None:
            if error is None:
                exchange.finish()
            else:  # cancelled, failed or no answer: the connection is not kept
                exchange.abort()
        if isinstance(error, OutOfTime):
            raise self._late() from error


class HttpReplyStream:
    """Satisfies `ReplyStream` over an exchange."""

    __slots__ = ("_decoder", "_endpoint", "_exchange", "_finish_by", "_over", "_reader")

    def __init__(self, endpoint: EndpointSpec, reader: Reader, exchange: Exchange) -> None:
        self._endpoint = endpoint
        self._exchange = exchange
        self._decoder = Decoder()
        self._reader = reader
        self._finish_by: float | None = None  # set once every choice is finished
        self._over = False  # finished or aborted: the connection may serve somebody else by now

    @property
    def reply(self) -> Reply:
        return self._reader.reply

    async def next(self, until: float) -> Batch | None:
        """See the protocol. Events before a failure are handed out first."""
        try:
            return await self._next(until)
        except OutOfTime as exc:
            self._end(reusable=False)
            if self._reader.began:
                raise StreamStalled(f"endpoint {self._endpoint.id} stalled in the middle of its answer") from exc
            raise FirstTokenTimeout(f"endpoint {self._endpoint.id} sent no content in time") from exc
        except BaseException:  # cancelled or failed: the socket goes now
            self._end(reusable=False)
            raise

    async def _next(self, until: float) -> Batch | None:
        reader = self._reader
        while True:
            if reader.failure is not None:
                if not reader.finished:
                    raise reader.failure
                self._end(reusable=False)  # what it says behind a whole answer changes nothing of it
                reader.done = True
                return None
            if reader.done:
                self._end(reusable=True)
                return None
            data = await (self._read_on(until) if reader.finished else self._exchange.read(until))
            if data is None:
                self._end(reusable=False)  # complete, but the upstream would not end
                reader.done = True
                return None
            if not data:
                reader.end()
                reader.done = True
                continue
            try:
                events = self._decoder.feed(data)
            except NoEvents as exc:
                raise BadAnswer(f"endpoint {self._endpoint.id} sent {exc}") from exc
            if events and (batch := reader.feed(events)).events:
                return batch
            if not reader.finished and asyncio.get_running_loop().time() > until + GRACE_S:
                raise OutOfTime  # pieces that say nothing may be here at every look: a wait for them never ends by itself

    async def _read_on(self, until: float) -> bytes | None:
        """More of the body of a complete answer; None when its usage and end did not follow in time or broke off."""
        if self._finish_by is None:
            self._finish_by = asyncio.get_running_loop().time() + AFTER_FINISH_S
        try:
            return await self._exchange.read(min(until, self._finish_by))
        except (OutOfTime, UpstreamError):
            return None

    def close(self) -> None:
        self._end(reusable=self._reader.done and self._reader.failure is None)

    def _end(self, *, reusable: bool) -> None:
        if not self._over:
            self._over = True
            if reusable:
                self._exchange.finish()
            else:
                self._exchange.abort()


class WholeReplyStream:
    """Satisfies `ReplyStream` for an upstream that answered a streamed request in one piece."""

    __slots__ = ("_events", "reply")

    def __init__(self, reply: Reply, events: list[bytes]) -> None:
        self.reply = Reply(b"", reply.usage, reply.model, reply.finish_reasons, reply.output_chars)
        self._events = events

    async def next(self, until: float) -> Batch | None:
        events, self._events = self._events, []
        return Batch(events, True) if events else None

    def close(self) -> None:
        self._events = []


async def _whole(endpoint: EndpointSpec, exchange: Exchange, until: float, most: int = MAX_BODY_BYTES) -> bytes:
    """The body of a 2xx; raises what any other status means."""
    if not 200 <= exchange.status < 300:
        body, complete = await exchange.rest(MAX_ERROR_BYTES, until)
        if complete:
            exchange.finish()
        raise from_status(endpoint.id, exchange.status, exchange.headers, body)
    check_encoding(endpoint.id, exchange.headers)
    body, complete = await exchange.rest(most, until)
    if not complete:
        raise BadAnswer(f"endpoint {endpoint.id} answered with more than {most} bytes")
    return body


def _betas(request: ChatRequest) -> str:
    return "" if request.native is None else request.native.betas
