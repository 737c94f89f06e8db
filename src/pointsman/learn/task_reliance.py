"""What is different on one kind of work: how verifiers err there, what log-probabilities weigh, from where an answer is good enough.

Why do other kinds of work count, too? With forty answers of a kind a threshold is mostly chance. So the rest of the tier's answers stand beside
them, all together with the weight of `BORROWED`: a kind with few answers is told to be like the tier, one with many like itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from pointsman.classify.task import task_of_prompt
from pointsman.core.task import TASKS
from pointsman.core.verdict import Rates
from pointsman.learn.judged_answers import JudgedAnswers
from pointsman.learn.metrics import Floats
from pointsman.learn.reliance import FEWEST, rates_beyond, rates_of, scores_left_out, threshold_of, weights_of

BORROWED = 40.0
"""Answers of other kinds of work that count beside a kind's own."""


class TaskReliance(msgspec.Struct, frozen=True):
    """Of one tier, on one kind of work that the router can tell from a request."""

    tier: str
    task: str
    rows: int
    rates: Rates
    weights: dict[str, float]
    """Of `logprobs`; empty where no features were there."""
    accept_at: float


def kinds_of(answers: JudgedAnswers) -> tuple[str, ...]:
    """The kind of work of each query as the router would tell it: the row's own word where it is one of `TASKS`, else by the prompt; "" = nobody
    could."""
    return tuple(task if task in TASKS else task_of_prompt(prompt) if prompt else "" for task, prompt in zip(answers.task, answers.prompts, strict=True))


def borrowing(own: Floats) -> Floats:
    """How much each row weighs. `own`: 1 for rows of the kind itself, 0 for others."""
    others = len(own) - own.sum()
    return np.where(own > 0, 1.0, BORROWED / max(others, BORROWED))


def on_task(answers: JudgedAnswers, said: Floats, p: Floats | None, task: str, kinds: Sequence[str], place: int, gap: float,
            signals: Sequence[str] | None) -> TaskReliance | None:
    """`said`: (n, m) verifiers' scores; `gap`: what the next tier's price is worth in quality; `signals`: features to weigh, None = the scores
    stand as they are. None = too few answers of this kind, good or bad."""
    own = np.array([kind == task for kind in kinds], dtype=np.float64)
    quality, expected = answers.quality[:, place], None if p is None else p[:, place]
    if (mine := quality[own > 0]).sum() < FEWEST or (1 - mine).sum() < FEWEST:
        return None
    counts, score, weights = borrowing(own), said[:, place], None
    if signals is not None:
        features = [row[place] for row in answers.features]
        weights = weights_of(features, quality, signals, expected, counts)
        score = scores_left_out(features, quality, np.arange(len(quality)), signals, p=expected, counts=counts)
    rates = rates_of(score, quality, counts) if expected is None else rates_beyond(score, quality, expected, counts)
    if rates is None:
        return None
    accept = threshold_of(score, quality, answers.quality[:, place + 1], gap, counts)
    return TaskReliance(answers.tiers[place], task, int(own.sum()), rates, weights or {}, accept)
