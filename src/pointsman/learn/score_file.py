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
from pointsman.learn.readers import columns
from pointsman.learn.scoring import score

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
    """Scores every row of `source` (Parquet or CSV) with the artifact at `place`, in the same order. Raises `DataRefused`,
    `ArtifactRefused`."""
    path, target = Path(source), Path(out)
    made = artifact.read(place)
    table = _read(path)
    prompt = columns.prompt_name(path, table.column_names)
    if "query_id" not in table.column_names:
        raise DataRefused(str(path), "there is no column 'query_id', by which scores are told apart")
    scored = score(made, columns.texts(path, table[prompt], prompt), embedder=embedder, progress=progress)
    p = np.clip(scored.predicted.p, 0.0, 1.0)
    found = pa.table({"query_id": table["query_id"], **{model: pa.array(p[:, at], pa.float64()) for at, model in enumerate(scored.models)}})
    _write(found, target)
    return ScoredFile(table.num_rows, scored.models, scored.embedder, made.version, scored.note)


def _read(path: Path) -> pa.Table:
    """Only the two columns that matter, where the file allows to pick."""
    try:
        is_csv = columns.is_csv(path)
    except OSError as exc:
        raise DataRefused(str(path), f"it cannot be read: {exc.strerror}") from exc
    return columns.read_file(path) if is_csv else columns.read_file(path, ("query_id", *columns.PROMPT_NAMES))


def _write(table: pa.Table, target: Path) -> None:
    """The whole file or none."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        if target.suffix.lower() == ".csv":
            pyarrow.csv.write_csv(table, part)
        else:
            pq.write_table(table, part)
        part.replace(target)
    except (OSError, pa.ArrowException) as exc:
        raise DataRefused(str(target), f"it cannot be written: {exc}") from exc
    finally:
        part.unlink(missing_ok=True)
