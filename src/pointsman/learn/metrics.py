"""How good is a ranking of requests by "this one needs the larger model"? The usual figures, exactly.

With weak and strong quality per item and a score per item, send the highest scores to the strong model and let the
share c of such calls run from 0 to 1:

- PGR(c) = (quality(c) - weak) / (strong - weak): the share of the gap recovered (RouteLLM, arXiv 2406.18665, section 3).
- APGR = the area under PGR over c, by trapezoids: 0.5 is random mixing. (The paper's sum over ten points reads about
  0.05 higher on the same router; published tables were made with trapezoids, and so is this.)
- CPT(x) = the smallest c at which PGR reaches x, linear between points.

Items with equal scores are mixed at random, so that a constant scores exactly 0.5 and the order of rows plays no part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """PGR over the share of strong calls, both from 0 to 1."""

    share: Floats
    pgr: Floats

    @property
    def apgr(self) -> float:
        """Area under the curve."""
        return float(np.sum((self.pgr[1:] + self.pgr[:-1]) / 2 * np.diff(self.share)))

    def cpt(self, recovered: float) -> float:
        """Smallest share of strong calls with PGR >= `recovered`; 1.0 at most."""
        at = int(np.argmax(self.pgr >= recovered))
        if at == 0:
            return 0.0 if self.pgr[0] >= recovered else 1.0
        low, high = self.pgr[at - 1], self.pgr[at]
        return float(self.share[at - 1] + (recovered - low) / (high - low) * (self.share[at] - self.share[at - 1]))


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % percentile interval over resampled items."""

    value: float
    low: float
    high: float


def curve(scores: Floats, weak: Floats, strong: Floats, counts: Floats | None = None) -> Curve:
    """The curve of a score, higher = to the strong model. `counts`: how often each item is there (default once)."""
    order = np.argsort(-scores, kind="stable")
    counts = np.ones(len(scores)) if counts is None else counts
    mass, gain = counts[order], (counts * (strong - weak))[order]
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    share = np.append(0.0, np.cumsum(mass)[ends]) / mass.sum()
    return Curve(share, np.append(0.0, np.cumsum(gain)[ends]) / gain.sum())


def intervals(
    scores: Floats, weak: Floats, strong: Floats, figures: tuple[Callable[[Curve], float], ...], draws: int = 200, seed: int = 1
) -> tuple[Interval, ...]:
    """Each figure of the curve with its bootstrap interval. The same seed gives the same resamples for every router.

    Resamples in which the strong model is no better than the weak one have no gap to recover and are left out.
    """
    rng = np.random.default_rng(seed)
    size = len(scores)
    point = curve(scores, weak, strong)
    drawn = []
    for _ in range(draws):
        counts = np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64)
        if float((counts * (strong - weak)).sum()) > 0:
            one = curve(scores, weak, strong, counts)
            drawn.append([figure(one) for figure in figures])
    low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    return tuple(Interval(figure(point), float(low[i]), float(high[i])) for i, figure in enumerate(figures))
