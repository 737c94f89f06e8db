"""What every way of learning reads: prompts, and how good each model's answer to each was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class OutcomeTable:
    """Rows are queries, columns are models. Built by `learn.dataset`, checked by `learn.checks`."""

    query_id: list[str]
    prompts: list[str]
    models: tuple[str, ...]
    quality: Floats
    """(n, m) in [0, 1]; NaN = that model was not run on that query."""
    split: list[str] | None = None
    """`train` or `dev` per row; None = nobody said."""
    group: list[str] | None = None
    """Near-duplicates, sessions, users: rows of one group never stand on both sides of a fold."""
    weight: Floats | None = None
    """(n,) how much a row counts, mean about 1; None = all the same."""
    tokens: Floats | None = None
    """(n, m) output tokens; NaN = unknown."""
    at: Floats | None = None
    """(n,) wall-clock seconds, when known: folds by time."""
    task: list[str] | None = None
    """What kind of work each row is, in its owner's words. No classifier reads it: it is for the table of tasks that ours is compared with."""

    def __len__(self) -> int:
        return len(self.prompts)

    def __post_init__(self) -> None:
        rows, columns = len(self.prompts), len(self.models)
        if self.quality.shape != (rows, columns):
            raise ValueError(f"quality is {self.quality.shape}, but there are {rows} prompts and {columns} models")
        for name in ("query_id", "split", "group", "weight", "tokens", "at", "task"):
            if (column := getattr(self, name)) is not None and len(column) != rows:
                raise ValueError(f"{name} has {len(column)} rows, the prompts are {rows}")

    def take(self, rows: Iterable[int] | NDArray[np.intp] | NDArray[np.bool_]) -> OutcomeTable:
        """Those rows, in that order; a boolean mask is fine too."""
        index = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows))
        index = np.flatnonzero(index) if index.dtype == np.bool_ else index.astype(np.intp)
        changed: dict[str, object] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name != "models" and value is not None:
                changed[one.name] = [value[i] for i in index] if isinstance(value, list) else value[index]
        return replace(self, **changed)  # type: ignore[arg-type]

    def only(self, models: Iterable[str]) -> OutcomeTable:
        """Those models' columns, in that order."""
        wanted = tuple(models)
        columns = [self.models.index(model) for model in wanted]
        tokens = None if self.tokens is None else self.tokens[:, columns]
        return replace(self, models=wanted, quality=self.quality[:, columns], tokens=tokens)

    def __repr__(self) -> str:
        known = int(np.isfinite(self.quality).sum())
        return f"<OutcomeTable {len(self)} queries x {len(self.models)} models, {known} outcomes>"
