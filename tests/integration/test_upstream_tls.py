"""https endpoints over a real handshake: the same reading, the same errors, the same leaving."""

import asyncio
import contextlib
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pointsman import errors
from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Usage
from pointsman.testing.factories import a_request, an_endpoint
from pointsman.upstream.client import HttpUpstream

ANSWER = json.dumps({
    "id": "x", "model": "m", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}).encode()
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem")], check=True, capture_output=True)
    return place / "cert.pem", place / "key.pem"


def response(body: bytes = ANSWER, status: str = "200 OK", header: str = "content-type: application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{header}\r\n\r\n".encode() + body


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def says(*pieces: bytes, then: str = "wait") -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if then == "close":
                return

    return script


class Server:
    def __init__(self, certificate: tuple[Path, Path], script: Script) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self._script = script
        self.connections = 0
        self.closed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._script(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            self.closed.set()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def running(self, host: str = "localhost") -> AsyncIterator[EndpointSpec]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        port = server.sockets[0].getsockname()[1]
        try:
            yield an_endpoint(url=f"https://{host}:{port}/v1", connect_timeout_s=1.0, api_key="sk-1")
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


Scenario = Callable[[HttpUpstream], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture
def run(certificate: tuple[Path, Path]) -> Run:
    async def checked(scenario: Scenario) -> None:
        upstream = HttpUpstream(ssl.create_default_context(cafile=certificate[0]))
        try:
            await scenario(upstream)
        finally:
            await upstream.aclose()
            await asyncio.sleep(0.01)  # aiohttp closes TLS sockets a turn later

    return lambda scenario: asyncio.run(asyncio.wait_for(checked(scenario), 20))


def now() -> float:
    return asyncio.get_running_loop().time()


async def ask(upstream: HttpUpstream, endpoint: EndpointSpec, within: float = 5.0) -> bytes:
    request = a_request()
    return (await upstream.ask(endpoint, request, (request.body[:7], request.body[7:]), until=now() + within)).body


async def follow(upstream: HttpUpstream, endpoint: EndpointSpec, within: float = 5.0) -> tuple[list[bytes], Usage | None]:
    request = a_request(stream=True)
    stream = await upstream.stream(endpoint, request, (request.body,), until=now() + within)
    events: list[bytes] = []
    while (batch := await stream.next(now() + within)) is not None:
        events += batch.events
    return events, stream.reply.usage


def test_answers_and_streams_share_a_connection(run: Run, certificate: tuple[Path, Path]) -> None:
    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            assert await reader.readexactly(length) == a_request().body
            assert b"authorization: bearer sk-1" in head.lower()
            assert b"accept-encoding: identity" in head.lower()
            assert b"cookie" not in head.lower()
            if b"event-stream" in head:
                writer.write(STREAM_HEAD + chunked(HELLO, FINISH, USAGE, b"data: [DONE]\n\n"))
                await asyncio.sleep(0.02)
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(response(header="set-cookie: a=b"))

    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(certificate, both)
        async with server.running() as endpoint:
            for _ in range(2):
                assert await ask(upstream, endpoint) == ANSWER
                events, usage = await follow(upstream, endpoint)
                assert events == [HELLO[6:-2], FINISH[6:-2]]
                assert usage == Usage(5, 2)
                await asyncio.sleep(0.1)  # the framing ends in the background
            assert server.connections == 1

    run(scenario)


@pytest.mark.parametrize(("script", "kind"), [
    (says(then="close"), errors.ConnectionLost),
    (says(response()[:-5], then="close"), errors.ConnectionLost),
    (says(b"garbage\r\n\r\n"), errors.BadAnswer),
    (says(response(b"<html>", header="content-type: text/html")), errors.BadAnswer),
    (says(response(header="content-encoding: gzip")), errors.BadAnswer),
    (says(response(b"", "302 Found", "location: https://169.254.169.254/")), errors.Misconfigured),
    (says(response(b"{}", "429 E", "retry-after: 2")), errors.RateLimited),
    (says(response(b'{"error":{"message":"m"}}', "400 E")), errors.RequestRefused),
    (says(response(b"x" * 300_000, "500 E")), errors.UpstreamFailed),
])
@pytest.mark.parametrize("call", [ask, follow])
def test_a_bad_answer_is_named(
    run: Run, certificate: tuple[Path, Path], script: Script, kind: type[errors.UpstreamError],
    call: Callable[[HttpUpstream, EndpointSpec], Awaitable[object]],
) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(certificate, script).running() as endpoint:
            with pytest.raises(errors.UpstreamError) as caught:
                await call(upstream, endpoint)
            assert type(caught.value) is kind, caught.value
            assert caught.value.sent

    run(scenario)


@pytest.mark.parametrize(("script", "kind"), [
    (says(), errors.FirstTokenTimeout),
    (says(STREAM_HEAD), errors.FirstTokenTimeout),
    (says(STREAM_HEAD + chunked(HELLO)), errors.StreamStalled),
    (says(STREAM_HEAD + chunked(HELLO), then="close"), errors.ConnectionLost),
    (says(STREAM_HEAD + chunked(HELLO) + b"0\r\n\r\n"), errors.BadAnswer),
])
def test_a_broken_stream_is_named(
    run: Run, certificate: tuple[Path, Path], script: Script, kind: type[errors.UpstreamError]
) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(certificate, script)
        async with server.running() as endpoint:
            with pytest.raises(errors.UpstreamError) as caught:
                await follow(upstream, endpoint, within=0.2)
            assert type(caught.value) is kind, caught.value

    run(scenario)


def test_a_certificate_that_is_not_trusted_sends_nothing(certificate: tuple[Path, Path]) -> None:
    async def scenario() -> None:
        upstream = HttpUpstream()
        server = Server(certificate, says(response()))
        async with server.running() as endpoint:
            with pytest.raises(errors.ConnectFailed) as caught:
                await ask(upstream, endpoint)
            assert (caught.value.sent, caught.value.status, caught.value.code) == (False, 502, "upstream_tls")
        await upstream.aclose()

    asyncio.run(scenario())


def test_a_certificate_for_another_name_sends_nothing(run: Run, certificate: tuple[Path, Path]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(certificate, says(response())).running("127.0.0.1") as endpoint:
            with pytest.raises(errors.ConnectFailed) as caught:
                await ask(upstream, endpoint)
            assert not caught.value.sent

    run(scenario)


def test_a_handshake_that_stalls_runs_into_the_connect_timeout(run: Run) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(errors.ConnectFailed) as caught:
            await ask(upstream, an_endpoint(url=f"https://localhost:{port}/v1", connect_timeout_s=0.2))
        assert (caught.value.sent, caught.value.status) == (False, 504)
        server.close()

    run(scenario)


@pytest.mark.parametrize("script", [says(), says(STREAM_HEAD), says(STREAM_HEAD + chunked(HELLO))])
def test_cancelling_closes_the_socket_at_once(run: Run, certificate: tuple[Path, Path], script: Script) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(certificate, script)
        async with server.running() as endpoint:
            task = asyncio.ensure_future(follow(upstream, endpoint))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait_for(server.closed.wait(), 0.25)
            with pytest.raises(asyncio.CancelledError):
                await task

    run(scenario)


def test_a_connection_that_closes_as_it_is_reused_is_replaced_silently(run: Run, certificate: tuple[Path, Path]) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (response(), b""):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            writer.write(answer)
            await writer.drain()

    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(certificate, once)
        async with server.running() as endpoint:
            for _ in range(4):
                assert await ask(upstream, endpoint) == ANSWER
            assert server.connections == 4

    run(scenario)


def test_a_large_body_is_sent_whole(run: Run, certificate: tuple[Path, Path]) -> None:
    received: list[int] = []

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        received.append(len(await reader.readexactly(length)))
        writer.write(response())
        await writer.drain()

    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(certificate, counting).running() as endpoint:
            request = a_request("x" * 3_000_000)
            await upstream.ask(endpoint, request, (request.body,), until=now() + 5)
            assert received == [len(request.body)]

    run(scenario)
