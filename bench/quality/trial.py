"""One trial: every router fitted on the same labels, scored on the same rest."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sources import Source

from pointsman.artifact import Artifact
from pointsman.classify.features import read
from pointsman.classify.heads.rehearsal import ARRAY, Rehearsal
from pointsman.classify.heads.scorer import Stack
from pointsman.classify.published import published_tier
from pointsman.learn.baselines import Neighbours, TaskTable, VectorRidge, WordRidge
from pointsman.learn.choosing import chosen
from pointsman.learn.fit import Fit
from pointsman.learn.metrics import Floats, curve
from pointsman.learn.outcomes import as_request
from pointsman.learn.reliability import reliability
from pointsman.learn.table import OutcomeTable

OURS = ("ours, static", "ours, MiniLM")
RIVALS = ("prompt length", "task table", "TF-IDF + ridge", "kNN")
PROMISED = (0.95, 0.9, 0.8)
"""Values of `quality` that are asked for."""
RULES = ("bounds", "rehearsed")
"""How a tier clears: by its lower bound, or by what the artifact was rehearsed to allow."""
ORDER = ("random", "published heuristic", *RIVALS, "MiniLM + ridge", *OURS, "oracle")


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
    best_rehearsed: Any = None
    """As `best_single`, of the static stack: the model with the best mean of the labels, unless the other was rehearsed to gain."""
    promise: dict[str, Any] = field(default_factory=dict)
    """`rule -> (pairs, len(PROMISED), 3)`: share to the large model, quality kept as a share of its quality, and how far that is above
    what was promised in standard errors."""
    fit_s: float = 0.0
    curves: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def run(source: Source, learn: Any, judged: Any, labels: int, draw: int, *, resamples: int = 60, most: int = 20000) -> Result:
    """Fits and scores. `most`: rows that are judged at most."""
    if len(judged) > most:
        judged = np.sort(np.random.default_rng(draw).choice(judged, most, replace=False))
    quality = source.quality[learn]
    result = Result(source.name, labels, draw, len(judged))
    began = time.perf_counter()
    predicted, rehearsals = ours(source, learn, judged, seed=max(0, draw))
    result.fit_s = time.perf_counter() - began
    said: dict[str, Any] = {"random": np.zeros((len(judged), len(source.models)))}
    said["task table"] = TaskTable().fit(source.task[learn], quality).predict(source.task[judged])
    said["TF-IDF + ridge"] = WordRidge().fit([source.prompts[i] for i in learn], quality).predict([source.prompts[i] for i in judged])
    if source.sentence is not None:
        said["kNN"] = Neighbours().fit(source.sentence[learn], quality).predict(source.sentence[judged])
        said["MiniLM + ridge"] = VectorRidge().fit(source.sentence[learn], quality).predict(source.sentence[judged])
    else:
        said["kNN"] = Neighbours().fit(source.static[learn], quality).predict(source.static[judged])
    said.update({name: one.p for name, one in predicted.items()})
    truth = source.quality[judged]
    for name, one in predicted.items():
        result.calibration[name] = [_calibration(one.p[:, at], truth[:, at]) for at in range(len(source.models))]
    _measure(result, source, judged, said, resamples)
    static = OURS[0]  # it decides most requests
    result.promise = {rule: np.array([_promise(predicted[static], truth, pair, rehearsals[static] if rule == "rehearsed" else None)
                                      for pair in source.pairs]) for rule in RULES}
    result.best_rehearsed = np.array([_rehearsed_best(predicted[static], quality, truth, pair, rehearsals[static]) for pair in source.pairs])
    return result


def ours(source: Source, learn: Any, judged: Any, seed: int) -> tuple[dict[str, Any], dict[str, Rehearsal]]:
    """What both stacks of one artifact say, and their rehearsals, from vectors made once for the whole run."""
    table = OutcomeTable([str(i) for i in learn], [source.prompts[i] for i in learn], source.models, source.quality[learn],
                         group=[str(one) for one in source.group[learn]])
    sentence = None if source.sentence is None else source.sentence[learn]
    fit = Fit(table, [source.queries[i] for i in learn], source.static[learn], sentence, seed)
    draft = fit.draft({}, lambda stage, done: None)
    artifact = Artifact(draft.manifest, draft.arrays, "", Path())
    queries = [source.queries[i] for i in judged]
    found, rehearsals = {}, {}
    for name, stack in zip(OURS, ("static", "full"), strict=True):
        if stack in draft.manifest["stacks"]:
            vectors = None if stack == "static" or source.sentence is None else source.sentence[judged]
            found[name] = Stack(artifact, stack).predicted(fit.reader.read(queries, source.static[judged], vectors))
            rehearsals[name] = Rehearsal(draft.arrays[f"{stack}.{ARRAY}"])
    return found, rehearsals


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


def _measure(result: Result, source: Source, judged: Any, said: dict[str, Any], resamples: int) -> None:
    lengths = np.array([len(source.prompts[i]) for i in judged], dtype=float)
    heuristic = _published(source, judged)
    figures: dict[str, list[list[float]]] = {}
    beats: dict[str, dict[str, list[tuple[float, float]]]] = {name: {} for name in OURS if name in said}
    for pair, (small, large) in enumerate(source.pairs):
        known = np.isfinite(source.quality[judged][:, small]) & np.isfinite(source.quality[judged][:, large])
        weak, strong = source.quality[judged][known, small], source.quality[judged][known, large]
        scores = {name: (p[:, large] - p[:, small])[known] for name, p in said.items()}
        scores |= {"prompt length": lengths[known], "published heuristic": heuristic[known], "oracle": strong - weak}
        for name, score in scores.items():
            one = curve(score, weak, strong)
            figures.setdefault(name, []).append([one.apgr, one.cpt(0.5), one.cpt(0.8)])
            if pair == 0:
                grid = np.linspace(0, 1, 51)
                result.curves[name] = (grid, np.interp(grid, one.share, one.pgr))
        for name, against in beats.items():
            for rival in RIVALS:
                against.setdefault(rival, []).append(_paired(scores[name], scores[rival], weak, strong, resamples))
        best = max(float(weak.mean()), float(strong.mean()))
        for name in beats:
            chosen = np.where(scores[name] > 0, strong, weak)
            result.best_single.setdefault(name, []).append((float(chosen.mean()) - best, float((chosen - (strong if strong.mean() >= weak.mean() else weak)).std() / np.sqrt(len(weak)))))
    result.figures = {name: np.array(one) for name, one in figures.items()}
    result.beats = {name: {rival: np.array(one) for rival, one in against.items()} for name, against in beats.items()}


def _paired(first: Floats, second: Floats, weak: Floats, strong: Floats, resamples: int) -> tuple[float, float]:
    """Difference of APGR and its standard error over resampled items, both routers on the same resample."""
    rng = np.random.default_rng(7)
    away = curve(first, weak, strong).apgr - curve(second, weak, strong).apgr
    drawn = []
    for _ in range(resamples):
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


_PUBLISHED: dict[str, Any] = {}


def _published(source: Source, judged: Any) -> Any:
    if source.name not in _PUBLISHED:
        _PUBLISHED[source.name] = np.array([float(published_tier(as_request(prompt))[0]) for prompt in source.prompts])
    return _PUBLISHED[source.name][judged]


__all__ = ["ORDER", "OURS", "RIVALS", "Result", "ours", "read", "run"]
