"""A client's JSON that cannot be read, as a 400 that says what is wrong with it and where.

Each API writes paths in a way of its own (`messages[0].role`, `messages.0.role`): whoever reads a body says how.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from pointsman.core.surrogates import mended
from pointsman.errors import MalformedBody

T = TypeVar("T")

_AT_PATH = re.compile(r"^(?P<what>.*?) - at `\$\.?(?P<path>.*)`$", re.DOTALL)
_MISSING = re.compile(r"required field `(?P<field>[^`]+)`")


class Misfit(msgspec.Struct, frozen=True, gc=False):
    """What a decoder says of a value that has not the expected shape."""

    what: str
    path: str = ""
    """Of the culprit, as `messages[0].role`; empty = the whole value."""
    missing: str = ""
    """The required field that is not there; empty = something else is wrong."""

    def objection(self, path: str) -> MalformedBody:
        """As a 400, with the path as that API's clients write it."""
        if not path:
            return MalformedBody(f"the body must be a JSON object: {self.what}")
        return MalformedBody(f"{path}: {self.what}", param=path)


def misfit_of(error: msgspec.ValidationError) -> Misfit:
    """What its sentence says.

    >>> misfit_of(msgspec.ValidationError("Object missing required field `role` - at `$.messages[0]`"))
    Misfit(what='Object missing required field `role`', path='messages[0]', missing='role')
    """
    text = str(error)
    match = _AT_PATH.match(text)
    what, path = (match["what"], match["path"]) if match else (text, "")
    missing = _MISSING.search(what)
    return Misfit(what, path, missing["field"] if missing else "")


def typed(body: bytes, decode: Callable[[bytes], T], objection: Callable[[Misfit], MalformedBody]) -> tuple[T, bytes]:
    """The typed body, and the bytes it was read from: as long as `body`, and nearly always `body` itself.

    Raises MalformedBody; `objection` words what has not the expected shape."""
    check_utf8(body)
    try:
        try:
            return decode(body), body
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if (readable := mended(body)) == body:
                raise
            return decode(readable), readable
    except msgspec.ValidationError as exc:
        raise objection(misfit_of(exc)) from exc
    except (msgspec.DecodeError, RecursionError, ValueError, OverflowError) as exc:
        raise MalformedBody(f"the body is not valid JSON: {why_invalid(exc)}") from exc


def check_utf8(body: bytes) -> None:
    """Raises MalformedBody unless these are UTF-8."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise MalformedBody(f"the body is not UTF-8: byte {exc.start} is invalid") from exc


def why_invalid(error: Exception) -> str:
    """In words, why a decoder could make nothing of it."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
