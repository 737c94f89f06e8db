"""How far are differences between models believed? As far as rows that the fit had not seen bear them out.

Two things decide who answers a query better: who is better on average, which a hundred labels tell fairly well, and where the other
one is better all the same, which they often do not. What is taken for the second and is chance sends queries away from the better
model, and a router then loses to whoever simply used that one. So queries' differences from the average difference are drawn together:

    the difference of two models on a query  =  their average difference + share x (what was fitted - its average)

and `share` is what of such a difference surely comes true: for each pair of models the slope of measured on fitted differences,
on held-out rows, less two standard errors; of all pairs the middle one; never below `LEAST` nor above 1.

Why not drop a feature, or a model, instead? Drawing together keeps who ranks before whom by a difference, so a ranking loses nothing
where the labels were too few to prove it; only the point from which on the other model is thought the better one moves out.
Why does the average difference stand in the curves and not in the raw scores? Curves bend differences where scores are high or low.
A difference that is the same for all queries must not become one that depends on how hard they are.
Why are labels that name a tier left alone? Their last tier is good enough by definition, whatever the query: nothing is lost to it by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.learn.learners.platt import bent, curve

Floats: TypeAlias = NDArray[np.float64]

SURE = 2.0
"""Standard errors. On development sources with 100 labels, pairs of models: 17 of 162 trials chose worse than the model that was best on
the labels, by more than noise; with 1.0 15 of them did, with 1.64 8, with 2.0 5, which is what chance alone shows; 2.33 saves 2 more and
costs calibration. Mean APGR .648 throughout."""
LEAST = 0.05
"""Of a difference something is always kept: it ranks queries even where it is not believed."""
FEWEST = 30
"""Held-out rows with an outcome of every model below which nothing is drawn together: no slope is known then."""
MOST_PAIRS = 300
"""Pairs whose slopes are looked at; of more, as many, evenly spaced."""


@dataclass(frozen=True)
class Differences:
    """What is made of raw scores (n, m), and the curves that belong to what was made."""

    share: float
    centre: Floats
    """(m,) how far each model's raw scores lie from the mean over models, on average."""
    gaps: Floats
    """(m,) how far its measured quality does."""
    shape: Floats
    """The curve of the mean over models, on the grid of `classify.heads.calibration`."""

    def drawn(self, raw: Floats) -> Floats:
        """Raw scores with their differences drawn together, around nothing. What is unknown (NaN) of a row stays unknown."""
        level = raw - self.centre
        known = np.isfinite(level)
        mean = np.where(known, level, 0.0).sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
        return np.asarray(mean + self.share * (level - mean))

    def weights(self, weights: Mapping[str, Floats]) -> dict[str, Floats]:
        """Weights (d, m) by block that give drawn scores: the mean over models stays, the rest shrinks."""
        return {name: np.asarray((1 - self.share) * one.mean(axis=1, keepdims=True) + self.share * one) for name, one in weights.items()}

    def bias(self, bias: Floats) -> Floats:
        return np.asarray((1 - self.share) * bias.mean() + self.share * (bias - self.centre))

    def curves(self) -> Floats:
        """(knots, m) from drawn scores to probabilities: one shape, each model as much higher or lower as it was measured to be."""
        return bent(self.shape[:, None] + self.gaps)


def believed(raw: Floats, quality: Floats, weight: Floats, groups: NDArray[np.intp]) -> Differences | None:
    """Of held-out raw scores and what came (n, m; NaN = not run), rows' weights, and groups that are one piece of evidence each.
    None = as they are: all of them is borne out, or nothing can be told, or the better model was never the worse one, as where labels name tiers."""
    known = np.isfinite(raw).all(axis=1) & np.isfinite(quality).all(axis=1) & (weight > 0)
    if raw.shape[1] < 2 or int(known.sum()) < FEWEST:
        return None
    raw, quality, weight = raw[known], quality[known], weight[known]
    if (np.diff(quality[:, np.argsort(quality.mean(axis=0), kind="stable")], axis=1) >= 0).all():
        return None
    total = float(weight.sum())
    fitted, came = (one - one.mean(axis=1, keepdims=True) for one in (raw, quality))
    centre, gaps = weight @ fitted / total, weight @ came / total
    share = float(np.clip(np.median(_borne_out(fitted - centre, came - gaps, weight, groups[known])), LEAST, 1.0))
    if share >= 1.0:
        return None
    return Differences(share, centre, gaps, curve(raw.mean(axis=1), quality.mean(axis=1), weight * raw.shape[1]))


def _borne_out(fitted: Floats, came: Floats, weight: Floats, groups: NDArray[np.intp]) -> Floats:
    """Of each pair of models the slope of measured on fitted differences, less `SURE` standard errors."""
    first, second = np.triu_indices(fitted.shape[1], 1)
    if len(first) > MOST_PAIRS:
        looked = np.linspace(0, len(first) - 1, MOST_PAIRS).astype(np.intp)
        first, second = first[looked], second[looked]
    said, was = fitted[:, first] - fitted[:, second], came[:, first] - came[:, second]
    size = weight @ (said * said) + 1e-12
    slope = weight @ (said * was) / size
    # Rows of one group err together: their errors are added before they are squared.
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[0]] - 1))
    errors = np.add.reduceat((weight[:, None] * said * (was - slope * said))[order], starts, axis=0)
    return np.asarray(slope - SURE * np.sqrt((errors * errors).sum(axis=0)) / size)
