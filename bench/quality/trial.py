"""One trial: every router learned from the same labels, and this is how good each was on the same rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from cells import GOLD, Trial
from opinion import curve_with_judge
from sources import Source

from pointsman.classify.heads.rehearsal import Rehearsal
from pointsman.learn.choosing import chosen
from pointsman.learn.metrics import Curve, Floats, curve
from pointsman.learn.reliability import reliability

OURS = ("ours, static", "ours, MiniLM")
WITH_JUDGE = "ours, MiniLM, simulated judge"
RIVALS = ("prompt length", "task table", "TF-IDF + ridge", "kNN")
PROMISED = (0.95, 0.9, 0.8)
"""Values of `quality` that are asked for."""
RULES = ("bounds", "rehearsed")
"""How a tier clears: by its lower bound, or by what the artifact was rehearsed to allow."""
ORDER = ("random", "published heuristic", *RIVALS, "MiniLM + ridge", *OURS, WITH_JUDGE, "oracle")
MOST_JUDGED = 20000
"""Rows that are judged at most."""
RESAMPLES = 60
ALWAYS = "always the labels' best"


@dataclass
class Result:
    """What one trial gave. `figures[router]`: (pairs, 3) APGR, CPT50, CPT80. `beats[ours][rival]`: (pairs, 2) difference in
    APGR and its standard error over resampled items."""

    source: str
    labels: int
    draw: int
    rows: int
    figures: dict[str, Any] = field(default_factory=dict)
    beats: dict[str, dict[str, Any]] = field(default_factory=dict)
    calibration: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    best_single: dict[str, Any] = field(default_factory=dict)
    """`router -> (pairs, 2)`: sending each query to the model expected to be better, less always the better one, and its standard error.
    `always the labels' best` is the model with the better mean on the labels: what it loses, no router that believes its labels can avoid."""
    best_rehearsed: Any = None
    """As `best_single`, of the static stack: the model with the best mean of the labels, unless the other was rehearsed to gain."""
    promise: dict[str, Any] = field(default_factory=dict)
    """`rule -> (pairs, len(PROMISED), 3)`: share to the large model, quality kept as a share of its quality, and how far that is above
    what was promised in standard errors."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each part's scores took."""
    curves: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def drawn(source: Source, trial: Trial) -> tuple[Any, Any]:
    """Rows to learn from and rows that are judged."""
    learn, judged = source.gold_draw() if trial.draw == GOLD else source.draw(trial.labels, trial.draw)
    if len(judged) > MOST_JUDGED:
        judged = np.sort(np.random.default_rng(max(0, trial.draw)).choice(judged, MOST_JUDGED, replace=False))
    return learn, judged


def measured(source: Source, trial: Trial, said: Mapping[str, Any]) -> Result:
    """Figures of all routers that said something (`routers.Said`, of one part or both)."""
    learn, judged = drawn(source, trial)
    truth, quality = source.quality[judged], source.quality[learn]
    result = Result(*trial, len(judged))
    ours = {name: _ours(said, name) for name in OURS if name in said}
    for name, one in ours.items():
        result.calibration[name] = [_calibration(one.p[:, at], truth[:, at]) for at in range(len(source.models))]
    _measure(result, source, truth, quality, {"random": np.zeros(len(judged)), **{name: one for name, one in said.items() if "|" not in name}})
    if (static := ours.get(OURS[0])) is not None:  # it decides most requests
        result.promise = {rule: np.array([_promise(static, truth, pair, static.rehearsal if rule == "rehearsed" else None) for pair in source.pairs])
                          for rule in RULES}
        result.best_rehearsed = np.array([_rehearsed_best(static, quality, truth, pair, static.rehearsal) for pair in source.pairs])
    return result


def _ours(said: Mapping[str, Any], name: str) -> Any:
    return SimpleNamespace(p=np.asarray(said[name], dtype=np.float64), lower=np.asarray(said[f"{name}|lower"], dtype=np.float64),
                           is_foreign=said[f"{name}|foreign"], rehearsal=Rehearsal(said[f"{name}|rehearsal"]))


def _rehearsed_best(said: Any, learned: Any, truth: Any, pair: tuple[int, int], rehearsal: Rehearsal) -> tuple[float, float]:
    """`quality: 1` with the model whose labels are best on average as the reference: gain over the better one, and its standard error."""
    known = np.isfinite(truth[:, list(pair)]).all(axis=1)
    means = [float(np.nanmean(learned[:, at])) for at in pair]
    best, other = pair if means[0] > means[1] else pair[::-1]
    allowances = rehearsal.allowances((other, best), best)
    choice = np.full(int(known.sum()), best) if allowances is None else chosen(
        said.p[known], said.lower[known], (other, best), best, 1.0, said.is_foreign[known], allowances)
    rows = truth[known]
    gain = rows[np.arange(len(rows)), choice] - rows[:, pair[int(rows[:, pair[1]].mean() >= rows[:, pair[0]].mean())]]
    return float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))


def _promise(said: Any, truth: Any, pair: tuple[int, int], rehearsal: Rehearsal | None) -> list[tuple[float, float, float]]:
    """What each of `PROMISED` gives: by bounds where `rehearsal` is None."""
    known = np.isfinite(truth[:, list(pair)]).all(axis=1)
    large = truth[known, pair[1]]
    allowances = None if rehearsal is None else rehearsal.allowances(pair, pair[1])
    found = []
    for quality in PROMISED:
        choice = chosen(said.p[known], said.lower[known], pair, pair[1], quality, said.is_foreign[known], allowances)
        got = np.where(choice == pair[1], large, truth[known, pair[0]])
        above = got - quality * large
        found.append((float((choice == pair[1]).mean()), float(got.mean() / large.mean()),
                      float(above.mean() / max(1e-9, above.std() / np.sqrt(len(above))))))
    return found


def _measure(result: Result, source: Source, truth: Any, learned: Any, said: dict[str, Any]) -> None:
    figures: dict[str, list[list[float]]] = {}
    beats: dict[str, dict[str, list[tuple[float, float]]]] = {name: {} for name in OURS if name in said}
    best_single: dict[str, list[tuple[float, float]]] = {}
    for pair, (small, large) in enumerate(source.pairs):
        known = np.isfinite(truth[:, [small, large]]).all(axis=1)
        weak, strong = truth[known, small], truth[known, large]
        scores = {name: np.asarray(p if p.ndim == 1 else p[:, large] - p[:, small], dtype=np.float64)[known] for name, p in said.items()}
        scores["oracle"] = strong - weak
        found = {name: curve(score, weak, strong) for name, score in scores.items()}
        if (full := said.get(OURS[1])) is not None:
            found[WITH_JUDGE] = curve_with_judge(np.asarray(full[known, small], dtype=np.float64), np.asarray(full[known, large], dtype=np.float64),
                                                 weak, strong, seed=max(0, result.draw))
        for name, one in found.items():
            figures.setdefault(name, []).append([one.apgr, one.cpt(0.5), one.cpt(0.8)])
        if pair == 0:
            result.curves = {name: _shown(one) for name, one in found.items()}
        for name, against in beats.items():
            for rival in (one for one in RIVALS if one in scores):
                against.setdefault(rival, []).append(_paired(scores[name], scores[rival], weak, strong))
            best_single.setdefault(name, []).append(_beside_best(scores[name] > 0, weak, strong))
        labels_say = np.nanmean(learned[:, large]) > np.nanmean(learned[:, small])
        best_single.setdefault(ALWAYS, []).append(_beside_best(np.full(len(weak), labels_say), weak, strong))
    result.best_single = best_single
    result.figures = {name: np.array(one) for name, one in figures.items()}
    result.beats = {name: {rival: np.array(one) for rival, one in against.items()} for name, against in beats.items()}


def _shown(one: Curve) -> tuple[Any, Any]:
    grid = np.linspace(0, 1, 51)
    return grid, np.interp(grid, one.share, one.pgr)


def _beside_best(goes_up: Any, weak: Floats, strong: Floats) -> tuple[float, float]:
    """Of a choice for each query: quality less that of the better model, and its standard error."""
    away = np.where(goes_up, strong, weak) - (strong if strong.mean() >= weak.mean() else weak)
    return float(away.mean()), float(away.std() / np.sqrt(len(away)))


def _paired(first: Floats, second: Floats, weak: Floats, strong: Floats) -> tuple[float, float]:
    """Difference of APGR and its standard error over resampled items, both routers on the same resample."""
    rng = np.random.default_rng(7)
    away = curve(first, weak, strong).apgr - curve(second, weak, strong).apgr
    drawn = []
    for _ in range(RESAMPLES):
        counts = np.bincount(rng.integers(0, len(weak), len(weak)), minlength=len(weak)).astype(float)
        if float((counts * (strong - weak)).sum()) > 0:
            drawn.append(curve(first, weak, strong, counts).apgr - curve(second, weak, strong, counts).apgr)
    if len(drawn) < 10:
        return away, float("inf")
    # Half the width between quantiles and not a deviation: where the gap is nearly nothing, some resamples explode.
    low, high = np.percentile(drawn, [16, 84])
    return away, float(high - low) / 2


def _calibration(p: Floats, outcome: Floats) -> tuple[float, float]:
    known = np.isfinite(outcome)
    found = reliability(p[known], outcome[known], draws=50)
    return found.ece, found.floor
