"""From a file to outcomes: which shape is it, and who reads it.

Shapes: `matrix` (Parquet or CSV, a column per model), `outcomes` (rows with an object of scores), `answers` (a row per
answer), `preferences` (pairs), `tiers` (a label per prompt), `categories`, `records` (Pointsman's own).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pointsman.errors import DataRefused
from pointsman.learn.readers import columns, lines, matrix, outcomes, preferences, recorded, tiers
from pointsman.learn.readers.lines import Line
from pointsman.learn.table import OutcomeTable
from pointsman.records.spool import PATTERN

SHAPES = ("matrix", "outcomes", "answers", "preferences", "tiers", "categories", "records")
TABLES = (".parquet", ".pq", *columns.CSV_NAMES)


@dataclass(frozen=True)
class Dataset:
    """What a file held."""

    path: Path
    shape: str
    """One of `SHAPES`."""
    table: OutcomeTable
    notes: tuple[str, ...] = ()
    """What its owner should know about how it was read."""


def read_dataset(path: Path | str, shape: str | None = None, *, models: Sequence[str] | None = None, ladder: Sequence[str] | None = None,
                 among: Sequence[str] | None = None) -> Dataset:
    """Reads a file, a spool directory or a store. `shape` None = what it looks like. `models`: only these, all of them, in this
    order; `among`: those of these that are there. Raises `DataRefused`."""
    place = Path(path)
    found = _read(place, shape, models, ladder, among)
    if among is None:
        return found
    if not (kept := [name for name in among if name in found.table.models]):
        raise DataRefused(str(place), f"it has outcomes of {', '.join(found.table.models[:4]) or 'no model'}; the artifact knows {', '.join(among[:4])}")
    return replace(found, table=found.table.only(kept))


def _read(place: Path, shape: str | None, models: Sequence[str] | None, ladder: Sequence[str] | None, among: Sequence[str] | None) -> Dataset:
    kind = _kind(place)
    if kind == "records" or shape == "records":
        gathering, notes = recorded.read(place)
        return Dataset(place, "records", _chosen(place, gathering.table(ladder), models), tuple(notes))
    if kind == "table":
        table = columns.read_file(place)
        shape = shape or shape_of_columns(table)
        if shape == "matrix":
            # Other columns may be floating-point and no quality: only those that are asked for are read.
            models = models or [name for name in among or () if name in table.column_names]
            found, said = matrix.read(place, table, models)
            return Dataset(place, shape, found, tuple(said))
        rows = [Line(f"row {number} (the first is 0)", row) for number, row in enumerate(columns.rows_of(table))]
    else:
        rows = lines.read(place)
    if not rows:
        raise DataRefused(str(place), "it holds no rows")
    return _from_rows(place, shape or shape_of_row(place, rows[0]), rows, models, ladder)


def shape_of_columns(table: pa.Table) -> str:
    """A table with floating-point columns is a matrix; only one without, or with a model's name in a row, is something else."""
    names = set(table.column_names)
    prompt = next((name for name in columns.PROMPT_NAMES if name in names), "prompt")
    models = matrix.model_columns(table, prompt)
    is_answers = "model" in names and "query_id" not in names and set(models) <= set(outcomes.SINGLE)
    if is_answers and columns.is_text(table.schema.field("model").type) and names & set(outcomes.SINGLE):
        return "answers"
    if models:
        return "matrix"
    return _shape(names) or "matrix"


def shape_of_row(path: Path, line: Line) -> str:
    """What a row looks like."""
    names = set(line.row)
    if {"id", "at", "kind", "requested_model"} <= names:
        return "records"
    if shape := _shape(names):
        return shape
    shown = ", ".join(repr(name) for name in list(line.row)[:8])
    raise DataRefused(str(path), f"{line.where} ({shown}) is no shape that is known: a prompt with `tier`, with `outcomes`, with `model` and "
                                 "`score`, or with `model_a`, `model_b` and `winner`")


def _shape(names: set[str]) -> str | None:
    if names & set(outcomes.MAPS):
        return "outcomes"
    if {"model_a", "model_b"} <= names or {"model_1", "model_2"} <= names or {"chosen_model", "rejected_model"} <= names:
        return "preferences"
    if "model" in names and names & set(outcomes.SINGLE):
        return "answers"
    return "tiers" if names & set(tiers.NAMES) else None


def _kind(path: Path) -> str:
    """`records`, `table` or `lines`, by what the file is and not by its name alone."""
    if path.is_dir() or path.match(PATTERN):
        return "records"
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as exc:
        raise DataRefused(str(path), f"it cannot be read: {exc.strerror}") from exc
    if head == recorded.SQLITE:
        return "records"
    if head[:4] == b"PAR1":
        return "table"
    if path.name.lower().endswith(TABLES):
        if not head:
            raise DataRefused(str(path), "it is empty")
        return "table"
    return "lines"


def _from_rows(path: Path, shape: str, rows: list[Line], models: Sequence[str] | None, ladder: Sequence[str] | None) -> Dataset:
    notes: list[str] = []
    order: tuple[str, ...] | None = tuple(ladder) if ladder else None
    match shape:
        case "outcomes":
            gathering = outcomes.read_maps(path, rows)
        case "answers":
            gathering = outcomes.read_single(path, rows)
        case "preferences":
            gathering = preferences.read(path, rows)
        case "tiers" | "categories":
            gathering, order = tiers.read(path, rows, ladder, are_categories=shape == "categories")
        case "records":
            gathering, notes = recorded.read(path)
        case _:
            raise DataRefused(str(path), f"{shape!r} cannot be read from rows; their shapes are {', '.join(SHAPES[1:])}")
    if gathering.merged:
        notes.append(f"{gathering.merged:,} rows repeat a prompt; their outcomes were averaged"
                     + (f", and {apart:,} prompts had some that contradict each other" if (apart := gathering.contradicted()) else ""))
    if gathering.crossing:
        notes.append(f"{gathering.crossing:,} rows repeat a prompt of the other split: train and dev must not share them, so they count as train")
    return Dataset(path, shape, _chosen(path, gathering.table(order), models), tuple(notes))


def _chosen(path: Path, table: OutcomeTable, models: Sequence[str] | None) -> OutcomeTable:
    """Only the models that were asked for."""
    if not models:
        return table
    if unknown := [name for name in models if name not in table.models]:
        raise DataRefused(str(path), f"--models names {unknown[0]!r}; there are {', '.join(table.models[:8])}")
    return table.only(models)
