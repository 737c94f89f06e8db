"""The matrix: `query_id`, `prompt`, and one column per model with the quality of its answer in [0, 1].

The contract, clause by clause (docs/reference/training-data.md says the same to its readers):

- Models are the columns named by the caller, in that order; else every floating-point column, in the file's order.
  Columns of booleans, integers and text never are, and neither are `cost`, `weight` and `fold`, which are reserved.
- The index that pandas writes beside the columns (`__index_level_0__`) is none.
- NaN and null: that model was not run on that query. Any other value outside [0, 1] is refused, column and row named.
- `split`: `train` rows are fitted, `dev` rows calibrate; rows of other splits are left alone. `group`: such rows stay together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pointsman.errors import DataRefused
from pointsman.learn.readers import columns
from pointsman.learn.table import Floats, OutcomeTable

RESERVED = ("cost", "weight", "fold")
"""Never models, whatever they hold."""
INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls an index without a name when it writes Parquet: no column of the owner's."""
KEYS = ("query_id", "split", "group")
"""Columns with a meaning of their own, never models either."""
TASKS = ("task", "benchmark", "domain", "category", "subject")
"""What people call the kind of work, in the order in which a name is taken."""
SPLITS = {"train": "train", "dev": "dev", "validation": "dev", "valid": "dev", "val": "dev"}
"""What `split` may say, and what it means here."""


def read(path: Path, table: pa.Table, models: Sequence[str] | None = None) -> tuple[OutcomeTable, list[str]]:
    """The outcomes of a matrix, and what should be said about it. Raises `DataRefused`."""
    prompt = columns.prompt_name(path, table.column_names)
    chosen = _named(path, table, models, prompt) if models else model_columns(table, prompt)
    if not models:
        _refuse_spoiled(path, table, prompt)
    if not chosen:
        raise DataRefused(str(path), _no_models(path, table) if table.num_rows else "it holds no rows")
    quality = np.column_stack([_quality(path, table, name) for name in chosen])
    notes = [*_names_said(table), *([] if models else _left_out(path, table, prompt)), *_weights_said(table)]
    outcomes = OutcomeTable(
        query_id=query_ids(table), prompts=columns.texts(path, table[prompt], prompt), models=tuple(chosen), quality=quality,
        split=_split(table), group=_group(table), weight=_weight(path, table), at=_at(table),
        task=_task(table, chosen),
    )
    return outcomes, notes


def model_columns(table: pa.Table, prompt: str = "prompt") -> list[str]:
    """Every floating-point column that has no other meaning."""
    taken = {*RESERVED, *KEYS, prompt}
    return [field.name for field in table.schema
            if columns.is_floating(field.type) and field.name not in taken and not INDEX.fullmatch(field.name)]


def query_ids(table: pa.Table) -> list[str]:
    """As text; the number of the row where there is none."""
    if "query_id" not in table.column_names:
        return [str(row) for row in range(table.num_rows)]
    found = columns.labels(table["query_id"])
    return [str(row) if value is None else value for row, value in enumerate(found)]


def _named(path: Path, table: pa.Table, models: Sequence[str], prompt: str) -> list[str]:
    is_typed = not columns.is_csv(path)
    for name in models:
        if name not in table.column_names:
            raise DataRefused(str(path), f"--models names {name!r}, and there is no such column")
        if name in (*RESERVED, *KEYS, prompt):
            raise DataRefused(str(path), f"--models names {name!r}, which is reserved and never a model")
        kind = table.schema.field(name).type
        # CSV has no types: 0 and 1 read as integers there, and the caller says that they are outcomes.
        if not is_typed and columns.is_text(kind):
            _refuse_text(path, table, name)
        if not (columns.is_floating(kind) or (not is_typed and columns.is_number(kind)) or pa.types.is_null(kind)):
            raise DataRefused(str(path), f"column {name!r} holds {kind}; outcomes are floating-point numbers in [0, 1]: cast it to float64")
    if twice := [name for index, name in enumerate(models) if name in models[:index]]:
        raise DataRefused(str(path), f"--models names {twice[0]!r} twice")
    return list(models)


def _refuse_spoiled(path: Path, table: pa.Table, prompt: str) -> None:
    """In CSV one word among numbers makes a column text, and a model would be gone without a sound."""
    if not columns.is_csv(path) or not table.num_rows:
        return
    for field in table.schema:
        if columns.is_text(field.type) and field.name not in (*RESERVED, *KEYS, prompt):
            values = [value for value in table[field.name].to_pylist() if value.strip()]
            if values and 2 * sum(map(_is_outcome, values)) > len(values):
                _refuse_text(path, table, field.name)


def _refuse_text(path: Path, table: pa.Table, name: str) -> None:
    for row, value in enumerate(table[name].to_pylist()):
        if value.strip() and not _is_outcome(value):
            raise DataRefused(str(path), f"column {name!r}, row {row} (the first is 0; query_id {query_ids(table)[row]!r}): {value[:40]!r} is no "
                                         "number in [0, 1]; leave the cell empty where the model was not run")


def _is_outcome(value: str) -> bool:
    try:
        return 0 <= float(value) <= 1
    except ValueError:
        return False


def _names_said(table: pa.Table) -> list[str]:
    if "query_id" not in table.column_names:
        return ["there is no column 'query_id': rows are numbered from 0"]
    again = table.num_rows - len(Counter(query_ids(table)))
    return [f"{again:,} rows have the query_id of another row: each counts as a row of its own"] if again else []


def _left_out(path: Path, table: pa.Table, prompt: str) -> list[str]:
    """Columns that may have been meant as models: numbers in [0, 1] that are not floating-point, truths."""
    found = [field for field in table.schema if field.name not in (*RESERVED, *KEYS, prompt) and not INDEX.fullmatch(field.name)
             and (pa.types.is_boolean(field.type) or pa.types.is_decimal(field.type) or columns.is_integer(field.type))
             and _are_outcomes(table[field.name])]
    if not found:
        return []
    named = ", ".join(f"{field.name!r} ({field.type})" for field in found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return [f"no models, as they are not floating-point: {named}; "
            + ("name with --models what is one" if columns.is_csv(path) else "cast to float64 what is one")]


def _are_outcomes(column: pa.ChunkedArray) -> bool:
    if pa.types.is_boolean(column.type):
        return True
    values = columns.numbers(column)
    return bool(np.isfinite(values).any() and np.nanmin(values) >= 0 and np.nanmax(values) <= 1)


def _weights_said(table: pa.Table) -> list[str]:
    if "weight" not in table.column_names or columns.is_number(kind := table.schema.field("weight").type):
        return []
    return [f"column 'weight' holds {kind}, not numbers: every row counts the same"]


def _no_models(path: Path, table: pa.Table) -> str:
    whole = [field.name for field in table.schema if columns.is_integer(field.type) and field.name not in (*RESERVED, *KEYS)]
    mend = f"name it with --models {whole[0]}" if whole and columns.is_csv(path) else "cast it to float64"
    hint = f"; {whole[0]!r} holds integers: {mend} if it is an outcome" if whole else ""
    return f"no column holds floating-point numbers, so there is no model to learn about{hint}"


def _quality(path: Path, table: pa.Table, name: str) -> Floats:
    values = columns.numbers(table[name])
    wrong = np.flatnonzero(~(np.isnan(values) | ((values >= 0) & (values <= 1))))
    if len(wrong):
        row = int(wrong[0])
        more = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
        raise DataRefused(str(path), f"column {name!r}, row {row} (the first is 0; query_id {query_ids(table)[row]!r}): "
                                     f"{values[row]:g} is outside [0, 1]{more}")
    return values


def _split(table: pa.Table) -> list[str] | None:
    """`train`, `dev`, or the name of another split; "" where it is null."""
    if "split" not in table.column_names:
        return None
    said = [(value or "").strip() for value in columns.labels(table["split"])]
    return [SPLITS.get(value.lower(), value) for value in said]


def _group(table: pa.Table) -> list[str] | None:
    """Rows without a group are one each."""
    if "group" not in table.column_names:
        return None
    return [f"row {row}" if value is None else f"= {value}" for row, value in enumerate(columns.labels(table["group"]))]


def _task(table: pa.Table, models: Sequence[str]) -> list[str] | None:
    """The first column of such a name that is text and tells rows apart."""
    for name in TASKS:
        if name in table.column_names and name not in models and columns.is_text(table.schema.field(name).type):
            said = [value or "" for value in columns.labels(table[name])]
            if len(set(said)) > 1:
                return said
    return None


def _weight(path: Path, table: pa.Table) -> Floats | None:
    if "weight" not in table.column_names or not columns.is_number(table.schema.field("weight").type):
        return None
    values = columns.numbers(table["weight"])
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        raise DataRefused(str(path), f"column 'weight', row {int(wrong[0])} (the first is 0): {values[wrong[0]]:g} is no weight; "
                                     "they are finite and not negative")
    total = float(values.sum())
    if len(values) and total <= 0:
        raise DataRefused(str(path), "column 'weight' is 0 everywhere: no row counts")
    return values * (len(values) / total) if len(values) else values


def _at(table: pa.Table) -> Floats | None:
    """Only a real timestamp, known for every row: a floating-point column of that name is a model."""
    if "at" not in table.column_names or not pa.types.is_timestamp(table.schema.field("at").type):
        return None
    found = columns.seconds(table["at"])
    return found if np.isfinite(found).all() else None
