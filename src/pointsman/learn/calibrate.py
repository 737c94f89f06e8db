"""Scores made true on the owner's own labels: one rising curve per model, from what was said to what came.

With fewer than 1,000 outcomes Platt's two numbers, with more an isotonic curve beside them, which counts the more the more outcomes there are. What is
reported is always measured on rows that the curve had not seen.

Why not the isotonic curve alone? Where it is flat it all but forgets which query was the better one, and where it leaps a hair's breadth decides. A model's own
ranking survives that; differences between models, by which a tier is chosen, do not always. Calls to the reference that 98 % of its quality needs, on five
development sources, in the worst of 45 draws of 1,000 labels (36 of 2,000): .092 (.057) more than before calibrating, with both curves .056 (.029), with
Platt's .047 (.030). Whichever does better on rows that are left out, as it was once, bends one model's curve and not its neighbour's, by chance: .078 (.067). In the
mean nothing is lost (.729 and .741, before .728 and .748), and calibration errors are the same (.057 and .059; isotonic .056 and .058, before .064 and .070).
"""

from __future__ import annotations

from collections.abc import Sequence
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
BELIEVED = 1000.0
"""Outcomes that Platt's curve weighs as much as beside an isotonic one."""
LEAST_STEP = 50
"""Rows that a step of an isotonic curve rests on at least."""
FOLDS = 5


@dataclass(frozen=True)
class Curve:
    """From what was said to what came: knots of a rising line."""

    said: Floats
    came: Floats
    way: str
    """`platt`, `both` with an isotonic one, or `left` as it is."""

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


def curve_of(p: Floats, outcome: Floats, weight: Floats) -> Curve:
    """The curve of one model, from rows with an outcome."""
    if len(p) < FEWEST:
        return AS_IT_IS
    platt = platt_of(p, outcome, weight)
    return platt if len(p) < ENOUGH_FOR_ISOTONIC else _both(platt, isotonic_of(p, outcome, weight), len(p) / (len(p) + BELIEVED))


def _both(platt: Curve, isotonic: Curve, share: float) -> Curve:
    """`share` of the second: it rises wherever the first does, so that no two scores become one."""
    said = np.union1d(platt.said, isotonic.said)
    return Curve(said, (1.0 - share) * platt(said) + share * isotonic(said), "both")


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
    # Never quite 0 or 1.
    return Curve(np.concatenate([[0.0], said, [1.0]]), np.concatenate([[came[0] * 0.98], came, [1 - (1 - came[-1]) * 0.98]]), "isotonic")


def cross_fitted(table: OutcomeTable, p: Floats, seed: int = 0) -> Floats:
    """(n, m) every row set right by curves that had not seen its group."""
    groups = groups_of(table.prompts, table.group)
    found = p.copy()
    for fold in _folds(groups, seed):
        for place, made in enumerate(curves_of(table, p, ~fold)):
            found[fold, place] = made(p[fold, place])
    return found


def curves_of(table: OutcomeTable, p: Floats, rows: NDArray[np.bool_]) -> list[Curve]:
    """A curve for each model, from some rows."""
    weight = np.ones(len(table)) if table.weight is None else table.weight
    found = []
    for place in range(len(table.models)):
        known = rows & np.isfinite(table.quality[:, place]) & (weight > 0)
        found.append(curve_of(p[known, place], table.quality[known, place], weight[known]))
    return found


def recalibrated(artifact: Artifact, table: OutcomeTable, stacks: dict[str, Floats], places: Sequence[int], seed: int = 0) -> ArtifactDraft:
    """The artifact with new curves. `stacks`: name -> (n, m) its scores for the table's models, which stand at `places` among
    the artifact's. Stacks that are not given stay as they are."""
    arrays = dict(artifact.arrays)
    ways = {}
    for name, p in stacks.items():
        knots = np.array(artifact.array(f"{name}.curves"), dtype=np.float64)
        found = curves_of(table, p, np.ones(len(table), dtype=np.bool_))
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
    ways = [made.way for made in curves_of(table, p, np.ones(len(table), dtype=np.bool_))]
    found = []
    for place, model in enumerate(table.models):
        outcome = table.quality[:, place]
        before, now = reliability(p[:, place], outcome, seed), reliability(after[:, place], outcome, seed)
        found.append(Calibrated(model, now.rows, ways[place], before.ece, now.ece, now.floor))
    return found


def _folds(groups: NDArray[np.intp], seed: int) -> list[NDArray[np.bool_]]:
    fold = np.random.default_rng(seed).integers(0, FOLDS, int(groups.max()) + 1 if len(groups) else 0)[groups]
    return [fold == one for one in range(FOLDS)]

