"""Messages as bytes and back: length, version, msgpack. Any chunking of the bytes gives the same messages."""

from __future__ import annotations

import struct
from typing import Any, Generic, TypeVar

import msgspec

from pointsman.errors import PointsmanError
from pointsman.state.messages import VERSION

M = TypeVar("M")

_HEAD = struct.Struct("!IB")
"""Length of what follows the head, then the version."""
MAX_BYTES = 64 * 1024 * 1024
"""Of one message. A configuration of thousands of endpoints is a few megabytes; more is a broken stream."""

_encode = msgspec.msgpack.Encoder().encode


class BadFrame(PointsmanError):
    """The bytes between two processes of this router make no sense. The link is of no more use."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"a process of this router said something that cannot be read ({self.why}); it is started anew"


def framed(message: Any) -> bytes:
    """One message, ready to be sent."""
    body = _encode(message)
    return _HEAD.pack(len(body), VERSION) + body


class Framer(Generic[M]):
    """Collects bytes until they are messages of one union of types."""

    def __init__(self, kinds: Any) -> None:
        self._decode = msgspec.msgpack.Decoder(kinds).decode
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[M]:
        """The messages that are complete now. Raises BadFrame; nothing can be read from this stream afterwards."""
        self._buffer += data
        found: list[M] = []
        at, end = 0, len(self._buffer)
        while end - at >= _HEAD.size:
            size, version = _HEAD.unpack_from(self._buffer, at)
            if version != VERSION:
                raise BadFrame(f"version {version}, this one speaks {VERSION}")
            if size > MAX_BYTES:
                raise BadFrame(f"{size} bytes in one message")
            if end - at - _HEAD.size < size:
                break
            start = at + _HEAD.size
            at = start + size
            found.append(self._decoded(bytes(self._buffer[start:at])))
        del self._buffer[:at]
        return found

    def _decoded(self, body: bytes) -> M:
        try:
            message: M = self._decode(body)
        except msgspec.MsgspecError as exc:
            raise BadFrame(str(exc)) from exc
        return message

    def __repr__(self) -> str:
        return f"<Framer [{len(self._buffer)} bytes wait]>"
