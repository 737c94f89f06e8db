"""What became of each thing in somebody else's configuration: carried, changed or dropped, with a sentence.

No value of theirs is quoted unless it cannot be a secret: names of models, numbers, flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from pointsman.config.problems import Loc, line_of, path

Fate = Literal["carried", "changed", "dropped"]


class Finding(msgspec.Struct, frozen=True):
    """One place of theirs."""

    fate: Fate
    place: str
    sentence: str
    line: int | None = None
    """Of their file, 1-based; None where there is no file."""


class Findings:
    """Collects them, in the order in which they are found."""

    def __init__(self, lines: Mapping[Loc, int] | None = None) -> None:
        self._lines = lines
        self.found: list[Finding] = []

    def carried(self, loc: Loc, sentence: str) -> None:
        self._add("carried", loc, sentence)

    def changed(self, loc: Loc, sentence: str) -> None:
        self._add("changed", loc, sentence)

    def dropped(self, loc: Loc, sentence: str) -> None:
        self._add("dropped", loc, sentence)

    def _add(self, fate: Fate, loc: Loc, sentence: str) -> None:
        line = line_of(loc, self._lines) if self._lines is not None else None
        finding = Finding(fate, path(loc), sentence, line)
        if finding not in self.found:
            self.found.append(finding)

    def unknown(self, loc: Loc) -> None:
        """A key that this importer has never heard of: listed, never ignored."""
        self.dropped(loc, "not known to this importer; nothing here does what it does unless you find it in the reference")


class Migrated(msgspec.Struct, frozen=True):
    """The result: our file, and the report on theirs."""

    text: str
    """The configuration; empty when nothing could be carried that serves."""
    findings: tuple[Finding, ...]
    variables: dict[str, str] = {}
    """Environment variables that the new file refers to, with what each is for."""
    source: str = ""
