"""Stage `heuristic`: how hard does this look, and how well would each rung do?

One number, the difficulty, is a weighted sum of `features`; P(acceptable) of a rung falls with the difficulty and
rises with the rung's place on the ladder:

    p(place, difficulty) = 1 / (1 + exp(difficulty - offset(place)))        place in [0, 1], offset rising

so scores are monotone in the ladder for any text. Weights and offsets come from `heuristic_table.json`, which
`pointsman.learn.heuristic_table` fits on public outcome data. They were not fitted on your traffic: the scores
say `calibrated: false`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from math import exp, log
from operator import itemgetter

import msgspec

from pointsman.classify.features import NAMES, Features
from pointsman.classify.seen import Seen
from pointsman.core.decision import Refine, Scores, StageResult, TierScore
from pointsman.core.request import ChatRequest

_WORDS = {
    "length": "length", "lines": "many lines", "numbers": "many numbers", "asks": "several questions", "code": "code",
    "code_task": "a coding task", "code_error": "an error to debug", "algorithm": "algorithms", "latex": "formulas",
    "maths": "mathematics", "proof": "a proof", "equation": "equations", "units": "physical quantities", "steps": "several steps",
    "analysis": "analysis", "thorough": "asks for depth", "constraints": "constraints", "puzzle": "a puzzle",
    "writing": "long writing", "expert": "expert terms", "question": "a short question", "daily": "an everyday matter",
    "greeting": "a greeting", "simple_task": "a simple task", "choices": "multiple choice", "turns": "a long conversation",
    "tools": "tools offered", "schema": "a JSON schema", "images": "images",
}

_CLEARS = log(0.8 / 0.2)
"""Margin in logits at which a rung reaches the default quality of 0.8: what "easy" and "hard" are about."""


class Table(msgspec.Struct, frozen=True):
    """What the fit left behind."""

    weights: dict[str, float]
    bias: float
    places: tuple[float, ...]
    """Places on the ladder, 0 = first rung, 1 = last, ascending."""
    offsets: tuple[float, ...]
    """One per place, ascending: the difficulty at which P(acceptable) is one half there."""
    evidence: int
    """Labelled rows behind the weights."""
    provenance: dict[str, str | float | dict[str, float]] = {}


@cache
def shipped_table() -> Table:
    """The table in the package."""
    table = msgspec.json.decode(files(__package__).joinpath("heuristic_table.json").read_bytes(), type=Table)
    if set(table.weights) - set(NAMES) or list(table.offsets) != sorted(table.offsets):
        raise ValueError("heuristic_table.json does not match this version's features; fit it again with `make learn`")
    return table


class Heuristic:
    """Scores every tier of its ladder; abstains when there is no user text to read."""

    name = "heuristic"

    def __init__(self, ladder: Sequence[str], table: Table | None = None, seen: Seen | None = None) -> None:
        """`seen` is shared with the other stages of its pipeline, so that nothing is read twice."""
        self._table = shipped_table() if table is None else table
        self._seen = seen
        self._rungs = tuple(zip(ladder, _offsets(self._table, len(ladder)), strict=True))

    def classify(self, request: ChatRequest, so_far: StageResult) -> StageResult:
        """Refine with a score per tier, or None."""
        seen = (Seen() if self._seen is None else self._seen).of(request)[1]
        if seen is None:
            return None
        hard = self.difficulty(seen)
        scores, evidence = {}, self._table.evidence
        for tier, offset in self._rungs:
            p = 1 / (1 + exp(hard - offset))
            scores[tier] = TierScore(p, p, evidence)
        return Refine(Scores(scores, calibrated=False), self._reason(seen, hard))

    def difficulty(self, seen: Features) -> float:
        """In logits: higher is harder. 0 is where the first rung just clears 0.8 (see the table's provenance)."""
        weights = self._table.weights
        total = self._table.bias
        for name, value in seen.values.items():
            total += weights.get(name, 0.0) * value
        return total

    def _reason(self, seen: Features, hard: float) -> str:
        """`looks easy: a short question; about 9 tokens`: the direction, its strongest signs, the length."""
        rungs = self._rungs
        clear = hard + _CLEARS
        look = "easy" if clear <= rungs[0][1] else "hard" if clear > rungs[len(rungs) // 2][1] else "middling"
        weights, sign = self._table.weights, 1.0 if look == "easy" else -1.0
        parts = [(sign * weights[name] * value, name) for name, value in seen.values.items()
                 if name != "length" and name in weights]
        if len(parts) > 1:
            parts.sort(key=_part)
        signs = [_WORDS[name] for part, name in parts[:3] if part < -0.1]
        script = "" if seen.script == "latin" else f" ({seen.script})"
        return f"looks {look}: {', '.join(signs) or 'nothing special'}; about {seen.tokens} tokens{script}"


_part = itemgetter(0)


def _offsets(table: Table, rungs: int) -> list[float]:
    """One offset per rung: the table's, interpolated at the rung's place. A lone rung stands at the top."""
    if rungs == 1:
        return [table.offsets[-1]]
    return [_interpolated(table, index / (rungs - 1)) for index in range(rungs)]


def _interpolated(table: Table, place: float) -> float:
    for index in range(1, len(table.places)):
        low, high = table.places[index - 1], table.places[index]
        if place <= high:
            share = (place - low) / (high - low)
            return table.offsets[index - 1] + share * (table.offsets[index] - table.offsets[index - 1])
    return table.offsets[-1]
