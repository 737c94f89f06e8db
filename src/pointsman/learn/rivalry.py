"""The baselines of `evaluate`: from which rows they learn, and what they then expect of the rows that are measured.

They should learn from what ours learned from. Where that is there, as a file that is named or as the `train` rows of the same file,
they do; where it is not, each row is predicted from the other rows, which is said: whoever then learned from more labels, or from labels more
like these, has the advantage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads.core import core
from pointsman.classify.heads.query import Query
from pointsman.errors import DataRefused
from pointsman.learn.folds import groups_of
from pointsman.learn.measured import Measured, read_for
from pointsman.learn.metrics import Floats
from pointsman.learn.rivals import FOLDS, Labels, Vectors, crossed, labels_of, learned
from pointsman.learn.scoring import vectors_of
from pointsman.learn.table import OutcomeTable

Progress: TypeAlias = Callable[[str, float], None]

FEWEST = 20
"""Rows to learn from, without which nobody does."""


@dataclass(frozen=True)
class Rivalry:
    """What the baselines expect, and how they came to it."""

    expectations: dict[str, Floats]
    """Name -> (rows measured, models); empty where there was too little to learn from."""
    told: str
    """One sentence for the reader: what they learned from, beside what ours did."""
    rows: int
    """That they learned from."""


def rivalry(artifact: Artifact, found: Measured, trained_on: Path | None = None, *, data: Path, shape: str | None = None, embedder: str = "auto", seed: int = 0,
            progress: Progress | None = None) -> Rivalry:
    """`trained_on`: the labels that the artifact was trained on; None = the rows of split `train` of `data`, where it has any. Raises `DataRefused`."""
    mine = int(artifact.manifest.get("training", {}).get("rows", 0))
    source = f"{trained_on.name}" if trained_on is not None else f"split 'train' of {data.name}"
    train, copies = _others(found.train if trained_on is None else _trained(artifact, trained_on, shape), found.table)
    if train is None and trained_on is not None:
        raise DataRefused(str(trained_on), f"of its rows fewer than {FEWEST} have an outcome of a model that is measured and are not measured themselves")
    if train is None:
        return _crossed(found, mine, seed, progress)
    is_named = train.task is not None and found.table.task is not None
    asked = labels_of(found.table, _own(found), with_tasks=is_named)
    known = labels_of(train, vectors_of(artifact, train.prompts, embedder=embedder, progress=progress), with_tasks=is_named)
    if progress is not None:
        progress("baselines", 0.0)
    told = f"{len(train):,} rows ({source})" + (f", without {copies:,} that are measured here" if copies else "")
    return Rivalry(learned(known, asked, seed), f"{_names(asked, is_named)} learned from {told}{_beside(mine, len(train))}", len(train))


def _trained(artifact: Artifact, place: Path, shape: str | None) -> OutcomeTable:
    """The rows that a training on that file uses."""
    table = read_for(artifact, place, shape).table
    rows: NDArray[np.bool_] = np.asarray(np.isfinite(table.quality).any(axis=1))
    if table.split is not None and "train" in table.split:
        rows &= np.array([one in ("train", "dev") for one in table.split])
    return table.take(rows)


def _others(train: OutcomeTable | None, measured: OutcomeTable) -> tuple[OutcomeTable | None, int]:
    """Rows to learn from that are not among those that are measured, with the same models; None = too few. And how many were."""
    if train is None:
        return None, 0
    asked = set(measured.prompts)
    is_other = np.array([prompt not in asked for prompt in train.prompts], dtype=np.bool_)
    kept = _with_models(train.take(is_other), measured.models)
    kept = kept.take(np.flatnonzero(np.isfinite(kept.quality).any(axis=1)))
    return (kept if len(kept) >= FEWEST else None), int((~is_other).sum())


def _with_models(table: OutcomeTable, models: tuple[str, ...]) -> OutcomeTable:
    """Those columns; a model that is not there was never run."""
    quality = np.full((len(table), len(models)), np.nan)
    for place, model in enumerate(models):
        if model in table.models:
            quality[:, place] = table.quality[:, table.models.index(model)]
    return replace(table, models=models, quality=quality, tokens=None)


def _crossed(found: Measured, mine: int, seed: int, progress: Progress | None) -> Rivalry:
    rows = len(found.table)
    if rows < FEWEST:
        return Rivalry({}, f"too few rows for baselines that learn: {FEWEST} are the least", 0)
    labels = labels_of(found.table, _own(found))
    said = crossed(labels, groups_of(found.table.prompts, found.table.group), seed, progress)
    part = rows - rows // FOLDS
    return Rivalry(said, f"{_names(labels, found.table.task is not None)} learned from the rows measured here, each row being predicted from the other four "
                         f"fifths (about {part:,} rows); --trained-on FILE lets them learn from what the artifact learned from" + _beside(mine, part), part)


def _own(found: Measured) -> Vectors:
    """Vectors of the rows that are measured."""
    if found.scored.vectors is not None:
        return found.scored.vectors
    return shipped_static().embed([core(Query.of_prompt(prompt)).text for prompt in found.table.prompts])


def _names(labels: Labels, is_named: bool) -> str:
    kinds = len(set(labels.tasks))
    tasks = f"tasks as the data names them ({kinds})" if is_named else f"kinds of work told from the prompt ({kinds}; a column `task` would name better ones)"
    return f"task table ({tasks}), words and neighbours"


def _beside(mine: int, theirs: int) -> str:
    return f"; ours was fitted on {mine:,}" if mine and mine != theirs else ""
