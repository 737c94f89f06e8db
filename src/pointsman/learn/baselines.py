"""What anybody could do in ten lines: the routers that a trained classifier has to beat on the same labels.

Each is fitted on the same rows and gives each model's expected quality, as ours does. They are done well: penalties and
neighbours are what did best on development data, and the table of tasks is told the task's true name, which no router sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]


_WORDS = r"(?u)\b\w+\b|[^\w\s]"


class Baseline(Protocol):
    """Fitted on prompts and quality (n, m; NaN = not run), then asked for expected quality."""

    def fit(self, inputs: Any, quality: Floats) -> Baseline: ...

    def predict(self, inputs: Any) -> Floats: ...


class Length:
    """Longer prompts to the larger model. Learns nothing; columns must stand from small to large."""

    def fit(self, inputs: Sequence[str], quality: Floats) -> Length:
        self.columns_ = quality.shape[1]
        return self

    def predict(self, inputs: Sequence[str]) -> Floats:
        """Not a quality: only differences between columns mean something, and all rank by length."""
        return np.outer([len(prompt) for prompt in inputs], np.arange(self.columns_, dtype=np.float64))


class TaskTable:
    """The mean quality of each model per task, pulled to the mean over all tasks."""

    def __init__(self, pull: float = 10.0) -> None:
        self.pull = pull

    def fit(self, inputs: Sequence[str], quality: Floats) -> TaskTable:
        self.mean_ = _means(quality)
        away = np.where(np.isfinite(quality), quality - self.mean_, 0.0)
        tasks = np.asarray(inputs)
        self.table_ = {task: self.mean_ + away[tasks == task].sum(axis=0) / ((tasks == task).sum() + self.pull) for task in np.unique(tasks)}
        return self

    def predict(self, inputs: Sequence[str]) -> Floats:
        return np.array([self.table_.get(task, self.mean_) for task in inputs])


class WordRidge:
    """Ridge regression on TF-IDF of words and pairs of words."""

    def __init__(self, penalty: float = 1.0) -> None:
        self.penalty = penalty

    def fit(self, inputs: Sequence[str], quality: Floats) -> WordRidge:
        self.words_ = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1, token_pattern=_WORDS)
        self.ridge_ = Ridge(self.penalty).fit(self.words_.fit_transform(inputs), _filled(quality))
        return self

    def predict(self, inputs: Sequence[str]) -> Floats:
        return np.asarray(self.ridge_.predict(self.words_.transform(inputs))).reshape(len(inputs), -1)


class VectorRidge:
    """Ridge regression on sentence vectors."""

    def __init__(self, penalty: float = 10.0) -> None:
        self.penalty = penalty

    def fit(self, inputs: Vectors, quality: Floats) -> VectorRidge:
        self.ridge_ = Ridge(self.penalty).fit(inputs, _filled(quality))
        return self

    def predict(self, inputs: Vectors) -> Floats:
        return np.asarray(self.ridge_.predict(inputs), dtype=np.float64).reshape(len(inputs), -1)


class Neighbours:
    """The mean over the nearest labelled prompts by cosine."""

    def __init__(self, neighbours: int = 40) -> None:
        self.neighbours = neighbours

    def fit(self, inputs: Vectors, quality: Floats) -> Neighbours:
        self.vectors_, self.quality_ = inputs, _filled(quality)
        self.count_ = max(1, min(self.neighbours, len(inputs) // 4))
        return self

    def predict(self, inputs: Vectors) -> Floats:
        likeness = inputs @ self.vectors_.T
        nearest = np.argpartition(-likeness, self.count_ - 1, axis=1)[:, : self.count_]
        return np.asarray(self.quality_[nearest].mean(axis=1), dtype=np.float64)


def _means(quality: Floats) -> Floats:
    known = np.isfinite(quality)
    return np.asarray(np.where(known, quality, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), dtype=np.float64)


def _filled(quality: Floats) -> Floats:
    return np.where(np.isfinite(quality), quality, _means(quality))
