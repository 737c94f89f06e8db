"""How rare each bucket of words is, and training rows as a sparse matrix of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pointsman.classify.heads import ngrams
from pointsman.classify.heads.query import Query

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]


def seen(queries: Sequence[Query]) -> Floats:
    """In how many queries each bucket occurs."""
    counts = np.zeros(ngrams.BUCKETS)
    for query in queries:
        counts[ngrams.ids(query.data)[0]] += 1.0
    return counts


def rarity(counts: Floats, rows: int) -> Vectors:
    """Smoothed inverse document frequency per bucket; 0 = never seen, so that it adds nothing."""
    return np.where(counts > 0, np.log((1.0 + rows) / (1.0 + counts)) + 1.0, 0.0).astype(np.float32)


def word_matrix(words: Sequence[tuple[ngrams.Ids, Vectors, float]]) -> Any:
    """(n, buckets), a row per query."""
    ends = np.cumsum([0] + [len(ids) for ids, _, _ in words])
    ids = np.concatenate([ids for ids, _, _ in words])
    weights = np.concatenate([weights for _, weights, _ in words])
    return sparse.csr_matrix((weights, ids, ends), shape=(len(words), ngrams.BUCKETS))
