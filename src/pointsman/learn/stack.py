"""One blend of features for all models at once: what they share, and where they part.

A query that is hard for one model is hard for most, and what a router earns lies in the differences. So the models' quality
is turned into components: the mean over models, then the directions in which models differ most, then the rest. Each
component gets a blend of features of its own: length may say much about difficulty and nothing about who is better, topic
the other way round. The sum over components is each model's quality again, and a difference between two models is a
difference of components that were fitted as such.

Two blends answer for each component and are averaged: the one that the labels ask for, and the one that was believed before them.
The first overfits where labels are few or noisy, the second is wrong where a source is unlike others, and their errors are not the
same: together they rank .001 to .003 APGR better on development sources than either. Weights are linear, so that what is served is
one table still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.learn.learners.block import Block
from pointsman.learn.learners.process import Blend, Gram, Solution, blend, solve, solve_large

Floats: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]

SHARED: Mapping[str, float] = {
    "surface": -3.8, "length": -3.5, "kinds": -2.5, "ngrams": -1.9, "static.near": -2.6, "sentence.near": -2.5, "noise": -0.5,
}
"""Logarithm of the share of the variance of the models' mean that each kind of feature is believed to explain before any
label, and of what is left as noise: rounded means of what 300 and 1,000 labels said on five development sources."""
APART: Mapping[str, float] = {
    "surface": -4.6, "length": -4.2, "kinds": -3.2, "ngrams": -2.5, "static.near": -3.3, "sentence.near": -2.9, "noise": -0.25,
}
"""The same for differences between models: less can be known of them."""
STRENGTH = 0.4
"""Pull towards these, per squared e-fold: a hundred labels overcome it where they agree."""
CAUTION = 1.0
"""Differences between models are smoothed by up to this much more noise (in e-folds) than their likelihood asks for, in proportion
to the noise that it finds. The likelihood weighs every row's fit alike; a ranking lives from the broad features, which rank better
when the narrow ones are held down. On development sources 1.0 is above 0, 0.5, 1.5 and 2.0, by .001 to .003 APGR."""
SAMPLE = 600
"""Rows on which a blend is chosen."""
SAMPLES = 3
"""Samples whose blends are averaged where there are more rows than one holds. Which 600 of 1,000 rows chose it moved the APGR of five development
sources by .0015 to .0042 (standard deviation over samples; four averaged rank .0006 above their mean, which is within noise), in `zeroeval`
by .0042 with one and .0014 with three. One sample of 1,000 takes longer and ranks no better."""
MOST_ROWS = 3000
"""Up to here all rows are solved in closed form; beyond, by conjugate gradients."""
BOTH_ROWS = 5000
"""Up to here both blends answer. So many labels need no belief beside them, and the second would double the minutes that 20,000 take."""
DIRECTIONS = 2
"""Directions of difference with a blend of their own; the rest share one."""
STILL = 0.03
"""Noise of "this change of a row changes nothing", beside that of a label: thirty labels' worth each. Chosen with `CHANGES` in `learn/fit.py`."""
SPARSE = 0.3
"""Share of missing outcomes from which models are fitted one by one: there is no common table then."""


@dataclass(frozen=True)
class Fitted:
    """Weights for features as served, by block, (d, m); `bias` (m,). `held_out` (n, m): what each row would have been told
    without its own group; `variance` (n, m) of that. None where rows were too many for it."""

    weights: dict[str, Floats]
    bias: Floats
    held_out: Floats | None
    variance: Floats | None
    blends: list[dict[str, float]]


@dataclass(frozen=True)
class Rowset:
    """The rows a fit runs on: their blocks, similarity and groups, made once for all components."""

    blocks: Sequence[Block]
    noise: Floats
    groups: Sequence[Rows]
    grams: Sequence[Gram] | None
    samples: Sequence[tuple[Rows, Sequence[Gram]]]
    """Rows on which a blend is chosen, and their similarity."""
    changes: int = 0
    """So many of the blocks' rows, the last, are differences that are worth nothing; `noise` knows of them."""

    @classmethod
    def of(cls, blocks: Sequence[Block], noise: Floats, groups: Sequence[Rows], rng: np.random.Generator) -> Rowset:
        rows, changes = len(noise), blocks[0].changes
        noise = np.concatenate([noise, np.full(changes, STILL)])
        chosen = [np.sort(rng.choice(rows, min(rows, SAMPLE), replace=False)) for _ in range(SAMPLES if rows > SAMPLE else 1)]
        if rows > MOST_ROWS:
            return cls(blocks, noise, groups, None, [(sample, [block.take(sample).gram() for block in blocks]) for sample in chosen], changes)
        grams = [block.gram() for block in blocks]
        return cls(blocks, noise, groups, grams, [(sample, [gram[np.ix_(sample, sample)] for gram in grams]) for sample in chosen], changes)


def fit_columns(blocks: Sequence[Block], columns: Floats, noise: Floats, groups: Sequence[Rows], rng: np.random.Generator) -> Fitted:
    """Weights that tell each column (n, m; NaN = unknown) from the blocks. Rows of the blocks after the n-th are changes that make no
    difference (`Block.with_changes`)."""
    means = np.array([float(np.nanmean(column)) if np.isfinite(column).any() else 0.5 for column in columns.T])
    missing = ~np.isfinite(columns)
    if missing.mean() > SPARSE:
        return _one_by_one(blocks, columns, means, noise, groups, rng)
    rows = Rowset.of(blocks, noise, groups, rng)
    fitted = _together(rows, np.where(missing, 0.0, columns - means), means)
    if missing.any():
        known = fitted.held_out if fitted.held_out is not None else np.broadcast_to(means, columns.shape)
        fitted = _together(rows, filled(columns, known) - means, means)
    return fitted


def filled(columns: Floats, expected: Floats) -> Floats:
    """Unknown outcomes replaced by what is expected of them, given how the row's known outcomes differ from what was
    expected of those: models fail together."""
    away = columns - expected
    known = np.isfinite(away)
    zeroed = np.where(known, away, 0.0)
    both = known.T.astype(float) @ known.astype(float)
    covariance = (zeroed.T @ zeroed) / np.maximum(both, 1.0)
    spread = np.diag(covariance).copy()
    covariance *= both / (both + 20.0)  # pairs that were seldom run together tell little of each other
    covariance[np.diag_indices_from(covariance)] = spread * 1.05 + 1e-6
    full = np.where(known, columns, expected)
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    for at, pattern in enumerate(patterns):
        if pattern.all() or not pattern.any():
            continue
        rows = np.flatnonzero(which.ravel() == at)
        slope = np.linalg.solve(covariance[np.ix_(pattern, pattern)], covariance[np.ix_(pattern, ~pattern)])
        full[np.ix_(rows, ~pattern)] = expected[np.ix_(rows, ~pattern)] + away[np.ix_(rows, pattern)] @ slope
    return full


def components(away: Floats) -> list[tuple[Floats, Floats]]:
    """Pairs of targets (n, c) and loads (m, c): the mean over models, the first directions of difference, the rest."""
    models = away.shape[1]
    shared = np.full((models, 1), models ** -0.5)
    mean = away @ shared
    made = [(mean, shared)]
    if models == 1:
        return made
    _, _, directions = np.linalg.svd(away - mean @ shared.T, full_matrices=False)
    loads = _signed(directions[: models - 1].T)
    cuts = [*range(min(DIRECTIONS, models - 1)), min(DIRECTIONS, models - 1), models - 1]
    made += [(away @ loads[:, a:b], loads[:, a:b]) for a, b in pairwise(cuts) if b > a]
    return made


def _signed(loads: Floats) -> Floats:
    """The largest load of each direction positive: a decomposition may return either sign."""
    largest = loads[np.argmax(np.abs(loads), axis=0), np.arange(loads.shape[1])]
    return loads * np.where(largest < 0, -1.0, 1.0)


def _together(rows: Rowset, away: Floats, means: Floats) -> Fitted:
    models = len(means)
    weights = {block.name: np.zeros((len(block.centre), models)) for block in rows.blocks}
    held_out = np.tile(means, (len(away), 1)) if rows.grams is not None else None
    variance = np.zeros(away.shape) if rows.grams is not None else None
    blends = []
    for place, (targets, loads) in enumerate(components(away)):
        size = float(np.sqrt(np.mean(targets * targets)))
        if size < 1e-9:
            continue
        solved = _solved(rows, targets / size, SHARED if place == 0 else APART, 0.0 if place == 0 else CAUTION)
        blends.append(dict(zip([block.name for block in rows.blocks], np.round(solved[0][0].blocks, 3).tolist(), strict=True),
                           noise=round(solved[0][0].noise, 3)))
        for how, solution in solved:
            share = size / len(solved)
            for block, weight in zip(rows.blocks, np.exp(how.blocks), strict=True):
                weights[block.name] += weight * block.spread(solution.duals * share) @ loads.T
            if held_out is not None and variance is not None and solution.held_out is not None and solution.variance is not None:
                held_out += (solution.held_out * share) @ loads.T
                variance += solution.variance[:, None] * size * share * np.sum(loads * loads, axis=1)
    return _served(rows.blocks, weights, means, held_out, variance, blends)


def _solved(rows: Rowset, targets: Floats, believed: Mapping[str, float], caution: float) -> list[tuple[Blend, Solution]]:
    """By the blend that the labels ask for, and by the one believed before; of very many rows by the first alone."""
    prior = Blend(np.array([believed[block.name] for block in rows.blocks]), believed["noise"])
    asked = _middle([blend(grams, targets[sample], rows.noise[sample], prior, STRENGTH) for sample, grams in rows.samples])
    both = [Blend(how.blocks, how.noise + caution * min(1.0, float(np.exp(how.noise)))) for how in (asked, prior)]
    labelled = len(targets)
    targets = np.concatenate([targets, np.zeros((rows.changes, targets.shape[1]))])
    if rows.grams is None:
        kept = both if labelled <= BOTH_ROWS else both[:1]
        return [(how, solve_large(rows.blocks, targets, rows.noise, how)) for how in kept]
    return [(how, _of_rows(solve(rows.grams, targets, rows.noise, how, rows.groups), labelled)) for how in both]


def _middle(blends: Sequence[Blend]) -> Blend:
    """Their mean, in logarithms."""
    return Blend(np.mean([how.blocks for how in blends], axis=0), float(np.mean([how.noise for how in blends])))


def _of_rows(solution: Solution, labelled: int) -> Solution:
    """What is said of rows, without what is said of changes."""
    held_out, variance = solution.held_out, solution.variance
    return Solution(solution.duals, None if held_out is None else held_out[:labelled], None if variance is None else variance[:labelled])


def _served(blocks: Sequence[Block], weights: dict[str, Floats], means: Floats, held_out: Floats | None,
            variance: Floats | None, blends: list[dict[str, float]]) -> Fitted:
    """Weights for features as they are served: neither centred nor scaled nor rotated."""
    bias = means.copy()
    served = {}
    for block in blocks:
        own = weights[block.name] / np.sqrt(block.scale)
        bias -= block.centre @ own
        served[block.name] = own if block.lift is None else block.lift @ own
    return Fitted(served, bias, held_out, variance, blends)


def _one_by_one(blocks: Sequence[Block], columns: Floats, means: Floats, noise: Floats, groups: Sequence[Rows],
                rng: np.random.Generator) -> Fitted:
    """Each column from the rows on which it is known."""
    parts: list[tuple[Rows, Fitted] | None] = []
    changed = np.arange(len(columns), len(columns) + blocks[0].changes)
    for column, mean in zip(columns.T, means, strict=True):
        known = np.flatnonzero(np.isfinite(column))
        if len(known) < 2:
            parts.append(None)
            continue
        place = np.full(len(column), -1)
        place[known] = np.arange(len(known))
        inside = [place[rows][place[rows] >= 0] for rows in groups]
        rows = Rowset.of([block.take(np.concatenate([known, changed])) for block in blocks], noise[known], [rows for rows in inside if len(rows) > 1], rng)
        parts.append((known, _together(rows, (column[known] - mean)[:, None], np.array([mean]))))
    return _joined(blocks, parts, means, columns.shape)


def _joined(blocks: Sequence[Block], parts: Sequence[tuple[Rows, Fitted] | None], means: Floats, shape: tuple[int, ...]) -> Fitted:
    weights = {}
    for block in blocks:
        width = len(block.centre) if block.lift is None else len(block.lift)
        weights[block.name] = np.column_stack([np.zeros(width) if part is None else part[1].weights[block.name][:, 0] for part in parts])
    bias = np.array([mean if part is None else part[1].bias[0] for part, mean in zip(parts, means, strict=True)])
    held_out, variance = np.full(shape, np.nan), np.full(shape, np.nan)
    for at, part in enumerate(parts):
        if part is not None and part[1].held_out is not None and part[1].variance is not None:
            held_out[part[0], at], variance[part[0], at] = part[1].held_out[:, 0], part[1].variance[:, 0]
    is_whole = all(part is None or part[1].held_out is not None for part in parts)
    blends = [one for part in parts if part is not None for one in part[1].blends]
    return Fitted(weights, bias, held_out if is_whole else None, variance if is_whole else None, blends)
