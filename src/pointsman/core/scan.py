"""Where the members of a JSON object stand in its bytes, without changing or copying them.

Why not decode and encode again? Because that would change the client's bytes: the order of fields, the writing of
numbers, duplicates inside values that we do not read. A request is forwarded as it came but for a few spans.

The bytes must already be known to be valid JSON (a decoder has accepted them): the scan only counts brackets and
quotes. Time is linear; strings are skipped by the regular expression engine, so a long prompt costs almost nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from pointsman.core.surrogates import decoded

_text = msgspec.json.Decoder(str).decode
_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
# A key and its colon, from a position just behind `{` or `,`.
_KEY = re.compile(rb'[ \t\n\r]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t\n\r]*+:[ \t\n\r]*+', re.DOTALL)
# A scalar value: a string, or a run up to the next separator.
_SCALAR = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^"{}\[\],: \t\n\r]++', re.DOTALL)
# Everything up to and including the next bracket outside of strings.
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+([{}\[\]])', re.DOTALL)
_SPACE = re.compile(rb"[ \t\n\r]*+")
_member = tuple.__new__
_OPEN = b"{["


class Member(NamedTuple):
    """One member: its key (unescaped), where the member starts (the key's quote) and where its value stands."""

    key: str
    key_start: int
    start: int
    end: int


class TooDeep(ValueError):
    """Nesting exceeds the limit."""

    field = ""
    """The member of the scanned object in which it does."""


def members(data: bytes, at: int = 0, *, max_depth: int = 1_000_000) -> tuple[list[Member], int]:
    """The members of the object whose `{` is the first non-space byte from `at`, and the index of its `}`.

    Raises TooDeep when the object's nesting (itself counted) exceeds `max_depth`.

    >>> members(b'{"a": [1, 2], "b": "x"}')[0][0]
    Member(key='a', key_start=1, start=6, end=12)
    """
    if not at and (compact := _compact(data, max_depth)) is not None:
        return compact, len(data) - 1
    pos = _skip(data, at) + 1
    found: list[Member] = []
    first = _skip(data, pos)
    if data[first] == 0x7D:  # }
        return found, first
    while True:
        key = _KEY.match(data, pos)
        if key is None:
            raise ValueError(f"no member at byte {pos}")
        raw = key.group(1)
        name = decoded(_text, b'"' + raw + b'"') if b"\\" in raw else raw.decode()
        start = key.end()
        try:
            end = _end_of_value(data, start, max_depth - 1)
        except TooDeep as exc:
            exc.field = name
            raise
        found.append(Member(name, key.start(1) - 1, start, end))
        pos = _skip(data, end)
        if data[pos] == 0x7D:
            return found, pos
        pos += 1


def _compact(data: bytes, max_depth: int) -> list[Member] | None:
    """The members of an object without a space between them, as most programs write it; None = the scan has to look.

    The decoder gives keys and values in their order. If these and the signs between them are as long as the whole, then
    there is nothing else: no space, no escape in a key, no second member of the same name. With fewer brackets than
    levels are allowed, no nesting can be too deep.
    """
    if data.count(b"{") + data.count(b"[") > max_depth:
        return None
    try:
        values = _values(data)
    except (msgspec.DecodeError, RecursionError):  # half a character in a key; deeper than the decoder goes: the scan has no such limit
        return None
    found: list[Member] = []
    at = 1
    for key, value in values.items():
        start = at + len(key) + 3
        end = start + memoryview(value).nbytes
        found.append(_member(Member, (key, at, start, end)))
        at = end + 1
    return found if found and at == len(data) else None


def _skip(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    return match.end() if match else at


def _end_of_value(data: bytes, start: int, max_depth: int) -> int:
    if data[start] not in _OPEN:
        scalar = _SCALAR.match(data, start)
        if scalar is None:
            raise ValueError(f"no value at byte {start}")
        return scalar.end()
    depth, pos = 0, start
    match = _BRACKET.match
    while True:
        bracket = match(data, pos)
        if bracket is None:
            raise ValueError(f"unbalanced value at byte {start}")
        pos = bracket.end()
        if data[pos - 1] in _OPEN:
            depth += 1
            if depth > max_depth:
                raise TooDeep(f"nested deeper than {max_depth + 1} levels")
        else:
            depth -= 1
            if depth == 0:
                return pos
