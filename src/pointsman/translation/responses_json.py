"""JSON of the Responses API, handled as bytes: texts are moved from one shape into another without being decoded.

Why? A JSON string joined from pieces is the pieces' insides, one behind the other, so that escapes, emoji and numbers
arrive as they were written, and a delta costs no decoding and encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from pointsman.core.misfit import misfit_of, why_invalid
from pointsman.core.surrogates import decoded
from pointsman.errors import MalformedBody

T = TypeVar("T")

NULL = msgspec.Raw(b"null")
BLANK_LINE = rb"\n\n"
"""Between texts that become one."""


def quoted(text: str) -> bytes:
    """A JSON string."""
    return msgspec.json.encode(text)


def inside(raw: bytes) -> bytes:
    """What stands between the quotes of a JSON string."""
    return bytes(raw)[1:-1]


# `msgspec.Raw` says that it is bytes and has neither their `==` nor their slices: hence bytes(), which copies no bytes.


def is_text(raw: bytes) -> bool:
    return bytes(raw)[:1] == b'"'


def is_null(raw: bytes) -> bool:
    return bytes(raw) == b"null"


def array(members: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(members) + b"]"


def object_of(fields: Iterable[tuple[str, bytes]]) -> bytes:
    """`{"key":value,...}`; keys are ours and need no escaping."""
    return b"{" + b",".join(b'"%b":%b' % (key.encode(), value) for key, value in fields) + b"}"


def on_one_line(raw: bytes) -> bytes:
    """The same JSON without line breaks, which are only ever space between tokens: events end at them."""
    if b"\n" in raw or b"\r" in raw:
        return raw.replace(b"\r", b" ").replace(b"\n", b" ")
    return raw


def read_at(path: str, decode: Callable[[bytes], T], raw: bytes) -> T:
    """`decode(raw)`; what is wrong with it is a MalformedBody with the path of the culprit, `path` leading."""
    try:
        return decoded(decode, raw)
    except msgspec.ValidationError as exc:
        misfit = misfit_of(exc)
        raise misfit.objection(_joined(_joined(path, misfit.path), misfit.missing)) from exc
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError) as exc:
        raise MalformedBody(f"{path or 'the body'}: not valid JSON: {why_invalid(exc)}", param=path or None) from exc


def _joined(path: str, more: str) -> str:
    """`input` and `[0].role` -> `input[0].role`."""
    return f"{path}.{more}" if path and more and not more.startswith("[") else path + more
