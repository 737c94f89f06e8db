"""`pointsman train` without the terminal: read, check, fit, write, and measure on rows that the fit did not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pointsman import artifact
from pointsman.artifact import Artifact, ArtifactDraft
from pointsman.classify.embedders.embedder import Embedder
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads.calibration import Curves
from pointsman.classify.heads.core import core
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.rehearsal import ARRAY, Rehearsal
from pointsman.classify.heads.scorer import trained_features
from pointsman.errors import DataRefused
from pointsman.learn import checks, near_duplicate, rivals
from pointsman.learn.checks import Finding
from pointsman.learn.dataset import Dataset, read_dataset
from pointsman.learn.embedders import STATIC, in_manifest, sentence_of
from pointsman.learn.evaluate import Evaluation, evaluate
from pointsman.learn.fit import Fit
from pointsman.learn.prices import Prices, prices_of
from pointsman.learn.remote_embedder import RemoteEmbedder
from pointsman.learn.scores import Scores
from pointsman.learn.table import OutcomeTable

Progress: TypeAlias = Callable[[str, float], None]
Floats: TypeAlias = NDArray[np.float64]
Vectors: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Wishes:
    """What the caller asks for beyond the data."""

    shape: str | None = None
    models: Sequence[str] | None = None
    ladder: Sequence[str] | None = None
    prices: str | None = None
    embedder: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """What came out."""

    artifact: Artifact
    dataset: Dataset
    table: OutcomeTable
    """The rows that were used."""
    findings: tuple[Finding, ...]
    embedder: str
    """`static`, or the sentence embedder's name."""
    why_static: str
    """Why no sentence embedder was used; "" when one was."""
    picture: Evaluation
    """Measured on rows as they would have been scored without their own labels."""


def train(path: Path | str, out: Path | str, wishes: Wishes = Wishes(), progress: Progress = lambda stage, done: None) -> Trained:
    """Trains on a file and writes the artifact. Raises `DataRefused`, `ArtifactUnwritable`."""
    artifact.refuse_place(Path(out))
    progress("reading", 0.0)
    dataset = read_dataset(path, wishes.shape, models=wishes.models, ladder=wishes.ladder)
    progress("checking", 0.0)
    table, findings = prepared(dataset)
    prices = prices_of(table.models, table.quality, wishes.prices, wishes.ladder)
    sentence, why = sentence_of(wishes.embedder)
    if sentence is None and wishes.embedder not in ("auto", STATIC):
        raise DataRefused("--embedder", f"{wishes.embedder} cannot run here: {why}")
    if isinstance(sentence, RemoteEmbedder) and sentence.elsewhere.alone:
        findings.append(Finding("warning", "embedder_wanders", f"{sentence.name} gives a text another vector when it stands beside others: it is asked "
                                "for one at a time, here and where it serves; a server that does not would be faster and truer"))
    # One thread: the same sums in the same order on every machine, and no spinning where others compute too.
    with threadpool_limits(1):
        draft, fit = fitted(filled(table), wishes.seed, sentence, progress)
    labelled = replace(draft, manifest={**draft.manifest, "labels": dataset.shape})
    written = artifact.write(labelled, out)
    progress("measuring", 0.0)
    picture = _picture(table, draft, fit, prices, wishes.seed)
    progress("measuring", 1.0)
    return Trained(written, dataset, table, tuple(findings), STATIC if sentence is None else sentence.name, why, picture)


def prepared(dataset: Dataset) -> tuple[OutcomeTable, list[Finding]]:
    """The rows to train on, with their groups, and what was found. Raises `DataRefused` for what makes training senseless."""
    table = dataset.table
    groups = near_duplicate.groups(table.prompts)
    findings = checks.check(table, groups, are_tiers=dataset.shape in ("tiers", "categories"))
    if problem := next((finding for finding in findings if finding.level == "problem"), None):
        raise DataRefused(str(dataset.path), problem.text)
    if table.group is None:
        table = replace(table, group=groups)
    used: NDArray[np.bool_] = np.asarray(np.isfinite(table.quality).any(axis=1))
    if table.split is not None:
        named = np.array([split in ("train", "dev") for split in table.split])
        if left := int((~named).sum()):
            findings.append(Finding("note", "other_splits", f"{left:,} rows of other splits than train and dev are left alone"))
        used &= named
    table = table.take(used)
    if table.split is not None and "dev" not in table.split:
        table = replace(table, split=None)
    return table, findings


def filled(table: OutcomeTable) -> OutcomeTable:
    """A model that was never run is taken for as good as the others are on average: some column must stand there."""
    fitted_rows = checks.fitted_rows(table)
    known = np.isfinite(table.quality[fitted_rows]).any(axis=0)
    if known.all():
        return table
    quality = table.quality.copy()
    rows = np.where(np.isfinite(quality), quality, 0.0).sum(axis=1) / np.maximum(np.isfinite(quality).sum(axis=1), 1)
    quality[:, ~known] = rows[:, None]
    return replace(table, quality=quality)


def fitted(table: OutcomeTable, seed: int, sentence: Embedder | None, progress: Progress) -> tuple[ArtifactDraft, Fit]:
    """The draft, and the fit with the held-out scores that calibrated it."""
    queries = [Query.of_prompt(prompt) for prompt in table.prompts]
    texts = [core(query).text for query in queries]
    progress("embedding", 0.0)
    static = shipped_static()
    vectors = static.embed(texts)
    sentences = None if sentence is None else _embedded(sentence, texts, progress)
    progress("fitting", 0.0)
    fit = Fit(table, queries, vectors, sentences, seed, sentence_embedder=sentence)
    del queries, texts, vectors, sentences  # the fit keeps what it needs
    return fit.draft({**trained_features(static), "sentence": in_manifest(sentence)}, progress), fit


def _embedded(sentence: Embedder, texts: Sequence[str], progress: Progress) -> Vectors:
    """In portions, so that progress shows."""
    step, parts = 256, []
    for at in range(0, len(texts), step):
        parts.append(sentence.embed(texts[at: at + step]))
        progress("embedding", min(1.0, (at + step) / len(texts)))
    return np.concatenate(parts)


def _picture(table: OutcomeTable, draft: ArtifactDraft, fit: Fit, prices: Prices, seed: int) -> Evaluation:
    """The report on held-out rows: the best stack in front, beside the static one and what anybody could train in ten lines."""
    rows = table.take(fit.calibrating)
    # A model has no held-out score on rows where it was not run; nothing is measured there either.
    p = {name: np.clip(Curves(draft.arrays[f"{name}.curves"])(np.nan_to_num(raw, nan=0.5)), 0.0, 1.0) for name, raw in fit.held_out.items()}
    best = "full" if "full" in p else "static"
    rehearsals = tuple(Rehearsal(draft.arrays[f"{name}.{ARRAY}"]) for name in p)
    scores = Scores(p[best], p[best], np.zeros(len(rows), dtype=np.bool_), rehearsals)
    others = rivals.expectations(fit)
    if best == "full":
        others["ours, static only"] = p["static"]
    return evaluate(rows, scores, prices, seed=seed + 1, others=others)
