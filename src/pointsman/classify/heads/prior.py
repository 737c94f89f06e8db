"""What public outcomes say about difficulty, as a few numbers per query, before any label of yours.

The first number is the difficulty by which the shipped generic guess ranks; the others are directions along which models
of other people succeeded and failed differently. All come from `signs`, which mean the same on any traffic, so the numbers
need no vectors. (Projections of static and of sentence vectors that were pre-trained in the same way added nothing on
sources left out of their training: they learn benchmarks.)

Made by `pointsman.learn.difficulty`; the arrays lie in the shipped artifact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact, read
from pointsman.classify.heads import signs
from pointsman.classify.heads.query import Query
from pointsman.errors import ArtifactOfAnotherVersion

Vectors: TypeAlias = NDArray[np.float32]

ARRAYS = ("centre", "spread", "weights", "factors")
"""What the numbers depend on: `centre`, `spread` and `weights` (d,), `factors` (d, k - 1), all float32."""
CLIP = 3.0
"""Spreads from the centre after which a sign says no more."""


class Prior:
    """Reads queries as numbers about difficulty."""

    __slots__ = ("_centre", "_factors", "_inverse", "_weights", "digest")

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._centre = np.asarray(arrays["centre"], dtype=np.float32)
        self._inverse = (1.0 / np.asarray(arrays["spread"], dtype=np.float64)).astype(np.float32)
        self._weights = np.asarray(arrays["weights"], dtype=np.float32)
        self._factors = np.concatenate((self._weights[:, None], np.asarray(arrays["factors"], dtype=np.float32)), axis=1)
        parts = (np.ascontiguousarray(arrays[name], dtype="<f4").tobytes() for name in ARRAYS)
        self.digest: str = hashlib.sha256(signs_version().encode() + b"".join(parts)).hexdigest()[:16]
        """Changes when the same query gives other numbers."""

    @property
    def size(self) -> int:
        """Numbers per query."""
        return int(self._factors.shape[1])

    def signs(self, queries: Sequence[Query]) -> Vectors:
        """The signs, centred and scaled, (n, d)."""
        found = np.array([signs.read(query.data, query.chars, query.structural) for query in queries], dtype=np.float32)
        found = (found.reshape(len(queries), len(signs.NAMES)) - self._centre) * self._inverse
        return np.minimum(np.maximum(found, -CLIP), CLIP)

    def features(self, queries: Sequence[Query]) -> Vectors:
        """The numbers, (n, k); the difficulty first."""
        return self.signs(queries) @ self._factors

    def difficulty(self, queries: Sequence[Query]) -> Vectors:
        """The first number alone, (n,): higher is harder."""
        return self.signs(queries) @ self._weights


def signs_version() -> str:
    """Says which signs there are and how they are counted."""
    return hashlib.sha256("\n".join((str(signs.VERSION), *signs.NAMES)).encode()).hexdigest()[:16]


def prior_features(queries: Sequence[Query], static: Vectors | None = None, sentence: Vectors | None = None) -> Vectors:
    """(n, k) numbers of the shipped prior. Vectors may be given and are not read: see above."""
    return shipped_prior().features(queries)


def shipped_folder() -> Path:
    """Where the shipped artifact lies."""
    return Path(str(files("pointsman.classify").joinpath("default_artifact")))


@cache
def shipped_prior() -> Prior:
    """The prior in the package. Raises `ArtifactRefused` when the package is damaged."""
    return of_artifact(read(shipped_folder()))


def of_artifact(artifact: Artifact) -> Prior:
    """The prior of an artifact made for these signs; refuses another one, naming both versions."""
    if (theirs := artifact.features.get("signs")) != (ours := signs_version()):
        raise ArtifactOfAnotherVersion(str(artifact.path), "features.signs", theirs, ours)
    return Prior({name: artifact.array(name) for name in ARRAYS})
