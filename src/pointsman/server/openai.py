"""The OpenAI endpoints: bytes in, `Gateway.handle`, bytes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec

from pointsman.core.price import NANO
from pointsman.core.reply import Reply
from pointsman.core.request import Kind
from pointsman.core.scan import members
from pointsman.errors import PointsmanError, RequestError
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.port import Facts
from pointsman.server.exchange import JSON, Exchange, ExchangePort, Headers
from pointsman.server.front import Front
from pointsman.server.problems import body_of, headers_of, terminal_frame

SSE: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_PRINTABLE = dict.fromkeys((*range(32), *range(127, 256)), "?")


class OpenAIEndpoints:
    """`/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`."""

    def __init__(self, gateway: Gateway, front: Callable[[], Front]) -> None:
        self._gateway, self._front = gateway, front

    async def chat(self, exchange: Exchange) -> None:
        await self._answer(exchange, Kind.CHAT)

    async def completions(self, exchange: Exchange) -> None:
        await self._answer(exchange, Kind.COMPLETION)

    async def embeddings(self, exchange: Exchange) -> None:
        await self._answer(exchange, Kind.EMBEDDING)

    async def _answer(self, exchange: Exchange, kind: Kind) -> None:
        front = self._front()
        caller = front.admit(exchange)
        try:
            request = await front.read(exchange, kind, caller)
        except RequestError as error:
            self._gateway.reject(kind, caller, error, exchange.request_id)
            raise
        await exchange.attended(self._gateway.handle(request, HttpPort(exchange, is_chat=kind is Kind.CHAT)))


class HttpPort(ExchangePort):
    """`gateway.port.Port` over one HTTP exchange."""

    def __init__(self, exchange: Exchange, *, is_chat: bool) -> None:
        super().__init__(exchange)
        self._is_chat = is_chat

    async def open(self, facts: Facts) -> None:
        if not self._exchange.is_started:
            await self._exchange.start(200, [*SSE, *pending_headers(facts)])
        await self._exchange.write(b": keep-alive\n\n")

    async def begin(self, facts: Facts) -> None:
        if not self._exchange.is_started:
            await self._exchange.start(200, [*SSE, *fact_headers(facts)])

    async def events(self, events: list[bytes], cost_nano_usd: int | None) -> None:
        if cost_nano_usd is not None:
            events = [with_cost(event, cost_nano_usd) for event in events]
        frames = b"\0".join(events)
        if b"\n" in frames:  # data of several lines: each is a line of its own again
            events = [event.replace(b"\n", b"\ndata: ") for event in events]
        await self._exchange.write(b"data: " + b"\n\ndata: ".join(events) + b"\n\n")

    async def end(self) -> None:
        await self._exchange.finish(b"data: [DONE]\n\n")

    async def reply(self, reply: Reply, facts: Facts) -> None:
        await self._exchange.answer(200, reply.body, [JSON, *fact_headers(facts)])

    async def fail(self, error: PointsmanError, facts: Facts) -> None:
        if self._exchange.is_started:
            frame = terminal_frame(error, is_chat=self._is_chat)
            await self._exchange.finish(b"data: " + frame + b"\n\n")
            return
        headers = [JSON, *fact_headers(facts), *headers_of(error)]
        await self._exchange.answer(error.client_status, body_of(error), headers)


def fact_headers(facts: Facts) -> Headers:
    """Who answered, why, and what it cost."""
    headers: Headers = [
        (b"x-request-id", facts.request_id.encode()),
        (b"x-route-record", facts.record_id.encode()),
        (b"x-route-attempts", b"%d" % facts.attempts),
    ]
    if facts.tier:
        headers += [
            (b"x-route-tier", b"%d" % facts.rung),
            (b"x-route-tier-name", safe(facts.tier)),
            (b"x-route-model", safe(facts.model)),
            (b"x-route-reason", safe(facts.reason)),
            (b"x-route-decided-by", safe(facts.decided_by)),
        ]
    if facts.route:
        headers.append((b"x-route-name", safe(facts.route)))
    if facts.tier:
        cost = b"unknown" if facts.cost_nano_usd is None else dollars(facts.cost_nano_usd)
        headers += [(b"x-route-cost-usd", cost), (b"x-route-cost-basis", safe(facts.cost_basis))]
    if facts.simulated:
        headers.append((b"x-route-simulated", b"true"))
    headers += lookalikes(facts)
    return headers


def lookalikes(facts: Facts) -> Headers:
    """The same once more under the names that dashboards made for LiteLLM read."""
    headers: Headers = [(b"x-litellm-call-id", facts.record_id.encode())]
    if facts.requested:
        headers.append((b"x-litellm-model-group", safe(facts.requested[:300])))
    if facts.tier:
        headers += [
            (b"x-litellm-model-id", safe(facts.endpoint)),
            (b"x-litellm-model-name", safe(facts.model)),
            (b"x-litellm-attempted-retries", b"%d" % facts.retries),
            (b"x-litellm-attempted-fallbacks", b"%d" % facts.changes),
        ]
        if facts.cost_nano_usd is not None:  # a dashboard adds these up: a word would break it, a zero would lie
            headers.append((b"x-litellm-response-cost", dollars(facts.cost_nano_usd)))
    if facts.overhead_s is not None:
        headers.append((b"x-litellm-overhead-duration-ms", b"%.3f" % (max(0.0, facts.overhead_s) * 1000)))
    return headers


def pending_headers(facts: Facts) -> Headers:
    """An early opened stream: nothing is decided for good yet."""
    pending = b"pending"
    return [
        (b"x-request-id", facts.request_id.encode()), (b"x-route-record", facts.record_id.encode()),
        (b"x-route-tier", pending), (b"x-route-tier-name", pending), (b"x-route-model", pending),
        (b"x-route-reason", pending), (b"x-route-attempts", pending),
        *lookalikes(facts),
    ]


@lru_cache(maxsize=4096)
def safe(text: str) -> bytes:
    """Text as a header value: printable ASCII, at most 300 characters."""
    return text[:300].encode("ascii", "replace").decode().translate(_PRINTABLE).encode()


def dollars(nano: int) -> bytes:
    """Nano-dollars as a decimal: exact, never in scientific notation."""
    whole, rest = divmod(nano, NANO)
    return b"%d.%09d" % (whole, rest)


def with_cost(event: bytes, nano: int) -> bytes:
    """The usage event with `usage.cost_usd` added; any other event as it is."""
    if b'"usage"' not in event:
        return event
    try:
        fields, _ = members(event)
    except (ValueError, IndexError, msgspec.DecodeError):
        return event
    usage = next((field for field in fields if field.key == "usage" and event[field.start] == 0x7B), None)
    if usage is None:
        return event
    comma = b"" if event[usage.start + 1 : usage.end - 1].strip() == b"" else b","
    return event[: usage.end - 1] + comma + b'"cost_usd":' + dollars(nano) + event[usage.end - 1 :]
