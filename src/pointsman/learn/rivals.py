"""What anybody could train in ten lines, on the same labels and judged on the same rows: the least that ours must beat.

Neighbours by meaning, and ridge regression on words. Where every row calibrates, each is predicted by a fit on the other
four fifths; where rows were set aside, by a fit on the rest.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.learn.baselines import Neighbours, WordRidge
from pointsman.learn.fit import Fit
from pointsman.learn.folds import groups_of

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]

FOLDS = 5
MOST_FOR_WORDS = 4000
"""Rows up to which the regression on words is fitted: beyond, it takes longer than ours does."""
CHUNK = 1000
"""Rows whose neighbours are looked for at once."""


def expectations(fit: Fit) -> dict[str, Floats]:
    """Name -> (rows that calibrate, models) expected quality; one half where all rows are one group. Needs a fit whose stacks are fitted."""
    judged = np.asarray(fit.calibrating)
    found = {"k nearest neighbours": np.full((len(judged), fit.models), 0.5)}
    if len(fit.train) <= MOST_FOR_WORDS:
        found["words, ridge"] = np.full((len(judged), fit.models), 0.5)
    for known, asked in _folds(fit, judged):
        quality = fit.table.quality[known]
        vectors = _vectors(fit)
        neighbours = Neighbours().fit(vectors[known], quality)
        for at in range(0, len(asked), CHUNK):
            part = asked[at: at + CHUNK]
            found["k nearest neighbours"][part] = neighbours.predict(vectors[judged[part]])
        if "words, ridge" in found:
            found["words, ridge"][asked] = _by_words(fit, known, judged[asked])
    return found


def _by_words(fit: Fit, known: Rows, asked: Rows) -> Floats:
    """(asked, models); the mean where the prompts hold no word at all."""
    prompts, quality = fit.table.prompts, fit.table.quality[known]
    if not any(letter.isalnum() for row in known.tolist() for letter in prompts[row]):
        means = np.array([np.mean(column[np.isfinite(column)]) if np.isfinite(column).any() else 0.5 for column in quality.T])
        return np.tile(means, (len(asked), 1))
    return WordRidge().fit([prompts[row] for row in known.tolist()], quality).predict([prompts[row] for row in asked.tolist()])


def _folds(fit: Fit, judged: Rows) -> list[tuple[Rows, Rows]]:
    """Rows of the table to learn from, and places among `judged` to predict."""
    left = np.setdiff1d(fit.train, judged)
    if len(left):
        return [(left, np.arange(len(judged)))]
    groups = groups_of(fit.table.prompts, fit.table.group)[judged]
    fold = np.random.default_rng(fit.seed).integers(0, FOLDS, int(groups.max()) + 1)[groups]
    return [(judged[fold != one], np.flatnonzero(fold == one)) for one in range(FOLDS) if (fold == one).any() and (fold != one).any()]


def _vectors(fit: Fit) -> NDArray[np.float32]:
    """Of all rows of the table: sentence vectors where there are, else static ones."""
    kinds = [(one.sentence if fit.has_sentence else one.static) for one in (fit.reading, fit.other)]
    width = next(kind.shape[1] for kind in kinds if kind is not None)
    found = np.zeros((len(fit.table), width), dtype=np.float32)
    for rows, kind in zip((fit.train, fit.rest), kinds, strict=True):
        if kind is not None:
            found[rows] = kind
    return found
