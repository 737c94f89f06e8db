"""Streams in the client's own API, on their way through: event data in, the same data in frames out.

What is added is only an end: where an engine closed its stream after its last word, or a failure broke it off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pointsman.core.surrogates import decoded


class _Typed(msgspec.Struct, gc=False):
    type: str = ""
    sequence_number: int | None = None


_typed = msgspec.json.Decoder(_Typed).decode
_decode = msgspec.json.decode
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def framed(name: str, data: bytes) -> bytes:
    """An event as it goes over the wire; data of several lines is one line each."""
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data) if name.isprintable() and name else b"data: " + data + b"\n\n"


class MessagesAsTheyAre:
    """A message's events. Same methods as `translation.anthropic_stream.MessageStream`."""

    is_hiding = False

    def __init__(self) -> None:
        self._is_over = False

    def feed(self, events: list[bytes]) -> bytes:
        frames = []
        for data in events:
            kind = decoded(_typed, data).type
            self._is_over = self._is_over or kind == "message_stop"
            frames.append(framed(kind, data))
        return b"".join(frames)

    def finish(self) -> bytes:
        return b"" if self._is_over else _STOP


class ResponseAsItIs:
    """A response's events. Same methods as `translation.responses_stream.ResponseEvents`."""

    def __init__(self) -> None:
        self._next = 0
        self._first = b""
        """The first event: its response is what a failure ends."""

    def feed(self, events: list[bytes], cost_nano_usd: int | None = None) -> bytes:
        """The cost stays in headers and record: the engine's own usage passes as it is."""
        frames = []
        for data in events:
            event = decoded(_typed, data)
            self._first = self._first or data
            self._next = self._next + 1 if event.sequence_number is None else event.sequence_number + 1
            frames.append(framed(event.type, data))
        return b"".join(frames)

    def end(self) -> bytes:
        return b""

    def fail(self, error: Mapping[str, object]) -> bytes:
        begun: dict[str, Any] = decoded(_decode, self._first) if self._first else {}
        response = begun.get("response")
        response = response if isinstance(response, dict) else {}
        said = dict(error) | {"code": str(error.get("code")), "message": str(error.get("message"))}
        return framed("response.failed", msgspec.json.encode({
            "type": "response.failed", "sequence_number": self._next,
            "response": response | {"status": "failed", "error": said}}))
