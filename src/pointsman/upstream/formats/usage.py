"""Token counts of OpenAI-shaped answers: reading them, and taking out those that only we asked for."""

from __future__ import annotations

import re
from typing import Any

from pointsman.core.reply import Usage

ABSURD = 1_000_000_000
"""A count from here on is a bug, not a bill."""

_KEY = re.compile(rb'[,{]\s*("usage")\s*:\s*')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],]')
_SPACE = b" \t\r\n"


def read_usage(value: Any, *, embedding: bool = False) -> Usage | None:
    """`usage` as decoded JSON; None unless both counts make sense (embeddings have no completion tokens)."""
    if not isinstance(value, dict):
        return None
    given = _count(value.get("prompt_tokens"))
    made = _count(value.get("completion_tokens", 0 if embedding else None))
    if given is None or made is None:
        return None
    details = value.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    written = _count(details.get("cache_write_tokens")) if isinstance(details, dict) else None
    fits = (cached or 0) + (written or 0) <= given
    return Usage(given, made, cached if fits else None, written or None if fits else None)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < ABSURD else None


def strip_usage(data: bytes) -> bytes:
    """`data` (a valid JSON object) without its top-level `usage` member; every other byte stays.

    A bare quote after a comma, a brace or a space can only open a key or string, so each match is a key; it is
    top-level when exactly one bracket is still open behind it.
    """
    if data.endswith(b',"usage":null}') and data.count(b'"usage"') == 1:
        return data[:-14] + b"}"
    start = 0
    while (match := _KEY.search(data, start)) is not None:
        start = match.end(1)
        end, depth = _value_end(data, match.end())
        if depth == 1:
            data, start = _without(data, match.start(), match.start(1), end), match.start()
    return data


def _value_end(data: bytes, start: int) -> tuple[int, int]:
    """Where the value that begins at `start` ends, and how many brackets around it are open."""
    end, open_inside, closed = -1, 0, 0
    for token in _TOKEN.finditer(data, start):
        sign = data[token.start()]
        if open_inside == 0 and end < 0 and sign in b",}]":
            end = token.start()
        if sign in b"{[":
            open_inside += 1
        elif sign in b"}]":
            if open_inside:
                open_inside -= 1
            else:
                closed += 1
    return end, closed


def _without(data: bytes, before: int, key: int, end: int) -> bytes:
    if data[before] == 0x2C:  # the comma in front goes with it
        return data[:before] + data[end:]
    if data[end] == 0x2C:  # the first of several: the comma behind goes, and the space after it
        after = end + 1
        while data[after] in _SPACE:
            after += 1
        return data[:key] + data[after:]
    return data[:key] + data[end:]
