"""`POST /v1/responses`: OpenAI's Responses API, stateless, in front of any pool.

The request travels the ordinary path as a chat; only its first and last steps are this API's own. An endpoint that speaks
it too gets the request, and gives the answer, as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pointsman.core.dialect import RESPONSES
from pointsman.core.reply import Reply
from pointsman.core.request import Caller, ChatRequest, Kind
from pointsman.errors import PointsmanError, RequestError
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.port import Facts
from pointsman.server.dropped import dropped_headers, uncounted
from pointsman.server.exchange import JSON, Exchange, ExchangePort
from pointsman.server.front import Front
from pointsman.server.native import native_of
from pointsman.server.native_stream import ResponseAsItIs
from pointsman.server.openai import SSE, fact_headers, pending_headers
from pointsman.server.problems import body_of, error_object, headers_of
from pointsman.translation.responses_reply import Origin, translate_reply
from pointsman.translation.responses_request import Asked, translate_request
from pointsman.translation.responses_stream import ResponseEvents

PATH = "/v1/responses"


class ResponsesEndpoints:
    """`/v1/responses`."""

    def __init__(self, gateway: Gateway, front: Callable[[], Front], count_dropped: Callable[[str], None] = uncounted) -> None:
        self._gateway, self._front, self._count_dropped = gateway, front, count_dropped

    async def create(self, exchange: Exchange) -> None:
        front = self._front()
        caller = front.admit(exchange)
        try:
            request, asked = await self._read(front, exchange, caller)
        except RequestError as error:
            self._gateway.reject(Kind.CHAT, caller, error, exchange.request_id)
            raise
        await exchange.attended(self._gateway.handle(request, ResponsesPort(exchange, asked, self._count_dropped)))

    async def _read(self, front: Front, exchange: Exchange, caller: Caller) -> tuple[ChatRequest, Asked]:
        own = await front.body(exchange)
        body, asked = translate_request(own, max_depth=front.settings.server.max_depth, lenient=RESPONSES in front.origins)
        request = front.parsed(body, exchange, Kind.CHAT, caller)
        needs, native = request.needs, None
        if RESPONSES in front.dialects:
            native = native_of(RESPONSES, own, is_plain=asked.is_plain, only_at_origin=asked.only_at_origin)
            if native is not None and native.only_at_origin:
                needs = msgspec.structs.replace(needs, dialect=RESPONSES)
        return msgspec.structs.replace(request, path=PATH, native=native, needs=needs), asked


class ResponsesPort(ExchangePort):
    """`gateway.port.Port` over one HTTP exchange, in the words of the Responses API."""

    def __init__(self, exchange: Exchange, asked: Asked, count_dropped: Callable[[str], None] = uncounted) -> None:
        super().__init__(exchange)
        self._asked, self._count_dropped = asked, count_dropped
        self._events: ResponseEvents | ResponseAsItIs | None = None

    async def open(self, facts: Facts) -> None:
        if not self._exchange.is_started:
            await self._exchange.start(200, [*SSE, *pending_headers(facts)])
        await self._exchange.write(b": keep-alive\n\n")

    async def begin(self, facts: Facts) -> None:
        if facts.is_native:
            self._events = ResponseAsItIs()
        self._said(facts)
        dropped = () if facts.is_native else dropped_headers(self._asked.dropped, self._count_dropped)
        if not self._exchange.is_started:
            await self._exchange.start(200, [*SSE, *fact_headers(facts), *dropped])

    async def events(self, events: list[bytes], cost_nano_usd: int | None) -> None:
        data = self._begun().feed(events, cost_nano_usd)
        if data:  # some chunks say nothing in this API: a usage, a role
            await self._exchange.write(data)

    async def end(self) -> None:
        await self._exchange.finish(self._begun().end())

    async def reply(self, reply: Reply, facts: Facts) -> None:
        if reply.dialect == RESPONSES:
            await self._exchange.answer(200, reply.body, [JSON, *fact_headers(facts)])
            return
        body = translate_reply(reply.body, self._asked, _origin(facts))
        dropped = dropped_headers(self._asked.dropped, self._count_dropped)
        await self._exchange.answer(200, body, [JSON, *fact_headers(facts), *dropped])

    async def fail(self, error: PointsmanError, facts: Facts) -> None:
        if self._exchange.is_started:
            told = error_object(error) | {"record_id": error.record_id}
            await self._exchange.finish(self._said(facts).fail(told))
            return
        headers = [JSON, *fact_headers(facts), *headers_of(error)]
        await self._exchange.answer(error.client_status, body_of(error), headers)

    def _said(self, facts: Facts) -> ResponseEvents | ResponseAsItIs:
        """The events of this response; made when first there is something to say."""
        if self._events is None:
            self._events = ResponseEvents(self._asked, _origin(facts))
        return self._events

    def _begun(self) -> ResponseEvents | ResponseAsItIs:
        if self._events is None:
            raise RuntimeError("events before begin()")
        return self._events


def _origin(facts: Facts) -> Origin:
    """A record's id begins with its time in milliseconds (`core.record.new_record_id`)."""
    return Origin(facts.record_id, int(facts.record_id[:12], 16) // 1000)
