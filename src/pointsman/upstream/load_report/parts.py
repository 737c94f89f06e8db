"""What several answers of one engine say together, and when a figure is no figure."""

from __future__ import annotations

from typing import Any

import msgspec

MOST_REQUESTS = 1_000_000
"""More than any engine holds; a larger figure is a fault of whoever counts."""


class Parts(msgspec.Struct, frozen=True, gc=False):
    """The parts of a load report that an engine's answers hold. None = not said; never 0 instead."""

    waiting: int | None = None
    running: int | None = None
    kv_usage: float | None = None
    queued_tokens: int | None = None
    slots: int | None = None
    is_awake: bool | None = None
    version: str = ""
    progress: float | None = None
    """Counters that move whenever it works, added up."""
    context: int | None = None
    """Tokens in and out that our model has room for."""


def whole(value: object) -> int | None:
    """A count of requests or tokens."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= MOST_REQUESTS * 1000 else None


def requests(value: object) -> int | None:
    """A count of requests, or None when it cannot be one."""
    count = whole(value)
    return count if count is not None and count <= MOST_REQUESTS else None


def share(value: object) -> float | None:
    """0 to 1. A little above is rounding; 37 is a percentage of somebody else's idea, and unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(float(value), 1.0) if 0 <= value <= 1.01 else None


def total(*values: float | None) -> float | None:
    """The sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def as_json(body: bytes | None) -> Any:
    """The JSON of an answer, or None: an answer that is none says nothing."""
    if body is None:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


def version_of(body: bytes | None) -> str:
    """`version` of a JSON object, at most 64 characters; "" = not said."""
    value = as_json(body)
    said = value.get("version") if isinstance(value, dict) else None
    return said[:64] if isinstance(said, str) and said.isprintable() else ""
