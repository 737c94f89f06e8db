"""The decision alone: `POST /v1/route` for programs, `/classify` for front doors that only read headers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pointsman.core.decision import Decision
from pointsman.core.request import Kind
from pointsman.gateway.gateway import Gateway
from pointsman.server.exchange import JSON, Exchange, Headers
from pointsman.server.front import Front
from pointsman.server.openai import safe


class RouteEndpoints:
    """Decides without dispatching."""

    def __init__(self, gateway: Gateway, front: Callable[[], Front], count_no_body: Callable[[], None]) -> None:
        self._gateway, self._front, self._count_no_body = gateway, front, count_no_body

    async def route(self, exchange: Exchange) -> None:
        """The whole Decision as JSON: every stage's view, the gate's, and what came of it."""
        decision = await self._decide(exchange)
        await exchange.answer(200, msgspec.json.encode(decision), [JSON, *decision_headers(decision)])

    async def _decide(self, exchange: Exchange) -> Decision:
        front = self._front()
        return await self._gateway.decide(await front.read(exchange, Kind.CHAT, front.admit(exchange)))

    async def classify(self, exchange: Exchange) -> None:
        """Body in, `X-Route-Tier` out."""
        decision = await self._decide(exchange)
        await exchange.answer(200, b"", decision_headers(decision))

    async def classify_without_body(self, exchange: Exchange) -> None:
        """nginx's `auth_request` sends a GET with the client's Content-Length and never a body: answered at once,
        with the first route's default tier, and counted. Waiting for those bytes, or a 405, would fail every client.
        The connection closes: nobody can tell where on it the next request would begin."""
        self._front().admit(exchange)
        self._count_no_body()
        route = next(iter(self._gateway.graph.settings.routes.values()))
        rung = route.ladder.index(route.default_tier) + 1
        headers: Headers = [
            (b"x-route-tier", b"%d" % rung), (b"x-route-tier-name", safe(route.default_tier)),
            (b"x-route-reason", b"no body: auth_request carries none; POST the request to decide on it"),
            (b"x-route-decided-by", b"default"), (b"connection", b"close"),
        ]
        await exchange.answer(200, b"", headers)


def decision_headers(decision: Decision) -> Headers:
    return [
        (b"x-route-tier", b"%d" % decision.rung), (b"x-route-tier-name", safe(decision.tier)),
        (b"x-route-reason", safe(decision.reason)), (b"x-route-decided-by", safe(decision.decided_by)),
        (b"x-route-name", safe(decision.route)),
    ]
