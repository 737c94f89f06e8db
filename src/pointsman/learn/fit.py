"""From an outcome table to an artifact: read, embed, fit both stacks, calibrate, bound.

Same table, same seed, same bytes. Nothing here reads a file or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pointsman.artifact import ArtifactDraft
from pointsman.classify.embedders.static import shipped_static
from pointsman.classify.heads import rehearsal, surface
from pointsman.classify.heads.calibration import Curves
from pointsman.classify.heads.core import core
from pointsman.classify.heads.query import Query
from pointsman.classify.heads.reading import CLIP, Reader, Reading, gridded, points
from pointsman.classify.heads.scorer import Static, trained_features
from pointsman.learn.appended import appended
from pointsman.learn.differences import believed
from pointsman.learn.folds import groups_of, held_out, several
from pointsman.learn.learners.block import Block
from pointsman.learn.learners.kinds import centres
from pointsman.learn.learners.neighbours import landmarks, limits
from pointsman.learn.learners.platt import curves
from pointsman.learn.learners.vocabulary import rarity, seen, word_matrix
from pointsman.learn.presumed import Presumed, shipped
from pointsman.learn.stack import MOST_ROWS, Fitted, fit_columns
from pointsman.learn.table import OutcomeTable

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Vectors: TypeAlias = NDArray[np.float32]
Progress: TypeAlias = Callable[[str, float], None]

STATIC_BLOCKS: tuple[str, ...] = ("surface", "length", "kinds", "static.near")
FULL_BLOCKS: tuple[str, ...] = (*STATIC_BLOCKS, "sentence.near")
"""Dense features of the two stacks; both read words as well."""
HELD_OUT = 0.2
"""Share of rows that calibrate when there are too many for the closed form; 3,000 rows and more leave 600."""
USUAL_SLOPE = -0.2
"""How a standard error falls with the evidence where the closed form does not say: as it does on a thousand labels."""
CHANGES = 600
"""Rows of which is said that the same row with something appended is worth the same (`STILL` in `learn/stack.py`: how firmly). On all pairs of models of
two development sources (1,000 labels) suffixes that a fit has not seen move 6.2 and 8.1 % of queries to the dear model with 150 rows at .1, 5.3 and 5.5
with 300 at .03, 4.4 and 4.4 with 600 at .03. Mean APGR of four sources, two draws: .7020, 600 rows .7007 (reasoning_gym loses .005)."""
PART = 60
"""Of a hundred rows at most as many: more would say more than the labels where these are few."""
PORTION = 4096
"""Rows that are rotated at once."""
_FLOOR = 0.02
"""Least spread of a surface feature: what is rarely there must not explode when it is."""


class Embeds(Protocol):
    """Makes vectors of texts."""

    def embed(self, texts: Sequence[str]) -> Vectors: ...


class Sentence(Protocol):
    """A sentence embedder: `find_sentence` gives one when the extra is installed."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    def embed(self, texts: Sequence[str]) -> Vectors: ...


def fit(table: OutcomeTable, *, seed: int, sentence: Sentence | None, progress: Progress, static: Static | None = None) -> ArtifactDraft:
    """The artifact of a table. `train` rows are fitted and `dev` rows calibrate where the table has a split; else each
    row calibrates as it would have been scored without its own group."""
    queries = [Query.of_prompt(prompt) for prompt in table.prompts]
    progress("reading", 0.05)
    embedder = shipped_static() if static is None else static
    texts = [core(query).text for query in queries]
    vectors = embedder.embed(texts)
    progress("embedding", 0.1)
    return Fit(table, queries, vectors, None if sentence is None else _embedded(sentence, texts, progress), seed, embedder, sentence).draft(
        features={**trained_features(embedder),
                  "sentence": None if sentence is None else {"name": sentence.name, "digest": sentence.digest}},
        progress=progress)


def _embedded(sentence: Sentence, texts: Sequence[str], progress: Progress) -> Vectors:
    """In portions, so that progress shows."""
    step = 256
    parts = []
    for at in range(0, len(texts), step):
        parts.append(sentence.embed(texts[at: at + step]))
        progress("embedding", 0.1 + 0.4 * min(1.0, (at + step) / len(texts)))
    return np.concatenate(parts)


class Fit:
    """One training: the rows that are fitted, the rows that calibrate, and what is learned of the features.

    Matrices are multiplied on one core: sums are then always made in the same order, and on a busy machine several threads
    that wait for each other take a hundred times as long as one that does not.
    """

    def __init__(self, table: OutcomeTable, queries: Sequence[Query], static: Vectors, sentence: Vectors | None, seed: int,
                 embedder: Static | None = None, sentence_embedder: Embeds | None = None, presumed: Floats | None = None) -> None:
        """`static` and `sentence`: vectors of the cores of `queries` (`classify.heads.core`). `embedder`: makes vectors like `static`; None = the
        shipped one. `sentence_embedder`: makes vectors like `sentence`; without it that stack is not told of changes. `presumed`: of each count how much
        harder it makes a query (`learn.presumed`); None = as shipped."""
        self.table = table
        self.seed = seed
        self.models = len(table.models)
        is_train = np.ones(len(table), dtype=np.bool_) if table.split is None else np.array([one == "train" for one in table.split])
        if not is_train.any() or is_train.all():
            is_train[:] = True
        self.train: Rows = np.flatnonzero(is_train)
        self.rest: Rows = np.flatnonzero(~is_train)
        self.all_groups = groups_of(table.prompts, table.group)[self.train]
        self.groups = several(self.all_groups)
        weight = np.ones(len(table)) if table.weight is None else np.maximum(table.weight, 1e-3)
        self.weight = weight / weight[self.train].mean()
        chosen = [core(queries[row]) for row in self.train.tolist()]
        self.arrays: dict[str, NDArray[Any]] = {}
        self.limits: dict[str, dict[str, float]] = {}
        with threadpool_limits(limits=1):
            self._learn_features(chosen, static, sentence)
        self.reader = Reader(self.arrays, self.limits)
        self.reading = self.reader.read(chosen, static[self.train], None if sentence is None else sentence[self.train])
        others = [core(queries[row]) for row in self.rest.tolist()]
        self.other = self.reader.read(others, static[self.rest], None if sentence is None else sentence[self.rest])
        self.has_sentence = sentence is not None
        self.counts = np.asarray(self.reading.block("surface"), dtype=np.float64)
        self.presumed = Presumed.of(shipped() if presumed is None else presumed, self.counts, np.asarray(self.arrays["surface.spread"], dtype=np.float64),
                                    table.quality[self.train])
        self.changed, self.changed_rows = self._changed(shipped_static() if embedder is None else embedder, sentence_embedder)
        self.is_closed = len(self.train) <= MOST_ROWS
        """Whether the fit itself knows how it would have scored each row without it."""
        self.held_out: dict[str, Floats] = {}
        """Of each fitted stack the raw scores that calibrated it, rows as in `calibrating`."""
        with threadpool_limits(limits=1):
            self._set_limits()

    def draft(self, features: dict[str, Any], progress: Progress) -> ArtifactDraft:
        """Fits the stacks. `features`: versions for the manifest."""
        with threadpool_limits(limits=1):
            stacks = self._stacks(progress)
        manifest = {
            "models": list(self.table.models), "features": features, "stacks": stacks, "limits": self.limits,
            "training": {"rows": len(self.train), "calibration_rows": len(self.rest) or len(self.train), "seed": self.seed,
                         "mean_quality": [round(float(value), 6) for value in _means(self.table.quality)]},
        }
        return ArtifactDraft(manifest, self.arrays)

    def _stacks(self, progress: Progress) -> dict[str, Any]:
        """Entries of the manifest."""
        stacks = {"static": self._stack("static", "static", STATIC_BLOCKS)}
        progress("fitting", 0.75)
        if self.has_sentence:
            stacks["full"] = self._stack("full", "sentence", FULL_BLOCKS)
        progress("fitting", 1.0)
        return stacks

    @property
    def calibrating(self) -> Rows:
        """Rows of the table that calibrate: none of them was fitted with its own label when it was scored."""
        if len(self.rest):
            return self.rest
        return self.train if self.is_closed else self.train[self._left_out]

    @property
    def _left_out(self) -> NDArray[np.bool_]:
        """Among `train`, when there are too many rows for the closed form."""
        return held_out(self.all_groups, HELD_OUT, np.random.default_rng(self.seed))

    def _learn_features(self, chosen: Sequence[Query], static: Vectors, sentence: Vectors | None) -> None:
        counts = np.array([surface.read(query.data, query.chars, query.structural) for query in chosen])
        self.arrays["surface.centre"] = counts.mean(axis=0).astype(np.float32)
        self.arrays["surface.spread"] = np.maximum(counts.std(axis=0), _FLOOR).astype(np.float32)
        standard = np.clip((counts - self.arrays["surface.centre"]) / self.arrays["surface.spread"], -CLIP, CLIP).astype(np.float32)
        found, divisions = centres(points(standard, static[self.train]), np.random.default_rng(self.seed))
        self.arrays["kinds.centres"], self.arrays["kinds.divisions"] = gridded(found), np.array(divisions, dtype=np.int32)
        self.seen = seen(chosen)
        self.arrays["ngrams.idf"] = rarity(self.seen, len(chosen))
        for kind, vectors in (("static", static), ("sentence", sentence)):
            if vectors is not None:
                kept, masses = landmarks(vectors[self.train], np.random.default_rng(self.seed))
                self.arrays[f"{kind}.landmarks"], self.arrays[f"{kind}.masses"] = kept, masses
                self.limits[kind] = {"nearest": 0.0, "known": 0.0}

    def _changed(self, embedder: Static, sentence: Embeds | None) -> tuple[Reading, Rows]:
        """Some rows with something appended, and which rows they were."""
        rng = np.random.default_rng(self.seed)
        rows = rng.permutation(len(self.train))[:min(CHANGES, -(-len(self.train) * PART // 100))]
        prompts = [self.table.prompts[row] for row in self.train[rows].tolist()]
        queries = [core(Query.of_prompt(appended(prompt, number, rng))) for number, prompt in enumerate(prompts)]
        texts = [query.text for query in queries]
        return self.reader.read(queries, embedder.embed(texts), None if sentence is None or not self.has_sentence else sentence.embed(texts)), rows

    def _changes(self, name: str, served: Any) -> Any:
        """The differences that `appended` makes, in features as they are served. `served`: these of the rows."""
        if name == "ngrams":
            return word_matrix(self.changed.words()) - word_matrix(self.reading.words())[self.changed_rows]
        return self.changed.block(name) - served[self.changed_rows]

    def _set_limits(self) -> None:
        # A row's own words are known by definition: what counts is what other rows know of them.
        known = np.array([float(np.mean(self.seen[ids] > 1)) if len(ids) else 0.0 for ids, _, _ in self.reading.words()])
        for kind, vectors in (("static", self.reading.static), ("sentence", self.reading.sentence)):
            if vectors is not None:
                self.limits[kind] = limits(vectors, known, np.random.default_rng(self.seed))

    def _stack(self, name: str, near: str, dense: tuple[str, ...]) -> dict[str, Any]:
        """Fits one stack, puts its arrays beside the others, and returns its entry in the manifest."""
        is_told = "sentence.near" not in dense or self.changed.sentence is not None
        # One after the other: of each only what is fitted stays in memory.
        blocks = [self._block(kind, is_told=is_told) for kind in ("ngrams", *dense)]
        fitted = self._fitted(blocks, np.arange(len(self.train)), self.groups)
        raw, quality, weight = self._calibration_rows(fitted, blocks, dense)
        del blocks
        drawn = believed(raw, quality, weight, groups_of(self.table.prompts, self.table.group)[self.calibrating])
        if drawn is not None:
            fitted, raw = replace(fitted, weights=drawn.weights(fitted.weights), bias=drawn.bias(fitted.bias)), drawn.drawn(raw)
        self.held_out[name] = raw
        self.arrays[f"{name}.curves"] = curves(raw, quality, weight) if drawn is None else drawn.curves()
        # A row that a model was not run on has no held-out score of it either where models were fitted one by one.
        expected = np.where(np.isfinite(raw), Curves(self.arrays[f"{name}.curves"])(np.nan_to_num(raw, nan=0.5)), np.nan)
        self.arrays[f"{name}.{rehearsal.ARRAY}"] = rehearsal.array(expected, quality, np.random.default_rng(self.seed))
        tokens = self._tokens(dense)
        for block in ("ngrams", *dense):
            both = [fitted.weights[block]] + ([] if tokens is None else [tokens.weights[block]])
            self.arrays[f"{name}.{block}.weights"] = np.concatenate(both, axis=1).astype(np.float16 if block == "ngrams" else np.float32)
        self.arrays[f"{name}.bias"] = np.concatenate([fitted.bias] + ([] if tokens is None else [tokens.bias]))
        slope, self.arrays[f"{name}.error"] = self._error(fitted, near, quality, weight)
        return {"blocks": list(dense), "near": near, "error_slope": slope, "tokens": tokens is not None,
                "blends": fitted.blends, "differences": 1.0 if drawn is None else round(drawn.share, 4)}

    def _fitted(self, blocks: Sequence[Block], rows: Rows, groups: Sequence[Rows]) -> Fitted:
        """Of some training rows, by place, what is presumed and what the labels say besides."""
        left = self.table.quality[self.train[rows]] - self.presumed.outcomes(self.counts[rows])
        fitted = fit_columns(blocks, left, 1.0 / self.weight[self.train[rows]], groups, np.random.default_rng(self.seed))
        return self.presumed.added(fitted, self.counts[rows])

    def _block(self, name: str, *, is_told: bool = False) -> Block:
        """Features of one kind. `is_told`: with the differences that make none."""
        kind, _, way = name.partition(".")
        matrix = self._near(kind) if way == "near" else word_matrix(self.reading.words()) if name == "ngrams" else self.reading.block(name)
        block = self._lifted(name, kind, matrix) if way == "near" else Block.of(name, matrix)
        return block.with_changes(self._changes(name, matrix)) if is_told else block

    def _near(self, kind: str) -> Vectors:
        """Nearness of every row to every landmark: 4 KB a row, so it is made when it is needed and not kept."""
        vectors = self.reading.static if kind == "static" else self.reading.sentence
        return self.reader.near(kind, np.zeros((0, 0), dtype=np.float32) if vectors is None else vectors)

    def _lifted(self, name: str, kind: str, matrix: Vectors) -> Block:
        """Nearness, turned so that rows are as alike as their likeness to the landmarks says."""
        own = self.reader.near(kind, np.asarray(self.arrays[f"{kind}.landmarks"], dtype=np.float32))
        values, vectors = np.linalg.eigh(np.asarray(own, dtype=np.float64) + 1e-4 * np.eye(len(own)))
        lift = (vectors / np.sqrt(np.maximum(values, 1e-4))) @ vectors.T
        lifted = np.empty(matrix.shape, dtype=np.float32)
        for rows in range(0, len(matrix), PORTION):  # the product has twice the digits, and twice the size
            lifted[rows: rows + PORTION] = matrix[rows: rows + PORTION] @ lift
        return Block.of(name, lifted, lift)

    def _calibration_rows(self, fitted: Fitted, blocks: list[Block], dense: tuple[str, ...]) -> tuple[Floats, Floats, Floats]:
        """Scores of rows that the fit did not see, their quality and weight. Empties `blocks`, the largest thing there is, where it fits again."""
        if len(self.rest):
            return _raw(fitted, self.other, dense), self.table.quality[self.rest], self.weight[self.rest]
        quality, weight = self.table.quality[self.train], self.weight[self.train]
        # Models that were fitted one by one have it wherever each of them was run on few enough rows, however many rows there are.
        self.is_closed = fitted.held_out is not None
        if fitted.held_out is not None:
            return fitted.held_out, quality, weight
        # Too many rows for the closed form: a second fit without a fifth of the groups, which then calibrates both.
        out = self._left_out
        kept, left = np.flatnonzero(~out), np.flatnonzero(out)
        changed = np.arange(len(self.train), len(self.train) + blocks[0].changes)
        apart = []
        while blocks:
            block = blocks.pop(0)
            apart.append((block.take(np.concatenate([kept, changed])), block.take(left)))
        second = self._fitted([block for block, _ in apart], kept, [])
        raw = second.bias + sum((block.served(second.weights[block.name], np.arange(len(left))) for _, block in apart), np.zeros(1))
        return raw, quality[left], weight[left]

    def _tokens(self, dense: tuple[str, ...]) -> Fitted | None:
        if self.table.tokens is None or not np.isfinite(self.table.tokens).any():
            return None
        blocks = [self._block(kind) for kind in ("ngrams", *dense)]
        return fit_columns(blocks, np.log1p(self.table.tokens[self.train]), 1.0 / self.weight[self.train], self.groups, np.random.default_rng(self.seed))

    def _error(self, fitted: Fitted, near: str, quality: Floats, weight: Floats) -> tuple[float, Floats]:
        """The standard error of an expectation: its size per model where the evidence is usual, and how it falls with more.

        Usual is the error of a mean over a tenth of the calibrating rows: what a curve of some bends knows of its height.
        """
        evidence = self._evidence(near)
        x = np.log1p(evidence)
        slope = USUAL_SLOPE
        told = np.zeros(len(x), dtype=np.bool_) if fitted.variance is None else np.isfinite(fitted.variance).any(axis=1)
        if fitted.variance is not None and told.sum() > 1 and float(np.var(x[told])) > 1e-6:
            unsure = 0.5 * np.log(np.nanmean(fitted.variance[told], axis=1) + 1e-8)
            slope = float(np.clip(np.cov(x[told], unsure)[0, 1] / float(np.var(x[told])), -1.0, 0.0))
        known = np.isfinite(quality)
        rows = np.array([float(weight[column].sum()) for column in known.T])
        spread = np.array([float(np.var(quality[column, at])) if column.any() else 0.25 for at, column in enumerate(known.T)])
        size = np.sqrt((spread + 0.01) * 10.0 / np.maximum(rows, 10.0))
        return round(slope, 4), size / float(np.median((1.0 + evidence) ** slope))


    def _evidence(self, kind: str) -> Floats:
        """How many labelled queries stand close to each row."""
        near = self._near(kind)
        return np.concatenate([self.reader.evidence(kind, near[row: row + PORTION])[0] for row in range(0, len(near), PORTION)])


def _raw(fitted: Fitted, reading: Reading, dense: Sequence[str]) -> Floats:
    total = fitted.bias + reading.summed(np.asarray(fitted.weights["ngrams"], dtype=np.float32))
    for block in dense:
        total = total + reading.block(block) @ fitted.weights[block]
    return total


def _means(quality: Floats) -> Floats:
    return np.array([float(np.nanmean(column)) if np.isfinite(column).any() else 0.0 for column in quality.T])
