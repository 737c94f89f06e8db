"""Scores queries with a trained artifact: sums of weights, one pass over the neighbours, a curve per model.

Two complete stacks lie in an artifact. `static` reads what costs microseconds; `full` reads a sentence vector as well.
Each was fitted and calibrated by itself, so the answer of the first stands by itself, and that of the second replaces it.

Every head is linear in its features, and so are their sum and every difference between two models: what training blended
is one table of weights per kind of feature here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads import ngrams, surface
from pointsman.classify.heads.calibration import Curves
from pointsman.classify.heads.predicted import Predicted as Predicted
from pointsman.classify.heads.query import Query as Query
from pointsman.classify.heads.reading import Reader, Reading
from pointsman.errors import ArtifactRefused

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]

ONE_SIDED = 1.2816
"""Standard errors below the expectation: nine in ten of a normal distribution lie above."""
MAX_TOKENS_LOG = 12.0
"""No answer is expected to be longer than e^12 = 160,000 tokens."""


class Static(Protocol):
    """The embedder that is always there."""

    @property
    def digest(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> Vectors: ...


class Stack:
    """One calibrated blend: weights over the features in `blocks`, and what is known of its error."""

    __slots__ = ("_bias", "_blocks", "_curves", "_error", "_has_tokens", "_near", "_slope", "_weights", "_words")

    def __init__(self, artifact: Artifact, name: str) -> None:
        about = artifact.manifest["stacks"][name]
        self._blocks: tuple[str, ...] = tuple(about["blocks"])
        self._near: str = about["near"]
        self._slope: float = about["error_slope"]
        self._has_tokens: bool = about["tokens"]
        weights = [artifact.array(f"{name}.{block}.weights") for block in self._blocks]
        self._weights = np.ascontiguousarray(np.concatenate(weights), dtype=np.float32)
        self._words = np.ascontiguousarray(artifact.array(f"{name}.ngrams.weights"), dtype=np.float32)
        self._bias = np.asarray(artifact.array(f"{name}.bias"), dtype=np.float64)
        self._error = np.asarray(artifact.array(f"{name}.error"), dtype=np.float64)
        self._curves = Curves(artifact.array(f"{name}.curves"))

    def raw(self, reading: Reading) -> Floats:
        """(n, columns) before calibration: a column per model, then one per model for the logarithm of its tokens."""
        return self._bias + reading.blocks(self._blocks) @ self._weights + reading.summed(self._words)

    def predicted(self, reading: Reading) -> Predicted:
        """The calibrated answer."""
        raw = self.raw(reading)
        models = len(self._error)
        p = self._curves(raw[:, :models])
        evidence, nearest = reading.evidence(self._near)
        error = ((1.0 + evidence) ** self._slope)[:, None] * self._error
        lower = np.maximum(0.0, p - ONE_SIDED * error)
        tokens = np.expm1(np.clip(raw[:, models:], 0.0, MAX_TOKENS_LOG)) if self._has_tokens else None
        return Predicted(p, lower, evidence, reading.is_foreign(self._near, nearest), tokens)


class Scorer:
    """An artifact ready to answer. Immutable: a new artifact is a new scorer."""

    __slots__ = ("_full", "_reader", "_static", "_static_stack", "models", "provenance", "sentence")

    def __init__(self, artifact: Artifact, static: Static) -> None:
        manifest = artifact.manifest
        self.models: tuple[str, ...] = tuple(manifest["models"])
        about = artifact.features.get("sentence")
        self.sentence: str | None = about["name"] if about else None
        """Name of the sentence embedder of the full stack; None = there is none."""
        self.provenance: dict[str, Any] = manifest.get("training", {})
        self._static = static
        self._reader = Reader(artifact.arrays, manifest["limits"])
        self._static_stack = Stack(artifact, "static")
        self._full = Stack(artifact, "full") if "full" in manifest["stacks"] else None

    @classmethod
    def load(cls, artifact: Artifact, static: Static | None = None) -> Scorer:
        """Raises `ArtifactOfAnotherVersion` when the artifact was trained on other features than run here, and `ArtifactRefused`
        when it holds something else."""
        static = shipped_static() if static is None else static
        for name, ours in features_version(static).items():
            artifact.require(name, ours)
        try:
            return cls(artifact, static)
        except (KeyError, TypeError, ValueError, IndexError) as exc:  # whatever its arrays and entries should have been
            raise ArtifactRefused(str(artifact.path), f"it is no classifier that this version can read ({type(exc).__name__}: {exc})") from exc

    def score(self, queries: Sequence[Query], sentence_vectors: Vectors | None = None) -> Predicted:
        """Many queries. With sentence vectors, and when the artifact has that stack, the full answer; else the static one.

        One by one, since products of matrices round otherwise than those of vectors: a query's scores are the same bits alone,
        among others, offline and while serving.
        """
        if not len(queries):
            return Predicted.nothing(len(self.models))
        rows = [None] * len(queries) if sentence_vectors is None else list(sentence_vectors)
        return Predicted.joined([self.score_one(query, row) for query, row in zip(queries, rows, strict=True)])

    def score_one(self, query: Query, sentence_vector: Vectors | None = None) -> Predicted:
        """One query; arrays of one row."""
        static = self._static.embed((query.text,))
        if sentence_vector is not None and self._full is not None:
            return self._full.predicted(self._reader.read((query,), static, sentence_vector.reshape(1, -1)))
        return self._static_stack.predicted(self._reader.read((query,), static, None))

    def __repr__(self) -> str:
        return f"<Scorer {len(self.models)} models, sentence {self.sentence or 'none'}>"


def features_version(static: Static) -> dict[str, Any]:
    """What an artifact's `features` must say to be read here. The sentence embedder's is compared when it is used."""
    names = hashlib.sha256("\n".join(surface.NAMES).encode()).hexdigest()[:16]
    return {"structural": names, "ngrams": ngrams.VERSION, "static": static.digest}
