"""Days of servers that speak Anthropic's or OpenAI's newer API themselves: a message, a response, and their bad ends.

They check what those APIs check: a Messages request without a version, a key in the right header or `max_tokens` is
refused, and so is a field that Anthropic does not know.
"""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import msgspec

from pointsman.testing.day import Day, Exchange
from pointsman.testing.wire import Headers, chunk

COMMITTED_AFTER_S = 0.05
"""Between the first word and a bad end: what comes in one segment with it, a router hides."""

_encode = msgspec.json.encode
_FIELDS = frozenset((
    "model", "messages", "max_tokens", "system", "stream", "stop_sequences", "temperature", "top_p", "top_k", "tools",
    "tool_choice", "metadata", "thinking", "output_config", "cache_control", "service_tier", "context_management", "container",
    "mcp_servers",
))


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def use(id: str, name: str, **given: Any) -> dict[str, Any]:
    """A call of a tool."""
    return {"type": "tool_use", "id": id, "name": name, "input": given}


def thought(said: str, signature: str = "c2lnbmVk") -> dict[str, Any]:
    return {"type": "thinking", "thinking": said, "signature": signature}


@dataclass(frozen=True)
class Message(Day):
    """A good answer of the Messages API, streamed as its own servers stream."""

    content: tuple[dict[str, Any], ...] = (text("Paris is the capital of France."),)
    _: KW_ONLY
    stop: str = ""
    """"" = `tool_use` when a tool is called, else `end_turn`."""
    sequence: str | None = None
    usage: dict[str, int] = field(default_factory=lambda: {"input_tokens": 10, "output_tokens": 7})
    is_strict: bool = True
    """As Anthropic; False: as an engine, which lets everything pass."""
    error: dict[str, str] | None = None
    """Then the stream breaks after its first delta with `event: error`."""
    is_cut: bool = False
    """The stream ends after its first delta, without a word."""
    headers: Headers = (("request-id", "req_011"),)

    @property
    def stop_reason(self) -> str:
        return self.stop or ("tool_use" if any(block["type"] == "tool_use" for block in self.content) else "end_turn")

    async def serve(self, exchange: Exchange) -> None:
        refused = self._refused(exchange)
        if refused:
            exchange.connection.reply(400, _encode({"type": "error", "error": {
                "type": "invalid_request_error", "message": refused}, "request_id": "req_011"}), headers=self.headers)
        elif exchange.asked.stream:
            exchange.open_stream(headers=self.headers)
            for event in self.events(exchange.asked.model):
                if event["type"] == "error":
                    await asyncio.sleep(COMMITTED_AFTER_S)
                exchange.send(chunk(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event))))
            if self.is_cut:
                await asyncio.sleep(COMMITTED_AFTER_S)
            exchange.send(chunk(b""))
        else:
            exchange.connection.reply(200, self.body(exchange.asked.model), headers=self.headers)

    def body(self, model: str) -> bytes:
        return _encode({"id": "msg_native", "type": "message", "role": "assistant", "model": model, "content": self.content,
                        "stop_reason": self.stop_reason, "stop_sequence": self.sequence, "usage": self.usage})

    def events(self, model: str) -> list[dict[str, Any]]:
        begun: dict[str, Any] = {"id": "msg_native", "type": "message", "role": "assistant", "model": model, "content": [],
                                 "stop_reason": None, "stop_sequence": None, "usage": self.usage | {"output_tokens": 1}}
        events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
        for index, block in enumerate(self.content):
            events += _block_events(index, block)
            if index == 0:
                events.insert(2, {"type": "ping"})
        if self.error is not None or self.is_cut:
            first = next(i for i, event in enumerate(events) if event["type"] == "content_block_delta")
            return events[:first + 1] + ([{"type": "error", "error": self.error}] if self.error else [])
        return [*events, {"type": "message_delta", "delta": {"stop_reason": self.stop_reason, "stop_sequence": self.sequence},
                          "usage": {"output_tokens": self.usage["output_tokens"]}}, {"type": "message_stop"}]

    def _refused(self, exchange: Exchange) -> str:
        if not self.is_strict:
            return ""
        headers, body = dict(exchange.seen.headers), exchange.asked.body
        if "anthropic-version" not in headers:
            return "anthropic-version: header is required"
        if "authorization" in headers or "x-api-key" not in headers:
            return "x-api-key: header is required"
        if "max_tokens" not in body:
            return "max_tokens: Field required"
        return next((f"{name}: Extra inputs are not permitted" for name in body if name not in _FIELDS), "")


def _block_events(index: int, block: dict[str, Any]) -> list[dict[str, Any]]:
    match block["type"]:
        case "text":
            begun: dict[str, Any] = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        case "thinking":
            begun = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case _:
            begun = block | {"input": {}}
            given = _encode(block["input"]).decode() if block["input"] else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *_pieces(given))]
    return [
        {"type": "content_block_start", "index": index, "content_block": begun},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _pieces(said: str) -> list[str]:
    return [said[i : i + 7] for i in range(0, len(said), 7)]


@dataclass(frozen=True)
class Response(Day):
    """A good answer of the Responses API, streamed with the events of a text."""

    said: str = "Paris is the capital of France."
    _: KW_ONLY
    is_failing: bool = False
    """The stream ends in `response.failed` after its first delta."""
    is_cut: bool = False
    headers: Headers = ()

    async def serve(self, exchange: Exchange) -> None:
        if not exchange.asked.stream:
            exchange.connection.reply(200, _encode(self._response("completed")), headers=self.headers)
            return
        exchange.open_stream(headers=self.headers)
        for number, event in enumerate(self.events()):
            if event["type"] == "response.failed":
                await asyncio.sleep(COMMITTED_AFTER_S)
            data = _encode(event | {"sequence_number": number})
            exchange.send(chunk(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data)))
        if self.is_cut:
            await asyncio.sleep(COMMITTED_AFTER_S)
        exchange.send(chunk(b""))

    def events(self) -> list[dict[str, Any]]:
        begun = self._response("in_progress") | {"output": [], "usage": None}
        deltas: list[dict[str, Any]] = [{"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
                   "delta": piece, "logprobs": []} for piece in _pieces(self.said)]
        events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}, *deltas]
        if self.is_cut:
            return events[:3]
        if self.is_failing:
            return [*events[:3], {"type": "response.failed", "response": begun | {
                "status": "failed", "error": {"code": "server_error", "message": "The engine died."}}}]
        return [*events, {"type": "response.completed", "response": self._response("completed")}]

    def _response(self, status: str) -> dict[str, Any]:
        item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": self.said, "annotations": [], "logprobs": []}]}
        return {"id": "resp_native", "object": "response", "created_at": 1_795_293_544, "status": status, "model": "native",
                "output": [item], "error": None, "incomplete_details": None, "usage": {
                    "input_tokens": 12, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
                    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 19}}
