import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from pointsman import errors
from pointsman.core.fleet import EndpointSpec
from pointsman.core.protocols import ReplyStream, Upstream
from pointsman.core.request import Kind
from pointsman.testing.factories import a_request, an_endpoint
from pointsman.upstream.client import HttpUpstream
from pointsman.upstream.exchange import EVENTS, JSON, OutOfTime, Target

ANSWER = json.dumps({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}).encode()
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
Step = bytes | BaseException


class Wire:
    """A transport with one scripted exchange: satisfies `Transport` and `Exchange`."""

    def __init__(self, *steps: Step, status: int = 200, kind: bytes = JSON) -> None:
        self._steps = list(steps)
        self.status, self.headers = status, {b"content-type": kind}
        self.sent: list[tuple[bytes, str, bytes, bytes]] = []
        self.end = ""

    async def send(
        self, endpoint: EndpointSpec, target: Target, method: bytes, suffix: str, accept: bytes,
        body: Sequence[bytes], *, whole: bool, until: float,
    ) -> "Wire":
        self.sent.append((method, suffix, accept, b"".join(body)))
        return self

    async def read(self, until: float) -> bytes:
        step = self._steps.pop(0) if self._steps else b""
        if isinstance(step, BaseException):
            raise step
        return step

    async def rest(self, limit: int, until: float) -> tuple[bytes, bool]:
        return await self.read(until), True

    def finish(self) -> None:
        self.end += "finished "

    def abort(self) -> None:
        self.end += "aborted "

    async def aclose(self) -> None: ...


def play(wire: Wire, scene: Callable[[Upstream], Awaitable[Any]]) -> Any:
    upstream = HttpUpstream()
    upstream._plain = wire

    async def main() -> Any:
        return await scene(upstream)

    return asyncio.run(main())


def streamed(upstream: Upstream) -> Awaitable[ReplyStream]:
    return upstream.stream(an_endpoint(), a_request(stream=True), (b"{}",), until=1e9)


@pytest.mark.parametrize(("kind", "path"), [
    (Kind.CHAT, "/chat/completions"), (Kind.COMPLETION, "/completions"), (Kind.EMBEDDING, "/embeddings")])
def test_each_kind_has_its_path(kind: Kind, path: str) -> None:
    wire = Wire(b'{"data":[{"embedding":[1]}]}' if kind is Kind.EMBEDDING else ANSWER)

    play(wire, lambda u: u.ask(an_endpoint(), a_request(kind=kind), (b"{", b"}"), until=1e9))

    assert wire.sent == [(b"POST", path, JSON, b"{}")]
    assert wire.end.split()[0] == "finished"


def test_a_stream_asks_for_events_and_finishes_its_exchange() -> None:
    wire = Wire(HELLO, END, kind=EVENTS)

    async def scene(upstream: Upstream) -> None:
        stream = await streamed(upstream)
        assert (await stream.next(1e9)) is not None
        assert (await stream.next(1e9)) is not None
        assert (await stream.next(1e9)) is None
        stream.close()

    play(wire, scene)

    assert wire.sent[0][2] == EVENTS
    assert wire.end == "finished "


def test_a_stream_that_is_given_up_aborts_once() -> None:
    wire = Wire(HELLO, kind=EVENTS)

    async def scene(upstream: Upstream) -> None:
        stream = await streamed(upstream)
        await stream.next(1e9)
        stream.close()
        stream.close()

    play(wire, scene)

    assert wire.end == "aborted "


@pytest.mark.parametrize(("steps", "kind"), [
    ((OutOfTime(),), errors.FirstTokenTimeout),
    ((HELLO, OutOfTime()), errors.StreamStalled),
    ((HELLO, errors.ConnectionLost("gone")), errors.ConnectionLost),
    ((HELLO, asyncio.CancelledError()), asyncio.CancelledError),
    ((HELLO, b""), errors.BadAnswer),
])
def test_a_stream_that_fails_aborts_its_exchange(steps: tuple[Step, ...], kind: type[BaseException]) -> None:
    wire = Wire(*steps, kind=EVENTS)

    async def scene(upstream: Upstream) -> None:
        stream = await streamed(upstream)
        for _ in steps[:-1]:
            await stream.next(1e9)
        with pytest.raises(kind):
            await stream.next(1e9)

    play(wire, scene)

    assert wire.end == "aborted "


@pytest.mark.parametrize("last", [OutOfTime(), errors.ConnectionLost("gone")])
def test_a_complete_answer_is_a_success_whatever_follows(last: BaseException) -> None:
    wire = Wire(HELLO, END[:-14], last, kind=EVENTS)

    async def scene(upstream: Upstream) -> ReplyStream:
        stream = await streamed(upstream)
        while await stream.next(1e9) is not None:
            pass
        return stream

    assert play(wire, scene).reply.finish_reasons == ("stop",)
    assert wire.end == "aborted "


def test_a_plain_answer_that_is_none_aborts_its_exchange() -> None:
    wire = Wire(b"<html>")

    with pytest.raises(errors.BadAnswer):
        play(wire, lambda u: u.ask(an_endpoint(), a_request(), (b"{}",), until=1e9))

    assert wire.end == "aborted "


def test_a_page_in_answer_to_a_streamed_request_is_refused_unread() -> None:
    with pytest.raises(errors.BadAnswer):
        play(Wire(AssertionError("read"), kind=b"text/html"), streamed)


def test_what_an_engine_says_behind_a_whole_answer_changes_nothing_of_it() -> None:
    died = b'data: {"error":{"message":"EngineDeadError","code":500}}\n\n'
    whole = b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    wire = Wire(whole, died, kind=EVENTS)

    async def scene(upstream: Upstream) -> None:
        stream = await streamed(upstream)
        assert (await stream.next(1e9)) is not None
        assert (await stream.next(1e9)) is None

    play(wire, scene)

    assert wire.end == "aborted "


def test_pings_that_are_always_there_do_not_put_off_the_first_token_for_ever() -> None:
    """Over any wire: a piece that can be read at once never waits, and so never runs into a timer."""
    wire = Wire(*[b": ping\n\n"] * 50, kind=EVENTS)

    async def scene(upstream: Upstream) -> None:
        now = asyncio.get_running_loop().time()
        stream = await upstream.stream(an_endpoint(), a_request(stream=True), (b"{}",), until=now)
        with pytest.raises(errors.FirstTokenTimeout):
            await stream.next(now - 1.0)

    play(wire, scene)
    assert len(wire._steps) == 49
    assert "aborted" in wire.end
