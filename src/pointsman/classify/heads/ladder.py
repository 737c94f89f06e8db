"""The generic guess: how well would each place on a ladder do, going by the looks of a query alone?

One number, the difficulty, comes from `prior`; P(acceptable) falls with it and rises with the place:

    p(place, difficulty) = 1 / (1 + exp(difficulty - offset(place)))        offset rising with the place

so scores are monotone in the ladder for any text. A prompt is read twice, whole and without its last sentences, and the easier
of the two counts: what is appended to a request ("this is extremely difficult", a line of gibberish) should not buy the dear
model. Its columns are places, `place:0` for the first rung to `place:1` for the
last. Nothing in it was fitted on your traffic: it ranks, and promises nothing.

Answers as a trained scorer does, so that serving needs not know which of the two it has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import exp
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.features import NAMES
from pointsman.classify.heads import signs
from pointsman.classify.heads.predicted import Predicted, Row
from pointsman.classify.heads.prior import CLIP, Prior, of_artifact
from pointsman.classify.heads.query import Query
from pointsman.classify.kernel.build import found
from pointsman.errors import ArtifactRefused

if TYPE_CHECKING:
    from pointsman.classify.kernel import _kernel

Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]

_END = re.compile(rb"[.!?;:](?=\s)|\n|\xe3\x80\x82")
"""The end of a sentence or of a line; the last is that of Chinese and Japanese."""
_QUESTION = re.compile(rb"\?|\xef\xbc\x9f")
"""A question mark, or the wide one."""

HEAD = "ladder"
"""What the manifest of such an artifact says under `head`."""
APPENDED = 100
"""Bytes at the end that count only if they make a prompt easier: a sentence or two. With 120 or 200, questions at the end of ordinary
tasks are lost and the ranking with them."""
FEWEST = 8
"""Bytes of a prompt that count in any case."""
_MOST = 700.0
"""The exponential of more is no number."""
UNSURE = 0.0
"""Evidence for a single query: no label of yours stands near it."""


class Ladder:
    """An artifact of places, ready to answer. Immutable."""

    __slots__ = ("_offsets", "_prior", "_score", "kernel", "models", "provenance", "sentence")

    def __init__(self, artifact: Artifact, *, kernel: bool = True) -> None:
        """`kernel`: compute with the compiled kernel where there is one. It gives the same bits."""
        self.models: tuple[str, ...] = tuple(artifact.manifest["models"])
        self.sentence: str | None = None
        """It reads no sentence vectors."""
        self.provenance: dict[str, Any] = dict(artifact.manifest.get("training", {}))
        self._offsets: list[float] = np.asarray(artifact.array("offsets"), dtype=np.float64).tolist()
        self._prior = of_artifact(artifact)
        self._score = _compiled(self._prior, self._offsets) if kernel else None
        self.kernel = str(found()) if kernel else "numpy, because that was asked for"

    @classmethod
    def load(cls, artifact: Artifact) -> Ladder:
        """Raises `ArtifactOfAnotherVersion` when it was made for other signs than run here, and `ArtifactRefused` when it holds
        something else."""
        try:
            ladder = cls(artifact)
            ladder.score_one(Query.of_prompt("2 + 2"))
        except (KeyError, TypeError, ValueError, IndexError) as exc:  # whatever its arrays and entries should have been
            raise ArtifactRefused(str(artifact.path), f"it is no ladder that this version can read ({type(exc).__name__}: {exc})") from exc
        if ladder._offsets != sorted(ladder._offsets) or len(ladder._offsets) != len(ladder.models):
            raise ArtifactRefused(str(artifact.path), "its offsets do not rise from place to place")
        return ladder

    def text(self, query: Query) -> str:
        """What a sentence vector would be made of."""
        return query.text

    def score(self, queries: Sequence[Query], sentence_vectors: Vectors | None = None) -> Predicted:
        """Many queries, one by one: the same bits alone, among others, offline and while serving."""
        return Predicted.of([self.row(query) for query in queries]) if queries else Predicted.nothing(len(self.models))

    def score_one(self, query: Query, sentence_vector: Vectors | None = None) -> Predicted:
        """One query; arrays of one row."""
        return Predicted.of((self.row(query),))

    def row(self, query: Query, sentence_vector: Vectors | None = None) -> Row:
        """One query. The lower bound is the guess itself: how far off it may be is not known."""
        if self._score is not None:
            guess = self._score(query.data, query.chars, query.structural)
            return Row(guess, guess, UNSURE, False, None)
        looks, core = self._prior.of_looks(query.structural), _core(query)
        difficulty = self._prior.of_text(query.data, query.chars)
        if core is not None:
            difficulty = min(difficulty, self._prior.of_text(core.data, core.chars))
        p = [1.0 / (1.0 + exp(min(_MOST, looks + difficulty - offset))) for offset in self._offsets]
        return Row(p, p, UNSURE, False, None)

    def __repr__(self) -> str:
        return f"<Ladder {len(self.models)} places>"


def _compiled(prior: Prior, offsets: list[float]) -> Callable[[bytes, int, tuple[float, ...]], tuple[float, ...]] | None:
    """The kernel with these numbers in it; None where there is no kernel, or more places than it knows."""
    kernel = found().module
    if kernel is None or len(offsets) > kernel.MOST_PLACES:
        return None
    looks, text = (np.array(terms, dtype=np.float64).reshape(-1, 3) for terms in prior.terms())
    made: _kernel.Ladder = kernel.Ladder(
        words=tuple(b" ".join(sorted(words)) for words in (signs.COMMON, signs.STORY, signs.QUANTITIES, signs.ADDRESSED)), structural=len(NAMES),
        kept=signs.KEPT, looks=looks, text=text, offsets=tuple(offsets), clip=CLIP)
    return made.score


def guarded(prior: Prior, queries: Sequence[Query]) -> Floats:
    """The difficulty of queries, (n,): of the whole or of what stands before the last sentences, whichever is less; as
    `Ladder.row` has it, for whole tables at once."""
    difficulty = prior.difficulty(queries).astype(np.float64)
    shorter = [(at, core) for at, query in enumerate(queries) if (core := _core(query)) is not None]
    if shorter:
        rows = [at for at, _ in shorter]
        difficulty[rows] = np.minimum(difficulty[rows], prior.difficulty([core for _, core in shorter]))
    return difficulty


def _core(query: Query) -> Query | None:
    """The query up to the first end of a sentence within the last `APPENDED` bytes; None when there is none, or when the rest
    asks the only question: "How many are left?" after a story is the task, and nothing that was appended to it.

    Its structural features stay: a demand ("prove it") or code is part of the task wherever it stands.
    """
    data = query.data
    end = _END.search(data, max(FEWEST, len(data) - APPENDED))
    if end is None or end.end() == len(data):
        return None
    kept = data[: end.end()]
    if _QUESTION.search(data, end.end()) and not _QUESTION.search(kept):
        return None
    return Query(query.text, kept, max(len(kept), query.chars - (len(data) - len(kept))), query.structural)


def is_ladder(artifact: Artifact) -> bool:
    """It is read by `Ladder`, and not by a trained scorer."""
    return artifact.manifest.get("head") == HEAD
