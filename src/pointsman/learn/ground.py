"""Where ways to choose are compared: the rows on which all compared models were run, and resamples that all share.

Because they are shared, two ways can be told apart that single intervals cannot: of each resample the difference is taken, and a
difference whose interval leaves out nothing is more than chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointsman.learn.choosing import at_price
from pointsman.learn.frontier import Points, aiq, cost_of
from pointsman.learn.metrics import Floats, Interval, curve
from pointsman.learn.sampled import Sampled
from pointsman.learn.scores import Scores
from pointsman.learn.table import OutcomeTable

Progress: TypeAlias = Callable[[str, float], None]

KEPT = (0.95, 0.99, 1.0)
"""Shares of the reference's quality at which savings are told."""
SETTINGS = 101
FEWEST = 20
"""Rows without which no figure is computed."""
STAGE = "comparing"
RANDOM, LENGTH, ALL = "random mixing", "prompt length", ", all models"


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


class Margin(msgspec.Struct, frozen=True):
    """How far ours is above another way to choose, both on the same resamples."""

    router: str
    apgr: Interval | None
    """Between the two models; None = there is no gap between them."""
    aiq: Interval | None
    """Mean quality over all budgets: with all models, where there are more than two."""
    p_apgr: float | None = None
    """How often so great a distance, either way, would be chance (from the resamples, so never below 2 / (draws + 1))."""
    p_aiq: float | None = None


class _Drawn(NamedTuple):
    """A row of the table, and what of it others are compared with."""

    router: Router
    apgr: Sampled | None
    aiq: Sampled | None


class Ground:
    """The rows on which all routers compete, and the resamples that they share."""

    def __init__(self, quality: Floats, p: Floats, lower: Floats, foreign: NDArray[np.bool_], length: Floats, usd: Floats,
                 pair: tuple[int, int], draws: int, seed: int, others: Mapping[str, Floats]) -> None:
        self.quality, self.p, self.lower, self.foreign, self.length, self.usd = quality, p, lower, foreign, length, usd
        self.bottom, self.top = pair
        self.others = others
        self.rows = len(quality)
        rng = np.random.default_rng(seed)
        self.counts: Floats = np.zeros((draws if self.rows else 0, self.rows))
        for row in self.counts:
            row[:] = np.bincount(rng.integers(0, self.rows, self.rows), minlength=self.rows)

    @classmethod
    def of(cls, table: OutcomeTable, scores: Scores, usd: Floats, bottom: int, top: int, draws: int, seed: int, others: Mapping[str, Floats]) -> Ground:
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

    def routers(self, best: str, said: Progress) -> tuple[tuple[Router, ...], tuple[Margin, ...]]:
        """All rows of the table, and how far ours is above each other that ranks queries."""
        constant, has_more = np.zeros(self.rows), len(self.usd) > 2
        ours = self._pair("ours, two models", self.p[:, self.top] - self.p[:, self.bottom])
        mine = self._all("ours, all models", self.p) if has_more else ours
        random, length = self._pair(RANDOM, constant), self._pair(LENGTH, self.length)
        mixed = self._router(f"{RANDOM}{ALL}", self._points([np.full(self.rows, place, dtype=np.intp) for place in range(len(self.usd))])) if has_more else random
        found = [
            *([random, mixed] if has_more else [random]), self._router("always cheapest", self._single(self.bottom)),
            self._router("always reference", self._single(self.top)), self._router(f"best single ({best})", self._single(self.best_single())), length,
        ]
        margins = [self._margin(RANDOM, ours, random, mine, mixed), self._margin(LENGTH, ours, length, mine, None if has_more else length)]
        for place, (name, p) in enumerate(self.others.items()):
            said(STAGE, (place + 1) / (len(self.others) + 2))
            two = self._pair(name, p[:, self.top] - p[:, self.bottom])
            more = self._all(f"{name}{ALL}", p) if has_more else two
            found += [two, more] if has_more else [two]
            margins.append(self._margin(name, ours, two, mine, more))
        found += [ours, mine] if has_more else [ours]
        found.append(self._all("oracle", self.quality, self.quality[:, self.top] - self.quality[:, self.bottom]))
        return tuple(one.router for one in found), tuple(margins)

    def interval(self, figure: Callable[[Floats | None], float | None]) -> Interval | None:
        """A figure of the rows, and of every resample in which it exists."""
        value = figure(None)
        if value is None:
            return None
        drawn = [one for counts in self.counts if (one := figure(counts)) is not None]
        low, high = np.percentile(np.array(drawn or [value]), [2.5, 97.5])
        return Interval(value, float(low), float(high))

    def _pair(self, name: str, score: Floats) -> _Drawn:
        """Two models, the higher score to the dearer one."""
        return self._router(name, self._pair_points(score), score)

    def _all(self, name: str, quality: Floats, score: Floats | None = None) -> _Drawn:
        """Every model, by the best expectation for its price."""
        return self._router(name, self._priced(quality), score)

    def _router(self, name: str, points: Points, score: Floats | None = None) -> _Drawn:
        ranking = None if score is None else self._ranking(score)
        low, high = float(self.usd.min()), float(self.usd.max())
        (cost, quality), drawn = points.at(), points.drawn(self.counts)
        reference = float(self.usd[self.top])
        savings = tuple(self._savings(share, (cost, quality), drawn) for share in KEPT)
        # One point is no curve: between the cheapest and the dearest it offers nothing.
        heights = Sampled(aiq(cost, quality, low, high), np.array([aiq(*one, low, high) for one in drawn])) if len(cost) > 1 else None
        shown = np.argsort(cost, kind="stable")
        figures = (None, None, None) if ranking is None else tuple(one.interval() for one in ranking)
        router = Router(name, figures[0], figures[1], figures[2], None if heights is None else heights.interval(), savings,
                        tuple((round(float(cost[i]) / reference, 5), round(float(quality[i]), 5)) for i in shown))
        return _Drawn(router, None if ranking is None else ranking[0], heights)

    def _ranking(self, score: Floats) -> tuple[Sampled, Sampled, Sampled] | None:
        """APGR, CPT50 and CPT80; None = there is no gap to recover. Resamples without one are NaN."""
        weak, strong = self.quality[:, self.bottom], self.quality[:, self.top]
        if strong.mean() <= weak.mean():
            return None
        drawn = np.full((len(self.counts), 3), np.nan)
        for draw, counts in enumerate(self.counts):
            if float(counts @ (strong - weak)) > 0:
                one = curve(score, weak, strong, counts)
                drawn[draw] = one.apgr, one.cpt(0.5), one.cpt(0.8)
        whole = curve(score, weak, strong)
        return Sampled(whole.apgr, drawn[:, 0]), Sampled(whole.cpt(0.5), drawn[:, 1]), Sampled(whole.cpt(0.8), drawn[:, 2])

    def _margin(self, name: str, ours: _Drawn, other: _Drawn, mine: _Drawn, more: _Drawn | None) -> Margin:
        """With two models, and with all; `more` None = that one has no way to choose among all."""
        apgr = None if ours.apgr is None or other.apgr is None else ours.apgr.above(other.apgr)
        height = None if mine.aiq is None or more is None or more.aiq is None else mine.aiq.above(more.aiq)
        return Margin(name, apgr and apgr.interval(), height and height.interval(), apgr and apgr.chance(), height and height.chance())

    def _savings(self, share: float, whole: tuple[Floats, Floats], drawn: Sequence[tuple[Floats, Floats]]) -> Interval | None:
        """Against always the reference. Its quality is that of the same resample; resamples that never reach it say nothing."""
        best, dear = self.quality[:, self.top], float(self.usd[self.top])

        def saved(wanted: float, points: tuple[Floats, Floats]) -> float:
            cost = cost_of(wanted, *points)
            return float("nan") if cost is None else 1 - cost / dear

        value = saved(share * float(best.mean()), whole)
        if value != value:
            return None
        means = self.counts @ best / self.counts.sum(axis=1)
        return Sampled(value, np.array([saved(share * float(mean), points) for mean, points in zip(means, drawn, strict=True)])).interval()

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
