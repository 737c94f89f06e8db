"""Stage `heuristic`: how hard does this look, and how well would each rung do?

One number, the difficulty, is a weighted sum of `features`; P(acceptable) of a rung falls with the difficulty and
rises with the rung's place on the ladder:

    p(place, difficulty) = 1 / (1 + exp(difficulty - offset(place)))        place in [0, 1], offset rising

so scores are monotone in the ladder for any text. Weights and offsets come from `heuristic_table.json`, which
`pointsman.learn.heuristic_table` fits on public outcome data. They were not fitted on your traffic: the scores
say `calibrated: false`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from math import exp, log
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from pointsman.classify.features import NAMES, ORDER, Features
from pointsman.classify.kernel.build import found
from pointsman.classify.seen import Seen
from pointsman.core.decision import Refine, Scores, StageResult, TierScore
from pointsman.core.request import ChatRequest

if TYPE_CHECKING:
    from pointsman.classify.kernel import _kernel

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
        self._ladder, self._offsets = tuple(ladder), tuple(_offsets(self._table, len(ladder)))
        self._judge = _compiled(self._table, self._offsets) or self.judge

    def classify(self, request: ChatRequest, so_far: StageResult) -> StageResult:
        """Refine with a score per tier, or None."""
        seen = (Seen() if self._seen is None else self._seen).of(request)[1]
        if seen is None:
            return None
        script = seen.script
        p, reason = self._judge(seen.numbers, seen.tokens, None if script == "latin" else script)
        evidence = self._table.evidence
        return Refine(Scores({tier: TierScore(one, one, evidence) for tier, one in zip(self._ladder, p, strict=True)}, calibrated=False), reason)

    def difficulty(self, seen: Features) -> float:
        """In logits: higher is harder. 0 is where the first rung just clears 0.8 (see the table's provenance)."""
        return self._difficulty(seen.numbers)

    def judge(self, numbers: Sequence[float], tokens: int, script: str | None) -> tuple[tuple[float, ...], str]:
        """P(acceptable) of every rung, and why. The kernel's method of this name says the same; this one serves where there is none."""
        hard = self._difficulty(numbers)
        return tuple(1 / (1 + exp(hard - offset)) for offset in self._offsets), self._reason(numbers, tokens, script, hard)

    def _difficulty(self, numbers: Sequence[float]) -> float:
        weights = self._table.weights
        total = self._table.bias
        for name, at in _PLACES:
            if value := numbers[at]:
                total += weights.get(name, 0.0) * value
        return total

    def _reason(self, numbers: Sequence[float], tokens: int, script: str | None, hard: float) -> str:
        """`looks easy: a short question; about 9 tokens`: the direction, its strongest signs, the length."""
        offsets = self._offsets
        clear = hard + _CLEARS
        look = "easy" if clear <= offsets[0] else "hard" if clear > offsets[len(offsets) // 2] else "middling"
        weights, sign = self._table.weights, 1.0 if look == "easy" else -1.0
        parts = [(sign * weights[name] * value, name) for name, at in _PLACES
                 if (value := numbers[at]) and name != "length" and name in weights]
        parts.sort(key=itemgetter(0))
        signs = [_WORDS[name] for part, name in parts[:3] if part < -0.1]
        where = "" if script is None else f" ({script})"
        return f"looks {look}: {', '.join(signs) or 'nothing special'}; about {tokens} tokens{where}"


_PLACES = tuple((name, NAMES.index(name)) for name in ORDER)


def _compiled(table: Table, offsets: tuple[float, ...]) -> Callable[[Sequence[float], int, str | None], tuple[tuple[float, ...], str]] | None:
    """The kernel with this table in it; None where there is no kernel, or one of other features."""
    kernel = found().module
    if kernel is None or kernel.features != NAMES or not 1 <= len(offsets) <= kernel.MOST_PLACES:
        return None
    weights = table.weights
    made: _kernel.Heuristic = kernel.Heuristic(
        weights=tuple(float(weights.get(name, 0.0)) for name in NAMES), order=tuple(at for _, at in _PLACES),
        words=tuple(_WORDS[name] if name in weights and name != "length" else None for name in NAMES),
        offsets=offsets, bias=float(table.bias), clears=_CLEARS)
    return made.judge


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
