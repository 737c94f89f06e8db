"""The Anthropic endpoints: a request travels as any chat, and its own bytes beside it for whoever speaks Messages too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from pointsman.core.dialect import MESSAGES
from pointsman.core.reply import Reply
from pointsman.core.request import Caller, ChatRequest, Kind
from pointsman.errors import PointsmanError, RequestError
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.port import Facts
from pointsman.server.anthropic_problems import PATH, anthropic_body, anthropic_error
from pointsman.server.dropped import dropped_headers, uncounted
from pointsman.server.exchange import JSON, Exchange, ExchangePort, Headers
from pointsman.server.front import Front
from pointsman.server.limits import MAX_TAGS
from pointsman.server.native import BETAS, native_of
from pointsman.server.native_stream import MessagesAsTheyAre
from pointsman.server.openai import SSE, fact_headers, pending_headers
from pointsman.server.problems import headers_of
from pointsman.server.session_id import session_in_user_id
from pointsman.translation.anthropic_reply import message
from pointsman.translation.anthropic_request import Remembered, translated
from pointsman.translation.anthropic_stream import MessageStream, frame

PING = frame("ping", {})
PING_EVERY_S = 1.0
"""While thinking flows that the client did not ask to see: often enough for any client's patience."""
ESTIMATED = (b"x-route-token-count", b"estimated")
"""On counts of tokens: no tokenizer was asked."""


class AnthropicEndpoints:
    """`/v1/messages` and `/v1/messages/count_tokens`."""

    def __init__(self, gateway: Gateway, front: Callable[[], Front], count_dropped: Callable[[str], None] = uncounted) -> None:
        self._gateway, self._front, self._count_dropped = gateway, front, count_dropped

    async def messages(self, exchange: Exchange) -> None:
        front = self._front()
        caller = front.admit(exchange)
        try:
            request, remembered = await self._read(front, exchange, caller)
        except RequestError as error:
            self._gateway.reject(Kind.CHAT, caller, error, exchange.request_id)
            raise
        await exchange.attended(self._gateway.handle(request, AnthropicPort(exchange, remembered, self._count_dropped)))

    async def count_tokens(self, exchange: Exchange) -> None:
        """An estimate: which tokenizer would be right is known only once an endpoint is chosen. Leaves no record."""
        front = self._front()
        caller = front.admit(exchange)
        request, remembered = await self._read(front, exchange, caller)
        self._gateway.graph.names.look_up(request.model, caller)
        headers: Headers = [JSON, ESTIMATED]
        if exchange.request_id:
            headers += [(b"x-request-id", exchange.request_id.encode()), (b"request-id", exchange.request_id.encode())]
        await exchange.answer(200, msgspec.json.encode({"input_tokens": remembered.input_tokens}), headers)

    async def _read(self, front: Front, exchange: Exchange, caller: Caller) -> tuple[ChatRequest, Remembered]:
        own = await front.body(exchange)
        body, remembered = translated(own, max_depth=front.settings.server.max_depth, lenient=MESSAGES in front.origins)
        request = front.parsed(body, exchange, Kind.CHAT, caller)
        needs, native = request.needs, None
        if MESSAGES in front.dialects:
            # Engines insist on a limit as Anthropic does; a chat needs none.
            is_plain = remembered.is_plain and request.max_tokens is not None
            native = native_of(MESSAGES, own, is_plain=is_plain, only_at_origin=remembered.only_at_origin,
                               betas=exchange.headers.get(BETAS, b""), has_unsigned=remembered.has_unsigned)
            if native is not None and native.only_at_origin:
                needs = msgspec.structs.replace(needs, dialect=MESSAGES)
        return msgspec.structs.replace(
            request, metadata=remembered.metadata, path=PATH, native=native, needs=needs,
            tags=(*remembered.tags, *request.tags)[:MAX_TAGS] if remembered.tags else request.tags,
            session=request.session or session_in_user_id(remembered.metadata.get("user_id", ""))), remembered


class AnthropicPort(ExchangePort):
    """`gateway.port.Port` over one HTTP exchange with an Anthropic client."""

    def __init__(self, exchange: Exchange, remembered: Remembered, count_dropped: Callable[[str], None] = uncounted) -> None:
        super().__init__(exchange)
        self._remembered, self._count_dropped = remembered, count_dropped
        self._stream: MessageStream | MessagesAsTheyAre | None = None
        self._pinged_at = float("-inf")

    async def open(self, facts: Facts) -> None:
        if not self._exchange.is_started:
            await self._exchange.start(200, [*SSE, *pending_headers(facts), _request_id(facts)])
        await self._exchange.write(PING)

    async def begin(self, facts: Facts) -> None:
        self._stream = MessagesAsTheyAre() if facts.is_native else MessageStream(_message_id(facts), self._remembered)
        dropped = () if facts.is_native else dropped_headers(self._remembered.dropped, self._count_dropped)
        if not self._exchange.is_started:
            await self._exchange.start(200, [*SSE, *fact_headers(facts), _request_id(facts), *dropped])

    async def events(self, events: list[bytes], cost_nano_usd: int | None) -> None:
        """The cost stays in header and record: Anthropic's usage has no place for it."""
        frames = self._following.feed(events)
        if frames:
            await self._exchange.write(frames)
        elif self._following.is_hiding:
            await self._ping()

    async def _ping(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._pinged_at >= PING_EVERY_S:
            self._pinged_at = now
            await self._exchange.write(PING)

    async def end(self) -> None:
        await self._exchange.finish(self._following.finish())

    async def reply(self, reply: Reply, facts: Facts) -> None:
        if reply.dialect == MESSAGES:
            await self._exchange.answer(200, reply.body, [JSON, *fact_headers(facts), _request_id(facts)])
            return
        body = message(reply.body, _message_id(facts), self._remembered)
        dropped = dropped_headers(self._remembered.dropped, self._count_dropped)
        await self._exchange.answer(200, body, [JSON, *fact_headers(facts), _request_id(facts), *dropped])

    async def fail(self, error: PointsmanError, facts: Facts) -> None:
        """Before anything was sent a response; then one `error` event and nothing more, not even `message_stop`."""
        if self._exchange.is_started:
            await self._exchange.finish(frame("error", anthropic_error(error, facts.request_id)))
            return
        headers = [JSON, *fact_headers(facts), _request_id(facts), *headers_of(error)]
        await self._exchange.answer(error.client_status, anthropic_body(error, facts.request_id), headers)

    @property
    def _following(self) -> MessageStream | MessagesAsTheyAre:
        if self._stream is None:
            raise RuntimeError("events before the stream began")
        return self._stream


def _message_id(facts: Facts) -> str:
    return f"msg_{facts.record_id}"


def _request_id(facts: Facts) -> tuple[bytes, bytes]:
    """The header in which Anthropic's SDKs look for it."""
    return b"request-id", facts.request_id.encode()
