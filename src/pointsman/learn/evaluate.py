"""How good are a classifier's scores, and what do they buy? Beside what anybody could do without them.

Two views. *Two models*, the cheapest and the reference: the ranking figures that the literature reports (APGR, CPT; see
`metrics`). *All models*: cost against quality, with the figures that an owner asks for (AIQ; what is saved while keeping 95,
99 and 100 % of the reference's quality). Every figure has a bootstrap interval over rows; all routers share the resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointsman.classify.heads.rehearsal import Rehearsal, together
from pointsman.learn.choosing import at_price, chosen
from pointsman.learn.frontier import Points, aiq, cost_of
from pointsman.learn.metrics import Curve, Floats, Interval, curve
from pointsman.learn.prices import Prices
from pointsman.learn.reliability import reliability
from pointsman.learn.table import OutcomeTable

DRAWS = 200
KEPT = (0.95, 0.99, 1.0)
"""Shares of the reference's quality at which savings are told."""
SETTINGS = 101
FEWEST = 20
"""Rows without which no figure is computed."""
TRIED = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0)
"""Settings of `quality` whose effect is shown."""


class Head(msgspec.Struct, frozen=True):
    """One model's scores."""

    model: str
    rows: int
    mean: float
    """Measured quality."""
    expected: float
    """What the scores expect on average."""
    auroc: float | None
    """Chance that a row it answered well has the higher score; None = it answered all alike."""
    brier: float
    ece: float
    ece_floor: float
    """What perfectly calibrated scores would show at as many rows."""


class Router(msgspec.Struct, frozen=True):
    """One way to choose."""

    name: str
    apgr: Interval | None = None
    cpt50: Interval | None = None
    cpt80: Interval | None = None
    aiq: Interval | None = None
    savings: tuple[Interval | None, ...] = ()
    """Share of the reference's cost that is saved at each of `KEPT`; None = that quality is never reached."""
    curve: tuple[tuple[float, float], ...] = ()
    """Points (cost as a share of the reference's, quality) for a plot."""


class Setting(msgspec.Struct, frozen=True):
    """What a value of `quality` in the configuration does on these rows."""

    quality: float
    kept: Interval
    """Share of the reference's measured quality."""
    cost: float
    """Share of the reference's cost."""
    shares: dict[str, float]
    """Model -> share of the rows."""


class Evaluation(msgspec.Struct, frozen=True):
    """The whole report."""

    rows: int
    """Rows on which routers are compared: those where the compared models were all run."""
    cheapest: str
    reference: str
    best_single: str
    prices: str
    heads: tuple[Head, ...]
    routers: tuple[Router, ...]
    settings: tuple[Setting, ...]
    margin_length: Interval | None
    """APGR of the scores less that of prompt length, paired."""
    foreign: float
    """Share of rows unlike anything that was labelled."""
    remarks: tuple[str, ...]


class Scores(msgspec.Struct, frozen=True):
    """What an artifact says of the rows of a table."""

    p: Floats
    lower: Floats
    foreign: NDArray[np.bool_]
    rehearsals: tuple[Rehearsal, ...] = ()
    """Of the artifact's stacks, columns as in `p`: what the policy goes by where there are any."""


def evaluate(table: OutcomeTable, scores: Scores, prices: Prices, *, reference: str | None = None, seed: int = 1, draws: int = DRAWS,
             others: Mapping[str, Floats] = {}) -> Evaluation:
    """The report of an artifact's scores on a table with the same models in the same order. `others`: expectations (n, m) of other
    routers for the same rows, by name."""
    order = prices.order()
    top = table.models.index(reference) if reference else order[-1]
    bottom = next(place for place in order if place != top) if len(order) > 1 else top
    heads = tuple(_head(table, scores, place, seed) for place in range(len(table.models)))
    ground = _Ground.of(table, scores, prices.usd, bottom, top, draws, seed, others)
    remarks = list(ground.remarks(table.models))
    routers: tuple[Router, ...] = ()
    margin: Interval | None = None
    settings: tuple[Setting, ...] = ()
    best = table.models[top]
    if ground.rows >= FEWEST and len(table.models) > 1:
        best = table.models[ground.best_single()]
        routers, margin = ground.routers(best)
        told = together(scores.rehearsals, order, top) if scores.rehearsals else None
        settings = tuple(_setting(table, ground, order, quality, told) for quality in TRIED)
    return Evaluation(ground.rows, table.models[bottom], table.models[top], best, prices.how, heads, routers, settings, margin,
                      float(scores.foreign.mean()) if len(table) else 0.0, tuple(remarks))


class _Ground:
    """The rows on which all routers compete, and the resamples that they share."""

    def __init__(self, quality: Floats, p: Floats, lower: Floats, foreign: NDArray[np.bool_], length: Floats, usd: Floats,
                 pair: tuple[int, int], draws: int, seed: int, others: Mapping[str, Floats]) -> None:
        self.quality, self.p, self.lower, self.foreign, self.length, self.usd = quality, p, lower, foreign, length, usd
        self.bottom, self.top = pair
        self.others = others
        self.rows = len(quality)
        rng = np.random.default_rng(seed)
        self.counts = [np.bincount(rng.integers(0, self.rows, self.rows), minlength=self.rows).astype(np.float64) for _ in range(draws if self.rows else 0)]

    @classmethod
    def of(cls, table: OutcomeTable, scores: Scores, usd: Floats, bottom: int, top: int, draws: int, seed: int, others: Mapping[str, Floats]) -> _Ground:
        rows = np.isfinite(table.quality).all(axis=1)
        places = list(range(len(table.models)))
        if rows.sum() < max(FEWEST, 0.3 * np.isfinite(table.quality[:, [bottom, top]]).all(axis=1).sum()):
            # Hardly a row on which all were run: the two ends of the ladder are compared.
            places = sorted({bottom, top})
            rows = np.isfinite(table.quality[:, places]).all(axis=1)
        length = np.array([len(prompt) for prompt in table.prompts], dtype=np.float64)
        pair = places.index(bottom), places.index(top)
        found = cls(table.quality[rows][:, places], scores.p[rows][:, places], scores.lower[rows][:, places], scores.foreign[rows],
                    length[rows], usd[places], pair, draws, seed, {name: p[rows][:, places] for name, p in others.items()})
        found.places = places
        return found

    places: Sequence[int] = ()
    """Of the models compared, in the table's order."""

    def remarks(self, models: Sequence[str]) -> list[str]:
        """What a reader must know before reading figures."""
        found = []
        if self.rows < FEWEST:
            return [f"only {self.rows} rows have an outcome of every compared model: no router is compared"]
        if len(self.places) < len(models):
            found.append("hardly any row has outcomes of all models: only the cheapest and the reference are compared")
        weak, strong = self.quality[:, self.bottom].mean(), self.quality[:, self.top].mean()
        if strong <= weak and self.bottom != self.top:
            found.append(f"{models[self.places[self.top]]} is no better here than {models[self.places[self.bottom]]} ({strong:.3f} against {weak:.3f}): "
                         "there is no gap to recover, so APGR and CPT do not exist; send everything to the better and cheaper one")
        best = self.best_single()
        if best != self.top and self.usd[best] < self.usd[self.top] and strong > weak:
            found.append(f"{models[self.places[best]]} alone is better than {models[self.places[self.top]]} and cheaper: compare with that row first")
        return found

    def best_single(self) -> int:
        """The model with the best mean quality; of equals the cheapest."""
        means = self.quality.mean(axis=0)
        return int(min(range(len(means)), key=lambda place: (-round(float(means[place]), 9), self.usd[place])))

    def routers(self, best: str) -> tuple[tuple[Router, ...], Interval | None]:
        """All rows of the table, and how far the scores are above prompt length."""
        ours = self.p[:, self.top] - self.p[:, self.bottom]
        constant = np.zeros(self.rows)
        rows = [
            self._router("random mixing", constant, self._pair_points(constant)),
            self._router("always cheapest", None, self._single(self.bottom)),
            self._router("always reference", None, self._single(self.top)),
            self._router(f"best single ({best})", None, self._single(self.best_single())),
            self._router("prompt length", self.length, self._pair_points(self.length)),
            *(self._router(name, p[:, self.top] - p[:, self.bottom], self._pair_points(p[:, self.top] - p[:, self.bottom])) for name, p in self.others.items()),
            self._router("ours, two models", ours, self._pair_points(ours)),
        ]
        if len(self.usd) > 2:
            rows.append(self._router("ours, all models", None, self._priced(self.p)))
        rows.append(self._router("oracle", self.quality[:, self.top] - self.quality[:, self.bottom], self._priced(self.quality)))
        return tuple(rows), self._margin(ours, self.length)

    def interval(self, figure: Callable[[Floats | None], float | None]) -> Interval | None:
        """A figure of the rows, and of every resample in which it exists."""
        value = figure(None)
        if value is None:
            return None
        drawn = [one for counts in self.counts if (one := figure(counts)) is not None]
        low, high = np.percentile(np.array(drawn or [value]), [2.5, 97.5])
        return Interval(value, float(low), float(high))

    def _router(self, name: str, score: Floats | None, points: Points) -> Router:
        figures: list[Interval | None] = [None, None, None]
        if score is not None:
            figures = self._ranking(score)
        low, high = float(self.usd.min()), float(self.usd.max())
        cost, quality = points.at()
        reference = float(self.usd[self.top])
        savings = tuple(self.interval(lambda counts, share=share: self._saved(points, share, counts)) for share in KEPT)  # type: ignore[misc]
        # One point is no curve: between the cheapest and the dearest it offers nothing.
        height = self.interval(lambda counts: aiq(*points.at(counts), low, high)) if len(cost) > 1 else None
        shown = np.argsort(cost, kind="stable")
        return Router(name, figures[0], figures[1], figures[2], height, savings,
                      tuple((round(float(cost[i]) / reference, 5), round(float(quality[i]), 5)) for i in shown))

    def _ranking(self, score: Floats) -> list[Interval | None]:
        weak, strong = self.quality[:, self.bottom], self.quality[:, self.top]
        if strong.mean() <= weak.mean():
            return [None, None, None]
        figures: tuple[Callable[[Curve], float], ...] = (lambda one: one.apgr, lambda one: one.cpt(0.5), lambda one: one.cpt(0.8))
        drawn = [[figure(curve(score, weak, strong, counts)) for figure in figures]
                 for counts in self.counts if float((counts * (strong - weak)).sum()) > 0]
        whole = curve(score, weak, strong)
        low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
        return [Interval(figure(whole), float(low[i]), float(high[i])) for i, figure in enumerate(figures)]

    def _margin(self, ours: Floats, other: Floats) -> Interval | None:
        weak, strong = self.quality[:, self.bottom], self.quality[:, self.top]
        if strong.mean() <= weak.mean():
            return None

        def gap(counts: Floats | None) -> float | None:
            if counts is not None and float((counts * (strong - weak)).sum()) <= 0:
                return None
            return curve(ours, weak, strong, counts).apgr - curve(other, weak, strong, counts).apgr

        return self.interval(gap)

    def _saved(self, points: Points, share: float, counts: Floats | None) -> float | None:
        """Against always the reference. Its quality is that of the same resample."""
        reference = self.quality[:, self.top]
        wanted = share * float(reference.mean() if counts is None else reference @ counts / counts.sum())
        cost = cost_of(wanted, *points.at(counts))
        return None if cost is None else 1 - cost / float(self.usd[self.top])

    def _single(self, place: int) -> Points:
        return self._points([np.full(self.rows, place, dtype=np.intp)])

    def _pair_points(self, score: Floats) -> Points:
        """From all to the cheaper to all to the reference, the highest scores first; equal scores are mixed by the hull."""
        cuts = np.unique(np.quantile(score, np.linspace(0, 1, SETTINGS), method="nearest"))
        choices = [np.where(score >= cut, self.top, self.bottom).astype(np.intp) for cut in cuts]
        return self._points([np.full(self.rows, self.bottom, dtype=np.intp), *choices])

    def _priced(self, quality: Floats) -> Points:
        """The best expectation for its price, for a hundred prices of quality; and the ends of the ladder."""
        spread = float(self.usd.max() - self.usd.min()) or 1.0
        choices = [at_price(quality, self.usd, float(worth)) for worth in spread * np.geomspace(0.05, 1000, SETTINGS - 3)]
        ends = [np.full(self.rows, place, dtype=np.intp) for place in (int(np.argmin(self.usd)), self.top, self.bottom)]
        return self._points([*ends, *choices])

    def _points(self, choices: Sequence[NDArray[np.intp]]) -> Points:
        rows = np.arange(self.rows)
        return Points(np.array([self.usd[choice] for choice in choices]), np.array([self.quality[rows, choice] for choice in choices]))


def _setting(table: OutcomeTable, ground: _Ground, order: Sequence[int], quality: float, allowances: tuple[float, ...] | None) -> Setting:
    places = list(ground.places)
    ladder = [places.index(place) for place in order if place in places]
    choice = chosen(ground.p, ground.lower, ladder, ground.top, quality, ground.foreign, allowances)
    got, best = ground.quality[np.arange(ground.rows), choice], ground.quality[:, ground.top]

    def kept(counts: Floats | None) -> float | None:
        weights = np.ones(ground.rows) if counts is None else counts
        return float(got @ weights / (best @ weights)) if best @ weights > 0 else None

    shares = {table.models[place]: round(float((choice == index).mean()), 4) for index, place in enumerate(places)}
    return Setting(quality, ground.interval(kept) or Interval(1.0, 1.0, 1.0), float(ground.usd[choice].mean() / ground.usd[ground.top]), shares)


def _head(table: OutcomeTable, scores: Scores, place: int, seed: int) -> Head:
    known = np.isfinite(table.quality[:, place])
    p, outcome = scores.p[known, place], table.quality[known, place]
    if not known.any():
        return Head(table.models[place], 0, float("nan"), float("nan"), None, float("nan"), float("nan"), float("nan"))
    said = reliability(p, outcome, seed)
    return Head(table.models[place], int(known.sum()), float(outcome.mean()), float(p.mean()), auroc(p, outcome),
                float(np.mean((p - outcome) ** 2)), said.ece, said.floor)


def auroc(score: Floats, outcome: Floats) -> float | None:
    """Area under the ROC curve of "better than a half"; equal scores count half. None = there is only one kind."""
    good = outcome > 0.5
    if not good.any() or good.all():
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = int(good.sum())
    return float((rank[good].sum() - positives * (positives + 1) / 2) / (positives * (len(good) - positives)))
