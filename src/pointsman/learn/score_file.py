"""`pointsman score` without the terminal: `query_id` and `prompt` in, `query_id` and one column per model out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pointsman import artifact
from pointsman.errors import DataRefused
from pointsman.learn.readers import columns, lines
from pointsman.learn.readers.gathering import prompt_of
from pointsman.learn.scoring import score

NO_SCORES = (".json", ".jsonl", ".tsv", ".gz", ".xlsx")
"""Endings that promise what is not written."""

Progress: TypeAlias = Callable[[str, float], None]


@dataclass(frozen=True)
class ScoredFile:
    """What was written."""

    rows: int
    models: tuple[str, ...]
    embedder: str
    version: str
    """Of the artifact."""
    note: str = ""


def score_file(source: Path | str, out: Path | str, place: Path | str, *, embedder: str = "auto", progress: Progress | None = None) -> ScoredFile:
    """Scores every row of `source` (Parquet, CSV or JSON lines) with the artifact at `place`, in the same order. Raises `DataRefused`,
    `ArtifactRefused`."""
    path, target = Path(source), Path(out)
    _refuse_target(target)
    made = artifact.read(place)
    ids, prompts = _read(path)
    scored = score(made, prompts, embedder=embedder, progress=progress)
    p = np.clip(scored.predicted.p, 0.0, 1.0)
    rows = pa.array(range(len(prompts)), pa.int64()) if ids is None else ids
    found = pa.table({"query_id": rows, **{model: pa.array(p[:, at], pa.float64()) for at, model in enumerate(scored.models)}})
    _write(found, target)
    notes = ["there is no 'query_id': rows are numbered from 0"] if ids is None else []
    return ScoredFile(len(prompts), scored.models, scored.embedder, made.version, "; ".join([*notes, scored.note] if scored.note else notes))


def _read(path: Path) -> tuple[pa.Array | pa.ChunkedArray | None, list[str]]:
    """Names of the rows (None where lines have none) and prompts: the two columns that matter."""
    try:
        is_table = columns.is_csv(path) or path.suffix.lower() in (".parquet", ".pq") or _starts_as_parquet(path)
    except OSError as exc:
        raise DataRefused(str(path), f"it cannot be read: {exc.strerror}") from exc
    if not is_table:
        return _of_lines(path)
    table = columns.read_file(path) if columns.is_csv(path) else columns.read_file(path, ("query_id", *columns.PROMPT_NAMES))
    prompt = columns.prompt_name(path, table.column_names)
    if "query_id" not in table.column_names:
        raise DataRefused(str(path), "there is no column 'query_id', by which scores are told apart")
    return table["query_id"], columns.texts(path, table[prompt], prompt)


def _starts_as_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _of_lines(path: Path) -> tuple[pa.Array | None, list[str]]:
    found = lines.read(path)
    prompts = [prompt_of(path, line) for line in found]
    ids = [line.row.get("query_id") for line in found]
    if None in ids:
        return None, prompts
    is_whole = all(isinstance(id_, int) and not isinstance(id_, bool) and abs(id_) < 1 << 63 for id_ in ids)
    return pa.array(ids, pa.int64()) if is_whole else pa.array([str(id_) for id_ in ids], pa.string()), prompts


def _refuse_target(target: Path) -> None:
    """Said before an hour is spent on scores that nobody can keep."""
    if target.suffix.lower() in NO_SCORES or target.is_dir():
        raise DataRefused(str(target), "scores are written into a file of Parquet or, where its name ends in .csv, of CSV")
    if not target.parent.is_dir():
        raise DataRefused(str(target), f"it cannot be written: there is no folder {str(target.parent)!r}")


def _write(table: pa.Table, target: Path) -> None:
    """The whole file or none. What is no file (a pipe, a device) is written to and stays what it is."""
    is_file = target.is_file() or not target.exists()
    part = target.with_name(f"{target.name}.{os.getpid()}.part") if is_file else target
    try:
        if target.suffix.lower() == ".csv":
            pyarrow.csv.write_csv(table, part)
        else:
            pq.write_table(table, part)
        if is_file:
            part.replace(target)
    except (OSError, pa.ArrowException) as exc:
        why = os.strerror(exc.errno) if isinstance(exc, OSError) and exc.errno else exc
        raise DataRefused(str(target), f"it cannot be written: {why}") from exc
    finally:
        if is_file:
            part.unlink(missing_ok=True)
