"""Ways to send queries beside each other: quality over cost over time, with intervals and paired gaps at equal cost.

Every way is swept over its setting (what the price is worth, or the threshold), each setting a point; between points one may mix, so
that a way offers the hull above them (`learn.frontier`). All ways share the resamples of rows, so their gaps are paired. Cost is a
share of what always the reference costs. Several sources weigh the same, whatever their size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from pointsman.learn.cascade import Cascade, Ways
from pointsman.learn.frontier import Points, aiq, cost_of, hull
from pointsman.learn.metrics import Floats, Interval

WEIGHTS: tuple[float, ...] = (0.0, *(round(float(one), 4) for one in np.geomspace(0.01, 3.0, 33)), 1000.0)
"""What the dearest tier's price is worth in quality: from nothing to all. As fine as this, since between two settings a way is only a mix:
with a third of them a way that is as good as another was told to be worse."""
THRESHOLDS: tuple[float, ...] = (0.0, *(round(float(one), 4) for one in np.linspace(0.05, 0.95, 7)), 1.01)
KEPT = (0.95, 0.99, 1.0)
"""Shares of the reference's quality whose cost is told."""
SHARES = (0.5, 0.95, 0.99)
"""Of queries that are answered by then: the times that are told."""
COSTS = 12
"""Costs at which ways are compared."""
DRAWS = 200
ROUNDING = 1e-9

CHEAPEST, REFERENCE, MIXING = "always cheapest", "always largest", "random mixing"
ROUTING, THRESHOLD, BENEFIT, BOTH, ORACLE = "routing alone", "cascade, threshold", "cascade, benefit", "routing + cascade", "oracle"

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Arm:
    """One way at all its settings: arrays are (settings, rows)."""

    name: str
    settings: tuple[float, ...]
    cost: Floats
    """As a share of the reference's mean."""
    quality: Floats
    seconds: Floats
    asked: Floats
    """Tiers that were asked."""

    @property
    def points(self) -> Points:
        return Points(self.cost, self.quality)


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One setting of a way."""

    cost: float
    quality: float
    p50_s: float
    p95_s: float
    p99_s: float


class Standing(msgspec.Struct, frozen=True):
    """What a way comes to."""

    name: str
    area: Interval
    """Mean quality over all budgets between the cheapest and the reference."""
    cost_of: tuple[Interval | None, ...]
    """Share of the reference's cost at each of `KEPT`; None = that quality is never reached."""
    setting: float
    """The cheapest setting that keeps 95 %, else the best: where the next figures are taken."""
    quality: float
    cost: float
    climbs: float
    p50_s: Interval
    p95_s: Interval
    p99_s: Interval
    curve: tuple[Point, ...]
    """Every setting, by cost."""


class Gap(msgspec.Struct, frozen=True):
    """How far a way is above another at equal cost, paired."""

    name: str
    against: str
    mean: Interval
    """Over all budgets."""
    lowest: Interval
    """At the cost where it does worst."""
    lowest_at: float
    highest: Interval
    highest_at: float
    is_ever_worse: bool
    """At some cost its interval lies below nothing."""

    @property
    def verdict(self) -> str:
        """In words, by the mean over budgets."""
        return "better" if self.mean.low > 0 else "worse" if self.mean.high < 0 else "not to be told apart"


class Report(msgspec.Struct, frozen=True):
    """The whole comparison."""

    rows: int
    tiers: tuple[str, ...]
    standings: tuple[Standing, ...]
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...] = ()

    def gap(self, name: str, against: str) -> Gap:
        return next(one for one in self.gaps if (one.name, one.against) == (name, against))

    def standing(self, name: str) -> Standing:
        return next(one for one in self.standings if one.name == name)


def arms(cascade: Cascade, weights: Sequence[float] = WEIGHTS, thresholds: Sequence[float] = THRESHOLDS, progress: Progress | None = None) -> list[Arm]:
    """Every way of a ladder, swept. Plain thresholds are swept over every ladder that could be made of the rungs, too."""
    top = len(cascade.rungs.tiers) - 1
    share = 1 / float(cascade.rungs.usd[:, top].mean())
    ladders = cascade.ladders()
    said = _Said(progress, 2 * len(weights) + len(thresholds) * len(ladders))

    def swept(name: str, way: Callable[[float], Ways], settings: Sequence[float]) -> Arm:
        return _arm(name, settings, [said(way(one)) for one in settings], share)

    cheapest, largest = cascade.always(0), cascade.always(top)
    return [
        _arm(CHEAPEST, (0.0,), [cheapest], share), _arm(REFERENCE, (0.0,), [largest], share), _arm(MIXING, (0.0, 1.0), [cheapest, largest], share),
        _arm(ROUTING, weights, [cascade.routing(one) for one in weights], share),
        _arm(THRESHOLD, [one for _ in ladders for one in thresholds],
             [said(cascade.threshold(one, ladder)) for ladder in ladders for one in thresholds], share),
        swept(BENEFIT, cascade.benefit, weights), swept(BOTH, cascade.both, weights),
        _arm(ORACLE, weights, [cascade.oracle(one) for one in weights], share),
    ]


def served(cascade: Cascade, name: str, weights: Sequence[float] = WEIGHTS) -> Arm:
    """Routing + cascade alone, under another name: to be held beside itself with something changed."""
    share = 1 / float(cascade.rungs.usd[:, -1].mean())
    return _arm(name, weights, [cascade.both(one) for one in weights], share)


def gap_between(found: Sequence[Arm], name: str, against: str, sizes: Sequence[int] | None = None) -> Gap:
    """Of any two of `found`, among which the cheapest and the reference must be."""
    return _Ground(found, sizes).gap(name, against)


class _Said:
    def __init__(self, progress: Progress | None, steps: int) -> None:
        self._progress, self._steps, self._done = progress, steps, 0

    def __call__(self, ways: Ways) -> Ways:
        self._done += 1
        if self._progress is not None:
            self._progress("replaying", min(1.0, self._done / self._steps))
        return ways


def _arm(name: str, settings: Sequence[float], ways: Sequence[Ways], share: float) -> Arm:
    return Arm(name, tuple(settings), np.array([one.usd for one in ways]) * share, np.array([one.quality for one in ways]),
               np.array([one.seconds for one in ways]), np.array([one.asked.sum(axis=1) for one in ways], dtype=np.float64))


def joined(parts: Sequence[Sequence[Arm]]) -> list[Arm]:
    """The same ways of several sources, row after row."""
    return [Arm(same[0].name, same[0].settings, *(np.concatenate([getattr(one, field) for one in same], axis=1)
                                                  for field in ("cost", "quality", "seconds", "asked"))) for same in zip(*parts, strict=True)]


def report(found: Sequence[Arm], tiers: tuple[str, ...], sizes: Sequence[int] | None = None, *, seed: int = 1, draws: int = DRAWS,
           notes: tuple[str, ...] = ()) -> Report:
    """Beside each other. `sizes`: rows of each source, where there are several."""
    ground = _Ground(found, sizes, seed, draws)
    pairs = [(BOTH, ROUTING), (BOTH, THRESHOLD), (BENEFIT, ROUTING), (BENEFIT, THRESHOLD), (THRESHOLD, ROUTING), (ROUTING, MIXING)]
    return Report(ground.rows, tiers, tuple(ground.standing(arm) for arm in found), tuple(ground.gap(*pair) for pair in pairs), notes)


class _Ground:
    """The rows, their weights, and the resamples that all ways share."""

    def __init__(self, found: Sequence[Arm], sizes: Sequence[int] | None, seed: int = 1, draws: int = DRAWS) -> None:
        self._arms = {arm.name: arm for arm in found}
        self.rows = found[0].cost.shape[1]
        sizes = sizes or (self.rows,)
        rng = np.random.default_rng(seed)
        self.weight = np.concatenate([np.full(size, 1 / size) for size in sizes])
        resampled = [np.concatenate([np.bincount(rng.integers(0, size, size), minlength=size) / size for size in sizes]) for _ in range(draws)]
        self._counts = [self.weight, *resampled]
        cheap, dear = self._arms[CHEAPEST].points.at(self.weight)[0][0], 1.0
        self._low, self._high = float(min(cheap, dear)), float(max(cheap, dear))
        self._grid = np.linspace(self._low, self._high, COSTS + 1)[1:]
        self._at = {arm.name: [arm.points.at(one) for one in self._counts] for arm in found}

    def standing(self, arm: Arm) -> Standing:
        points, best = self._at[arm.name], self._at[REFERENCE]
        area = _interval([aiq(*one, self._low, self._high) for one in points])
        costs = tuple(_maybe([cost_of(share * float(reference[1][0]), *one) for one, reference in zip(points, best, strict=True)]) for share in KEPT)
        cost, quality = points[0]
        enough = np.flatnonzero(quality >= KEPT[0] * best[0][1][0] - 1e-12)
        at = int(min(enough, key=lambda one: cost[one])) if len(enough) else int(np.argmax(quality))
        p50, p95, p99 = (_interval(each) for each in _quantiles(arm.seconds[at], self._counts))
        order = np.argsort(cost, kind="stable")
        return Standing(arm.name, area, costs, arm.settings[at], float(quality[at]), float(cost[at]),
                        float(arm.asked[at] @ self.weight / self.weight.sum() - 1), p50, p95, p99,
                        tuple(self._point(arm, i, float(cost[i]), float(quality[i])) for i in order.tolist()))

    def _point(self, arm: Arm, at: int, cost: float, quality: float) -> Point:
        p50, p95, p99 = (each[0] for each in _quantiles(arm.seconds[at], self._counts[:1]))
        return Point(round(cost, 5), round(quality, 5), round(p50, 4), round(p95, 4), round(p99, 4))

    def gap(self, name: str, against: str) -> Gap:
        means, heights = [], []
        for ours, theirs in zip(self._at[name], self._at[against], strict=True):
            means.append(aiq(*ours, self._low, self._high) - aiq(*theirs, self._low, self._high))
            heights.append(np.interp(self._grid, *hull(*ours)) - np.interp(self._grid, *hull(*theirs)))
        each = [_interval([float(one[place]) for one in heights]) for place in range(COSTS)]
        low, high = min(range(COSTS), key=lambda place: each[place].value), max(range(COSTS), key=lambda place: each[place].value)
        return Gap(name, against, _interval(means), each[low], round(float(self._grid[low]), 3), each[high], round(float(self._grid[high]), 3),
                   any(one.high < -ROUNDING for one in each))


def _interval(drawn: Sequence[float]) -> Interval:
    """The first is of the rows themselves."""
    low, high = np.percentile(np.array(drawn), [2.5, 97.5])
    return Interval(float(drawn[0]), float(low), float(high))


def _maybe(drawn: Sequence[float | None]) -> Interval | None:
    known = [one for one in drawn if one is not None]
    return None if drawn[0] is None else _interval([drawn[0], *known])


def _quantiles(values: Floats, counts: Sequence[Floats]) -> list[list[float]]:
    """p50, p95 and p99, each for every resample of the rows."""
    order = np.argsort(values, kind="stable")
    ordered, last = values[order], len(values) - 1
    cumulative = [np.cumsum(one[order]) / one.sum() for one in counts]
    return [[float(ordered[min(last, int(np.searchsorted(one, share - 1e-12)))]) for one in cumulative] for share in SHARES]
