"""Bad days of a model server: each says how one request goes wrong, byte for byte.

A day works for streamed and plain requests: where it speaks of events, a plain reply gets the same treatment at
half its body. Error statuses are in `bad_statuses`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from pointsman.testing import openai_shapes as shapes
from pointsman.testing.day import EVENT_STREAM, Answer, Day, Exchange
from pointsman.testing.wire import Connection, chunk, head

Cut = Literal["fin", "rst", "chunked-truncated"]

# ---------------------------------------------------------------------------------------------------------
# Nobody there


@dataclass(frozen=True)
class Refuse(Day):
    """Nothing listens: from the end of the day before until `start_listening()` every connect is refused."""

    async def serve(self, exchange: Exchange) -> None:
        exchange.connection.reset()


@dataclass(frozen=True)
class AcceptOnly(Day):
    """The connection is accepted and never read: a process that is stopped, or a full backlog behind a proxy.

    On a connection that is already open: the request has been read, nothing after it is, and nothing is answered.
    """

    on_connect = True

    async def greet(self, connection: Connection) -> None:
        connection.stop_reading()
        await asyncio.get_running_loop().create_future()

    async def serve(self, exchange: Exchange) -> None:
        await self.greet(exchange.connection)


@dataclass(frozen=True)
class CloseAtOnce(Day):
    """The connection is accepted and closed: what a process that dies does, and an idle connection that timed out."""

    on_connect = True

    async def greet(self, connection: Connection) -> None:
        connection.close()

    async def serve(self, exchange: Exchange) -> None:
        exchange.connection.close()


@dataclass(frozen=True)
class Hang(Day):
    """The request is read and never answered."""

    async def serve(self, exchange: Exchange) -> None:
        await exchange.forever()


@dataclass(frozen=True)
class Reset(Day):
    """The request is read, then the connection is reset (RST)."""

    async def serve(self, exchange: Exchange) -> None:
        exchange.connection.reset()


# ---------------------------------------------------------------------------------------------------------
# Slow, stalled, cut


@dataclass(frozen=True)
class SlowHeaders(Day):
    """A right answer whose status line and headers come one byte every `byte_every_s`."""

    byte_every_s: float = 0.05
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        await _in_pieces(exchange, _whole(exchange, self.answer), 1, self.byte_every_s)


@dataclass(frozen=True)
class NoFirstToken(Day):
    """Headers say 200, then silence. `role`: with the event that only carries the role."""

    role: bool = False
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        if not exchange.asked.stream:
            exchange.send(_plain_head(200, len(self.answer.body(exchange))))
        else:
            exchange.open_stream()
            if self.role:
                exchange.send(chunk(shapes.sse(self.answer.events(exchange)[0])))
        await exchange.forever()


@dataclass(frozen=True)
class StallAfter(Day):
    """`events` content events, then silence with the socket open (plain: half of the body)."""

    events: int = 2
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        _begin(exchange, self.answer, self.events)
        await exchange.forever()


@dataclass(frozen=True)
class CutAfter(Day):
    """`events` content events, then the connection ends (plain: after half of the body).

    `how`: "fin" closes between two events, "rst" resets, "chunked-truncated" closes in the middle of an event.
    """

    events: int = 2
    how: Cut = "fin"
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        rest = _begin(exchange, self.answer, self.events)
        if self.how == "chunked-truncated":
            exchange.send(rest[: max(len(rest) // 2, 1)])
        if self.how == "rst":
            # A reset discards what the kernel still holds: give the client one turn to read.
            await asyncio.sleep(0.01)
            exchange.connection.reset()
        else:
            exchange.connection.close()


# ---------------------------------------------------------------------------------------------------------
# Wrong bytes


@dataclass(frozen=True)
class GarbageSse(Day):
    """`events` right ones, then an event that is no JSON, then the end (plain: a body that is no JSON)."""

    events: int = 0
    garbage: bytes = b'data: {"choices": [{"delta": {"content": \x00\xff oops\n\n'
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        if not exchange.asked.stream:
            exchange.connection.reply(200, self.garbage)
            return
        _begin(exchange, self.answer, self.events)
        exchange.send(chunk(self.garbage) + chunk(shapes.sse(b"[DONE]")) + chunk(b""))


@dataclass(frozen=True)
class SplitUtf8(Day):
    """A right answer in many scripts, in TCP segments of `chunk` bytes: characters come apart."""

    chunk: int = 1
    answer: Answer = field(default_factory=lambda: Answer("Zürich, 東京 и Αθήνα: 👩‍🚀 नमस्ते ✓"))

    async def serve(self, exchange: Exchange) -> None:
        await _in_pieces(exchange, _whole(exchange, self.answer), self.chunk, 0.0)


@dataclass(frozen=True)
class ErrorIn200(Day):
    """Status 200, application/json, and an error body: streamed and plain alike."""

    body: bytes = shapes.error("CUDA out of memory", "InternalServerError", 500)

    async def serve(self, exchange: Exchange) -> None:
        exchange.connection.reply(200, self.body)


@dataclass(frozen=True)
class WrongContentType(Day):
    """Status 200 and a web page: a captive portal, a proxy's error page."""

    body: bytes = b"<!doctype html><title>Welcome</title><p>Please sign in."
    content_type: str = "text/html"

    async def serve(self, exchange: Exchange) -> None:
        exchange.connection.reply(200, self.body, content_type=self.content_type)


@dataclass(frozen=True)
class InBandError(Day):
    """vLLM's way when its engine dies: status 200, some events, `{"error"}`, and `[DONE]` all the same.

    Plain: an error body under status 200.
    """

    after: int = 2
    done: bool = True
    error: bytes = shapes.error("EngineCore encountered an issue.", "InternalServerError", 500)
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        if not exchange.asked.stream:
            exchange.connection.reply(200, self.error)
            return
        _begin(exchange, self.answer, self.after)
        exchange.send(chunk(shapes.sse(self.error)))
        exchange.send((chunk(shapes.sse(b"[DONE]")) if self.done else b"") + chunk(b""))


@dataclass(frozen=True)
class EndWithoutFinish(Day):
    """Content and an orderly end, but no choice ever has a finish_reason. `done`: with `[DONE]`."""

    done: bool = True
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        finish = b'"finish_reason":"' + self.answer.finish_reason.encode() + b'"'
        if not exchange.asked.stream:
            exchange.connection.reply(200, self.answer.body(exchange).replace(finish, b'"finish_reason":null'))
            return
        exchange.open_stream()
        for event in self.answer.events(exchange):
            exchange.send(chunk(shapes.sse(event.replace(finish, b'"finish_reason":null'))))
        exchange.send((chunk(shapes.sse(b"[DONE]")) if self.done else b"") + chunk(b""))


@dataclass(frozen=True)
class ShortBody(Day):
    """The connection ends `missing` bytes before the promised end."""

    missing: int = 10
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        exchange.send(_whole(exchange, self.answer)[: -self.missing])
        exchange.connection.close()


@dataclass(frozen=True)
class ExtraBytes(Day):
    """A right answer and `extra` bytes after its end, on a connection that stays open."""

    extra: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nextra"
    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        exchange.send(_whole(exchange, self.answer) + self.extra)


@dataclass(frozen=True)
class EmptyBody(Day):
    """Status 200 and nothing else."""

    async def serve(self, exchange: Exchange) -> None:
        exchange.connection.reply(200, b"", content_type=EVENT_STREAM if exchange.asked.stream else "application/json")


@dataclass(frozen=True)
class JsonForStream(Day):
    """A right plain answer even when a stream was asked for."""

    answer: Answer = field(default_factory=Answer)

    async def serve(self, exchange: Exchange) -> None:
        exchange.connection.reply(200, self.answer.body(exchange))


@dataclass(frozen=True)
class Raw(Day):
    """Anything: bytes are written, numbers are pauses in seconds, then the connection ends as `then` says."""

    parts: tuple[bytes | float, ...]
    then: Literal["close", "reset", "hang", "keep"] = "close"

    async def serve(self, exchange: Exchange) -> None:
        for part in self.parts:
            if isinstance(part, bytes):
                exchange.send(part)
            else:
                await asyncio.sleep(part)
        match self.then:
            case "close":
                exchange.connection.close()
            case "reset":
                exchange.connection.reset()
            case "hang":
                await exchange.forever()
            case "keep":
                pass


# ---------------------------------------------------------------------------------------------------------
# Bytes of a right answer, for the days that spoil it


def _plain_head(status: int, length: int) -> bytes:
    return head(status, (("content-type", "application/json"), ("content-length", str(length))))


def _frames(exchange: Exchange, answer: Answer) -> list[bytes]:
    return [chunk(shapes.sse(event)) for event in answer.events(exchange)]


def _whole(exchange: Exchange, answer: Answer) -> bytes:
    """The complete right reply in one piece."""
    if not exchange.asked.stream:
        body = answer.body(exchange)
        return _plain_head(200, len(body)) + body
    start = head(200, (("content-type", EVENT_STREAM), ("transfer-encoding", "chunked")))
    return b"".join((start, *_frames(exchange, answer), chunk(shapes.sse(b"[DONE]")), chunk(b"")))


def _begin(exchange: Exchange, answer: Answer, events: int) -> bytes:
    """Sends the role and `events` content events (plain: half of the body); returns the bytes that would be next."""
    if not exchange.asked.stream:
        whole = _whole(exchange, answer)
        middle = len(whole) - len(answer.body(exchange)) // 2
        exchange.send(whole[:middle])
        return whole[middle:]
    frames = _frames(exchange, answer)
    sent = events + (exchange.asked.choices if exchange.asked.kind == "chat" else 0)
    exchange.open_stream()
    for frame in frames[:sent]:
        exchange.send(frame)
    return (frames[sent:] or [chunk(shapes.sse(b"[DONE]"))])[0]


async def _in_pieces(exchange: Exchange, data: bytes, size: int, every_s: float) -> None:
    """`size` bytes a write; the pause (at least one turn of the loop) keeps them in segments of their own.

    With a pause only the headers are slow: the body follows in one piece.
    """
    slow = data.index(b"\r\n\r\n") + 4 if every_s else len(data)
    for i in range(0, slow, size):
        exchange.send(data[i:i + size])
        await asyncio.sleep(every_s)
    exchange.send(data[slow:])
