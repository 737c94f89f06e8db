"""What public outcomes say about difficulty, as one number per query, before any label of yours.

A weighted sum of `signs`, each seen from its usual value. Made by `pointsman.learn.difficulty`; the arrays lie in the shipped
artifact, and the head that reads them is `ladder`.

Trained classifiers begin with it, too: not as one more feature, but as what is believed of their counts before any label (`learn.presumed`). What
was tried in vain on sources left out: eight more directions along which the outcomes of sixty models differ, and projections of static and of
sentence vectors pre-trained on them, handed to classifiers of 300 to 1,500 labels (differences within .003 APGR).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.heads import signs
from pointsman.classify.heads.query import Query
from pointsman.errors import ArtifactOfAnotherVersion

Vectors: TypeAlias = NDArray[np.float32]
Term: TypeAlias = tuple[float, float, float]

ARRAYS = ("centre", "spread", "weights")
"""One number per sign each: its usual value, how far it usually is from that, and what it weighs."""
CLIP = 3.0
"""Spreads from the centre after which a sign says no more."""


class Prior:
    """Reads queries as a difficulty."""

    __slots__ = ("_centre", "_inverse", "_looks", "_text", "_weights")

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._centre = np.asarray(arrays["centre"], dtype=np.float32)
        self._inverse = (1.0 / np.asarray(arrays["spread"], dtype=np.float64)).astype(np.float32)
        self._weights = np.asarray(arrays["weights"], dtype=np.float32)
        terms = list(zip(self._centre.tolist(), self._inverse.tolist(), self._weights.tolist(), strict=True))
        self._looks, self._text = terms[: signs.LOOKS], terms[signs.LOOKS:]

    def difficulty(self, queries: Sequence[Query]) -> Vectors:
        """In logits, (n,): higher is harder."""
        found = np.array([signs.read(query.data, query.chars, query.structural) for query in queries], dtype=np.float32)
        found = (found.reshape(len(queries), len(signs.NAMES)) - self._centre) * self._inverse
        difficulty: Vectors = np.minimum(np.maximum(found, -CLIP), CLIP) @ self._weights
        return difficulty

    def terms(self) -> tuple[list[Term], list[Term]]:
        """Of the signs that come with the request and of those that are counted in its text: centre, 1 / spread and weight of each."""
        return self._looks, self._text

    def of_looks(self, structural: tuple[float, ...]) -> float:
        """What the structure of one request adds to its difficulty. With `of_text` the same as `difficulty` but for rounding,
        in half the time: an array of one row costs more than its numbers."""
        return _weighed(signs.looks(structural), self._looks)

    def of_text(self, data: bytes, chars: int) -> float:
        """What the text of one request adds to its difficulty."""
        return _weighed(signs.counted(data, chars), self._text)


def _weighed(found: list[float], terms: list[tuple[float, float, float]]) -> float:
    total = 0.0
    for sign, (centre, inverse, weight) in zip(found, terms, strict=True):
        spreads = (sign - centre) * inverse
        total += weight * (CLIP if spreads > CLIP else -CLIP if spreads < -CLIP else spreads)
    return total


def of_artifact(artifact: Artifact) -> Prior:
    """The prior of an artifact made for these signs; refuses another one, naming both versions."""
    if (theirs := artifact.features.get("signs")) != (ours := signs_version()):
        raise ArtifactOfAnotherVersion(str(artifact.path), "features.signs", theirs, ours)
    return Prior({name: artifact.array(name) for name in ARRAYS})


def signs_version() -> str:
    """Says which signs there are and how they are counted."""
    return hashlib.sha256("\n".join((str(signs.VERSION), *signs.NAMES)).encode()).hexdigest()[:16]


def shipped_folder() -> Path:
    """Where the shipped artifact lies."""
    return Path(str(files("pointsman.classify").joinpath("default_artifact")))
