"""Columns of a Parquet or CSV file as Python has them, whatever their encoding."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pointsman.errors import DataRefused
from pointsman.learn.table import Floats

PROMPT_NAMES = ("prompt", "text", "query", "question", "input", "instruction")
"""What people call the prompt, in the order in which a name is taken; the first is ours."""

MAX_CSV_FIELD = 64 * 1024 * 1024
"""Bytes of one CSV block: a field may not be larger. Prompts of books fit."""


CSV_NAMES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def read_file(path: Path, wanted: Sequence[str] | None = None) -> pa.Table:
    """The table of a Parquet, CSV or TSV file; what it is its first bytes say, then its name. `wanted`: of Parquet no other
    columns are read."""
    try:
        found = _csv(path) if is_csv(path) else _parquet(path, wanted)
    except (pa.ArrowException, OSError, EOFError, UnicodeError, zlib.error) as exc:
        raise DataRefused(str(path), f"it cannot be read: {_first_line(exc)}") from exc
    names = found.column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataRefused(str(path), f"two columns are called {twice[0]!r}")
    return found


def _parquet(path: Path, wanted: Sequence[str] | None) -> pa.Table:
    file = pq.ParquetFile(path)
    return file.read(None if wanted is None else [name for name in file.schema_arrow.names if name in wanted])


def is_csv(path: Path) -> bool:
    """Text with delimiters: no types, so 0 and 1 may be outcomes there."""
    with path.open("rb") as file:
        return path.name.lower().endswith(CSV_NAMES) and file.read(4) != b"PAR1"


def _csv(path: Path) -> pa.Table:
    head = _head(path)
    encoding = encoding_of(head)
    read = pyarrow.csv.ReadOptions(block_size=MAX_CSV_FIELD, encoding=encoding)
    parse = pyarrow.csv.ParseOptions(delimiter=_delimiter(head.decode(encoding, "replace")), newlines_in_values=True)

    def table(**types: pa.DataType) -> pa.Table:
        # An empty field of text is a text; of a number it is "not run".
        convert = pyarrow.csv.ConvertOptions(strings_can_be_null=False, column_types=types)
        with pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None) as file:
            return pyarrow.csv.read_csv(file, read_options=read, parse_options=parse, convert_options=convert)

    found = table()
    if "query_id" not in found.column_names or _is_text(found.schema.field("query_id").type):
        return found
    # `007` is a name and no number: where numbers are not written as they were, names are read as they stand.
    said = table(query_id=pa.string())["query_id"]
    return found if pc.cast(found["query_id"], pa.string()).fill_null("").equals(said) else (
        found.set_column(found.column_names.index("query_id"), "query_id", said))


def encoding_of(head: bytes) -> str:
    """What a text is written in, by the mark at its beginning: spreadsheets on Windows write UTF-16."""
    return "utf16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf8"


def _head(path: Path) -> bytes:
    """The beginning of a text, unpacked."""
    with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
        return file.read(64 * 1024)


def _delimiter(head: str) -> str:
    """A comma, unless the first line has none: then what it has more of, semicolons (spreadsheets of half of Europe) or tabs."""
    first = head.partition("\n")[0]
    if "," in first:
        return "," if first.count(",") >= first.count("\t") else "\t"
    return max(";\t", key=first.count) if ";" in first or "\t" in first else ","


def prompt_name(path: Path, names: list[str]) -> str:
    """The column that holds the prompt."""
    for name in PROMPT_NAMES:
        if name in names:
            return name
    shown = ", ".join(repr(name) for name in names[:8]) + (", ..." if len(names) > 8 else "")
    raise DataRefused(str(path), f"there is no column 'prompt'; there are {shown or 'no columns at all'}")


def texts(path: Path, column: pa.ChunkedArray, name: str) -> list[str]:
    """A column of text; null is the empty text, bytes that are no UTF-8 become question marks."""
    column = decoded(column)
    if _is_text(column.type):
        return ["" if value is None else value for value in column.to_pylist()]
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return ["" if value is None else value.decode("utf-8", "replace") for value in column.to_pylist()]
    if pa.types.is_null(column.type):
        return [""] * len(column)
    raise DataRefused(str(path), f"column {name!r} holds {column.type}, not text")


def labels(column: pa.ChunkedArray) -> list[str | None]:
    """A column of names of any type, as text; None where it is null."""
    return [None if value is None else str(value) for value in decoded(column).to_pylist()]


def numbers(column: pa.ChunkedArray) -> Floats:
    """A numeric column as floats; null is NaN."""
    plain = pc.cast(decoded(column), pa.float64())
    return np.asarray(plain.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def is_floating(kind: pa.DataType) -> bool:
    """Floating-point of any width, dictionary-encoded or not."""
    return bool(pa.types.is_floating(_value_type(kind)))


def is_integer(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(_value_type(kind)))


def is_number(kind: pa.DataType) -> bool:
    return is_floating(kind) or is_integer(kind)


def is_text(kind: pa.DataType) -> bool:
    return _is_text(_value_type(kind))


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without dictionary encoding."""
    if pa.types.is_dictionary(column.type):
        return pc.cast(column, column.type.value_type)
    return column


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """The table as dicts, dates as seconds since 1970."""
    for index, name in enumerate(table.column_names):
        if pa.types.is_timestamp(table.schema.field(name).type):
            table = table.set_column(index, name, pa.chunked_array([pa.array(seconds(table[name]))]))
    return list(table.to_pylist())


def seconds(column: pa.ChunkedArray) -> Floats:
    """A column of timestamps as seconds since 1970; null is NaN."""
    micros = pc.cast(pc.cast(column, pa.timestamp("us", tz=column.type.tz), safe=False), pa.int64())
    return numbers(micros) / 1e6


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _first_line(exc: Exception) -> str:
    return str(exc).strip().splitlines()[0][:300] if str(exc).strip() else type(exc).__name__
