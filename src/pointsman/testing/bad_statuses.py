"""Error statuses by name, with the bodies that engines, providers and proxies really send."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from pointsman.testing import openai_shapes as shapes
from pointsman.testing.day import Day, Exchange
from pointsman.testing.wire import Headers


@dataclass(frozen=True)
class Status(Day):
    """An error status. `retry_after` goes into the header of that name as it stands."""

    code: int = 500
    body: bytes = b'{"error":{"message":"scripted","type":"InternalServerError","param":null,"code":500}}'
    _: KW_ONLY
    headers: Headers = ()
    content_type: str = "application/json"
    retry_after: str | None = None

    async def serve(self, exchange: Exchange) -> None:
        retry = (("retry-after", self.retry_after),) if self.retry_after is not None else ()
        exchange.connection.reply(self.code, self.body, content_type=self.content_type, headers=(*retry, *self.headers))


def bad_request(message: str = "temperature must be in [0, 2], got 5.0.") -> Status:
    return Status(400, shapes.error(message, "BadRequestError", 400, "temperature"))


def unauthorized() -> Status:
    return Status(401, b'{"error":"Unauthorized"}')


def not_found(model: str = "nope") -> Status:
    return Status(404, shapes.error(f"The model `{model}` does not exist.", "NotFoundError", 404, "model"))


def too_large() -> Status:
    return Status(413, shapes.error("Request body too large", "BadRequestError", 413))


def unprocessable() -> Status:
    return Status(422, b'{"error":"Input validation error","error_type":"validation"}')


def rate_limited(retry_after: str | None = None) -> Status:
    """429 as OpenAI says it, with or without Retry-After."""
    body = {"error": {"message": "Rate limit reached", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
    return Status(429, shapes.encode(body), retry_after=retry_after)


def server_error() -> Status:
    return Status(500)


def bad_gateway() -> Status:
    """502 with a proxy's HTML page."""
    return Status(502, b"<html><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>", content_type="text/html")


def queue_full() -> Status:
    """503 of vLLM with `--max-num-queued-reqs`: load, not sickness, and no Retry-After."""
    return Status(503, shapes.error("The engine is currently busy and cannot accept new requests. Please try again later "
                                    "or on a different instance.", "Service Unavailable", 503))


def overloaded() -> Status:
    """529 as Anthropic says it."""
    return Status(529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')
