"""Scores queries with a trained artifact: sums of weights, one pass over the neighbours, a curve per model.

Two complete stacks lie in an artifact. `static` reads what costs microseconds; `full` reads a sentence vector as well.
Each was fitted and calibrated by itself, so the answer of the first stands by itself, and that of the second replaces it.

Every head is linear in its features, and so are their sum and every difference between two models: what training blended
is one table of weights per kind of feature here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads import ngrams, surface
from pointsman.classify.heads.calibration import KNOTS, Curves
from pointsman.classify.heads.core import VERSION as CORE_VERSION
from pointsman.classify.heads.core import core
from pointsman.classify.heads.predicted import Predicted as Predicted
from pointsman.classify.heads.predicted import Row as Row
from pointsman.classify.heads.query import Query as Query
from pointsman.classify.heads.reading import Reader, Reading
from pointsman.classify.kernel.build import found
from pointsman.classify.kernel.head import MOST_COLUMNS, Head, head_of
from pointsman.errors import ArtifactRefused

if TYPE_CHECKING:
    from pointsman.classify.kernel import _kernel

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

    __slots__ = ("bias", "blocks", "curves", "error", "has_tokens", "near", "slope", "weights", "words")

    def __init__(self, artifact: Artifact, name: str) -> None:
        about = artifact.manifest["stacks"][name]
        self.blocks: tuple[str, ...] = tuple(about["blocks"])
        self.near: str = about["near"]
        self.slope: float = about["error_slope"]
        self.has_tokens: bool = about["tokens"]
        weights = [artifact.array(f"{name}.{block}.weights") for block in self.blocks]
        self.weights = np.ascontiguousarray(np.concatenate(weights), dtype=np.float32)
        self.words = np.ascontiguousarray(artifact.array(f"{name}.ngrams.weights"), dtype=np.float32)
        self.bias = np.asarray(artifact.array(f"{name}.bias"), dtype=np.float64)
        self.error = np.asarray(artifact.array(f"{name}.error"), dtype=np.float64)
        self.curves = Curves(artifact.array(f"{name}.curves"))
        models = len(artifact.manifest["models"])
        columns = models * (2 if self.has_tokens else 1)
        for what, array, shape in (("error", self.error, (models,)), ("bias", self.bias, (columns,)),
                                   ("curves", self.curves.knots, (KNOTS, models)), ("ngrams.weights", self.words, (ngrams.BUCKETS, columns))):
            if array.shape != shape:
                raise ValueError(f"{name}.{what} is {array.shape} where {shape} is needed")

    def raw(self, reading: Reading) -> Floats:
        """(n, columns) before calibration: a column per model, then one per model for the logarithm of its tokens."""
        return self.bias + reading.blocks(self.blocks) @ self.weights + reading.summed(self.words)

    def predicted(self, reading: Reading) -> Predicted:
        """The calibrated answer."""
        raw = self.raw(reading)
        models = len(self.error)
        p = self.curves(raw[:, :models])
        evidence, nearest = reading.evidence(self.near)
        error = ((1.0 + evidence) ** self.slope)[:, None] * self.error
        lower = np.maximum(0.0, p - ONE_SIDED * error)
        tokens = np.expm1(np.clip(raw[:, models:], 0.0, MAX_TOKENS_LOG)) if self.has_tokens else None
        return Predicted(p, lower, evidence, reading.is_foreign(self.near, nearest), tokens)


class Scorer:
    """An artifact ready to answer. Immutable: a new artifact is a new scorer."""

    __slots__ = ("_full", "_full_head", "_reader", "_reads_core", "_static", "_static_head", "_static_stack", "kernel", "models", "provenance", "sentence")

    def __init__(self, artifact: Artifact, static: Static, *, kernel: bool = True) -> None:
        """`kernel`: compute with the compiled kernel where there is one."""
        manifest = artifact.manifest
        self.models: tuple[str, ...] = tuple(manifest["models"])
        about = artifact.features.get("sentence")
        self.sentence: str | None = about["name"] if about else None
        """Name of the sentence embedder of the full stack; None = there is none."""
        self.provenance: dict[str, Any] = manifest.get("training", {})
        self._reads_core = _reads_core(artifact)
        self._static = static
        self._reader = Reader(artifact.arrays, manifest["limits"])
        self._static_stack = Stack(artifact, "static")
        self._full = Stack(artifact, "full") if "full" in manifest["stacks"] else None
        table, self.kernel = _table(static, len(self._static_stack.bias)) if kernel else (None, "numpy, because that was asked for")
        """What computes: `compiled (...)`, or `numpy, because ...`."""
        self._static_head = self._headed(table, self._static_stack)
        self._full_head = self._headed(table, self._full)

    def _headed(self, table: _kernel.Table | None, stack: Stack | None) -> Head | None:
        return None if table is None or stack is None else head_of(table, self._reader, stack, ONE_SIDED, MAX_TOKENS_LOG)

    @classmethod
    def load(cls, artifact: Artifact, static: Static | None = None, *, kernel: bool = True) -> Scorer:
        """Raises `ArtifactOfAnotherVersion` when the artifact was trained on other features than run here, and `ArtifactRefused`
        when it holds something else."""
        static = shipped_static() if static is None else static
        for name, ours in (trained_features(static) if _reads_core(artifact) else features_version(static)).items():
            artifact.require(name, ours)
        try:
            _require_numbers(artifact)
            return cls(artifact, static, kernel=kernel)._tried()
        except (KeyError, TypeError, ValueError, IndexError) as exc:  # whatever its arrays and entries should have been
            raise ArtifactRefused(str(artifact.path), f"it is no classifier that this version can read ({type(exc).__name__}: {exc})") from exc

    def _tried(self) -> Scorer:
        """Itself, when arrays of every stack go together: found out now rather than by a request."""
        query = Query.of_prompt("2 + 2")
        self.row(query)
        if self._full is not None:
            self.row(query, np.zeros(self._reader.landmarks["sentence"].shape[1], dtype=np.float32))
        return self

    def text(self, query: Query) -> str:
        """What a sentence vector is made of."""
        return core(query).text if self._reads_core else query.text

    def score(self, queries: Sequence[Query], sentence_vectors: Vectors | None = None) -> Predicted:
        """Many queries. With sentence vectors, and when the artifact has that stack, the full answer; else the static one.

        One by one, since products of matrices round otherwise than those of vectors: a query's scores are the same bits alone,
        among others, offline and while serving.
        """
        if not len(queries):
            return Predicted.nothing(len(self.models))
        rows = [None] * len(queries) if sentence_vectors is None else list(sentence_vectors)
        return Predicted.of([self.row(query, row) for query, row in zip(queries, rows, strict=True)])

    def score_one(self, query: Query, sentence_vector: Vectors | None = None) -> Predicted:
        """One query; arrays of one row."""
        return Predicted.of((self.row(query, sentence_vector),))

    def row(self, query: Query, sentence_vector: Vectors | None = None) -> Row:
        """One query, as the path asks: without arrays. `sentence_vector` is of `text(query)`."""
        if self._reads_core:
            query = core(query)
        if sentence_vector is not None and self._full is not None:
            if self._full_head is not None:
                return self._full_head.row(query, sentence_vector)
            static = self._static.embed((query.text,))
            return self._full.predicted(self._reader.read((query,), static, sentence_vector.reshape(1, -1))).row(0)
        if self._static_head is not None:
            return self._static_head.row(query, None)
        return self._static_stack.predicted(self._reader.read((query,), self._static.embed((query.text,)), None)).row(0)

    def __repr__(self) -> str:
        return f"<Scorer {len(self.models)} models, sentence {self.sentence or 'none'}>"


def _table(static: Static, columns: int) -> tuple[_kernel.Table | None, str]:
    """The static embedder's table for the kernel, and what computes then."""
    build = found()
    table: _kernel.Table | None = getattr(static, "compiled", None)
    if build.module is None:
        return None, str(build)
    if table is None:
        return None, "numpy, because this static embedder is none that the kernel knows"
    if columns > MOST_COLUMNS:
        return None, f"numpy, because the kernel reads at most {MOST_COLUMNS} columns and the artifact has {columns}"
    return table, str(build)


_CORE = "+core"
_OTHER = (".rehearsal",)
"""Ends of the names of arrays that no score is made of."""


def _require_numbers(artifact: Artifact) -> None:
    """Raises ValueError when an array that scores are made of holds what is no number, or a bucket has no rarity."""
    if (shape := artifact.array("ngrams.idf").shape) != (ngrams.BUCKETS,):
        raise ValueError(f"ngrams.idf is {shape} where {(ngrams.BUCKETS,)} is needed")
    for name, array in artifact.arrays.items():
        if not name.endswith(_OTHER) and not np.isfinite(array).all():
            raise ValueError(f"{name} holds a value that is not finite")


def features_version(static: Static) -> dict[str, Any]:
    """What the `features` of an artifact say that reads whole texts: those of before `core`, which still serve as they were trained. The
    sentence embedder's is compared when it is used."""
    names = hashlib.sha256("\n".join(surface.NAMES).encode()).hexdigest()[:16]
    return {"structural": names, "ngrams": ngrams.VERSION, "static": static.digest}


def trained_features(static: Static) -> dict[str, Any]:
    """What the `features` of an artifact say that is trained here. A program that knows nothing of `core` refuses it, naming both."""
    whole = features_version(static)
    return {**whole, "structural": f"{whole['structural']}{_CORE}{CORE_VERSION}"}


def _reads_core(artifact: Artifact) -> bool:
    return _CORE in str(artifact.features.get("structural", ""))
