"""JSON lines, plain or gzipped, and a JSON array of objects: as rows with their line numbers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pointsman.errors import DataRefused

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is refused: a book fits, a disk image does not."""


class Line(NamedTuple):
    """One object of the file."""

    where: str
    """`line 17`, for sentences."""
    row: dict[str, Any]


def read(path: Path) -> list[Line]:
    """Every object of the file. Blank lines are skipped; anything else that is no object is refused, with its place."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(64).lstrip()[:1]
            file.seek(0)
            return list(_array(path, file.read()) if start == b"[" else _lines(path, iter(lambda: file.readline(MAX_LINE_BYTES), b"")))
    except (OSError, EOFError, zlib.error) as exc:
        raise DataRefused(str(path), f"it cannot be read: {exc}") from exc


def _lines(path: Path, lines: Iterator[bytes]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _object(path, f"line {number}", line)


def _array(path: Path, data: bytes) -> Iterator[Line]:
    try:
        items = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise DataRefused(str(path), f"it is no JSON array of objects: {exc}") from exc
    for number, item in enumerate(items, start=1):
        yield _object(path, f"object {number}", bytes(item))


def _object(path: Path, where: str, data: bytes) -> Line:
    try:
        return Line(where, msgspec.json.decode(data, type=dict[str, Any]))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise DataRefused(str(path), f"{where} is no JSON object: {exc}") from exc
