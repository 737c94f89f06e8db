"""Prometheus text as samples: only the families asked for, and nothing that a page can hold makes it raise.

Why not prometheus_client's parser? It reads every line of pages with hundreds of series and gives up on the first bad
one; here a page of 60 KB costs some 100 microseconds, and a line that is none is skipped.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator

import msgspec

MAX_LINES = 100_000
"""Of a page; 4 MiB of one-letter lines would else be a million turns of the loop."""

_SAMPLE = re.compile(
    r'([A-Za-z_:][A-Za-z0-9_:]*)[ \t]*(?:\{((?:[^"{}]|"(?:\\.|[^"\\])*")*)\})?[ \t]*(\S+)(?:[ \t]+-?\d+)?[ \t]*')
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"((?:\\.|[^"\\])*)"')
_NAME = re.compile(r"[A-Za-z0-9_:]+")
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One line: a finite value with its labels. Times that lines may carry are not kept: a poll has its own."""

    value: float
    labels: dict[str, str] = {}


class Exposition:
    """A page, by family. NaN and infinities say nothing: such samples are left out, and what all would be together is unknown."""

    def __init__(self, body: bytes, names: Collection[str], *, prefixes: Collection[str] = ()) -> None:
        """Keeps samples of `names`; `prefixes` are only noticed: `says(prefix)`."""
        self._families: dict[str, list[Sample]] = {}
        self._noticed: set[str] = set()
        self._partial: set[str] = set()
        wanted = tuple(name.encode() for name in (*names, *prefixes))
        for raw in body.split(b"\n", MAX_LINES)[:MAX_LINES]:
            if not raw.startswith(wanted):  # nearly all of a page: not even decoded
                continue
            line = raw.decode("utf-8", "replace")
            match = _NAME.match(line)
            name = match[0] if match is not None else ""
            self._noticed.update(prefix for prefix in prefixes if name.startswith(prefix))
            if name not in names:
                continue
            if (sample := _sample(line)) is not None:
                self._families.setdefault(name, []).append(sample)
            elif _SAMPLE.fullmatch(line.rstrip("\r")) is not None:
                self._partial.add(name)

    def says(self, prefix: str) -> bool:
        """A family with one of the noticed prefixes was there."""
        return prefix in self._noticed

    def of(self, *names: str) -> list[Sample]:
        """Samples of the first of `names` that the page has: newer name first."""
        return next((self._families[name] for name in names if name in self._families), [])

    def sum(self, *names: str) -> float | None:
        """All series of the first family that is there, together; None = it is not there, or one of them is no number: an engine that
        says nothing is not idle."""
        name = next((name for name in names if name in self._families), None)
        return None if name is None or name in self._partial else sum(sample.value for sample in self._families[name])

    def largest(self, *names: str) -> float | None:
        return max((sample.value for sample in self.of(*names)), default=None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._families)


def _sample(line: str) -> Sample | None:
    match = _SAMPLE.fullmatch(line.rstrip("\r"))
    if match is None:
        return None
    try:
        value = float(match[3])
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return Sample(value, {key: _unescaped(text) for key, text in _LABEL.findall(match[2] or "")})


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), text) if "\\" in text else text
