"""What a day of a model server is, and the good one: the right answer, streamed or plain.

Times are seconds of the event loop's clock. A day of your own is a subclass of `Day` with `serve`.
"""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import msgspec

from pointsman.testing import openai_shapes as shapes
from pointsman.testing.fitting_json import fit
from pointsman.testing.wire import Connection, Headers, Seen, chunk, head

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


class Paused(Day):
    """A streamed answer: its role and the first `said` pieces of text, and the rest after `go`."""

    def __init__(self, text: str = Answer.text, *, said: int = 2) -> None:
        self.go = asyncio.Event()
        self._answer, self._said = Answer(text), said

    async def serve(self, exchange: Exchange) -> None:
        events = [chunk(shapes.sse(e)) for e in (*self._answer.events(exchange), b"[DONE]")]
        exchange.open_stream()
        exchange.send(b"".join(events[: 1 + self._said]))
        await self.go.wait()
        exchange.send(b"".join(events[1 + self._said :]) + chunk(b""))


def _is_json(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), (dict, list))
    except msgspec.DecodeError:
        return False
