"""What is presumed of a query before its owner has labelled any: that it is harder where public outcomes say so.

The difficulty of the generic guess (`learn.difficulty`), told by the counts that a trained head reads too (`classify.heads.surface`). A fit starts
from "a query that is one spread harder than usual is answered worse by `STRENGTH` of a spread of a model's outcomes" and learns what is left;
a model whose answers differ from query to query loses most, one that is always right nothing. What is presumed is linear in those counts, so it is added
to the head's weights and nothing else is served.

On development sources, difficulty made without the source (mean APGR over five; 5, 3 and 2 draws): 100 labels .6495 without, .6533 with it (.1 and .2:
.6529), 300 labels .6768 and .6798, 1,000 labels .7280 and .7306; in no source less by more than .002. Learning the strength from the labels gains no more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman import artifact
from pointsman.classify.heads import surface
from pointsman.classify.heads.prior import shipped_folder
from pointsman.errors import ArtifactOfAnotherVersion
from pointsman.learn.stack import Fitted

Floats: TypeAlias = NDArray[np.float64]

ARRAY = "presumed"
"""Its name in the shipped artifact: a weight for each count of `surface`, as it is counted."""
STRENGTH = 0.15
"""Spreads of a model's outcomes by which a query is answered worse that is one spread harder."""
RIDGE = 0.01
"""Keeps counts that go together apart; the difficulty is a sum of nearly the same ones."""
SPREAD_FLOOR, CLIP = 0.02, 5.0
_SAME = 1e-6
"""Spread of difficulty below which all queries are alike, and nothing is presumed."""


def surface_version() -> str:
    """Says which counts there are."""
    return hashlib.sha256("\n".join(surface.NAMES).encode()).hexdigest()[:16]


def weights_of(counts: Floats, difficulty: Floats, weight: Floats) -> Floats:
    """(d,) the counts (n, d) that tell a difficulty (n,) best; `weight` (n,) of each row."""
    weight = weight / weight.sum()
    centre = weight @ counts
    spread = np.sqrt(weight @ (counts - centre) ** 2) + SPREAD_FLOOR
    x, y = np.clip((counts - centre) / spread, -CLIP, CLIP), difficulty - weight @ difficulty
    found: Floats = np.linalg.solve((x * weight[:, None]).T @ x + RIDGE * np.eye(len(centre)), (x * weight[:, None]).T @ y) / spread
    return found


@cache
def shipped() -> Floats:
    """Of the shipped artifact. Raises `ArtifactOfAnotherVersion` when it was made for other counts."""
    made = artifact.read(shipped_folder())
    if (theirs := made.features.get("surface")) != (ours := surface_version()):
        raise ArtifactOfAnotherVersion(str(made.path), "features.surface", theirs, ours)
    return np.asarray(made.array(ARRAY), dtype=np.float64)


@dataclass(frozen=True)
class Presumed:
    """What one table's outcomes are presumed to be, as weights (d, m) and a bias (m,) for its standardised counts."""

    slopes: Floats
    bias: Floats

    @classmethod
    def of(cls, weights: Floats, counts: Floats, spread: Floats, outcomes: Floats) -> Presumed:
        """`counts` (n, d): standardised by `spread` (d,) and a centre; `outcomes` (n, m), NaN = not run."""
        slope = weights * spread
        difficulty = counts @ slope
        size = float(difficulty.std())
        varies = np.array([float(np.nanstd(one)) if np.isfinite(one).any() else 0.0 for one in outcomes.T])
        if size < _SAME:
            return cls(np.zeros((len(slope), len(varies))), np.zeros(len(varies)))
        return cls(-STRENGTH / size * np.outer(slope, varies), STRENGTH / size * float(difficulty.mean()) * varies)

    def outcomes(self, counts: Floats) -> Floats:
        """(n, m) above or below each model's mean."""
        return np.asarray(counts @ self.slopes + self.bias)

    def added(self, fitted: Fitted, counts: Floats) -> Fitted:
        """A fit of what is left, with what was presumed; `counts`: of the rows that it held out."""
        held_out = None if fitted.held_out is None else fitted.held_out + self.outcomes(counts)
        return replace(fitted, weights={**fitted.weights, "surface": fitted.weights["surface"] + self.slopes}, bias=fitted.bias + self.bias, held_out=held_out)
