"""Routing scores for rows that nobody trained on: each row is scored by a quick fit that had not seen its group.

For comparisons that need some router and have none: ridge regression on the static vectors, made true by Platt's curve. A trained
artifact is better; what comes after routing is compared all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads.calibration import GRID
from pointsman.learn.baselines import VectorRidge, Vectors
from pointsman.learn.folds import groups_of
from pointsman.learn.learners.platt import curve
from pointsman.learn.table import Floats

FOLDS = 5
SURE = 0.98
"""Nothing is expected more firmly, either way."""


def expected(known: Sequence[str], quality: Floats, asked: Sequence[str]) -> Floats:
    """(asked, m) from rows whose outcomes are known. One fifth of them, by place, makes the scores true."""
    embedder = shipped_static()
    return _expected(embedder.embed(known), quality, embedder.embed(asked))


def left_out(prompts: Sequence[str], quality: Floats) -> Floats:
    """(n, m) each row by the others, near-duplicates left out with it."""
    groups = groups_of(prompts)
    fold = np.random.default_rng(0).integers(0, FOLDS, int(groups.max()) + 1)[groups]
    vectors = shipped_static().embed(prompts)
    found = np.tile(quality.mean(axis=0), (len(prompts), 1))
    for one in range(FOLDS):
        if (fold == one).any() and (fold != one).sum() >= 2 * FOLDS:
            found[fold == one] = _expected(vectors[fold != one], quality[fold != one], vectors[fold == one])
    return found


def _expected(known: Vectors, quality: Floats, asked: Vectors) -> Floats:
    inner = np.arange(len(known)) % FOLDS != 0
    said = VectorRidge().fit(known[inner], quality[inner]).predict(known[~inner])
    wanted = VectorRidge().fit(known, quality).predict(asked)
    ones = np.ones(len(said))
    bent = [np.interp(wanted[:, place], GRID, curve(said[:, place], quality[~inner, place], ones)) for place in range(quality.shape[1])]
    return np.clip(np.column_stack(bent), 1 - SURE, SURE)
