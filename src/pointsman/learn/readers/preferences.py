"""Pairwise preferences: two models answered, somebody said which answer was better.

What does a preference say about being good enough? The winner's answer was, the loser's was not; a tie says that both
were, and "both bad" that neither was. So a cheap model that ties with a dear one counts as good enough, which is the
question a router asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pointsman.errors import DataRefused
from pointsman.learn.readers.gathering import Gathering
from pointsman.learn.readers.lines import Line

_FIRST = ("a", "model_a", "model a", "left", "1", "first", "model_1")
_SECOND = ("b", "model_b", "model b", "right", "2", "second", "model_2")
_BOTH = ("tie", "both", "draw", "equal", "both good", "tie (bothgood)", "c")
_NEITHER = ("both bad", "bothbad", "tie (bothbad)", "neither", "d")


def read(path: Path, lines: list[Line]) -> Gathering:
    """`{prompt, model_a, model_b, winner}`, `{prompt, chosen_model, rejected_model}`, or `winner_model_a/_b/_tie` as 0 and 1."""
    gathering = Gathering(path)
    for line in lines:
        one, other, (good_one, good_other) = _judged(path, line)
        query = gathering.query(line)
        gathering.outcome(query, one, good_one)
        gathering.outcome(query, other, good_other)
    return gathering


def _judged(path: Path, line: Line) -> tuple[str, str, tuple[float, float]]:
    row = line.row
    if isinstance(row.get("chosen_model"), str) and isinstance(row.get("rejected_model"), str):
        return row["chosen_model"], row["rejected_model"], (1.0, 0.0)
    one, other = row.get("model_a", row.get("model_1")), row.get("model_b", row.get("model_2"))
    if not isinstance(one, str) or not isinstance(other, str) or one == other:
        raise DataRefused(str(path), f"{line.where} needs two different models, `model_a` and `model_b`")
    return one, other, _verdict(path, line, one, other)


def _verdict(path: Path, line: Line, one: str, other: str) -> tuple[float, float]:
    said: Any = line.row.get("winner", line.row.get("preference"))
    if said is None:
        flags = [bool(line.row.get(name)) for name in ("winner_model_a", "winner_model_b", "winner_tie")]
        said = next((word for word, flag in zip(("a", "b", "tie"), flags, strict=True) if flag), None)
    word = str(said).strip().lower()
    if word in _FIRST or said == one:
        return 1.0, 0.0
    if word in _SECOND or said == other:
        return 0.0, 1.0
    if word in _BOTH:
        return 1.0, 1.0
    if word in _NEITHER:
        return 0.0, 0.0
    raise DataRefused(str(path), f"{line.where}: the winner is {str(said)[:40]!r}, which is neither a model of the row nor a, b, tie or both bad")
