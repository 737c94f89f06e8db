"""`pointsman evaluate --cascade` and `calibrate --cascade` without the terminal: from a file to a comparison, or to settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np

from pointsman.artifact import read as read_artifact
from pointsman.core.verdict import Rates
from pointsman.errors import DataRefused
from pointsman.learn import judged_answers
from pointsman.learn.cascade import MAX_CLIMBS, Cascade
from pointsman.learn.cascade_report import Report, arms, report
from pointsman.learn.dataset import read_dataset
from pointsman.learn.judged_answers import JudgedAnswers
from pointsman.learn.left_out import left_out
from pointsman.learn.overlap import Overlap, by_task, overlaps_of
from pointsman.learn.prices import prices_of
from pointsman.learn.reliance import SIGNALS, Reliance, rates_beyond, rates_of, reliance, scores_left_out, weights_of
from pointsman.learn.rungs import Marks, Rungs, rungs_of, simulated
from pointsman.learn.scoring import score
from pointsman.learn.table import Floats
from pointsman.learn.task_reliance import TaskReliance, kinds_of, on_task

Progress: TypeAlias = Callable[[str, float], None]

FEWEST = 40
"""Queries below which nothing is compared."""


@dataclass(frozen=True)
class Wishes:
    """What the caller asks for beyond the data."""

    error: float | None = None
    """Of a simulated verifier; None = what was recorded."""
    ladder: Sequence[str] | None = None
    prices: str | None = None
    artifact: Path | None = None
    split: str | None = None
    shape: str | None = None
    most: int = 2000
    """Queries that are replayed; a larger file is sampled."""
    delay_weight: float = 0.0
    max_climbs: int = MAX_CLIMBS
    seed: int = 1


class Fitted(msgspec.Struct, frozen=True):
    """What the verifiers of a ladder can be relied on for, and the settings that say so."""

    tiers: tuple[str, ...]
    rows: int
    reliances: tuple[Reliance, ...]
    """Per tier over all tasks, then per tier and task."""
    weights: dict[str, dict[str, float]]
    """Tier -> weights of `logprobs`; empty where no features were there."""
    rates: dict[str, Rates]
    """Tier -> error rates to set: beyond what the router expected, where that is known."""
    notes: tuple[str, ...]
    on_tasks: tuple[TaskReliance, ...] = ()
    """What is different on kinds of work that the router can tell, as far as labels suffice."""
    overlaps: tuple[Overlap, ...] = ()
    """How far tiers succeed together, over all and on those kinds of work."""


def evaluated(path: Path, wishes: Wishes = Wishes(), progress: Progress | None = None) -> Report:
    """Every way to send these queries, beside each other. Raises `DataRefused`."""
    rungs, notes = ladder_of(path, wishes)
    if len(rungs) < FEWEST:
        raise DataRefused(str(path), f"{len(rungs)} queries have an answer of every tier; at least {FEWEST} are needed to compare anything")
    if len(rungs) > wishes.most:
        rows = np.sort(np.random.default_rng(wishes.seed).permutation(len(rungs))[: wishes.most])
        notes.append(f"{wishes.most:,} of {len(rungs):,} queries are replayed, drawn at random")
        rungs = rungs.take(rows)
    made = Cascade(rungs, delay_weight=wishes.delay_weight, max_climbs=wishes.max_climbs)
    return report(arms(made, progress=progress), rungs.tiers, seed=wishes.seed, notes=tuple(notes))


def ladder_of(path: Path, wishes: Wishes) -> tuple[Rungs, list[str]]:
    """The ladder with its verifiers' words, and what its owner should know."""
    if judged_answers.is_judged(path):
        answers = judged_answers.read(path, ladder=wishes.ladder, prices=wishes.prices)
        made, notes = _of_answers(answers, wishes)
    else:
        made, notes = _of_matrix(path, wishes)
        if wishes.error is None:
            raise DataRefused(str(path), "nothing tells what verifiers said of these answers: give --verifier-error, or rows with `verified` or `features`")
    if wishes.error is None:
        return made, notes
    notes.append(f"the verifier is simulated: it says the wrong thing in {wishes.error:.0%} of the cases, of good answers and of bad ones")
    return simulated(made, wishes.error, wishes.seed), notes


def _of_answers(answers: JudgedAnswers, wishes: Wishes) -> tuple[Rungs, list[str]]:
    notes = list(answers.notes)
    p, how = _expected(answers.prompts, answers.tiers, answers.quality, answers.p, wishes)
    notes.append(how)
    made = rungs_of(answers.tiers, answers.quality, answers.usd, seconds=answers.seconds, p=p, task=answers.task)
    if wishes.error is not None:
        return made, notes
    said = answers.score
    if not np.isfinite(said[:, :-1]).any() and answers.has_features:
        said = _by_features(answers, p)
        notes.append("verifier scores: log-probabilities, each answer weighed by weights that had not seen it")
    rates = _rates(answers, said, p)
    made = replace(made, overlaps=by_task(overlaps_of(answers.tiers, answers.quality, p, seed=wishes.seed)))
    notes += [f"too few judged answers of {tier}, good or bad: its answers are taken as they are" for tier in answers.tiers[:-1] if tier not in rates]
    return made.judged_with(said, rates), notes


def _rates(answers: JudgedAnswers, said: Floats, p: Floats | None) -> dict[str, Rates]:
    """Of every tier but the last; beyond what the router expected, where that is known."""
    found = {}
    for place, tier in enumerate(answers.tiers[:-1]):
        score, quality = said[:, place], answers.quality[:, place]
        rates = rates_of(score, quality) if p is None else rates_beyond(score, quality, p[:, place])
        if rates is not None:
            found[tier] = rates
    return found


def _by_features(answers: JudgedAnswers, p: Floats | None) -> Floats:
    groups = np.arange(len(answers))
    columns = [scores_left_out([row[place] for row in answers.features], answers.quality[:, place], groups, _signals(answers, place),
                               p=None if p is None else p[:, place])
               for place in range(len(answers.tiers))]
    return np.column_stack(columns)


def _signals(answers: JudgedAnswers, place: int) -> list[str]:
    """Those that nearly every answer has."""
    rows = [row[place] for row in answers.features]
    return [name for name in SIGNALS if sum(name in row for row in rows) >= 0.8 * len(rows)]


def _of_matrix(path: Path, wishes: Wishes) -> tuple[Rungs, list[str]]:
    dataset = read_dataset(path, wishes.shape, models=wishes.ladder, ladder=wishes.ladder)
    table, notes = dataset.table, list(dataset.notes)
    known: Marks = np.asarray(np.isfinite(table.quality).all(axis=1))
    if table.split is not None:
        wanted = wishes.split or ("dev" if "dev" in table.split else None)
        if wanted is not None:
            known &= np.array([one == wanted for one in table.split])
            notes.append(f"rows of split {wanted!r}")
    table = table.take(known)
    if not len(table):
        raise DataRefused(str(path), "no query has an outcome of every model; name the models of the ladder with --ladder small,large")
    prices = prices_of(table.models, table.quality, wishes.prices, wishes.ladder)
    order = prices.order()
    table = table.only([table.models[place] for place in order])
    p, how = _expected(table.prompts, table.models, table.quality, None, wishes)
    return rungs_of(table.models, table.quality, prices.usd[order], p=p), [*notes, f"prices: {prices.how}", how, "times are not told"]


def _expected(prompts: Sequence[str], tiers: Sequence[str], quality: Floats, p: Floats | None, wishes: Wishes) -> tuple[Floats | None, str]:
    """What a router expects, and where that comes from."""
    if wishes.artifact is not None:
        scored = score(read_artifact(wishes.artifact), list(prompts))
        if missing := [tier for tier in tiers if tier not in scored.models]:
            raise DataRefused("--artifact", f"it knows no {missing[0]!r}; it knows {', '.join(scored.models[:8])}")
        return scored.predicted.p[:, [scored.models.index(tier) for tier in tiers]], f"routing scores: the artifact's, with {scored.embedder} embeddings"
    if p is not None:
        return p, "routing scores: as recorded"
    if all(prompts) and len(prompts) >= FEWEST:
        return left_out(prompts, quality), "routing scores: a quick fit on these rows, each scored without its own; --artifact uses yours"
    return None, "routing scores: none, every tier is expected to do as on average (no prompts)"


def fitted(path: Path, wishes: Wishes = Wishes(), *, price_weight: float = 0.2, task: str | None = None) -> Fitted:
    """Error rates, weights and thresholds per tier, and per tier and task. Raises `DataRefused`."""
    if not judged_answers.is_judged(path):
        raise DataRefused(str(path), "to calibrate a cascade, rows must say what was made of answers: `tier`, `quality`, and `verified` or `features`")
    answers = judged_answers.read(path, ladder=wishes.ladder, prices=wishes.prices)
    if task is not None:
        answers = _only(path, answers, task)
    tiers, said = answers.tiers, answers.score
    p, how = _expected(answers.prompts, tiers, answers.quality, answers.p, wishes)
    weights: dict[str, dict[str, float]] = {}
    if answers.has_features:
        for place, tier in enumerate(tiers[:-1]):
            made = weights_of([row[place] for row in answers.features], answers.quality[:, place], _signals(answers, place),
                              None if p is None else p[:, place])
            if made is not None:
                weights[tier] = made
        if not np.isfinite(said[:, :-1]).any():
            said = _by_features(answers, p)
    rates = _rates(answers, said, p)
    kinds = kinds_of(answers)
    share = answers.usd / np.maximum(answers.usd.mean(axis=0).max(), 1e-30)
    reliances = []
    for name in ("", *sorted(set(answers.task) - {""})):
        rows = np.array([not name or one == name for one in answers.task])
        for place, tier in enumerate(tiers[:-1]):
            gap = price_weight * float(share[rows, place + 1].mean())
            reliances.append(reliance(tier, name, said[rows, place], answers.quality[rows, place], wishes.seed,
                                      higher=answers.quality[rows, place + 1], gap=gap))
    graded = answers.has_features and not np.isfinite(answers.score[:, :-1]).any()
    tasks = [found for kind in sorted(set(kinds) - {""}) for place in range(len(tiers) - 1) if (found := on_task(
        answers, said, p, kind, kinds, place, price_weight * float(share[[one == kind for one in kinds], place + 1].mean()),
        _signals(answers, place) if graded else None)) is not None] if len(set(kinds)) > 1 else []
    return Fitted(tiers, len(answers), tuple(reliances), weights, rates, (*answers.notes, how), tuple(tasks),
                  tuple(overlaps_of(tiers, answers.quality, p, kinds if len(set(kinds)) > 1 else (), wishes.seed)))


def _only(path: Path, answers: JudgedAnswers, task: str) -> JudgedAnswers:
    rows = [row for row, one in enumerate(answers.task) if one == task]
    if not rows:
        raise DataRefused(str(path), f"no query belongs to task {task!r}; there are {', '.join(sorted(set(answers.task))) or 'none'}")
    return replace(answers, prompts=tuple(answers.prompts[i] for i in rows), task=tuple(answers.task[i] for i in rows), quality=answers.quality[rows],
                   score=answers.score[rows], usd=answers.usd[rows], seconds=answers.seconds[rows], p=None if answers.p is None else answers.p[rows],
                   features=tuple(answers.features[i] for i in rows))
