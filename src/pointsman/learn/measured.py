"""Labelled rows beside an artifact's scores for them: what evaluating and calibrating start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.heads.ladder import is_ladder
from pointsman.classify.heads.predicted import Predicted
from pointsman.classify.heads.rehearsal import Rehearsal, of_artifact
from pointsman.errors import DataRefused
from pointsman.learn import near_duplicate
from pointsman.learn.dataset import Dataset, read_dataset
from pointsman.learn.embedders import STATIC
from pointsman.learn.scores import Scores
from pointsman.learn.scoring import Scored, score
from pointsman.learn.table import OutcomeTable

Progress: TypeAlias = Callable[[str, float], None]


@dataclass(frozen=True)
class Measured:
    """Rows with outcomes, and what the artifact says of them; the models that both know, in the artifact's order."""

    table: OutcomeTable
    scored: Scored
    places: tuple[int, ...]
    """Of the table's models among the artifact's."""
    notes: tuple[str, ...]
    rehearsals: tuple[Rehearsal, ...] = ()
    """Of the artifact's stacks that answered."""
    train: OutcomeTable | None = None
    """Rows of the same file that were left out because the artifact was, by their split, trained on them."""

    @property
    def scores(self) -> Scores:
        """Of the table's models."""
        return of_places(self.scored.predicted, self.places, self.rehearsals)


def of_places(predicted: Predicted, places: tuple[int, ...], rehearsals: Sequence[Rehearsal] = ()) -> Scores:
    """Some columns of what was predicted."""
    columns = list(places)
    return Scores(predicted.p[:, columns], predicted.lower[:, columns], predicted.is_foreign, tuple(one.of_places(columns) for one in rehearsals))


def measured(artifact: Artifact, data: Path | str, *, shape: str | None = None, split: str | None = None, embedder: str = "auto",
             progress: Progress | None = None) -> Measured:
    """Reads labels and scores their prompts. `split`: only its rows; None = all but `train`. Raises `DataRefused`."""
    table, train, notes = labelled(artifact, data, shape, split)
    scored = score(artifact, table.prompts, embedder=embedder, progress=progress)
    if scored.note:
        notes.append(scored.note)
    rehearsals = () if is_ladder(artifact) else of_artifact(artifact, with_sentence=scored.embedder != STATIC)
    return Measured(table, scored, tuple(scored.models.index(model) for model in table.models), tuple(notes), rehearsals, train)


def labelled(artifact: Artifact, data: Path | str, shape: str | None, split: str | None) -> tuple[OutcomeTable, OutcomeTable | None, list[str]]:
    """The rows to measure on that have an outcome of a model that the artifact knows, those of split `train` that are left out, and notes."""
    known = [str(model) for model in artifact.manifest.get("models", [])]
    dataset = read_for(artifact, data, shape)
    notes = list(dataset.notes)
    table = dataset.table
    if missing := [model for model in known if model not in table.models]:
        notes.append(f"no outcomes of {', '.join(missing[:4])}{' and others' if len(missing) > 4 else ''}: these are not measured")
    run: NDArray[np.bool_] = np.asarray(np.isfinite(table.quality).any(axis=1))
    rows = run.copy()
    if split is not None:
        if table.split is None or split not in table.split:
            raise DataRefused(str(data), f"no row belongs to split {split!r}")
        rows &= np.array([one == split for one in table.split])
    elif table.split is not None and "train" in table.split:
        held = np.array([one != "train" for one in table.split])
        if (rows & held).any():
            notes.append(f"{int((rows & ~held).sum()):,} rows of split 'train' are left out: measure on what training has not seen")
            rows &= held
        else:
            notes.append("every row belongs to split 'train': if the artifact was trained on them, these figures flatter")
    left = None if table.split is None else table.take(run & ~rows & np.array([one == "train" for one in table.split]))
    table = table.take(rows)
    if not len(table):
        raise DataRefused(str(data), "no row has an outcome of a model that the artifact knows")
    return replace(table, group=table.group or near_duplicate.groups(table.prompts)), left if left is not None and len(left) else None, notes


def read_for(artifact: Artifact, data: Path | str, shape: str | None) -> Dataset:
    """Labels of the models that the artifact knows."""
    known = [str(model) for model in artifact.manifest.get("models", [])]
    return read_dataset(data, shape, among=known, ladder=known if artifact.manifest.get("labels") in ("tiers", "categories") else None)
