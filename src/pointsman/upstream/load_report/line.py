"""A line to engines for questions only: its own connections, small bodies, no redirects.

Why not the requests' transport? A poll must neither take a warm connection from a request nor wait for one, and what
a metrics page may hold is bounded far lower than an answer.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit, urlunsplit

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.errors import AnswerTimeout, BadAnswer, Misconfigured
from pointsman.upstream.exchange import MAX_ERROR_BYTES, Exchange, OutOfTime, Target, Transport
from pointsman.upstream.plain import PlainTransport
from pointsman.upstream.tls import TlsTransport

MAX_BYTES = 4 * 1024 * 1024
"""Of one answer: vLLM's page has 60 KB; a page of sixty engines still fits."""
PLACES_MAX = 8192
"""URLs remembered before the table starts anew."""
TEXT = b"text/plain;version=0.0.4, application/json;q=0.9, */*;q=0.1"
"""Never OpenMetrics: its exemplars and `_created` lines would only be skipped."""

JSON = b"application/json"


class Said(msgspec.Struct, frozen=True, gc=False):
    status: int
    body: bytes
    """Empty unless the status is 200."""
    server: str = ""


class Line:
    """Questions to server paths. `tls` None: certificates are verified against the system's authorities."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._plain: Transport = PlainTransport()
        self._tls: Transport = TlsTransport(tls)
        self._places: dict[tuple[str, str, str | None], tuple[EndpointSpec, Target]] = {}

    async def get(self, endpoint: EndpointSpec, url: str, until: float, *, accept: bytes = TEXT) -> Said:
        """What `url` answers. ConnectFailed, ConnectionLost, AnswerTimeout, BadAnswer (too large), Misconfigured."""
        return await self._ask(b"GET", endpoint, url, (), until, accept)

    async def post(self, endpoint: EndpointSpec, url: str, body: bytes, until: float) -> Said:
        """What `url` answers to a question of its own; as `get`."""
        return await self._ask(b"POST", endpoint, url, (body,), until, JSON)

    async def _ask(self, method: bytes, endpoint: EndpointSpec, url: str, body: tuple[bytes, ...], until: float, accept: bytes) -> Said:
        place, target = self._place(endpoint, url)
        transport = self._tls if target.tls else self._plain
        exchange: Exchange | None = None
        try:
            exchange = await transport.send(place, target, method, "", accept, body, whole=False, until=until)
            said = await _heard(endpoint, url, exchange, until)
        except OutOfTime as exc:
            _abort(exchange)
            raise AnswerTimeout(f"endpoint {endpoint.id} did not answer {urlsplit(url).path} in time") from exc
        except BaseException:  # cancelled or failed: the connection is not kept
            _abort(exchange)
            raise
        exchange.finish()
        return said

    def _place(self, endpoint: EndpointSpec, url: str) -> tuple[EndpointSpec, Target]:
        key = (endpoint.id, url, endpoint.api_key)
        found = self._places.get(key)
        if found is None:
            if len(self._places) >= PLACES_MAX:
                self._places.clear()
            own = same_server(url, endpoint.url)
            place = msgspec.structs.replace(endpoint, url=url, api_key=endpoint.api_key if own else None)
            found = self._places[key] = (place, Target(place))
            found[1].path = found[1].path or "/"
        return found

    async def aclose(self) -> None:
        await asyncio.gather(self._plain.aclose(), self._tls.aclose())

    def __repr__(self) -> str:
        return f"<Line {self._plain!r}>"


async def _heard(endpoint: EndpointSpec, url: str, exchange: Exchange, until: float) -> Said:
    server = exchange.headers.get(b"server", b"").decode("latin-1")[:64]
    if exchange.status != 200:
        _body, complete = await exchange.rest(MAX_ERROR_BYTES, until)
        if not complete:
            exchange.abort()
        return Said(exchange.status, b"", server)
    body, complete = await exchange.rest(MAX_BYTES, until)
    if not complete:
        raise BadAnswer(f"endpoint {endpoint.id}: {urlsplit(url).path} has more than {MAX_BYTES} bytes")
    if exchange.headers.get(b"content-encoding", b"identity") not in (b"identity", b""):
        raise BadAnswer(f"endpoint {endpoint.id}: {urlsplit(url).path} is compressed, which was not asked for")
    return Said(200, body, server)


def root_of(url: str) -> str:
    """Where the server's own paths are: the endpoint's URL without `/v1`."""
    return url.removesuffix("/v1")


def below(root: str, path: str) -> str:
    """`root` with a server path; a query in the path stays one."""
    parts = urlsplit(root)
    name, _, query = path.partition("?")
    return urlunsplit(parts._replace(path=parts.path + name, query=query))


def same_server(one: str, other: str) -> bool:
    """Scheme, host and port are equal: a key may go there."""
    try:
        return _origin(one) == _origin(other)
    except ValueError as exc:
        raise Misconfigured("an endpoint's URL has no usable port", sent=False) from exc


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _abort(exchange: Exchange | None) -> None:
    if exchange is not None:
        exchange.abort()
