"""An artifact's scores for many prompts, made as serving makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.embedders.embedder import Embedder
from pointsman.classify.embedders.remote import PROBES, Elsewhere, elsewhere_of
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads.core import core
from pointsman.classify.heads.ladder import Ladder, is_ladder
from pointsman.classify.heads.predicted import Predicted
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.scorer import Scorer
from pointsman.errors import ArtifactOfAnotherVersion, DataRefused
from pointsman.learn.embedders import STATIC, sentence_of
from pointsman.learn.remote_embedder import RemoteEmbedder, is_remote

Progress: TypeAlias = Callable[[str, float], None]
Vectors: TypeAlias = NDArray[np.float32]

BATCH = 512
"""Prompts scored at once: few enough for memory, enough for numpy."""


@dataclass(frozen=True)
class Scored:
    """What came out, and how."""

    models: tuple[str, ...]
    predicted: Predicted
    embedder: str
    """Which stack answered: `static`, or the sentence embedder's name."""
    note: str = ""
    """Said when the artifact could have done better than what is installed here."""
    vectors: Vectors | None = None
    """The sentence vectors that were read; None = static ones."""


def score(artifact: Artifact, prompts: Sequence[str], *, embedder: str = "auto", progress: Progress | None = None) -> Scored:
    """Scores of all prompts, in their order. `embedder`: `auto` (the one that the artifact was trained with, if it can run here),
    `static`, or a folder with that embedder's weights.

    Raises `ArtifactOfAnotherVersion` when the artifact was made for other features than run here.
    """
    scorer, sentence, note = _ready(artifact, embedder)
    parts, seen = [], []
    for at in range(0, max(1, len(prompts)), BATCH):
        queries = [Query.of_prompt(prompt) for prompt in prompts[at: at + BATCH]]
        vectors = None if sentence is None else sentence.embed([scorer.text(query) for query in queries])
        parts.append(scorer.score(queries, vectors) if queries else _nothing(len(scorer.models)))
        if vectors is not None:
            seen.append(vectors)
        if progress is not None:
            progress("scoring", min(1.0, (at + BATCH) / max(1, len(prompts))))
    return Scored(scorer.models, joined(parts), "static" if sentence is None else sentence.name, note, np.concatenate(seen) if seen else None)


def vectors_of(artifact: Artifact, prompts: Sequence[str], *, embedder: str = "auto", progress: Progress | None = None) -> Vectors:
    """What scores of these prompts would be read from: sentence vectors where `score` reads any, else static ones."""
    scorer, sentence, _ = _ready(artifact, embedder)
    parts = []
    for at in range(0, max(1, len(prompts)), BATCH):
        queries = [Query.of_prompt(prompt) for prompt in prompts[at: at + BATCH]]
        parts.append(shipped_static().embed([core(query).text for query in queries]) if sentence is None
                     else sentence.embed([scorer.text(query) for query in queries]))
        if progress is not None:
            progress("embedding", min(1.0, (at + BATCH) / max(1, len(prompts))))
    return np.concatenate(parts)


def _ready(artifact: Artifact, embedder: str) -> tuple[Ladder | Scorer, Embedder | None, str]:
    """The scorer, the sentence embedder that it reads, and what to say about that."""
    scorer = Ladder.load(artifact) if is_ladder(artifact) else Scorer.load(artifact)
    if scorer.sentence is None:
        return scorer, None, "" if embedder in (STATIC, "auto") else f"the artifact has static scores only, so --embedder {embedder} changes nothing"
    sentence, note = (None, "") if embedder == STATIC else _sentence(artifact, scorer.sentence, embedder)
    return scorer, sentence, note


def joined(parts: Sequence[Predicted]) -> Predicted:
    """Several batches as one."""
    tokens = [part.tokens for part in parts if part.tokens is not None]
    return Predicted(
        np.concatenate([part.p for part in parts]), np.concatenate([part.lower for part in parts]),
        np.concatenate([part.evidence for part in parts]), np.concatenate([part.is_foreign for part in parts]),
        np.concatenate(tokens) if len(tokens) == len(parts) else None)


def _nothing(models: int) -> Predicted:
    none = np.zeros((0, models))
    return Predicted(none, none, np.zeros(0), np.zeros(0, dtype=np.bool_))


def _sentence(artifact: Artifact, name: str, asked: str) -> tuple[Embedder | None, str]:
    """The embedder that the artifact was trained with, or None and what is lost. Another one under its name is refused."""
    elsewhere = elsewhere_of(artifact.features["sentence"])
    if elsewhere is not None and not is_remote(asked):
        return None, (f"the artifact was trained with the embedder {elsewhere.model} elsewhere, and --embedder URL#{elsewhere.model} does not say "
                      "where that is: its static scores are used, which know less")
    found, why = sentence_of(name if asked == "auto" else asked)
    if isinstance(found, RemoteEmbedder):
        return _same(artifact, name, elsewhere, found), ""
    if found is None:
        return None, f"the artifact was trained with {name}, which cannot run here ({why}): its static scores are used, which know less"
    ours, theirs = found.digest, artifact.features["sentence"]["digest"]
    if ours != theirs:
        raise ArtifactOfAnotherVersion(str(artifact.path), f"sentence embedder {name}", theirs, ours)
    return found, ""


def _same(artifact: Artifact, name: str, elsewhere: Elsewhere | None, found: RemoteEmbedder) -> Embedder:
    """The remote embedder, if it is the one that the artifact was trained beside."""
    if elsewhere is None:
        raise ArtifactOfAnotherVersion(str(artifact.path), f"sentence embedder {name}", artifact.features["sentence"]["digest"], found.digest)
    found.ask_like(elsewhere)
    why = elsewhere.differs(*found.embed(PROBES)) or _other_settings(elsewhere, found.elsewhere)
    if why:
        raise DataRefused("--embedder", f"{found.name} is not the embedder that {artifact.path} was trained beside: {why}")
    return found


def _other_settings(trained: Elsewhere, here: Elsewhere) -> str:
    for setting in ("model", "asked_dims", "max_chars"):
        theirs, ours = getattr(trained, setting), getattr(here, setting)
        if theirs != ours:
            return f"{setting.replace('asked_', '')} was {theirs}, here it is {ours}"
    return ""
