"""JSON lines, plain or gzipped, and a JSON array of objects: as rows with their line numbers.

What Python writes is read: `NaN` (null here), and halves of an emoji (U+FFFD here). So is a mark at the beginning of the file.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from pointsman.core.surrogates import mended
from pointsman.errors import DataRefused

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is refused: a book fits, a disk image does not."""


T = TypeVar("T")


class Line(NamedTuple):
    """One object of the file."""

    where: str
    """`line 17`, for sentences."""
    row: dict[str, Any]


def read(path: Path) -> list[Line]:
    """Every object of the file. Blank lines are skipped; anything else that is no object is refused, with its place."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(64)
            _refuse_binary(path, start)
            file.seek(0)
            if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return list(_of_text(path, file.read().decode("utf-16").encode()))
            file.seek(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)
            if start.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"[":
                return list(_array(path, file.read()))
            return list(_lines(path, iter(lambda: file.readline(MAX_LINE_BYTES), b"")))
    except (OSError, EOFError, UnicodeError, zlib.error) as exc:
        raise DataRefused(str(path), f"it cannot be read: {exc}") from exc


def _refuse_binary(path: Path, start: bytes) -> None:
    """Of what is no text the first line need not be blamed."""
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return
    if start[:2] == b"PK":
        raise DataRefused(str(path), "it is a spreadsheet or a zip archive: save the table as CSV")
    if start[:2] == b"\x1f\x8b":
        raise DataRefused(str(path), "it is gzipped: name it so (.jsonl.gz, .csv.gz)")
    if b"\0" in start:
        raise DataRefused(str(path), "it is no text, no Parquet and no store of records: labels are Parquet, CSV or JSON lines")


def _of_text(path: Path, data: bytes) -> Iterator[Line]:
    return _array(path, data) if data.lstrip()[:1] == b"[" else _lines(path, iter(data.splitlines()))


def _lines(path: Path, lines: Iterator[bytes]) -> Iterator[Line]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _object(path, f"line {number}", line)


def _array(path: Path, data: bytes) -> Iterator[Line]:
    try:
        items = _decoded(data, list[Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise DataRefused(str(path), f"it is no JSON array of objects: {exc}") from exc
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            raise DataRefused(str(path), f"object {number} is no JSON object, but {type(item).__name__}")
        yield Line(f"object {number}", item)


def _object(path: Path, where: str, data: bytes) -> Line:
    try:
        return Line(where, _decoded(data, dict[str, Any]))
    except UnicodeError as exc:
        raise DataRefused(str(path), f"{where} is not written in UTF-8: {exc}") from exc
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise DataRefused(str(path), f"{where} is no JSON object: {exc}") from exc


def _decoded(data: bytes, kind: type[T]) -> T:
    """By the decoder that is quick and strict; what it refuses is read again as Python reads it."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as exc:
        try:
            plain = json.loads(mended(data), parse_constant={"NaN": None, "Infinity": inf, "-Infinity": -inf}.get)
        except ValueError:
            raise exc from None
        return msgspec.convert(plain, kind)
