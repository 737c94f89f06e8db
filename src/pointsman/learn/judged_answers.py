"""Answers that somebody looked at, from a file: a row per query and tier, with its quality and what verifiers said.

    {"query": "17", "prompt": "...", "task": "sql", "tier": "small", "quality": 1, "verified": 0.83, "usd": 0.0002, "seconds": 0.8}

`quality` is your own truth, 0 to 1 (true and false will do). `verified` is the verifiers' score, null where they abstained; `features` the
figures of the log-probabilities (`mean`, `min`, `q10`, ...), as records keep them. `p`, `usd`, `seconds` and `task` may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from pointsman.errors import DataRefused
from pointsman.learn.prices import prices_of
from pointsman.learn.readers import lines
from pointsman.learn.readers.lines import Line
from pointsman.learn.table import Floats

TIER = ("tier", "model")
QUALITY = ("quality", "right", "score")
QUERY = ("query", "query_id", "prompt")


@dataclass(frozen=True)
class JudgedAnswers:
    """Queries that all tiers answered."""

    tiers: tuple[str, ...]
    """Cheapest first."""
    prompts: tuple[str, ...]
    """Of each query; "" where nobody told."""
    task: tuple[str, ...]
    quality: Floats
    """(n, m)"""
    score: Floats
    """(n, m) NaN = abstained, or nobody looked."""
    usd: Floats
    """(n, m) by their ratios, where prices are not told."""
    seconds: Floats
    p: Floats | None
    """(n, m) what the router expected; None = not told."""
    features: tuple[tuple[dict[str, float], ...], ...]
    """Of each query and tier; empty = none."""
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def has_features(self) -> bool:
        return any(each for row in self.features for each in row)


def is_judged(path: Path) -> bool:
    """The file's first row names a tier and what was said of its answer."""
    if path.is_dir() or path.suffix.lower() in (".parquet", ".pq", ".csv", ".tsv", ".db"):
        return False
    rows = lines.read(path)
    return bool(rows) and any(name in rows[0].row for name in TIER) and ("verified" in rows[0].row or "features" in rows[0].row)


def read(path: Path, *, ladder: Sequence[str] | None = None, prices: str | None = None) -> JudgedAnswers:
    """Queries that some tiers did not answer are left out. `ladder`: cheapest first; None = by price. Raises `DataRefused`."""
    found: dict[str, dict[str, Line]] = {}
    for line in lines.read(path):
        query, tier = str(_first(path, line, QUERY)), str(_first(path, line, TIER))
        found.setdefault(query, {})[tier] = line
    tiers = tuple(dict.fromkeys(tier for rows in found.values() for tier in rows))
    if ladder and (unknown := [tier for tier in ladder if tier not in tiers]):
        raise DataRefused("--ladder", f"{unknown[0]!r} has no answers here; there are {', '.join(tiers)}")
    tiers = tuple(ladder or tiers)
    whole = [rows for rows in found.values() if all(tier in rows for tier in tiers)]
    if len(tiers) < 2 or not whole:
        raise DataRefused(str(path), f"a cascade needs queries that at least two tiers answered; here are {len(tiers)} tiers and {len(whole)} such queries")
    notes = [] if len(whole) == len(found) else [f"{len(found) - len(whole):,} queries are left out: not all of {', '.join(tiers)} answered them"]
    quality = _column(path, whole, tiers, QUALITY, None)
    if not ((quality >= 0) & (quality <= 1)).all():
        raise DataRefused(str(path), "quality must be a number from 0 to 1, or true or false")
    usd = _column(path, whole, tiers, ("usd",), float("nan"))
    if prices or not np.isfinite(usd).all():
        known = prices_of(tiers, quality, prices, ladder)
        usd = np.broadcast_to(known.usd, quality.shape).copy()
        notes.append(f"prices: {known.how}")
    made = _Columns(path, whole, tiers, quality, usd, tuple(notes))
    return made.answers(range(len(tiers)) if ladder else [int(i) for i in np.argsort(usd.mean(axis=0), kind="stable")])


@dataclass(frozen=True)
class _Columns:
    path: Path
    whole: list[dict[str, Line]]
    tiers: tuple[str, ...]
    quality: Floats
    usd: Floats
    notes: tuple[str, ...]

    def answers(self, order: Sequence[int]) -> JudgedAnswers:
        tiers = tuple(self.tiers[i] for i in order)
        rows = [[row[tier].row for tier in tiers] for row in self.whole]
        notes = list(self.notes)
        seconds = _column(self.path, self.whole, tiers, ("seconds",), float("nan"))
        if not np.isfinite(seconds).all():
            seconds, notes = np.zeros_like(seconds), [*notes, "answers without `seconds`: times are not told"]
        p = _column(self.path, self.whole, tiers, ("p",), float("nan"))
        return JudgedAnswers(
            tiers, tuple(_text(row, "prompt") for row in rows), tuple(_text(row, "task") for row in rows), self.quality[:, list(order)],
            _column(self.path, self.whole, tiers, ("verified",), float("nan")), self.usd[:, list(order)], seconds,
            p if np.isfinite(p).all() else None, tuple(tuple(_features(each) for each in row) for row in rows), tuple(notes))


def _first(path: Path, line: Line, names: Sequence[str]) -> Any:
    for name in names:
        if line.row.get(name) is not None:
            return line.row[name]
    raise DataRefused(str(path), f"{line.where} has no {names[0]!r}")


def _column(path: Path, whole: Sequence[dict[str, Line]], tiers: Sequence[str], names: Sequence[str], default: float | None) -> Floats:
    found = np.empty((len(whole), len(tiers)))
    for at, row in enumerate(whole):
        for place, tier in enumerate(tiers):
            line = row[tier]
            value = next((line.row[name] for name in names if line.row.get(name) is not None), default)
            if not isinstance(value, int | float):
                raise DataRefused(str(path), f"{line.where}: {names[0]} is {value!r}, not a number")
            found[at, place] = float(value)
    return found


def _text(row: Sequence[dict[str, Any]], name: str) -> str:
    return next((str(each[name]) for each in row if each.get(name) is not None), "")


def _features(row: dict[str, Any]) -> dict[str, float]:
    """Names as records have them (`logprobs.mean`) or plain."""
    found = row.get("features")
    if not isinstance(found, dict):
        return {}
    return {str(name).removeprefix("logprobs."): float(value) for name, value in found.items()
            if isinstance(value, int | float) and isfinite(value)}
