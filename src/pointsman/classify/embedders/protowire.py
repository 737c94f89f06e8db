"""The few lines of the protobuf wire format that ONNX files need.

Why by hand? Building an eight-bit model once should not cost a user the `onnx` package and protobuf (25 MB), and
bytes written here are the same on every machine, so their digest can be pinned. Format:
https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class NotProtobuf(ValueError):
    """The bytes do not follow the wire format."""


def varint(value: int) -> bytes:
    """A non-negative number, seven bits to a byte, lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A field that holds an integer."""
    return varint(field << 3 | _VARINT) + varint(value & (1 << 64) - 1)


def real(field: int, value: float) -> bytes:
    """A field that holds a 32-bit float."""
    return varint(field << 3 | _FIXED32) + struct.pack("<f", value)


def blob(field: int, value: bytes | str) -> bytes:
    """A field that holds bytes, a string or another message."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | _BYTES) + varint(len(raw)) + raw


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Every field of a message in order: its number, and an integer or the bytes it holds."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _read_varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise NotProtobuf(f"wire type {kind} at byte {at}")
        if at + size > len(message):
            raise NotProtobuf(f"a field ends {at + size - len(message)} bytes behind its message")
        yield key >> 3, message[at : at + size]
        at += size


def numbers(packed: memoryview) -> list[int]:
    """Integers written one after the other."""
    found, at = [], 0
    while at < len(packed):
        value, at = _read_varint(packed, at)
        found.append(value)
    return found


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise NotProtobuf(f"a number does not end at byte {at}")
