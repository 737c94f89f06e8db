"""How near to the bar must a score lie, that a sentence vector is worth asking for?

An artifact holds a few hundred labelled rows with what both of its stacks expected of them before they had seen their labels
(`heads.rehearsal`). They tell beforehand what asking does: how far a vector moves a score against its bar, and how many requests lie how
near. The band is the narrower of two:

- **reach**: farther than a vector moves the score in nine cases of ten there is nothing to be had. What a vector is worth falls
  with the distance measured in such moves (the chance that it carries the score across, times how far beyond it then lies).
- **share**: of the requests, those that lie nearest. Each one asked about waits for milliseconds, so that is what asking costs; and where
  all moves are about alike those that lie nearest gain most. They are: what is known of a query hardly tells how far its vector moves the score
  (rank correlation with the width of its bound -.18 to .32 by source).

Why not a fixed band? On five development sources (27 pairs of models, 1,000 labels, `quality` .5 to .98) one of .02 asked about a third of the
requests, nothing to all of them by pair and `quality`, for in nine cases of ten a vector moves a difference between two models by .002 to .013
there: of the decisions that asked 12 % changed. Within this band ask 2 %, and of those 21 to 47 % change. What all vectors together are worth there is little: .0007, .0013 and .0015 APGR at 100, 300 and
1,000 labels (two standard errors .0036, .0022, .0036), and .0005, .0003 and .0003 of it come with the nearest 3 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.columns import Column
from pointsman.classify.policy import Allowances, allowed, most
from pointsman.classify.targets import QualityTarget

Floats: TypeAlias = NDArray[np.float64]

STACKS = ("static", "full")
ROWS = "rehearsal"
"""Of each stack an array: what it expected of each model, then what came."""
MOVED = 0.9
"""Share of the rows that a vector moves by less than the reach."""
FEWEST = 50
"""Rows without which nothing is known: as many as a rehearsal needs."""


class Opinions:
    """Rows as both stacks saw them."""

    __slots__ = ("_after", "_before", "_was_run")

    def __init__(self, before: NDArray[Any], after: NDArray[Any], was_run: NDArray[np.bool_] | None = None) -> None:
        """(rows, models): expected without a sentence vector, and with it. `was_run`: of which models the row has an outcome; of the others nothing may
        have been expected (`learn.calibrate`). None = of all."""
        self._before, self._after = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
        self._was_run = np.ones(self._before.shape, dtype=np.bool_) if was_run is None else was_run

    @classmethod
    def of_artifact(cls, artifact: Artifact) -> Opinions | None:
        """None where there is one stack, too few rows, or where the stacks were not rehearsed on the same rows."""
        if any(f"{stack}.{ROWS}" not in artifact.arrays for stack in STACKS):
            return None
        before, after = (artifact.array(f"{stack}.{ROWS}") for stack in STACKS)
        models = len(artifact.manifest["models"])
        if before.shape != after.shape or len(before) < FEWEST or not np.array_equal(before[:, models:], after[:, models:]):
            return None
        return cls(before[:, :models], after[:, :models], before[:, models:] >= 0.0)

    def band(self, columns: Mapping[str, Column], order: Sequence[str], reference: str, target: QualityTarget,
             allowances: Allowances, share: float) -> float | None:
        """Distance from its bar within which a score is asked about, such that at most `share` of the rows are. `order`: the tiers of `columns`, the
        cheapest first; a `reference` that is none of them is the best of them, as for the policy. None = too few rows were run on all
        of them."""
        known = self._was_run[:, [at for tier in order for at, _ in columns[tier]]].all(axis=1)
        if int(known.sum()) < FEWEST:
            return None
        before, after = (self._over(rows[known], columns, order, reference, target, allowances) for rows in (self._before, self._after))
        if not before.shape[1]:
            return 0.0
        reach = float(np.quantile(np.abs(after - before), MOVED, axis=0).max())
        return min(reach, float(np.quantile(_margins(before), min(1.0, share), method="lower"))) if share < 1.0 else reach

    def _over(self, rows: Floats, columns: Mapping[str, Column], order: Sequence[str], reference: str, target: QualityTarget,
              allowances: Allowances) -> Floats:
        """(rows, tiers that are held to a bar, cheapest first): by how much each clears it."""
        p = np.stack([np.sum([rows[:, at] * part for at, part in columns[tier]], axis=0) for tier in order], axis=1)
        if not target.is_relative(calibrated=True):
            return np.asarray(p - target.quality)
        place = list(order).index(reference) if reference in order else int(np.argmax(p.mean(axis=0)))
        of_reference = p[:, [place]]
        told = allowances.get(order[place])
        if told is None:
            return np.asarray(p[:, :place] - target.quality * of_reference)
        lost = np.minimum(allowed(told, target.quality), most(target.quality) * of_reference)
        return np.asarray(p[:, :place] - (of_reference - lost))

    def __repr__(self) -> str:
        return f"<Opinions {len(self._before)} rows>"


def _margins(over: Floats) -> Floats:
    """(rows,) the least distance from its bar among the tiers that the policy looks at: up to the first that clears."""
    clears = (over >= 0.0).astype(np.intp)
    earlier = np.cumsum(clears, axis=1) - clears
    return np.asarray(np.where(earlier == 0, np.abs(over), np.inf).min(axis=1))
