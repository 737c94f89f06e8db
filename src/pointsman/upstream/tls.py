"""The transport for https endpoints: aiohttp, tamed to the same behaviour as `plain`.

Certificates are always verified, redirects never followed, cookies and proxies of the environment ignored.
Time limits are ours: aiohttp's own are off but for connecting.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import aiohttp

from pointsman import __version__
from pointsman.core.fleet import EndpointSpec
from pointsman.errors import BadAnswer, ConnectFailed, ConnectionLost, Misconfigured, UpstreamError
from pointsman.upstream.exchange import JSON, LINGER_S, MAX_ERROR_BYTES, OutOfTime, Target
from pointsman.upstream.plain import IDLE_S, RACE_S

_BUFFER_BYTES = 32 * 1024
"""aiohttp pauses the socket at twice this."""


class _Trace:
    """What aiohttp did for one request."""

    __slots__ = ("reused", "sent")

    def __init__(self) -> None:
        self.reused = self.sent = False


async def _reused(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


async def _sent(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.sent = True


class TlsTransport:
    """Satisfies `Transport`. The session is made on first use, on the loop of that call.

    `context` None: the system's authorities (`SSL_CERT_FILE` is honoured by OpenSSL).
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._session: aiohttp.ClientSession | None = None
        self._draining: set[asyncio.Task[None]] = set()

    async def send(
        self, endpoint: EndpointSpec, target: Target, method: bytes, suffix: str, accept: bytes,
        body: Sequence[bytes], *, whole: bool, until: float,
    ) -> TlsExchange:
        loop = asyncio.get_running_loop()
        trace = _Trace()
        began = loop.time()
        try:
            return await self._send(endpoint, target, method, suffix, accept, body, until, trace)
        except ConnectionLost:
            if not trace.reused or loop.time() - began > RACE_S:
                raise
        # The keep-alive race of `plain`; a fresh connection cannot be in it.
        try:
            return await self._send(endpoint, target, method, suffix, accept, body, until, _Trace())
        except ConnectFailed as exc:
            exc.sent = True
            raise

    async def _send(
        self, endpoint: EndpointSpec, target: Target, method: bytes, suffix: str, accept: bytes,
        body: Sequence[bytes], until: float, trace: _Trace,
    ) -> TlsExchange:
        url = f"https://{target.authority}{target.location(suffix)}"
        limit = aiohttp.ClientTimeout(total=None, connect=endpoint.connect_timeout_s)
        try:
            async with asyncio.timeout_at(until):
                response = await self._running().request(
                    method.decode(), url, data=io.BytesIO(b"".join(body)) if body else None,
                    headers=_headers(target, accept, bool(body)), allow_redirects=False, timeout=limit,
                    trace_request_ctx=trace,
                )
        except aiohttp.InvalidURL as exc:
            raise Misconfigured(f"endpoint {endpoint.id}: not a usable URL", sent=False) from exc
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            raise _not_connected(endpoint, target, exc) from exc
        except TimeoutError as exc:
            if not trace.sent:
                raise _not_connected(endpoint, target, exc) from exc
            raise OutOfTime from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise _broken(endpoint, exc) from exc
        return TlsExchange(endpoint, response, self._draining)

    def _running(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0, ttl_dns_cache=30, keepalive_timeout=IDLE_S, ssl=self._context or True)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False,
                read_bufsize=_BUFFER_BYTES, trace_configs=[_tracing()], requote_redirect_url=False,
            )
        return self._session

    async def aclose(self) -> None:
        for task in list(self._draining):
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None


class TlsExchange:
    """Satisfies `Exchange` over an aiohttp response."""

    def __init__(
        self, endpoint: EndpointSpec, response: aiohttp.ClientResponse, draining: set[asyncio.Task[None]]
    ) -> None:
        self._endpoint, self._response, self._draining = endpoint, response, draining
        self._over = False
        self.headers: Mapping[bytes, bytes] = {name.lower(): value for name, value in response.raw_headers}

    @property
    def status(self) -> int:
        return self._response.status

    async def rest(self, limit: int, until: float) -> tuple[bytes, bool]:
        chunks: list[bytes] = []
        size = 0
        while size <= limit:
            try:
                chunk = await self.read(until)
            except UpstreamError:
                if self.status < 300:
                    raise
                return b"".join(chunks), False  # cut off within an error's body: the status says enough
            if not chunk:
                return b"".join(chunks), True
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks)[:limit], False

    async def read(self, until: float) -> bytes:
        try:
            async with asyncio.timeout_at(until):
                return await self._response.content.readany()
        except TimeoutError as exc:
            raise OutOfTime from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise _broken(self._endpoint, exc) from exc

    def finish(self) -> None:
        if self._over:
            return
        self._over = True
        if self._response.content.at_eof():
            self._response.release()
            return
        # A handshake costs more than a task: read the end of the framing, so that the connection can be reused.
        task = asyncio.get_running_loop().create_task(self._drain())
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _drain(self) -> None:
        until = asyncio.get_running_loop().time() + LINGER_S
        try:
            _, complete = await self.rest(MAX_ERROR_BYTES, until)
        except (OutOfTime, UpstreamError):
            complete = False
        finally:
            if not self._response.content.at_eof():
                self._response.close()
        if complete:
            self._response.release()

    def abort(self) -> None:
        if not self._over:
            self._over = True
            self._response.close()


def _headers(target: Target, accept: bytes, has_body: bool) -> dict[str, str]:
    headers = {
        "Host": target.authority, "User-Agent": f"pointsman/{__version__}", "Accept-Encoding": "identity",
        "Accept": accept.decode(),
    }
    headers |= target.credentials
    if has_body:
        headers["Content-Type"] = JSON.decode()
    return headers


def _not_connected(endpoint: EndpointSpec, target: Target, exc: Exception) -> ConnectFailed:
    error = ConnectFailed(f"endpoint {endpoint.id}: cannot connect: {_why(exc)}", sent=False)
    if isinstance(exc, aiohttp.ClientSSLError):
        error.status, error.code = 502, "upstream_tls"
    elif isinstance(exc, TimeoutError):
        error.status, error.type = 504, "timeout_error"
    return error


def _broken(endpoint: EndpointSpec, exc: Exception) -> UpstreamError:
    what = f"{type(exc).__name__}: {str(exc)[:200]}"
    if isinstance(exc, aiohttp.ClientResponseError):
        return BadAnswer(f"endpoint {endpoint.id} sent broken HTTP ({what})")
    return ConnectionLost(f"the connection to endpoint {endpoint.id} broke ({what})")


def _tracing() -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_connection_reuseconn.append(_reused)
    config.on_request_headers_sent.append(_sent)
    return config


def _why(exc: Exception) -> str:
    """The cause without the address: clients read this too, and our hosts are none of their business."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not accepted: {exc.certificate_error}"
    if isinstance(exc, TimeoutError):
        return "not within the time given"
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    return getattr(cause, "strerror", None) or type(cause).__name__
