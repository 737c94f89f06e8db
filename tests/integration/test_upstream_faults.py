"""Bad days of an upstream, over real sockets: what the caller learns, and that no socket stays behind."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvloop

from pointsman import errors
from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Reply, Usage
from pointsman.core.request import ChatRequest
from pointsman.testing.factories import a_request, an_endpoint
from pointsman.testing.patient_time import PatientLoop
from pointsman.upstream.client import HttpUpstream

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Scenario = Callable[[HttpUpstream], Awaitable[None]]

ANSWER = json.dumps({
    "id": "x", "model": "m", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}).encode()
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
HELLO = 'data: {"choices":[{"index":0,"delta":{"content":"Hé😀"},"finish_reason":null}]}\n\n'.encode()
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def response(body: bytes = ANSWER, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *(headers or ("content-type: application/json",))]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return head + await reader.readexactly(length)


def says(*pieces: bytes, then: str = "wait") -> Script:
    """Answers each request with these bytes, one write each; then waits for the next, closes or resets."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if then == "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if then != "wait":
                return

    return script


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # to the end: the peer's close


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    return


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    gone = asyncio.ensure_future(reader.read())  # the peer's close, or ConnectionError
    try:
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 10_000:
            writer.write(bytes((byte,)))
            if (await asyncio.wait([gone], timeout=0.01))[0]:
                gone.result()
                return
    finally:
        gone.cancel()


class Server:
    """A loopback server that runs one script per connection (the last one again for all later ones)."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self.connections = 0
        self.closed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed.set()  # the peer has gone
        except asyncio.CancelledError:
            pass  # the test is over
        else:
            if reader.at_eof():
                self.closed.set()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[EndpointSpec]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield an_endpoint(url=f"http://127.0.0.1:{port}/v1", connect_timeout_s=30.0)
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Runs a scenario on either loop and checks that no socket is left."""

    async def checked(scenario: Scenario) -> None:
        upstream = HttpUpstream()
        try:
            await scenario(upstream)
        finally:
            await upstream.aclose()
            assert repr(upstream) == "<HttpUpstream <PlainTransport 0 open, 0 idle>>"

    runner = asyncio.run if request.param == "asyncio" else uvloop.run
    return lambda scenario: runner(asyncio.wait_for(checked(scenario), 120))


def now() -> float:
    return asyncio.get_running_loop().time()


def at_once() -> float:
    """Seconds within which something follows at once. Where the time is the world's, a busy machine may take some of them."""
    return 0.25 if isinstance(asyncio.get_running_loop(), PatientLoop) else 30.0


def shortly() -> float:
    """A limit that an answer which does not come runs into, and everything before it does not."""
    return 0.15 if isinstance(asyncio.get_running_loop(), PatientLoop) else 1.0


async def ask(upstream: HttpUpstream, endpoint: EndpointSpec, within: float = 60.0, **request: Any) -> Reply:
    asked = a_request(**request)
    return await upstream.ask(endpoint, asked, (asked.body[:5], asked.body[5:]), until=now() + within)


async def follow(
    upstream: HttpUpstream, endpoint: EndpointSpec, within: float = 60.0, stall: float = 60.0, **request: Any
) -> tuple[list[bytes], Reply]:
    asked: ChatRequest = a_request(stream=True, **request)
    stream = await upstream.stream(endpoint, asked, (asked.body,), until=now() + within)
    events: list[bytes] = []
    while (batch := await stream.next(now() + stall)) is not None:
        events += batch.events
    stream.close()
    return events, stream.reply


def closed(upstream: HttpUpstream) -> bool:
    return "0 idle" in repr(upstream)


PLAIN_FAULTS: dict[str, tuple[Script, type[errors.UpstreamError]]] = {
    "accept then close": (closes, errors.ConnectionLost),
    "closed after the request": (says(then="close"), errors.ConnectionLost),
    "reset after the request": (says(then="reset"), errors.ConnectionLost),
    "garbage": (says(b"\x16\x03\x01\x02\x00garbage\r\n\r\n"), errors.BadAnswer),
    "HTTP/0.9": (says(b"hello", then="close"), errors.BadAnswer),
    "huge header": (says(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n"), errors.BadAnswer),
    "never-ending header": (says(b"HTTP/1.1 200 OK\r\nx: ", *[b"y" * 10_000] * 8), errors.BadAnswer),
    "many headers": (says(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 101 + b"\r\n"), errors.BadAnswer),
    "length and chunks": (says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}"),
                          errors.BadAnswer),
    "two lengths": (says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"), errors.BadAnswer),
    "negative length": (says(b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}"), errors.BadAnswer),
    "bad chunk size": (says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n"), errors.BadAnswer),
    "endless trailers": (says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", *[b"a: " + b"b" * 9000] * 9),
                         errors.BadAnswer),
    "unknown coding": (says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n{}", then="close"), errors.BadAnswer),
    "NUL in a header": (says(b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n"), errors.BadAnswer),
    "compressed": (says(response(ANSWER, "200 OK", "content-encoding: gzip")), errors.BadAnswer),
    "switching protocols": (says(b"HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), errors.BadAnswer),
    "informational flood": (says(b"HTTP/1.1 102 Processing\r\n\r\n" * 11), errors.BadAnswer),
    "short body": (says(response()[:-5], then="close"), errors.ConnectionLost),
    "short body, reset": (says(response()[:-5], then="reset"), errors.ConnectionLost),
    "cut chunks": (says(STREAM_HEAD + chunked(ANSWER), then="close"), errors.ConnectionLost),
    "empty body": (says(response(b"")), errors.BadAnswer),
    "no content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), errors.BadAnswer),
    "HTML under 200": (says(response(b"<html>", "200 OK", "content-type: text/html")), errors.BadAnswer),
    "truncated JSON": (says(response(ANSWER[:-9])), errors.BadAnswer),
    "events instead of JSON": (says(STREAM_HEAD + chunked(HELLO, FINISH, DONE) + END), errors.BadAnswer),
    "error under 200": (says(response(b'{"error":{"message":"m","code":500}}')), errors.UpstreamFailed),
    "redirect": (says(response(b"", "302 Found", "location: http://169.254.169.254/")), errors.Misconfigured),
    "500": (says(response(b"oops", "500 E")), errors.UpstreamFailed),
    "502 page": (says(response(b"<html>", "502 E", "content-type: text/html")), errors.UpstreamFailed),
    "529": (says(response(b"", "529 E")), errors.UpstreamOverloaded),
    "429": (says(response(b"{}", "429 E", "retry-after: 2")), errors.RateLimited),
    "401": (says(response(b'{"error":"Unauthorized"}', "401 E")), errors.CredentialRefused),
    "404": (says(response(b'{"detail":"Not Found"}', "404 E")), errors.Misconfigured),
    "400": (says(response(b'{"error":{"message":"m"}}', "400 E")), errors.RequestRefused),
    "400 cut short": (says(response(b'{"error":{"message":"m"}}', "400 E")[:-3], then="close"), errors.RequestRefused),
    "500 with a long page": (says(response(b"x" * 300_000, "500 E")), errors.UpstreamFailed),
}


@pytest.mark.parametrize("fault", PLAIN_FAULTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_a_bad_answer_is_named(run: Callable[[Scenario], None], fault: str, streamed: bool) -> None:
    script, kind = PLAIN_FAULTS[fault]
    if streamed and fault in ("events instead of JSON", "cut chunks"):
        pytest.skip("another matter when streamed")

    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(script).running() as endpoint:
            with pytest.raises(errors.UpstreamError) as caught:
                await (follow if streamed else ask)(upstream, endpoint)
            assert type(caught.value) is kind, caught.value
            assert caught.value.sent
            assert "b'" not in str(caught.value), "it is for people"

    run(scenario)


CHUNKED_FAULTS: dict[str, tuple[Script, type[errors.UpstreamError], int]] = {
    "cut before content": (says(STREAM_HEAD + chunked(ROLE), then="close"), errors.ConnectionLost, 1),
    "cut in the middle": (says(STREAM_HEAD + chunked(ROLE, HELLO), then="close"), errors.ConnectionLost, 2),
    "reset in the middle": (says(STREAM_HEAD + chunked(ROLE, HELLO), b"", then="reset"), errors.ConnectionLost, 2),
    "clean end without finish_reason": (says(STREAM_HEAD + chunked(HELLO) + END), errors.BadAnswer, 1),
    "done without finish_reason": (says(STREAM_HEAD + chunked(HELLO, DONE) + END), errors.BadAnswer, 1),
    "no events": (says(STREAM_HEAD + END), errors.BadAnswer, 0),
    "only comments": (says(STREAM_HEAD + chunked(b": hi\n\n") + END), errors.BadAnswer, 0),
    "error, then done": (says(STREAM_HEAD + chunked(HELLO, b'data: {"error":{"message":"m","code":500}}\n\n', DONE) + END),
                         errors.UpstreamFailed, 1),
    "error first": (says(STREAM_HEAD + chunked(b'data: {"error":"m"}\n\n', DONE) + END), errors.UpstreamFailed, 0),
    "garbage event": (says(STREAM_HEAD + chunked(HELLO, b"data: garbage\n\n", FINISH, DONE) + END), errors.BadAnswer, 1),
    "invalid UTF-8": (says(STREAM_HEAD + chunked(HELLO, HELLO.replace(b"\xc3", b"\xff"), FINISH) + END), errors.BadAnswer, 1),
    "an event of over 16 MiB": (says(STREAM_HEAD + chunked(HELLO), *[chunked(b"data: " + b"x" * 999_000)] * 17),
                               errors.BadAnswer, 1),
    "bad chunk": (says(STREAM_HEAD + chunked(HELLO), b"zz\r\n"), errors.BadAnswer, 1),
}


@pytest.mark.parametrize("fault", CHUNKED_FAULTS)
def test_a_broken_stream_is_named_after_its_good_events(run: Callable[[Scenario], None], fault: str) -> None:
    script, kind, good = CHUNKED_FAULTS[fault]

    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(script).running() as endpoint:
            request = a_request(stream=True)
            stream = await upstream.stream(endpoint, request, (request.body,), until=now() + 60)
            events: list[bytes] = []

            async def to_the_end() -> None:
                while (batch := await stream.next(now() + 60)) is not None:
                    events.extend(batch.events)

            with pytest.raises(errors.UpstreamError) as caught:
                await to_the_end()
            assert type(caught.value) is kind, caught.value
            if fault != "reset in the middle":  # a reset may overtake what was sent before it
                assert len(events) == good
            assert closed(upstream)

    run(scenario)


def test_a_refused_connection_sent_nothing(run: Callable[[Scenario], None]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refuses
        endpoint = an_endpoint(url=f"http://127.0.0.1:{taken.getsockname()[1]}/v1")

        async def scenario(upstream: HttpUpstream) -> None:
            for call in (ask, follow):
                with pytest.raises(errors.ConnectFailed) as caught:
                    await call(upstream, endpoint)
                assert not caught.value.sent
                assert caught.value.status == 503

        run(scenario)


def test_a_name_that_does_not_resolve_sent_nothing(run: Callable[[Scenario], None]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        with pytest.raises(errors.ConnectFailed) as caught:
            await ask(upstream, an_endpoint(url="http://no-such-host.invalid/v1", connect_timeout_s=5.0))
        assert not caught.value.sent

    run(scenario)


def test_a_full_backlog_runs_into_the_connect_timeout(run: Callable[[Scenario], None]) -> None:
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # the kernel completes one or two, the rest hang in the handshake
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(full.getsockname())
        endpoint = an_endpoint(url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect_timeout_s=0.2)

        async def scenario(upstream: HttpUpstream) -> None:
            with pytest.raises(errors.ConnectFailed) as caught:
                await ask(upstream, endpoint)
            assert (caught.value.sent, caught.value.status) == (False, 504)

        run(scenario)


@pytest.mark.parametrize("script", [hangs, drips, says(b"HTTP/1.1 200 OK\r\n"), says(response()[:-5])],
                         ids=["hang", "slow headers", "half a head", "half a body"])
def test_an_answer_that_does_not_come_runs_into_its_limit(run: Callable[[Scenario], None], script: Script) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(script)
        async with server.running() as endpoint:
            began = now()
            with pytest.raises(errors.AnswerTimeout):
                await ask(upstream, endpoint, within=shortly())
            assert now() - began < shortly() + at_once()
            await asyncio.wait_for(server.closed.wait(), at_once())

    run(scenario)


def test_a_peer_that_never_reads_runs_into_the_limit(run: Callable[[Scenario], None]) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(5)

    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(deaf).running() as endpoint:
            with pytest.raises(errors.AnswerTimeout):
                await ask(upstream, endpoint, within=shortly(), prompt="x" * 8_000_000)

    run(scenario)


@pytest.mark.parametrize(("script", "within", "kind"), [
    (hangs, "headers", errors.FirstTokenTimeout),
    (says(STREAM_HEAD), "first", errors.FirstTokenTimeout),
    (says(STREAM_HEAD + chunked(ROLE, b": still here\n\n")), "first", errors.FirstTokenTimeout),
    (says(STREAM_HEAD + chunked(ROLE, HELLO)), "middle", errors.StreamStalled),
])
def test_a_stall_is_named_by_its_phase(
    run: Callable[[Scenario], None], script: Script, within: str, kind: type[errors.UpstreamError]
) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(script)
        async with server.running() as endpoint:
            with pytest.raises(errors.UpstreamTimeout) as caught:
                await follow(upstream, endpoint, within=30.0 if within == "middle" else shortly(), stall=0.15)
            assert type(caught.value) is kind
            await asyncio.wait_for(server.closed.wait(), at_once())

    run(scenario)


# ---------------------------------------------------------------------------------------------------------
# Good days


def data(*events: bytes) -> list[bytes]:
    return [event[6:-2] for event in events]


@pytest.mark.parametrize("pieces", [
    [STREAM_HEAD + chunked(ROLE, HELLO, FINISH, USAGE, DONE) + END],
    [STREAM_HEAD, *(chunked(e) for e in (ROLE, HELLO, FINISH, USAGE, DONE)), END],
    [bytes((b,)) for b in STREAM_HEAD + chunked(ROLE, HELLO, FINISH, USAGE, DONE) + END],
    [STREAM_HEAD, chunked(*(bytes((b,)) for b in ROLE + HELLO + FINISH + USAGE + DONE)) + END],
    [b"HTTP/1.1 100 Continue\r\n\r\n" * 10 + STREAM_HEAD + chunked(ROLE, HELLO, FINISH, USAGE) + END],
], ids=["burst", "by event", "byte by byte", "one-byte chunks", "after 1xx"])
def test_a_stream_arrives_whole_however_it_is_cut(run: Callable[[Scenario], None], pieces: list[bytes]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(says(*pieces))
        async with server.running() as endpoint:
            for _ in range(2):
                events, reply = await follow(upstream, endpoint)
                assert events == data(ROLE, HELLO, FINISH)
                assert (reply.usage, reply.finish_reasons) == (Usage(5, 2), ("stop",))
            assert (await follow(upstream, endpoint, include_usage=True))[0] == data(ROLE, HELLO, FINISH, USAGE)

    run(scenario)


def test_answers_reuse_their_connection(run: Callable[[Scenario], None]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(says(response()))
        async with server.running() as endpoint:
            for _ in range(5):
                assert (await ask(upstream, endpoint)).body == ANSWER
            assert server.connections == 1
            await asyncio.gather(*(ask(upstream, endpoint) for _ in range(10)))
            assert server.connections == 10

    run(scenario)


def test_a_refusal_keeps_the_connection(run: Callable[[Scenario], None]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(says(response(b"{}", "429 E")))
        async with server.running() as endpoint:
            for _ in range(3):
                with pytest.raises(errors.RateLimited):
                    await ask(upstream, endpoint)
            assert server.connections == 1

    run(scenario)


def test_a_stream_whose_framing_ends_late_still_keeps_its_connection(run: Callable[[Scenario], None]) -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(STREAM_HEAD + chunked(HELLO, FINISH, DONE))
            await asyncio.sleep(0.05)
            writer.write(chunked(DONE) + END)

    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(late)
        async with server.running() as endpoint:
            await follow(upstream, endpoint)
            while closed(upstream):
                await asyncio.sleep(0.01)
            await follow(upstream, endpoint)
            assert server.connections == 1

    run(scenario)


@pytest.mark.parametrize("last", [(FINISH,), (FINISH, USAGE), (FINISH, USAGE, DONE)])
def test_a_complete_answer_that_does_not_end_is_a_success_within_a_second(
    run: Callable[[Scenario], None], last: tuple[bytes, ...]
) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(says(STREAM_HEAD + chunked(HELLO, *last)))
        async with server.running() as endpoint:
            began = now()
            events, reply = await follow(upstream, endpoint)
            assert events == data(HELLO, FINISH)
            assert reply.finish_reasons == ("stop",)
            assert now() - began < 1.05 + at_once()
            await asyncio.wait_for(server.closed.wait(), 1.25 + at_once())

    run(scenario)


def test_a_complete_answer_that_is_cut_afterwards_is_a_success(run: Callable[[Scenario], None]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(says(STREAM_HEAD + chunked(HELLO, FINISH), then="close")).running() as endpoint:
            assert (await follow(upstream, endpoint))[0] == data(HELLO, FINISH)

    run(scenario)


@pytest.mark.parametrize("answer", [
    b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER,
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n" + ANSWER,
    response(ANSWER, "200 OK", "connection: close"),
])
def test_an_answer_may_end_with_its_connection(run: Callable[[Scenario], None], answer: bytes) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(says(answer, then="close"))
        async with server.running() as endpoint:
            assert (await ask(upstream, endpoint)).body == ANSWER
            assert (await ask(upstream, endpoint)).body == ANSWER
            assert server.connections == 2

    run(scenario)


@pytest.mark.parametrize("extra", [b"x", response(b'{"forged":1}'), b"\r\n\r\nHTTP/1.1 200 OK\r\n"])
@pytest.mark.parametrize("together", [True, False])
def test_bytes_after_an_answer_never_meet_the_next_request(
    run: Callable[[Scenario], None], extra: bytes, together: bool
) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        pieces = (response() + extra,) if together else (response(), extra)
        server = Server(says(*pieces), says(response()))
        async with server.running() as endpoint:
            assert (await ask(upstream, endpoint)).body == ANSWER
            await asyncio.sleep(0.05)  # the rest arrives while the connection is idle
            assert (await ask(upstream, endpoint)).body == ANSWER
            assert server.connections == 2

    run(scenario)


def test_a_connection_that_closes_as_it_is_reused_is_replaced_silently(run: Callable[[Scenario], None]) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(response())
        await read_request(reader)  # and closes without a word, as if it had been about to

    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(once)
        async with server.running() as endpoint:
            for _ in range(6):
                assert (await ask(upstream, endpoint)).body == ANSWER
            # each reuse was refused, each redial took its place and was reused in turn
            assert server.connections == 6

    run(scenario)


def test_a_fresh_connection_is_not_replaced(run: Callable[[Scenario], None]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(says(then="close"))
        async with server.running() as endpoint:
            with pytest.raises(errors.ConnectionLost):
                await ask(upstream, endpoint)
            assert server.connections == 1

    run(scenario)


def test_a_redial_that_fails_does_not_claim_that_nothing_was_sent(run: Callable[[Scenario], None]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        listening: list[asyncio.Server] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(response())
            await read_request(reader)
            listening[0].close()  # first the port, then the connection
            writer.close()

        listening.append(await asyncio.start_server(serve, "127.0.0.1", 0))
        endpoint = an_endpoint(url=f"http://127.0.0.1:{listening[0].sockets[0].getsockname()[1]}/v1")
        await ask(upstream, endpoint)
        with pytest.raises(errors.ConnectFailed) as caught:
            await ask(upstream, endpoint)
        assert caught.value.sent

    run(scenario)


def test_an_upstream_that_ignores_stream_is_converted(run: Callable[[Scenario], None]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(says(response())).running() as endpoint:
            events, reply = await follow(upstream, endpoint)
            assert json.loads(events[0])["choices"][0]["delta"]["content"] == "Hi"
            assert (reply.usage, reply.finish_reasons, reply.body) == (Usage(5, 2), ("stop",), b"")
            assert not closed(upstream)

    run(scenario)


def test_nothing_but_our_own_headers_goes_upstream(run: Callable[[Scenario], None]) -> None:
    seen: list[bytes] = []

    async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(response())

    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(noting).running() as endpoint:
            await ask(upstream, endpoint, headers={"authorization": "Bearer client", "x-team": "legal"})
        head, _, body = seen[0].partition(b"\r\n\r\n")
        names = {line.partition(b":")[0] for line in head.split(b"\r\n")[1:]}
        assert names == {b"Host", b"User-Agent", b"Accept-Encoding", b"Accept", b"Content-Type", b"Content-Length"}
        assert body == a_request().body

    run(scenario)


# ---------------------------------------------------------------------------------------------------------
# Leaving


@pytest.mark.parametrize("script", [hangs, drips, says(response()[:-5])], ids=["write", "headers", "body"])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_cancelling_closes_the_socket_at_once(run: Callable[[Scenario], None], script: Script, streamed: bool) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(script)
        async with server.running() as endpoint:
            task = asyncio.ensure_future((follow if streamed else ask)(upstream, endpoint, prompt="x" * 500_000))
            while not server.connections:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait_for(server.closed.wait(), at_once())
            with pytest.raises(asyncio.CancelledError):
                await task

    run(scenario)


@pytest.mark.parametrize("how", ["cancel", "close"])
@pytest.mark.parametrize("body", [b"", chunked(ROLE), chunked(ROLE, HELLO), chunked(HELLO, FINISH)])
def test_leaving_a_stream_closes_the_socket_at_once(run: Callable[[Scenario], None], body: bytes, how: str) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(says(STREAM_HEAD + body))
        async with server.running() as endpoint:
            request = a_request(stream=True)
            stream = await upstream.stream(endpoint, request, (request.body,), until=now() + 60)
            if body:
                await stream.next(now() + 60)
            if how == "close":
                stream.close()
                stream.close()
            else:
                task = asyncio.ensure_future(stream.next(now() + 60))
                await asyncio.sleep(0.01)
                task.cancel()
            await asyncio.wait_for(server.closed.wait(), at_once())

    run(scenario)


def test_cancelling_a_connection_under_way_leaves_no_socket(run: Callable[[Scenario], None]) -> None:
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(full.getsockname())
        endpoint = an_endpoint(url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect_timeout_s=5.0)

        async def scenario(upstream: HttpUpstream) -> None:
            task = asyncio.ensure_future(ask(upstream, endpoint))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(scenario)


def test_closing_the_client_ends_what_is_under_way(run: Callable[[Scenario], None]) -> None:
    async def scenario(upstream: HttpUpstream) -> None:
        server = Server(hangs)
        async with server.running() as endpoint:
            task = asyncio.ensure_future(ask(upstream, endpoint))
            while not server.connections:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            await upstream.aclose()
            with pytest.raises(errors.ConnectionLost):
                await task
            await asyncio.wait_for(server.closed.wait(), at_once())

    run(scenario)


def test_a_slow_reader_is_felt_by_the_upstream(run: Callable[[Scenario], None]) -> None:
    event = b"data: " + HELLO[6:-2].replace(b"H", b"H" * 1000) + b"\n\n"
    written = 0

    async def firehose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        writer.write(STREAM_HEAD)
        for _ in range(20_000):
            writer.write(chunked(event))
            await writer.drain()
            written += 1
        writer.write(chunked(FINISH, DONE) + END)

    async def scenario(upstream: HttpUpstream) -> None:
        async with Server(firehose).running() as endpoint:
            request = a_request(stream=True)
            stream = await upstream.stream(endpoint, request, (request.body,), until=now() + 60)
            await asyncio.sleep(0.3)
            held = written
            assert held < 15_000  # 20 MB would be all: socket buffers and 64 KiB of ours are full
            count = 0
            while (batch := await stream.next(now() + 60)) is not None:
                count += len(batch.events)
            assert count == 20_001

    run(scenario)
