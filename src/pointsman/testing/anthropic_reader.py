"""A reader of Anthropic streams that forgives nothing: the message that the events tell, or what is wrong with them.

Stricter than the official SDKs, which read by index and would take blocks that overlap.
"""

from __future__ import annotations

from typing import Any

import msgspec

_DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"),
           "tool_use": ("input_json_delta", "partial_json")}


class OutOfOrder(ValueError):
    """The stream is none that Anthropic would send."""


def read_frames(stream: bytes) -> list[dict[str, Any]]:
    """The events of a body. Raises OutOfOrder when a frame is no named event, or its names differ."""
    events = []
    for raw in stream.decode().removesuffix("\n\n").split("\n\n") if stream else ():
        name, _, data = raw.partition("\ndata: ")
        if not name.startswith("event: ") or "\n" in data:
            raise OutOfOrder(f"not one event: {raw[:200]!r}")
        event = msgspec.json.decode(data)
        if event["type"] != name.removeprefix("event: "):
            raise OutOfOrder(f"{name!r} carries {event['type']!r}")
        events.append(event)
    return events


def read_message(stream: bytes) -> dict[str, Any]:
    """The message of a complete stream, tool inputs as the text that came (`input`). Raises OutOfOrder."""
    reader = _Reader()
    for event in read_frames(stream):
        if event["type"] != "ping":
            reader.read(event)
    if reader.message is None or not reader.is_over:
        raise OutOfOrder("the stream ended before message_stop")
    return reader.message


class _Reader:
    def __init__(self) -> None:
        self.message: dict[str, Any] | None = None
        self.is_over = False
        self._open: dict[str, Any] | None = None
        self._index = -1

    def read(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if self.is_over:
            raise OutOfOrder(f"{kind} after message_stop")
        if kind == "message_start":
            self._expect(self.message is None, kind)
            self.message = event["message"]
            return
        message = self.message
        if message is None:
            raise OutOfOrder(f"{kind} before message_start")
        if kind == "content_block_start":
            self._expect(self._open is None and message["stop_reason"] is None, kind)
            self._index += 1
            self._expect(event["index"] == self._index, f"index {event['index']}")
            self._open = block = event["content_block"]
            if block["type"] == "tool_use":
                self._expect(block["input"] == {} and bool(block["id"]), "tool_use")
                block["input"] = ""
            message["content"].append(block)
        elif kind == "content_block_delta":
            self._delta(event)
        elif kind == "content_block_stop":
            self._expect(self._open is not None and event["index"] == self._index, kind)
            self._open = None
        elif kind == "message_delta":
            self._expect(self._open is None and message["stop_reason"] is None, kind)
            message |= event["delta"]
            message["usage"] |= event["usage"]
        elif kind == "message_stop":
            self._expect(message["stop_reason"] is not None, kind)
            self.is_over = True
        else:
            raise OutOfOrder(f"an unknown event {kind!r}")

    def _delta(self, event: dict[str, Any]) -> None:
        block, delta = self._open, event["delta"]
        if block is None or event["index"] != self._index:
            raise OutOfOrder("a delta of no open block")
        if delta["type"] == "signature_delta" and block["type"] == "thinking":
            block["signature"] += delta["signature"]
            return
        kind, field = _DELTAS[block["type"]]
        self._expect(delta["type"] == kind and bool(delta[field]), f"{delta['type']} in {block['type']}")
        block["input" if block["type"] == "tool_use" else field] += delta[field]

    @staticmethod
    def _expect(holds: bool, what: str) -> None:
        if not holds:
            raise OutOfOrder(f"{what} where it does not belong")
