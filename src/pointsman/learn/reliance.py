"""How far verifiers can be relied on, measured on own answers: error rates, weights of log-probabilities, thresholds.

All of it is what the configuration asks for: `misses` and `false_alarms` of a verifier, `weights` of `logprobs`, `accept_at` of a tier.
Scores and weights are made for even odds, as everywhere (`core.verdict`): good and bad answers weigh the same, however many there are.

Why beyond what the router expected? Both look at the same query, and a model is unsure where it is hard: added up as if they knew nothing
of each other, the same news counts twice, and answers are left that were as good as expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from pointsman.core.verdict import PASSES_FROM, Rates
from pointsman.learn.learners.platt import PULL
from pointsman.learn.metrics import Floats, Interval

FEWEST = 12
"""Answers of either kind, good and bad, below which nothing is measured."""
FOLDS = 5
DRAWS = 200
SIGNALS = ("mean", "min", "q10", "worst_window", "first")
"""Of the log-probabilities; those that every engine gives."""
_STEPS = 30


class Reliance(msgspec.Struct, frozen=True):
    """Of one tier's verifiers, on one task."""

    tier: str
    task: str
    """"" = all of them."""
    rows: int
    good: float
    """Share of its answers that are acceptable."""
    abstains: float
    """Share of answers of which nothing was said."""
    misses: Interval | None
    """Share of bad answers that pass; None = too few answers of either kind."""
    false_alarms: Interval | None
    auroc: float | None
    """Chance that a good answer has a higher score than a bad one."""
    accept_at: float | None
    """The score from which on, by threshold, an answer is best given; None = not known."""
    accept_between: tuple[float, float] | None = None
    """Where that lies in 95 % of resamples."""

    @property
    def is_useful(self) -> bool:
        """Surely better than a coin: of bad answers fewer pass than of good ones."""
        return self.misses is not None and self.false_alarms is not None and self.misses.high + self.false_alarms.high < 1


def rates_of(score: Floats, quality: Floats, weight: Floats | None = None) -> Rates | None:
    """Error rates at the score where a verdict turns; None = too few answers of either kind. Two made-up answers of each kind, one
    judged rightly and one wrongly, keep a short list from claiming that nothing is ever missed."""
    spoken = np.isfinite(score)
    weight = np.ones(len(score)) if weight is None else weight
    good, bad = (quality * weight)[spoken], ((1 - quality) * weight)[spoken]
    if good.sum() < FEWEST or bad.sum() < FEWEST:
        return None
    passes = score[spoken] >= PASSES_FROM
    return Rates(float((bad @ passes + 1) / (bad.sum() + 2)), float((good @ ~passes + 1) / (good.sum() + 2)))


def reliance(tier: str, task: str, score: Floats, quality: Floats, seed: int = 0, *, higher: Floats | None = None, gap: float = 0.0) -> Reliance:
    """Of answers with `quality` in [0, 1] and verifier scores (NaN = abstained). `higher`: what the next tier made of the same queries,
    at a price that is worth `gap` in quality: then a threshold is told, too."""
    spoken = np.isfinite(score)
    found = rates_of(score, quality)
    rng = np.random.default_rng(seed)
    resampled = [np.bincount(rng.integers(0, len(score), len(score)), minlength=len(score)).astype(np.float64) for _ in range(DRAWS)]
    drawn = [] if found is None else [one for counts in resampled if (one := rates_of(score, quality, counts)) is not None]
    misses = false_alarms = accept = between = None
    if found is not None and drawn:
        misses = _interval(found.misses, [one.misses for one in drawn])
        false_alarms = _interval(found.false_alarms, [one.false_alarms for one in drawn])
    if higher is not None and found is not None:
        accept = threshold_of(score, quality, higher, gap)
        each = [threshold_of(score, quality, higher, gap, counts) for counts in resampled[:50]]
        between = round(float(np.percentile(each, 2.5)), 3), round(float(np.percentile(each, 97.5)), 3)
    return Reliance(tier, task, len(score), round(float(quality.mean()), 4) if len(quality) else float("nan"), round(float(1 - spoken.mean()), 4),
                    misses, false_alarms, auroc(score[spoken], quality[spoken]), accept, between)


def threshold_of(score: Floats, quality: Floats, higher: Floats, gap: float, weight: Floats | None = None) -> float:
    """The score from which on giving the answer is worth more than the next tier's less its price, tried on the rows themselves.
    Abstentions are given. 0 = give all, above 1 = give none."""
    spoken = np.isfinite(score)
    weight = np.ones(len(score)) if weight is None else weight
    order = np.argsort(score[spoken], kind="stable")
    said = score[spoken][order]
    # Climbing from the k lowest scores gains so much; equal scores stand or fall together.
    gains = np.concatenate([[0.0], np.cumsum(((higher - gap - quality) * weight)[spoken][order])])
    cuts = np.flatnonzero(np.concatenate([[True], said[1:] > said[:-1], [True]]))
    best = int(cuts[np.argmax(gains[cuts])])
    if best == 0:
        return 0.0
    return 1.01 if best == len(said) else round(float((said[best - 1] + said[best]) / 2), 4)


def auroc(score: Floats, quality: Floats) -> float | None:
    """For quality in [0, 1]: each answer is so far good and so far bad. None = there is only one kind."""
    good, bad = quality, 1 - quality
    if good.sum() <= 0 or bad.sum() <= 0:
        return None
    _, place = np.unique(score, return_inverse=True)
    lower = np.bincount(place, weights=bad)
    below = np.cumsum(lower) - lower / 2
    return float(good @ below[place] / (good.sum() * bad.sum()))


def rates_beyond(score: Floats, quality: Floats, p: Floats, weight: Floats | None = None) -> Rates | None:
    """Error rates as evidence that comes on top of what the router expected, `p`: by how much a yes and a no really move the odds,
    pulled towards not at all by `PULL` answers. A verifier that repeats what the router knows is a coin. None = too few answers.

    From odds multiplied by a on a yes and by b on a no:  misses = (1 - b) / (a - b),  false alarms = b (a - 1) / (a - b).
    """
    spoken = np.isfinite(score)
    good = float(quality[spoken].sum())
    if good < FEWEST or spoken.sum() - good < FEWEST:
        return None
    weight = np.ones(len(score)) if weight is None else weight
    odds = _log_odds(p[spoken])
    passes = score[spoken] >= PASSES_FROM
    yes, no = (float(np.exp(_shift(odds[part], quality[spoken][part], weight[spoken][part]))) for part in (passes, ~passes))
    if yes <= 1 or no >= 1:
        return Rates(0.5, 0.5)
    return Rates((1 - no) / (yes - no), no * (yes - 1) / (yes - no))


def _log_odds(p: Floats) -> Floats:
    inside = np.clip(p, 0.01, 0.99)
    return np.asarray(np.log(inside / (1 - inside)))


def _shift(odds: Floats, quality: Floats, weight: Floats) -> float:
    """What must be added to log-odds so that outcomes are met on average, pulled towards nothing."""
    found = 0.0
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(odds + found)))
        found -= float(weight @ (p - quality) + PULL * 0.25 * found) / float(weight @ (p * (1 - p)) + PULL * 0.25)
    return found


def weights_of(features: Sequence[Mapping[str, float]], quality: Floats, names: Sequence[str] = SIGNALS, p: Floats | None = None,
               counts: Floats | None = None) -> dict[str, float] | None:
    """Weights of `logprobs`: a logistic score of those features, good and bad answers weighing the same, pulled towards saying
    nothing by as much as ten answers of each kind. `p`: what the router expected of each answer; then the score is what the features
    say on top of that. `counts`: how much each answer weighs. None = too few answers of either kind."""
    rows = _matrix(features, names)
    known = np.isfinite(rows).all(axis=1)
    rows, quality, p = rows[known], quality[known], None if p is None else p[known]
    if quality.sum() < FEWEST or (1 - quality).sum() < FEWEST:
        return None
    counts = np.ones(len(rows)) if counts is None else counts[known]
    good, bad, size = quality * counts, (1 - quality) * counts, float(counts.sum())
    centre, spread = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
    design = np.column_stack([np.ones(len(rows)), (rows - centre) / spread])
    if p is None:
        weight = size / 2 * (good / good.sum() + bad / bad.sum())
        target, before = (size / 2 * good / good.sum()) / np.maximum(weight, 1e-12), np.zeros(len(rows))
    else:
        weight, target, before = counts, quality, _log_odds(p)
    found = np.zeros(design.shape[1])
    pull = np.diag([1e-6 if p is None else PULL * 0.25, *([PULL * 0.25] * rows.shape[1])])
    for _ in range(_STEPS):
        said = 1 / (1 + np.exp(-np.clip(before + design @ found, -30, 30)))
        step = np.linalg.solve((design * (weight * said * (1 - said))[:, None]).T @ design + pull, design.T @ (weight * (said - target)) + pull @ found)
        found = found - np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-7:
            break
    slopes = found[1:] / spread
    return {"bias": round(float(found[0] - slopes @ centre), 5), **{name: round(float(one), 5) for name, one in zip(names, slopes, strict=True)}}


def scores_of(weights: Mapping[str, float], features: Sequence[Mapping[str, float]]) -> Floats:
    """What `logprobs` says with these weights; NaN where a feature is missing."""
    names = [name for name in weights if name != "bias"]
    odds = _matrix(features, names) @ np.array([weights[name] for name in names]) + weights.get("bias", 0.0)
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -40, 40))))


def scores_left_out(features: Sequence[Mapping[str, float]], quality: Floats, groups: NDArray[np.intp], names: Sequence[str] = SIGNALS,
                    seed: int = 0, p: Floats | None = None, counts: Floats | None = None) -> Floats:
    """Scores of every answer by weights that had not seen its group; NaN where there were too few answers to fit."""
    count = int(groups.max()) + 1 if len(groups) else 0
    fold = np.random.default_rng(seed).integers(0, FOLDS, count)[groups]
    found = np.full(len(quality), np.nan)
    for one in range(FOLDS):
        out = np.flatnonzero(fold == one)
        weights = weights_of([features[i] for i in np.flatnonzero(fold != one).tolist()], quality[fold != one], names,
                             None if p is None else p[fold != one], None if counts is None else counts[fold != one])
        if weights is not None and len(out):
            found[out] = scores_of(weights, [features[i] for i in out.tolist()])
    return found


def _matrix(features: Sequence[Mapping[str, float]], names: Sequence[str]) -> Floats:
    return np.array([[each.get(name, float("nan")) for name in names] for each in features], dtype=np.float64).reshape(len(features), len(names))


def _interval(value: float, drawn: Sequence[float]) -> Interval:
    return Interval(value, float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5)))
