"""How good are a classifier's scores, and what do they buy? Beside what anybody could do without them.

Two views. *Two models*, the cheapest and the reference: the ranking figures that the literature reports (APGR, CPT; see
`metrics`). *All models*: cost against quality, with the figures that an owner asks for (AIQ; what is saved while keeping 95,
99 and 100 % of the reference's quality). Every figure has a bootstrap interval over rows; all routers share the resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from pointsman.classify.heads.rehearsal import together
from pointsman.learn.choosing import chosen
from pointsman.learn.ground import FEWEST, LENGTH, STAGE, Ground, Margin, Router
from pointsman.learn.metrics import Floats, Interval
from pointsman.learn.prices import Prices
from pointsman.learn.reliability import reliability
from pointsman.learn.scores import Scores
from pointsman.learn.table import OutcomeTable

Progress: TypeAlias = Callable[[str, float], None]

DRAWS = 200
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
    margins: tuple[Margin, ...] = ()
    """Ours less each other way that ranks queries, paired."""


def evaluate(table: OutcomeTable, scores: Scores, prices: Prices, *, reference: str | None = None, seed: int = 1, draws: int = DRAWS,
             others: Mapping[str, Floats] = {}, progress: Progress | None = None) -> Evaluation:
    """The report of an artifact's scores on a table with the same models in the same order. `others`: expectations (n, m) of other
    routers for the same rows, by name."""
    said = progress or (lambda stage, done: None)
    order = prices.order()
    top = table.models.index(reference) if reference else order[-1]
    bottom = next(place for place in order if place != top) if len(order) > 1 else top
    heads = tuple(_head(table, scores, place, seed) for place in range(len(table.models)))
    ground = Ground.of(table, scores, prices.usd, bottom, top, draws, seed, others)
    remarks = list(ground.remarks(table.models))
    routers: tuple[Router, ...] = ()
    margins: tuple[Margin, ...] = ()
    settings: tuple[Setting, ...] = ()
    best = table.models[top]
    if ground.rows >= FEWEST and len(table.models) > 1:
        best = table.models[ground.best_single()]
        routers, margins = ground.routers(best, said)
        told = together(scores.rehearsals, order, top) if scores.rehearsals else None
        settings = tuple(_setting(table, ground, order, quality, told) for quality in TRIED)
    length = next((one.apgr for one in margins if one.router == LENGTH), None)
    said(STAGE, 1.0)
    return Evaluation(ground.rows, table.models[bottom], table.models[top], best, prices.how, heads, routers, settings, length,
                      float(scores.foreign.mean()) if len(table) else 0.0, tuple(remarks), margins)


def _setting(table: OutcomeTable, ground: Ground, order: Sequence[int], quality: float, allowances: tuple[float, ...] | None) -> Setting:
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
