"""Queries as features: read once, used by every stack of a scorer.

A `Reader` holds what training learned about the features themselves: the centre and spread of each surface feature, how
rare each bucket of words is, labelled neighbours, and how near the nearest one usually is. Training makes its features with
the same reader, so both halves see the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.classify.heads import ngrams, surface
from pointsman.classify.heads.query import Query

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]

CLIP = 5.0
"""Standard deviations after which a surface feature says no more."""
WIDTH = 0.3
"""A neighbour's weight falls by e for every this much less cosine."""
LOOKS = 0.1
"""Weight of a surface feature beside a vector's numbers when kinds are told apart: looks and meaning count about the same."""
LOOKS_CLIP = 3.0
"""Standard deviations after which a surface feature says no more about the kind."""


GRID = 128
"""Rows that queries are compared with are stored in so many parts of one: a byte a number. A thousand labels take 128 KB of a core's memory then,
and the rest of a request finds more of its own there. A landmark moves by one or two degrees, before anything is learned of it."""
FINE = 1 << 15
"""Vectors are compared with such rows in so many parts of one: sums of whole numbers, the same however they are added."""
LONGEST = 512
"""Numbers of a row up to which the compiled kernel adds up bytes: 2^15 * 127 * 512 is less than 2^31."""


def gridded(rows: Vectors) -> NDArray[np.float16]:
    """Rows as they are stored: multiples of one 128th, less than one, which half precision holds exactly."""
    parts: NDArray[np.float16] = (np.clip(np.rint(rows * np.float32(GRID)), 1 - GRID, GRID - 1) / GRID).astype(np.float16)
    return parts


def points(surface_: Vectors, static: Vectors) -> Vectors:
    """What a query is about and what it looks like, as kinds of task are told apart by."""
    return np.concatenate((static, np.minimum(np.maximum(surface_, -LOOKS_CLIP), LOOKS_CLIP) * np.float32(LOOKS)), axis=1)


class Reader:
    """What was learned about the features. Arrays by name, as they lie in an artifact."""

    __slots__ = ("arrays", "centre", "centres", "divisions", "halves", "idf", "inverse", "landmarks", "limits", "masses", "small")

    def __init__(self, arrays: Mapping[str, NDArray[Any]], limits: Mapping[str, Mapping[str, float]]) -> None:
        self.arrays = arrays
        self.limits = limits
        self.centre = np.asarray(arrays["surface.centre"], dtype=np.float32)
        self.inverse = (1.0 / np.asarray(arrays["surface.spread"], dtype=np.float64)).astype(np.float32)
        self.idf = np.asarray(arrays["ngrams.idf"], dtype=np.float32)
        self.landmarks = {kind: np.asarray(arrays[f"{kind}.landmarks"], dtype=np.float32)
                           for kind in ("static", "sentence") if f"{kind}.landmarks" in arrays}
        self.masses = {kind: np.asarray(arrays[f"{kind}.masses"], dtype=np.float32) for kind in self.landmarks}
        self.centres = np.asarray(arrays["kinds.centres"], dtype=np.float32)
        self.small = {kind: _small(rows) for kind, rows in (*self.landmarks.items(), ("kinds", self.centres))}
        """Those rows as bytes, which are 128ths; None where they are something else."""
        self.halves = 0.5 * np.sum(self.centres * self.centres, axis=1)
        ends = np.cumsum(arrays["kinds.divisions"]).tolist()
        self.divisions = list(zip([0, *ends[:-1]], ends, strict=True))

    def read(self, queries: Sequence[Query], static: Vectors | None, sentence: Vectors | None) -> Reading:
        """The features of queries; a kind of vector that is not there is not used."""
        return Reading(self, queries, static, sentence)

    def surface(self, queries: Sequence[Query]) -> Vectors:
        """Standardised counts."""
        found = np.array([surface.read(query.data, query.chars, query.structural) for query in queries], dtype=np.float32)
        standard: Vectors = (found.reshape(len(queries), len(surface.NAMES)) - self.centre) * self.inverse
        return np.minimum(np.maximum(standard, -CLIP), CLIP, out=standard)

    def words(self, query: Query) -> tuple[ngrams.Ids, Vectors, float]:
        """Buckets, their weights (a vector of length one over the known ones), and the share that is known."""
        ids, counts = ngrams.ids(query.data)
        rarity = self.idf[ids]
        weights = rarity * (1.0 + np.log(counts)).astype(np.float32)
        size = float(weights @ weights)
        if size == 0.0:
            return ids, weights, 0.0
        return ids, weights / np.float32(size ** 0.5), float(np.count_nonzero(weights)) / len(ids)

    def kinds(self, surface_: Vectors, static: Vectors) -> Vectors:
        """One of each division is 1: the kind of task that the query is most like."""
        likeness: Vectors = self._compared("kinds", points(surface_, static)) @ self.centres.T - self.halves
        made = np.zeros_like(likeness)
        if len(made) == 1:
            one, found = likeness[0], made[0]
            for first, last in self.divisions:
                found[first + int(one[first:last].argmax())] = 1.0
            return made
        rows = np.arange(len(made))
        for first, last in self.divisions:
            made[rows, first + np.argmax(likeness[:, first:last], axis=1)] = 1.0
        return made

    def near(self, kind: str, vectors: Vectors) -> Vectors:
        """Nearness of each vector to each labelled neighbour: 1 for the same, falling with the angle."""
        cosine: Vectors = self._compared(kind, vectors) @ self.landmarks[kind].T
        cosine -= np.float32(1.0)
        cosine *= np.float32(1.0 / WIDTH)
        np.exp(cosine, out=cosine)
        return cosine

    def _compared(self, kind: str, vectors: Vectors) -> Vectors:
        """Vectors as they are compared with rows of that kind."""
        if self.small[kind] is None:
            return vectors
        parts: Vectors = np.clip(np.rint(vectors * np.float32(FINE)), -FINE, FINE - 1) / np.float32(FINE)
        return parts

    def evidence(self, kind: str, near: Vectors) -> tuple[Floats, Floats]:
        """How many labelled queries stand really close, and the nearness of the closest."""
        # The third power: only what shares most of its meaning speaks for a query.
        return ((near * near * near) @ self.masses[kind]).astype(np.float64), near.max(axis=1).astype(np.float64)


def _small(rows: Vectors) -> NDArray[np.int8] | None:
    """Rows on the grid as bytes, beginning where a line of the processor's cache does."""
    parts = np.rint(rows * np.float32(GRID))
    if rows.shape[1] > LONGEST or not np.array_equal(parts / np.float32(GRID), rows) or np.abs(parts).max(initial=0) >= GRID:
        return None
    room = np.empty(rows.size + 64, dtype=np.int8)
    first = -room.__array_interface__["data"][0] % 64
    made = room[first: first + rows.size].reshape(rows.shape)
    made[...] = parts
    return made


class Reading:
    """A batch of queries as features."""

    __slots__ = ("_dense", "_near", "_words", "queries", "reader", "sentence", "static")

    def __init__(self, reader: Reader, queries: Sequence[Query], static: Vectors | None, sentence: Vectors | None) -> None:
        self.reader = reader
        self.queries = queries
        self.static = static
        self.sentence = sentence
        self._dense: dict[str, Vectors] = {}
        self._words: list[tuple[ngrams.Ids, Vectors, float]] = []

    def block(self, name: str) -> Vectors:
        """Features of one kind, (n, d): `surface`, `length` (a part of it), `kinds`, `static`, `static.near`, `sentence`,
        `sentence.near`."""
        if name not in self._dense:
            self._dense[name] = self._made(name)
        return self._dense[name]

    def blocks(self, names: Sequence[str]) -> Vectors:
        """Several kinds side by side."""
        return np.concatenate([self.block(name) for name in names], axis=1)

    def words(self) -> list[tuple[ngrams.Ids, Vectors, float]]:
        """Of each query its buckets, their weights and the share that is known."""
        if not self._words:
            self._words = [self.reader.words(query) for query in self.queries]
        return self._words

    def summed(self, table: Vectors) -> Floats:
        """(n, columns): the rows of `table` for each query's words, weighted and added up."""
        return np.array([weights @ table[ids] for ids, weights, _ in self.words()], dtype=np.float64).reshape(-1, table.shape[1])

    def evidence(self, kind: str) -> tuple[Floats, Floats]:
        """How many labelled queries stand close (n,), and the nearness of the closest (n,)."""
        return self.reader.evidence(kind, self.block(f"{kind}.near"))

    def is_foreign(self, kind: str, nearest: Floats) -> NDArray[np.bool_]:
        """Farther from every labelled query, or with fewer known words, than nearly all labelled queries are."""
        limits = self.reader.limits[kind]
        known = np.array([share for _, _, share in self.words()], dtype=np.float64)
        return (nearest < limits["nearest"]) | (known < limits["known"])

    def _made(self, name: str) -> Vectors:
        if name == "surface":
            return self.reader.surface(self.queries)
        if name == "length":
            return self.block("surface")[:, surface.LENGTH]
        if name == "kinds":
            if self.static is None:
                raise ValueError("kinds need static vectors")
            return self.reader.kinds(self.block("surface"), self.static)
        kind, _, way = name.partition(".")
        vectors = self.static if kind == "static" else self.sentence
        if vectors is None:
            raise ValueError(f"{name} needs {kind} vectors")
        return self.reader.near(kind, vectors) if way == "near" else vectors
