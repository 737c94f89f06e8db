"""Messages between the router and its helper: four bytes of length, then JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, Final

FRAME_MAX: Final = 4 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class BadFrame(Exception):
    """What came is no message of ours."""


def framed(message: dict[str, Any]) -> bytes:
    # Half characters are written as escapes, so that any text can be sent.
    body = json.dumps(message, ensure_ascii=True).encode()
    if len(body) > FRAME_MAX:
        raise BadFrame(f"a message of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cuts what was read into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are complete now. Raises BadFrame."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_MAX:
                raise BadFrame(f"a message of {length} bytes is announced")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            try:
                message = json.loads(body)
            except ValueError as exc:
                raise BadFrame("a message that is no JSON") from exc
            if not isinstance(message, dict):
                raise BadFrame("a message that is no object")
            yield message
