"""One request and its response on a wire: what `client` needs from a transport, and nothing more.

Two transports satisfy this: `plain` (our own HTTP/1.1, for http) and `tls` (aiohttp, for https). What a status,
a body or an event means is read once, in `client` and `formats`, whichever wire it came over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from pointsman import __version__
from pointsman.core.fleet import EndpointSpec
from pointsman.errors import Misconfigured

MAX_HEAD_BYTES = 64 * 1024
"""Status line and headers together, as nginx and Envoy allow at most."""
MAX_HEAD_FIELDS = 100
MAX_BODY_BYTES = 64 * 1024 * 1024
"""A plain answer: 64 MiB holds 16 choices of 128 k tokens with logprobs."""
MAX_ERROR_BYTES = 64 * 1024
"""Of an error's body; the rest is not read."""
ANTHROPIC_VERSION = "2023-06-01"
"""The only version of the Messages API there has been; a request without one is refused."""
LINGER_S = 1.0
"""How long an answered connection may take to finish its framing before it is closed instead of reused."""

JSON = b"application/json"
EVENTS = b"text/event-stream"


class OutOfTime(Exception):
    """`until` passed while waiting; `client` knows which of our timeouts that is."""


class Target:
    """Where an endpoint's requests go, worked out once per endpoint."""

    __slots__ = ("_head", "_heads", "authority", "credentials", "host", "is_anthropic", "path", "port", "query", "tls")

    def __init__(self, endpoint: EndpointSpec, betas: str = "") -> None:
        """`betas`: what the client asks of Anthropic's API beyond its version (`anthropic-beta`)."""
        parts = urlsplit(endpoint.url)
        self.tls = parts.scheme == "https"
        self.host = parts.hostname or ""
        default = 443 if self.tls else 80
        self.port = parts.port or default
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = shown if self.port == default else f"{shown}:{self.port}"
        self.path = parts.path.rstrip("/")
        self.query = f"?{parts.query}" if parts.query else ""
        self.is_anthropic = endpoint.engine == "anthropic"
        self.credentials = _credentials(endpoint, betas)
        for text in (self.authority, self.path, self.query, *self.credentials.values()):
            # A control character would end the header line: whatever follows becomes a header or a request.
            if any(ord(c) < 0x20 or ord(c) >= 0x7F for c in text):
                raise Misconfigured(f"endpoint {endpoint.id}: URL and key must be printable ASCII", sent=False)
        self._heads: dict[tuple[bytes, str, bytes], bytes] = {}
        lines = [f"Host: {self.authority}", f"User-Agent: pointsman/{__version__}", "Accept-Encoding: identity"]
        lines += [f"{name}: {value}" for name, value in self.credentials.items()]
        self._head = "\r\n".join(lines).encode()

    def location(self, suffix: str) -> str:
        """The request target: path of the endpoint's URL, API path, query of the endpoint's URL."""
        return f"{self.path}{suffix}{self.query}"

    def head(self, method: bytes, suffix: str, accept: bytes, length: int) -> bytes:
        """The whole request head, made from scratch: nothing of the client's headers goes upstream."""
        key = (method, suffix, accept)
        head = self._heads.get(key)
        if head is None:
            head = b"%s %s HTTP/1.1\r\n%s\r\nAccept: %s\r\n" % (
                method, self.location(suffix).encode(), self._head, accept)
            head += b"\r\n" if method == b"GET" else b"Content-Type: application/json\r\nContent-Length: "
            self._heads[key] = head
        return head if method == b"GET" else b"%s%d\r\n\r\n" % (head, length)


def _credentials(endpoint: EndpointSpec, betas: str) -> dict[str, str]:
    """The headers by which the endpoint knows us."""
    key = endpoint.api_key
    if endpoint.engine != "anthropic":
        known = {"Authorization": f"Bearer {key}"} if key else {}
        return known | dict(endpoint.headers) if endpoint.headers else known
    known = {"x-api-key": key} if key else {}
    return known | {"anthropic-version": ANTHROPIC_VERSION} | ({"anthropic-beta": betas} if betas else {})


class Exchange(Protocol):
    """A response under way. Times are `loop.time()` seconds; waits raise `OutOfTime` when they pass.

    Exactly one of `finish` and `abort` ends it; both are idempotent.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """Lower-case names; the last of a repeated header."""
        ...

    async def rest(self, limit: int, until: float) -> tuple[bytes, bool]:
        """The rest of the body, and whether that was all of it (False: longer than `limit`)."""
        ...

    async def read(self, until: float) -> bytes:
        """All body bytes that are here, at least one; b"" at the clean end. ConnectionLost, BadAnswer."""
        ...

    def finish(self) -> None:
        """The answer is complete: the connection is reused if its framing ends within `LINGER_S`."""
        ...

    def abort(self) -> None:
        """The socket is closed now."""
        ...


class Transport(Protocol):
    """A way to send requests. Cancelling `send` closes the socket, in every phase."""

    async def send(
        self, endpoint: EndpointSpec, target: Target, method: bytes, suffix: str, accept: bytes,
        body: Sequence[bytes], *, whole: bool, until: float,
    ) -> Exchange:
        """Returns when status and headers are here; with `whole`, at best with the body (then `rest` returns at once).

        ConnectFailed, ConnectionLost, BadAnswer, OutOfTime.
        """
        ...

    async def aclose(self) -> None: ...
