"""A figure on the rows, and on every resample of them: where it lies, and whether it is above another by more than chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pointsman.learn.metrics import Floats, Interval


class Sampled(NamedTuple):
    """A figure of the rows, and of every resample; NaN where it does not exist."""

    value: float
    drawn: Floats

    def above(self, other: Sampled) -> Sampled:
        """The difference, resample by resample; both must be of the same ones."""
        return Sampled(self.value - other.value, self.drawn - other.drawn)

    def interval(self) -> Interval:
        known = self.drawn[np.isfinite(self.drawn)]
        low, high = np.percentile(known if len(known) else np.array([self.value]), [2.5, 97.5])
        return Interval(self.value, float(low), float(high))

    def chance(self) -> float | None:
        """Twice the share of resamples on the rarer side of nothing (Efron and Tibshirani 1993, section 15.4: one is added)."""
        known = self.drawn[np.isfinite(self.drawn)]
        if not len(known):
            return None
        rarer = min(int((known <= 0).sum()), int((known >= 0).sum()))
        return min(1.0, 2 * (1 + rarer) / (1 + len(known)))
