"""Durations and sizes as people write them: a number and a unit, `200ms`, `32MiB`.

Why is a bare number refused? `timeout: 30` is thirty seconds in one product and thirty milliseconds in the next;
the unit costs two characters and ends the question.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

DURATIONS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
"""Unit -> seconds."""
SIZES: Final = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}
"""Unit -> bytes: decimal and binary prefixes mean what the SI and IEC say."""

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]{1,3})", re.ASCII)


class NotAQuantity(ValueError):
    """The text is no number with a unit; the sentence says what to write."""


def parse_duration(value: object) -> float:
    """Seconds of `200ms`, `30s`, `2m`, `1h`. Raises `NotAQuantity`."""
    number, unit = _split(value, "a duration", "s", DURATIONS)
    return number / 1000 if unit == "ms" else number * DURATIONS[unit]


def parse_size(value: object) -> int:
    """Bytes of `32MiB`, `512KB`, `100B`. Raises `NotAQuantity`, also when it is no whole number of bytes."""
    number, unit = _split(value, "a size", "MiB", SIZES)
    size = number * SIZES[unit]
    if size != int(size):
        raise NotAQuantity(f"{value!r} is not a whole number of bytes")
    return int(size)


def format_duration(seconds: float) -> str:
    """Milliseconds below a second, else seconds, as `parse_duration` reads them back."""
    return f"{_plain(seconds * 1000)}ms" if 0 < seconds < 1 else f"{_plain(seconds)}s"


def format_size(size: int) -> str:
    """The largest unit that keeps the number whole."""
    for unit in ("GiB", "GB", "MiB", "MB", "KiB", "KB"):
        if size >= SIZES[unit] and size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return f"{size}B"


def _split(value: object, what: str, usual: str, units: dict[str, float] | dict[str, int]) -> tuple[float, str]:
    known = ", ".join(units)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise NotAQuantity(f"expected {what} such as {_example(usual)}")
    text = str(value).strip()
    if isinstance(value, float) and not isfinite(value):
        raise NotAQuantity(f"expected {what} such as {_example(usual)}, got infinity or NaN")
    if isinstance(value, int | float) or re.fullmatch(r"[0-9.]{1,20}", text):
        raise NotAQuantity(f"{text[:20]} has no unit; write for instance {text[:20]}{usual} (units: {known})")
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise NotAQuantity(f"{text[:40]!r} is not {what}; write a number and a unit, such as {_example(usual)}")
    number, unit = match.groups()
    if unit not in units:
        raise NotAQuantity(f"unknown unit {unit!r} in {text[:40]!r}; units of {what} are {known}")
    return float(number), unit


def _example(usual: str) -> str:
    return "30s" if usual == "s" else "32MiB"


def _plain(number: float) -> str:
    return f"{round(number, 9):.9f}".rstrip("0").rstrip(".")
