"""Rows of any shape, one after the other, gathered into a table. What all shapes of rows have in common is here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np

from pointsman.errors import DataRefused
from pointsman.learn.readers.columns import PROMPT_NAMES
from pointsman.learn.readers.lines import Line
from pointsman.learn.readers.matrix import SPLITS
from pointsman.learn.table import OutcomeTable

_GROUPS = ("group", "session", "session_id", "conversation_id")
_TIMES = ("at", "timestamp", "created_at", "created")
_IDS = ("query_id", "id", "question_id")
_TASKS = ("task", "benchmark", "domain", "subject")
"""As in a matrix, but for `category`, which is a label in rows."""


@dataclass
class Query:
    """One prompt and what is known of the answers to it."""

    query_id: str
    prompt: str
    split: str = ""
    group: str = ""
    weight: float = nan
    at: float = nan
    task: str = ""
    outcomes: dict[str, list[float]] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)


class Gathering:
    """Collects outcomes by query. The same id (or, without ids, the same prompt) is the same query: outcomes are averaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queries: dict[str, Query] = {}
        self.models: dict[str, None] = {}
        self.merged = 0
        self.crossing = 0
        """Prompts that stand on both sides of the split: they are read as rows of `train`, and measure nothing."""

    def query(self, line: Line) -> Query:
        """The query of a line, known or new."""
        prompt = prompt_of(self.path, line)
        id_ = next((str(line.row[name]) for name in _IDS if line.row.get(name) is not None), None)
        # An id that returns with another prompt is no id of a query: an annotator's, a batch's.
        key = f"{id_}\0{prompt}" if id_ is not None else prompt
        if key in self.queries:
            self.merged += 1
            return self._again(self.queries[key], line)
        made = Query(id_ if id_ is not None else str(len(self.queries)), prompt)
        self._describe(made, line)
        self.queries[key] = made
        return made

    def contradicted(self) -> int:
        """Prompts with outcomes of one model that lie further apart than a half: somebody was wrong, or it was drawn by chance."""
        return sum(any(max(values) - min(values) > 0.5 for values in query.outcomes.values()) for query in self.queries.values())

    def outcome(self, query: Query, model: str, value: float) -> None:
        """`value` in [0, 1] for that model's answer."""
        self.models.setdefault(model)
        query.outcomes.setdefault(model, []).append(value)

    def table(self, models: Iterable[str] | None = None) -> OutcomeTable:
        """All of it. `models`: their order; by default the order in which they came."""
        names = tuple(self.models if models is None else models)
        rows = list(self.queries.values())
        quality = np.array([[_mean(row.outcomes.get(name)) for name in names] for row in rows]).reshape(len(rows), len(names))
        tokens = np.array([[row.tokens.get(name, nan) for name in names] for row in rows]).reshape(len(rows), len(names))
        weight, at = np.array([row.weight for row in rows]), np.array([row.at for row in rows])
        return OutcomeTable(
            query_id=[row.query_id for row in rows], prompts=[row.prompt for row in rows], models=names, quality=quality,
            split=[row.split for row in rows] if any(row.split for row in rows) else None,
            group=[row.group or f"row {index}" for index, row in enumerate(rows)] if any(row.group for row in rows) else None,
            weight=np.nan_to_num(weight, nan=1.0) / np.nan_to_num(weight, nan=1.0).mean() if np.isfinite(weight).any() else None,
            tokens=tokens if np.isfinite(tokens).any() else None,
            at=at if len(at) and np.isfinite(at).all() else None,
            task=[row.task for row in rows] if len({row.task for row in rows}) > 1 else None,
        )

    def _again(self, query: Query, line: Line) -> Query:
        """A prompt that is asked twice is of one split."""
        split = _split(line)
        if split != query.split and {split, query.split} == {"train", "dev"}:
            self.crossing += 1
            query.split = "train"
        return query

    def _describe(self, query: Query, line: Line) -> None:
        row = line.row
        query.split = _split(line)
        query.group = next((f"= {row[name]}" for name in _GROUPS if row.get(name) not in (None, "")), "")
        query.at = next((_seconds(row[name]) for name in _TIMES if row.get(name) is not None), nan)
        query.task = next((row[name] for name in _TASKS if isinstance(row.get(name), str)), "")
        weight = row.get("weight")
        if isinstance(weight, int | float) and not isinstance(weight, bool):
            if not isfinite(weight) or weight < 0:
                raise DataRefused(str(self.path), f"{line.where}: {weight!r} is no weight; they are finite and not negative")
            query.weight = float(weight)
        if isinstance(tokens := row.get("tokens"), dict):
            query.tokens = {str(model): float(count) for model, count in tokens.items()
                            if isinstance(count, int | float) and isfinite(count) and count >= 0}


def _split(line: Line) -> str:
    name = str(line.row.get("split") or "").strip()
    return SPLITS.get(name.lower(), name)


def prompt_of(path: Path, line: Line) -> str:
    """The prompt of a row: the last user message, or the text under one of the usual names."""
    messages = line.row.get("messages", line.row.get("conversation"))
    if isinstance(messages, list):
        for message in reversed(messages):
            if isinstance(message, dict) and message.get("role") in ("user", "human"):
                return _text(message.get("content"))
        raise DataRefused(str(path), f"{line.where}: its messages hold no user turn")
    for name in PROMPT_NAMES:
        value = line.row.get(name)
        if isinstance(value, str):
            extra = line.row.get("input") if name == "instruction" else None
            return f"{value}\n\n{extra}" if isinstance(extra, str) and extra else value
        if value is None and name in line.row:
            return ""
    raise DataRefused(str(path), f"{line.where} has no prompt: a text called {', '.join(PROMPT_NAMES[:4])}, or `messages`")


def score_of(path: Path, where: str, model: str, value: Any) -> float | None:
    """An outcome: a number in [0, 1], true or false. None = not run (null, NaN)."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise DataRefused(str(path), f"{where}: the outcome of {model!r} is {value[:40]!r}, not a number in [0, 1]") from None
    if isinstance(value, bool | int | float):
        number = float(value)
        if number != number:
            return None
        if 0 <= number <= 1:
            return number
        raise DataRefused(str(path), f"{where}: the outcome of {model!r} is {value:g}, outside [0, 1]")
    raise DataRefused(str(path), f"{where}: the outcome of {model!r} is {type(value).__name__}, not a number in [0, 1]")


def _text(content: Any) -> str:
    """Of a message: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None for part in content)
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def _seconds(value: Any) -> float:
    if isinstance(value, bool):
        return nan
    if isinstance(value, int | float):
        return float(value)
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return nan


def _mean(values: list[float] | None) -> float:
    return sum(values) / len(values) if values else nan
