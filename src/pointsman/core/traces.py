"""Errors that are kept as values: what they say, without where they were raised.

A trace holds every frame that it went through, and these hold the request: its body, its answer, its connection. One of
them holds the error too, as a rule, so that all of it would wait for the garbage collector.
"""

from __future__ import annotations


def untraced(error: BaseException) -> None:
    """Takes the traces off an error and off those that led to it. Nobody who logs a trace may come after this."""
    seen: set[int] = set()
    this: BaseException | None = error
    while this is not None and id(this) not in seen:
        seen.add(id(this))
        this.__traceback__ = None
        if this.__cause__ is not None:
            this.__context__ = None  # the same one, or hidden behind it
        this = this.__cause__ or this.__context__
