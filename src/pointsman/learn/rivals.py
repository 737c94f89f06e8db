"""What anybody could do in ten lines, on the same labels and judged on the same rows: the least that ours must beat.

A table of tasks, neighbours by meaning, and ridge regression on words. Who learned from what is told beside the figures, for it is half
of what they say: rows are never predicted from their own group, and where other rows to learn from are there, from those alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.task import task_of_prompt
from pointsman.learn.baselines import Neighbours, TaskTable, WordRidge
from pointsman.learn.fit import Fit
from pointsman.learn.folds import groups_of
from pointsman.learn.table import OutcomeTable

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Vectors: TypeAlias = NDArray[np.float32]
Progress: TypeAlias = Callable[[str, float], None]

TASKS, WORDS, NEIGHBOURS = "task table", "words, ridge", "k nearest neighbours"
FOLDS = 5
MOST_FOR_WORDS = 8000
"""Rows that the regression on words learns from, of more a sample: it holds every pair of words, some 50 to a row."""
CELLS = 4_000_000
"""Of rows with rows whose likeness is looked at at once: 64 MB."""


@dataclass(frozen=True)
class Labels:
    """Rows as the rivals see them."""

    prompts: Sequence[str]
    quality: Floats
    """(n, m); NaN = not run."""
    vectors: Vectors
    """Sentence vectors where ours has them, else static ones."""
    tasks: Sequence[str]
    """The name of each row's task."""

    def take(self, rows: Rows) -> Labels:
        chosen = rows.tolist()
        return Labels([self.prompts[row] for row in chosen], self.quality[rows], self.vectors[rows], [self.tasks[row] for row in chosen])


def labels_of(table: OutcomeTable, vectors: Vectors, *, with_tasks: bool = True) -> Labels:
    """Of a table. `with_tasks` False: tasks are read from the prompts although the table names them (another one does not)."""
    tasks = table.task if with_tasks and table.task is not None else [task_of_prompt(prompt) for prompt in table.prompts]
    return Labels(table.prompts, table.quality, vectors, tasks)


def learned(known: Labels, asked: Labels, seed: int) -> dict[str, Floats]:
    """Name -> (asked, models) expected quality, learned from other rows."""
    found = {TASKS: TaskTable().fit(known.tasks, known.quality).predict(asked.tasks), WORDS: _by_words(known, asked, seed)}
    neighbours = Neighbours().fit(known.vectors, known.quality)
    step = max(1, CELLS // len(known.prompts))
    parts = [neighbours.predict(asked.vectors[at: at + step]) for at in range(0, len(asked.prompts), step)]
    return found | {NEIGHBOURS: np.concatenate(parts)}


def crossed(rows: Labels, groups: Rows, seed: int, progress: Progress | None = None) -> dict[str, Floats]:
    """The same for rows that have none but themselves: each is predicted from the other four fifths. One half where all are one group."""
    found = {name: np.full(rows.quality.shape, 0.5) for name in (TASKS, WORDS, NEIGHBOURS)}
    fold = np.random.default_rng(seed).integers(0, FOLDS, int(groups.max()) + 1 if len(groups) else 0)[groups]
    for one in range(FOLDS):
        if progress is not None:
            progress("baselines", one / FOLDS)
        is_asked = fold == one
        if is_asked.any() and not is_asked.all():
            asked = np.flatnonzero(is_asked)
            for name, said in learned(rows.take(np.flatnonzero(~is_asked)), rows.take(asked), seed).items():
                found[name][asked] = said
    return found


def expectations(fit: Fit) -> dict[str, Floats]:
    """Name -> (rows that calibrate, models). Needs a fit whose stacks are fitted. Where every row calibrates, each is predicted by a fit on
    the other four fifths; where rows were set aside, by a fit on the rest."""
    judged = np.asarray(fit.calibrating)
    rows = labels_of(fit.table, _vectors(fit))
    left = np.setdiff1d(fit.train, judged)
    if len(left):
        return learned(rows.take(left), rows.take(judged), fit.seed)
    return crossed(rows.take(judged), groups_of(fit.table.prompts, fit.table.group)[judged], fit.seed)


def _by_words(known: Labels, asked: Labels, seed: int) -> Floats:
    """(asked, models); the mean where the prompts hold no word at all."""
    if len(known.prompts) > MOST_FOR_WORDS:
        known = known.take(np.sort(np.random.default_rng(seed).choice(len(known.prompts), MOST_FOR_WORDS, replace=False)))
    if not any(letter.isalnum() for prompt in known.prompts for letter in prompt):
        means = np.array([np.mean(column[np.isfinite(column)]) if np.isfinite(column).any() else 0.5 for column in known.quality.T])
        return np.tile(means, (len(asked.prompts), 1))
    return WordRidge().fit(known.prompts, known.quality).predict(asked.prompts)


def _vectors(fit: Fit) -> Vectors:
    """Of all rows of the table: sentence vectors where there are, else static ones."""
    kinds = [(one.sentence if fit.has_sentence else one.static) for one in (fit.reading, fit.other)]
    width = next(kind.shape[1] for kind in kinds if kind is not None)
    found = np.zeros((len(fit.table), width), dtype=np.float32)
    for rows, kind in zip((fit.train, fit.rest), kinds, strict=True):
        if kind is not None:
            found[rows] = kind
    return found
