"""Good and bad days of a model server: each says what one request gets, byte for byte.

A day works for streamed and plain requests: where it speaks of events, a plain reply gets the same treatment at
half its body. Times are seconds of the event loop's clock. A day of your own is a subclass with `serve`.
"""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

import msgspec

from pointsman.testing import openai_shapes as shapes
from pointsman.testing.fitting_json import fit
from pointsman.testing.wire import Connection, Headers, Seen, chunk, head

Cut = Literal["fin", "rst", "chunked-truncated"]
Framing = Literal["chunked", "close"]
EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(slots=True)
class Exchange:
    """One request being served: what was asked, and the connection to answer on."""

    seen: Seen
    connection: Connection
    asked: shapes.Asked
    number: int
    """1 for the first request of the server: part of ids, so that replies can be told apart."""

    def send(self, data: bytes) -> None:
        self.connection.write(data)

    def open_stream(self, *, content_type: str = EVENT_STREAM, framing: Framing = "chunked", headers: Headers = ()) -> None:
        how = ("transfer-encoding", "chunked") if framing == "chunked" else ("connection", "close")
        self.send(head(200, (("content-type", content_type), how, *headers)))

    async def forever(self) -> None:
        """Silence until the client leaves."""
        await asyncio.get_running_loop().create_future()


class Day:
    """What one request gets."""

    on_connect = False
    """True: takes a fresh connection over before anything is read (`greet`)."""

    async def serve(self, exchange: Exchange) -> None:
        raise NotImplementedError

    async def greet(self, connection: Connection) -> None:
        raise NotImplementedError


# ---------------------------------------------------------------------------------------------------------
# Good days


@dataclass(frozen=True)
class Answer(Day):
    """A right answer: chat, completions or embeddings, streamed or plain, as the request asks.

    Follows `n`, `logprobs`, `stream_options.include_usage`, `response_format` and `tools` of the request; the model
    name is the one asked for.
    """

    text: str = "Paris is the capital of France."
    _: KW_ONLY
    chunks: tuple[str, ...] | None = None
    """The stream's pieces; None = one event per token of `text`."""
    usage: bool = True
    """False: an engine that never counts."""
    usage_tokens: tuple[int, int] | None = None
    """(input, output) to report instead of counting."""
    cached_tokens: int | None = None
    tool_calls: tuple[tuple[str, str], ...] = ()
    """(name, JSON arguments) each; an answer with calls has no content."""
    finish: str | None = None
    """None = `stop`, or `tool_calls` when there are some."""
    model: str | None = None
    """None = the model that was asked for."""
    first_token_after: float = 0.0
    between: float = 0.0
    """Seconds before each further event."""
    in_one_segment: bool = False
    """All events in one write instead of one each."""
    framing: Framing = "chunked"
    dimensions: int = 8
    headers: Headers = ()

    async def serve(self, exchange: Exchange) -> None:
        if not exchange.asked.stream:
            await asyncio.sleep(self.first_token_after)
            exchange.connection.reply(200, self.body(exchange), headers=self.headers)
            return
        exchange.open_stream(framing=self.framing, headers=self.headers)
        events = [shapes.sse(e) for e in (*self.events(exchange), b"[DONE]")]
        if self.in_one_segment:
            await asyncio.sleep(self.first_token_after)
            self._send(exchange, b"".join(events))
        else:
            for i, event in enumerate(events):
                # The role comes at once, as from an engine; the first token is the second event.
                if wait := self.first_token_after if i == 1 else self.between if i > 1 else 0.0:
                    await asyncio.sleep(wait)
                self._send(exchange, event)
                await exchange.connection.drain()
        if self.framing == "chunked":
            exchange.send(chunk(b""))
        else:
            exchange.connection.close()

    def _send(self, exchange: Exchange, event: bytes) -> None:
        exchange.send(chunk(event) if self.framing == "chunked" else event)

    # -- contents; bad days start from these

    def origin(self, exchange: Exchange) -> shapes.Origin:
        prefix = "chatcmpl" if exchange.asked.kind == "chat" else "cmpl"
        return shapes.Origin(f"{prefix}-{exchange.number:08x}", self.model or exchange.asked.model,
                             1_795_293_544, "pointsman-model-server")

    def content(self, asked: shapes.Asked) -> str:
        """The text, or JSON that fits `response_format` when the text is none."""
        if not asked.json_wanted or _is_json(self.text):
            return self.text
        wanted = asked.body["response_format"].get("json_schema")
        schema = wanted.get("schema") if isinstance(wanted, dict) else None
        value = fit(schema, self.text.split() or ["x"]) if schema else {"answer": self.text}
        return shapes.encode(value).decode()

    def pieces(self, asked: shapes.Asked) -> list[str]:
        return list(self.chunks) if self.chunks is not None else shapes.tokens_of(self.content(asked))

    def calls(self) -> list[dict[str, Any]]:
        return [shapes.tool_call(name, arguments, f"call_{i:08x}")
                for i, (name, arguments) in enumerate(self.tool_calls)]

    @property
    def finish_reason(self) -> str:
        return self.finish or ("tool_calls" if self.tool_calls else "stop")

    def usage_of(self, asked: shapes.Asked) -> dict[str, Any]:
        counted = (asked.prompt_tokens, len(self.pieces(asked)) * asked.choices)
        return shapes.usage(*(self.usage_tokens or counted), self.cached_tokens)

    def body(self, exchange: Exchange) -> bytes:
        """A plain reply's JSON."""
        asked, origin = exchange.asked, self.origin(exchange)
        if asked.kind == "embedding":
            return shapes.embeddings(asked, origin.model, self.dimensions, origin.id)
        choices = [self._choice(asked, i) for i in range(asked.choices * (len(asked.texts) if asked.kind != "chat" else 1))]
        return origin.body(asked.kind, choices, self.usage_of(asked) if self.usage else None)

    def _choice(self, asked: shapes.Asked, index: int) -> dict[str, Any]:
        pieces = self.pieces(asked)
        text = "".join(pieces)
        said: dict[str, Any] = (
            {"message": shapes.message(None if self.tool_calls else text, self.calls())}
            if asked.kind == "chat" else {"text": text})
        return {"index": index, **said, "logprobs": self._logprobs(asked, pieces), "finish_reason": self.finish_reason,
                "stop_reason": None}

    def _logprobs(self, asked: shapes.Asked, pieces: list[str]) -> dict[str, Any] | None:
        if asked.logprobs is None:
            return None
        make = shapes.chat_logprobs if asked.kind == "chat" else shapes.completion_logprobs
        return make(pieces, asked.logprobs)

    def events(self, exchange: Exchange) -> list[bytes]:
        """The data of each event before `[DONE]`; the first one is the role (chat)."""
        asked, origin = exchange.asked, self.origin(exchange)
        many = asked.choices * (len(asked.texts) if asked.kind == "completion" else 1)
        events = []
        if asked.kind == "chat":
            role = {"role": "assistant", "content": ""}
            events += [origin.chunk("chat", [_delta(i, role)]) for i in range(many)]
        for i in range(many):
            deltas = self._deltas(asked)
            for j, (delta, pieces) in enumerate(deltas):
                finish = self.finish_reason if j == len(deltas) - 1 else None
                choice = ({"index": i, "delta": delta} if asked.kind == "chat" else {"index": i, "text": "".join(pieces)})
                events.append(origin.chunk(asked.kind, [
                    choice | {"logprobs": self._logprobs(asked, pieces), "finish_reason": finish, "stop_reason": None}]))
        if asked.include_usage and self.usage:
            events.append(origin.chunk(asked.kind, [], usage=self.usage_of(asked)))
        return events

    def _deltas(self, asked: shapes.Asked) -> list[tuple[dict[str, Any], list[str]]]:
        if not self.tool_calls or asked.kind != "chat":
            return [({"content": piece}, [piece]) for piece in self.pieces(asked)] or [({}, [])]
        deltas: list[tuple[dict[str, Any], list[str]]] = []
        for i, call in enumerate(self.calls()):
            arguments = call["function"]["arguments"]
            opening = call | {"index": i, "function": {"name": call["function"]["name"], "arguments": ""}}
            deltas.append(({"tool_calls": [opening]}, []))
            deltas += [({"tool_calls": [{"index": i, "function": {"arguments": piece}}]}, [])
                       for piece in shapes.tokens_of(arguments)]
        return deltas


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}


def _is_json(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), (dict, list))
    except msgspec.DecodeError:
        return False


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
# Statuses by name, with the bodies engines and proxies really send


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
