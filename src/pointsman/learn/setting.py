"""The value of `quality` in the configuration that reaches a goal: a quality to keep, a share of calls, or a budget.

`quality` is what is to be kept of the reference's quality in the mean. What a value really keeps and costs on labelled rows is
tried for every one, with the rule that serves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointsman.classify.heads.rehearsal import together
from pointsman.learn.choosing import chosen
from pointsman.learn.metrics import Floats, Interval
from pointsman.learn.scores import Scores
from pointsman.learn.table import OutcomeTable

FEWEST = 20
"""Rows with an outcome of every model below which nothing is said."""
GRID_OF_QUALITY: tuple[float, ...] = tuple(round(0.005 * step, 3) for step in range(201))
"""Settings that are tried."""
DRAWS = 200


class Found(msgspec.Struct, frozen=True):
    """A setting, and what it does."""

    quality: float
    interval: tuple[float, float]
    """Where the setting lies in 95 % of resamples."""
    is_reached: bool
    """False: no setting reaches the goal; this one comes nearest."""
    kept: Interval
    """Share of the reference's measured quality."""
    cost: Interval
    """Mean price of a request, in the unit of the prices."""
    reference_share: Interval
    """Share of requests that go to the reference."""
    shares: dict[str, float]


def setting(table: OutcomeTable, scores: Scores, usd: Floats, order: Sequence[int], reference: int, *, quality: float | None = None,
            share: float | None = None, budget: float | None = None, seed: int = 0, draws: int = DRAWS) -> Found | None:
    """The value of `quality` that keeps `quality` of the reference at the least cost, sends `share` of requests to the reference,
    or spends `budget` a request. None = too few rows have outcomes of all models."""
    rows = np.isfinite(table.quality).all(axis=1)
    if int(rows.sum()) < FEWEST:
        return None
    allowances = together(scores.rehearsals, order, reference) if scores.rehearsals else None
    tried = _Tried(table.quality[rows], scores.p[rows], scores.lower[rows], scores.foreign[rows], usd, order, reference, allowances)
    rng = np.random.default_rng(seed)
    counts = [np.bincount(rng.integers(0, tried.rows, tried.rows), minlength=tried.rows).astype(np.float64) for _ in range(draws)]

    def best(one: Floats | None) -> tuple[int, bool]:
        if quality is not None:
            return _first(tried.kept(one) >= quality)
        return _last(tried.to_reference(one) <= share if share is not None else tried.cost(one) <= (budget or 0.0))

    at, is_reached = best(None)
    drawn = [GRID_OF_QUALITY[best(one)[0]] for one in counts]
    low, high = np.percentile(drawn, [2.5, 97.5])

    def interval(figure: Callable[[Floats | None], Floats]) -> Interval:
        values = [float(figure(one)[at]) for one in counts]
        return Interval(float(figure(None)[at]), float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5)))

    shares = {model: round(float((tried.choices[at] == place).mean()), 4) for place, model in enumerate(table.models)}
    return Found(GRID_OF_QUALITY[at], (round(float(low), 3), round(float(high), 3)), is_reached, interval(tried.kept), interval(tried.cost),
                 interval(tried.to_reference), shares)


class _Tried:
    """Every setting's choices on the rows, and what they come to."""

    def __init__(self, quality: Floats, p: Floats, lower: Floats, foreign: NDArray[np.bool_], usd: Floats, order: Sequence[int], reference: int,
                 allowances: tuple[float, ...] | None) -> None:
        self.rows = len(quality)
        self.choices = np.array([chosen(p, lower, order, reference, one, foreign, allowances) for one in GRID_OF_QUALITY])
        self._got = quality[np.arange(self.rows), self.choices]
        self._best = quality[:, reference]
        self._cost = usd[self.choices]
        self._up = (self.choices == reference).astype(np.float64)

    def kept(self, counts: Floats | None) -> Floats:
        """Of the reference's quality, per setting."""
        weights = np.ones(self.rows) if counts is None else counts
        return np.asarray(self._got @ weights / max(float(self._best @ weights), 1e-9))

    def cost(self, counts: Floats | None) -> Floats:
        weights = np.ones(self.rows) if counts is None else counts
        return np.asarray(self._cost @ weights / weights.sum())

    def to_reference(self, counts: Floats | None) -> Floats:
        weights = np.ones(self.rows) if counts is None else counts
        return np.asarray(self._up @ weights / weights.sum())


def _first(reached: NDArray[np.bool_]) -> tuple[int, bool]:
    """The lowest setting from which the goal is reached; the highest when none is."""
    return (int(np.argmax(reached)), True) if reached.any() else (len(reached) - 1, False)


def _last(within: NDArray[np.bool_]) -> tuple[int, bool]:
    """The highest setting that stays within; the lowest when none does."""
    return (len(within) - 1 - int(np.argmax(within[::-1])), True) if within.any() else (0, False)
