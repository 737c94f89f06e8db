"""The front door: one ASGI callable, a dict from (method, path) to handlers.

Why not a framework here? Its routing and request objects cost more than the rest of the path together (bench/), and
authorisation must be decided on the very table entry that is dispatched, not on a URL that was parsed twice.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from urllib.parse import unquote

from pointsman.errors import ClientGone, MethodNotAllowed, NoSuchPath, PointsmanError
from pointsman.server.anthropic import AnthropicEndpoints
from pointsman.server.anthropic_problems import anthropic_body, is_anthropic
from pointsman.server.exchange import JSON, Exchange, Receive, Scope, Send
from pointsman.server.listing import ListingEndpoints
from pointsman.server.openai import OpenAIEndpoints
from pointsman.server.problems import body_of, headers_of
from pointsman.server.responses import ResponsesEndpoints
from pointsman.server.route import RouteEndpoints

Handler = Callable[[Exchange], Awaitable[None]]
_log = logging.getLogger(__name__)
_ALWAYS_V1 = "/v1/messages"
"""Anthropic's clients always write it, and errors there have a shape of their own. All else is served without `/v1` too."""
_BROKEN = "the router itself failed; its log has the traceback"


class App:
    """ASGI. Everything that a client can call is in `table`."""

    def __init__(self, openai: OpenAIEndpoints, anthropic: AnthropicEndpoints, responses: ResponsesEndpoints,
                 route: RouteEndpoints, listing: ListingEndpoints, count_refused: Callable[[str], None]) -> None:
        self._listing, self._count_refused = listing, count_refused
        self.table: dict[tuple[str, str], Handler] = {
            ("POST", "/v1/chat/completions"): openai.chat,
            ("POST", "/v1/completions"): openai.completions,
            ("POST", "/v1/embeddings"): openai.embeddings,
            ("POST", "/v1/responses"): responses.create,
            ("POST", "/v1/messages"): anthropic.messages,
            ("POST", "/v1/messages/count_tokens"): anthropic.count_tokens,
            ("POST", "/v1/route"): route.route,
            ("POST", "/classify"): route.classify,
            ("GET", "/classify"): route.classify_without_body,
            ("HEAD", "/classify"): route.classify_without_body,
            ("GET", "/v1/models"): listing.models,
            ("GET", "/v1/model/info"): listing.model_info,
            ("GET", "/health"): listing.health,
            ("GET", "/health/liveness"): listing.liveness,
            ("GET", "/health/liveliness"): listing.liveness,
            ("GET", "/health/readiness"): listing.readiness,
            ("GET", "/metrics"): listing.metrics,
        }
        for method, path in tuple(self.table):
            if path.startswith("/v1/") and not path.startswith(_ALWAYS_V1):
                self.table[method, path.removeprefix("/v1")] = self.table[method, path]
        for path in ("/health/liveness", "/health/liveliness", "/health/readiness"):
            self.table["HEAD", path] = self.table["GET", path]  # load balancers ask that way; the server drops the body
        self.lines = {f"{method} {path} HTTP/1.1".encode(): path for method, path in self.table if method == "POST"}
        """Request lines that `server.direct` may read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no lifespan, no websockets
        await self.serve(Exchange(scope, receive, send))

    async def serve(self, exchange: Exchange) -> None:
        """Answers one exchange, however it came in."""
        try:
            handler = self.table.get((exchange.method, exchange.path)) or self._other(exchange)
            await handler(exchange)
        except ClientGone:
            return
        except PointsmanError as error:
            if not error.record_id:
                self._count_refused(error.code)
            await refuse(exchange, error)
        except Exception:
            _log.exception("unexpected failure on %s %s", exchange.method, exchange.path)
            if exchange.is_started:
                raise  # the server cuts the connection: a half answer must not look whole
            await refuse(exchange, PointsmanError(_BROKEN))

    def _other(self, exchange: Exchange) -> Handler:
        """What is not in the table: one model by name, or a helpful 404/405."""
        path, method = exchange.path, exchange.method
        if method == "GET" and path.startswith(("/v1/models/", "/models/")):
            name = unquote(path.partition("/models/")[2])

            async def one_model(exchange: Exchange) -> None:
                await self._listing.model(exchange, name)

            return one_model
        allowed = sorted({m for m, p in self.table if p == path})
        if allowed:
            raise MethodNotAllowed(f"{path} takes {' or '.join(allowed)}, not {method[:20]}", tuple(allowed))
        paths = sorted({p for _, p in self.table})
        near = get_close_matches(path[:200], paths, n=2, cutoff=0.6) or [p for p in paths if f"/v1{p}" not in paths]
        raise NoSuchPath(f"there is no {path[:200]!r} here; there is {', '.join(near)}")


async def refuse(exchange: Exchange, error: PointsmanError) -> None:
    """Answers with an error before anything else was answered."""
    headers = [JSON, *headers_of(error)]
    request_id = exchange.request_id or error.record_id
    if request_id:
        headers.append((b"x-request-id", request_id.encode()))
    if error.record_id:
        headers += [(b"x-route-record", error.record_id.encode()), (b"x-litellm-call-id", error.record_id.encode())]
    if exchange.headers.get(b"content-length", b"0") != b"0" and error.client_status in (401, 403, 413, 415, 421, 405, 404):
        headers.append((b"connection", b"close"))  # the body is not read: the connection cannot be used again
    if is_anthropic(exchange.path):
        if request_id:
            headers.append((b"request-id", request_id.encode()))
        body = anthropic_body(error, request_id)
    else:
        body = body_of(error)
    await exchange.answer(error.client_status, body, headers)
