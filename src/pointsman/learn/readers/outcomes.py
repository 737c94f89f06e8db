"""Outcomes in rows: `{prompt, outcomes: {model: score}}`, or one row per answer, `{prompt, model, score}`."""

from __future__ import annotations

from pathlib import Path

from pointsman.errors import DataRefused
from pointsman.learn.readers.gathering import Gathering, score_of
from pointsman.learn.readers.lines import Line

MAPS = ("outcomes", "scores", "results")
SINGLE = ("score", "outcome", "quality", "correct", "is_correct", "rating")
"""What people call one answer's score."""


def read_maps(path: Path, lines: list[Line]) -> Gathering:
    """`outcomes` is an object: model -> number in [0, 1], true, false or null."""
    gathering = Gathering(path)
    for line in lines:
        found = next((line.row[name] for name in MAPS if name in line.row), None)
        if not isinstance(found, dict):
            raise DataRefused(str(path), f"{line.where} has no `outcomes`: an object with each model's score in [0, 1]")
        query = gathering.query(line)
        for model, value in found.items():
            gathering.models.setdefault(str(model))
            if (score := score_of(path, line.where, str(model), value)) is not None:
                gathering.outcome(query, str(model), score)
    return gathering


def read_single(path: Path, lines: list[Line]) -> Gathering:
    """One row per answer."""
    gathering = Gathering(path)
    for line in lines:
        model = line.row.get("model")
        name = next((name for name in SINGLE if name in line.row), None)
        if not isinstance(model, str) or name is None:
            raise DataRefused(str(path), f"{line.where} needs `model` and one of {', '.join(SINGLE[:4])}")
        if (score := score_of(path, line.where, model, line.row[name])) is not None:
            gathering.outcome(gathering.query(line), model, score)
    return gathering
