"""Scores made true on the owner's own labels: one rising curve per model, from what was said to what came.

With fewer than 1,000 outcomes Platt's two numbers, with more an isotonic curve where it does better on rows that were left
out. What is reported is always measured on rows that the curve had not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact, ArtifactDraft
from pointsman.classify.heads.calibration import GRID
from pointsman.classify.heads.rehearsal import ARRAY, array
from pointsman.learn.folds import groups_of
from pointsman.learn.learners.platt import curve
from pointsman.learn.metrics import Floats
from pointsman.learn.reliability import reliability
from pointsman.learn.table import OutcomeTable

FEWEST = 20
"""Outcomes of a model below which its scores are left as they are."""
ENOUGH_FOR_ISOTONIC = 1000
LEAST_STEP = 25
"""Rows that a step of an isotonic curve rests on at least."""
FOLDS = 5


@dataclass(frozen=True)
class Curve:
    """From what was said to what came: knots of a rising line."""

    said: Floats
    came: Floats
    way: str
    """`platt`, `isotonic`, or `left` as it is."""

    def __call__(self, p: Floats) -> Floats:
        return np.clip(np.interp(p, self.said, self.came), 0.0, 1.0)


AS_IT_IS = Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "left")


class Calibrated(msgspec.Struct, frozen=True):
    """One model's scores before and after, on rows that its curve had not seen."""

    model: str
    rows: int
    way: str
    ece_before: float
    ece_after: float
    ece_floor: float


def curve_of(p: Floats, outcome: Floats, weight: Floats, groups: NDArray[np.intp], seed: int = 0) -> Curve:
    """The curve of one model, from rows with an outcome."""
    if len(p) < FEWEST:
        return AS_IT_IS
    platt = platt_of(p, outcome, weight)
    if len(p) < ENOUGH_FOR_ISOTONIC:
        return platt
    worse = _left_out(p, outcome, weight, groups, platt_of, seed) - _left_out(p, outcome, weight, groups, isotonic_of, seed)
    return isotonic_of(p, outcome, weight) if worse > 0 else platt


def platt_of(p: Floats, outcome: Floats, weight: Floats) -> Curve:
    """Two numbers on the log-odds (Platt 1999), pulled towards "as it is"."""
    inside = (GRID >= 0.0) & (GRID <= 1.0)
    return Curve(GRID[inside], curve(p, outcome, weight)[inside], "platt")


def isotonic_of(p: Floats, outcome: Floats, weight: Floats) -> Curve:
    """The rising steps nearest to the outcomes (pool adjacent violators), joined by lines through their middles."""
    order = np.argsort(p, kind="stable")
    edges = np.arange(0, len(p), LEAST_STEP)[: max(1, len(p) // LEAST_STEP)]
    mass = np.add.reduceat(weight[order], edges)
    blocks: list[list[float]] = []
    for said, came, size in zip(np.add.reduceat((weight * p)[order], edges), np.add.reduceat((weight * outcome)[order], edges), mass, strict=True):
        blocks.append([float(size), float(said), float(came)])
        while len(blocks) > 1 and blocks[-2][2] * blocks[-1][0] >= blocks[-1][2] * blocks[-2][0]:
            last = blocks.pop()
            blocks[-1] = [one + other for one, other in zip(blocks[-1], last, strict=True)]
    said = np.array([block[1] / block[0] for block in blocks])
    came = np.array([block[2] / block[0] for block in blocks])
    # Never quite 0 or 1, and rising a little everywhere: order is kept.
    return Curve(np.concatenate([[0.0], said, [1.0]]), np.concatenate([[came[0] * 0.98], came, [1 - (1 - came[-1]) * 0.98]]), "isotonic")


def cross_fitted(table: OutcomeTable, p: Floats, seed: int = 0) -> Floats:
    """(n, m) every row set right by curves that had not seen its group."""
    groups = groups_of(table.prompts, table.group)
    found = p.copy()
    for fold in _folds(groups, seed):
        for place, made in enumerate(curves_of(table, p, groups, ~fold, seed)):
            found[fold, place] = made(p[fold, place])
    return found


def curves_of(table: OutcomeTable, p: Floats, groups: NDArray[np.intp], rows: NDArray[np.bool_], seed: int = 0) -> list[Curve]:
    """A curve for each model, from some rows."""
    weight = np.ones(len(table)) if table.weight is None else table.weight
    found = []
    for place in range(len(table.models)):
        known = rows & np.isfinite(table.quality[:, place]) & (weight > 0)
        found.append(curve_of(p[known, place], table.quality[known, place], weight[known], groups[known], seed))
    return found


def recalibrated(artifact: Artifact, table: OutcomeTable, stacks: dict[str, Floats], places: Sequence[int], seed: int = 0) -> ArtifactDraft:
    """The artifact with new curves. `stacks`: name -> (n, m) its scores for the table's models, which stand at `places` among
    the artifact's. Stacks that are not given stay as they are."""
    groups = groups_of(table.prompts, table.group)
    arrays = dict(artifact.arrays)
    ways = {}
    for name, p in stacks.items():
        knots = np.array(artifact.array(f"{name}.curves"), dtype=np.float64)
        found = curves_of(table, p, groups, np.ones(len(table), dtype=np.bool_), seed)
        for place, made in zip(places, found, strict=True):
            knots[:, place] = made(knots[:, place])
        arrays[f"{name}.curves"] = knots
        ways[name] = [made.way for made in found]
        if (old := f"{name}.{ARRAY}") in arrays:
            arrays[old] = _rehearsed(arrays[old], table, p, places, seed)
    told = {"rows": len(table), "models": list(table.models), "ways": ways, "before": artifact.version}
    return ArtifactDraft({**artifact.manifest, "recalibration": told}, arrays)


def _rehearsed(old: NDArray[np.float32], table: OutcomeTable, p: Floats, places: Sequence[int], seed: int) -> NDArray[np.float32]:
    """The rehearsal on these rows, each set right by curves that had not seen its group; models without outcomes here were not run."""
    models = old.shape[1] // 2
    expected, came = np.full((len(table), models), 0.5), np.full((len(table), models), np.nan)
    expected[:, places], came[:, places] = cross_fitted(table, p, seed), table.quality
    return array(expected, came, np.random.default_rng(seed))


def report(table: OutcomeTable, p: Floats, after: Floats, seed: int = 0) -> list[Calibrated]:
    """Errors before and after; `after` as `cross_fitted` gives it."""
    groups = groups_of(table.prompts, table.group)
    ways = [made.way for made in curves_of(table, p, groups, np.ones(len(table), dtype=np.bool_), seed)]
    found = []
    for place, model in enumerate(table.models):
        outcome = table.quality[:, place]
        before, now = reliability(p[:, place], outcome, seed), reliability(after[:, place], outcome, seed)
        found.append(Calibrated(model, now.rows, ways[place], before.ece, now.ece, now.floor))
    return found


def _folds(groups: NDArray[np.intp], seed: int) -> list[NDArray[np.bool_]]:
    fold = np.random.default_rng(seed).integers(0, FOLDS, int(groups.max()) + 1 if len(groups) else 0)[groups]
    return [fold == one for one in range(FOLDS)]


def _left_out(p: Floats, outcome: Floats, weight: Floats, groups: NDArray[np.intp], way: Callable[[Floats, Floats, Floats], Curve], seed: int) -> float:
    """Mean squared error of a way on rows that it had not seen."""
    total = 0.0
    _, dense = np.unique(groups, return_inverse=True)
    for fold in _folds(dense, seed):
        if fold.any() and not fold.all():
            made = way(p[~fold], outcome[~fold], weight[~fold])
            total += float((weight[fold] * (made(p[fold]) - outcome[fold]) ** 2).sum())
    return total / float(weight.sum())
