"""The OpenAI endpoints: bytes in, `Gateway.handle`, bytes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
_JSON: Headers = [JSON]
_PRINTABLE = dict.fromkeys((*range(32), *range(127, 256)), "?")


class OpenAIEndpoints:
    """`/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`."""

    def __init__(self, gateway: Gateway, front: Callable[[], Front]) -> None:
        self._gateway, self._front = gateway, front

    def chat(self, exchange: Exchange) -> Awaitable[None]:
        return self._answer(exchange, Kind.CHAT)

    def completions(self, exchange: Exchange) -> Awaitable[None]:
        return self._answer(exchange, Kind.COMPLETION)

    def embeddings(self, exchange: Exchange) -> Awaitable[None]:
        return self._answer(exchange, Kind.EMBEDDING)

    async def _answer(self, exchange: Exchange, kind: Kind) -> None:
        front = self._front()
        caller = front.admit(exchange)
        try:
            request = front.parsed(await exchange.body(front.settings.server.max_body), exchange, kind, caller)
        except RequestError as error:
            self._gateway.reject(kind, caller, error, exchange.request_id)
            raise
        await exchange.attended(self._gateway.handle(request, HttpPort(exchange, is_chat=kind is Kind.CHAT)))


class HttpPort(ExchangePort):
    """`gateway.port.Port` over one HTTP exchange."""

    def __init__(self, exchange: Exchange, *, is_chat: bool) -> None:
        self._exchange = exchange
        self._is_chat = is_chat
        self._first = b""  # data of the first event that the client got

    async def open(self, facts: Facts) -> None:
        if not self._exchange.is_started:
            await self._exchange.start(200, [*SSE, *pending_headers(facts)])
        await self._exchange.write(b": keep-alive\n\n")

    async def begin(self, facts: Facts) -> None:
        if not self._exchange.is_started:
            await self._exchange.start(200, SSE, fact_lines(facts))

    async def events(self, events: list[bytes], cost_nano_usd: int | None) -> None:
        if not self._first:
            self._first = events[0]
        if cost_nano_usd is not None:
            events = [with_cost(event, cost_nano_usd) for event in events]
        frames = b"\0".join(events)
        if b"\n" in frames:  # data of several lines: each is a line of its own again
            events = [event.replace(b"\n", b"\ndata: ") for event in events]
        await self._exchange.write(b"data: " + b"\n\ndata: ".join(events) + b"\n\n")

    async def end(self) -> None:
        await self._exchange.finish(b"data: [DONE]\n\n")

    async def reply(self, reply: Reply, facts: Facts) -> None:
        await self._exchange.answer(200, reply.body, _JSON, fact_lines(facts))

    async def fail(self, error: PointsmanError, facts: Facts) -> None:
        if self._exchange.is_started:
            frame = terminal_frame(error, is_chat=self._is_chat, first=self._first)
            await self._exchange.finish(b"data: " + frame + b"\n\n")
            return
        headers = [JSON, *fact_headers(facts), *headers_of(error)]
        await self._exchange.answer(error.client_status, body_of(error), headers)


def fact_headers(facts: Facts) -> Headers:
    """Who answered, why, and what it cost."""
    return _pairs(fact_lines(facts))


def lookalikes(facts: Facts) -> Headers:
    """The same once more under the names that dashboards made for LiteLLM read."""
    return _pairs(_lookalike_lines(facts))


def fact_lines(facts: Facts) -> bytes:
    """`fact_headers` as lines of a head: every answer has a score of them."""
    lines = b"x-request-id: %b\r\nx-route-record: %b\r\nx-route-attempts: %d\r\n%b%b" % (
        facts.request_id.encode(), facts.record_id.encode(), facts.attempts,
        _choice_lines(facts.route, facts.tier, facts.rung, facts.model, facts.reason, facts.decided_by, facts.cost_basis),
        _lookalike_lines(facts))
    if facts.tier:
        lines += b"x-route-cost-usd: %b\r\n" % (b"unknown" if facts.cost_nano_usd is None else dollars(facts.cost_nano_usd))
    if facts.hold:
        lines += b"x-route-hold: %b\r\n" % safe(facts.hold)
    return lines + b"x-route-simulated: true\r\n" if facts.simulated else lines


@lru_cache(maxsize=4096)
def _choice_lines(route: str, tier: str, rung: int, model: str, reason: str, decided_by: str, basis: str) -> bytes:
    """What many requests have in common: kept, since writing it costs more than the rest together."""
    lines = b"x-route-name: %b\r\n" % safe(route) if route else b""
    if tier:
        lines += (b"x-route-tier: %d\r\nx-route-tier-name: %b\r\nx-route-model: %b\r\nx-route-reason: %b\r\n"
                  b"x-route-decided-by: %b\r\nx-route-cost-basis: %b\r\n" % (
                      rung, safe(tier), safe(model), safe(reason), safe(decided_by), safe(basis)))
    return lines


def _lookalike_lines(facts: Facts) -> bytes:
    lines = b"x-litellm-call-id: %b\r\n%b" % (
        facts.record_id.encode(),
        _lookalike_choice(facts.requested[:300], bool(facts.tier), facts.endpoint, facts.model, facts.retries, facts.changes))
    if facts.tier and facts.cost_nano_usd is not None:  # a dashboard adds these up: a word would break it, a zero would lie
        lines += b"x-litellm-response-cost: %b\r\n" % dollars(facts.cost_nano_usd)
    if facts.overhead_s is not None:
        lines += b"x-litellm-overhead-duration-ms: %.3f\r\n" % (max(0.0, facts.overhead_s) * 1000)
    return lines


@lru_cache(maxsize=4096)
def _lookalike_choice(requested: str, is_routed: bool, endpoint: str, model: str, retries: int, changes: int) -> bytes:
    """As `_choice_lines`."""
    lines = b"x-litellm-model-group: %b\r\n" % safe(requested) if requested else b""
    if is_routed:
        lines += (b"x-litellm-model-id: %b\r\nx-litellm-model-name: %b\r\nx-litellm-attempted-retries: %d\r\n"
                  b"x-litellm-attempted-fallbacks: %d\r\n" % (safe(endpoint), safe(model), retries, changes))
    return lines


def _pairs(lines: bytes) -> Headers:
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines.split(b"\r\n")) if name]


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
