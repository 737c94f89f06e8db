"""Held-out outcomes of three-tier families, with prices, a stated latency model and out-of-sample routing scores.

Routing scores: ridge regression on the shipped static vectors, fitted on the source's `train` rows (ZeroEval has none: five folds).
Quick and plain on purpose: what is compared is what happens after routing.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pointsman.learn.left_out import expected, left_out
from pointsman.learn.outcomes import FAMILIES, rows
from pointsman.learn.overlap import Overlap, overlaps_of
from pointsman.learn.rungs import Rungs, rungs_of

SOURCES = ("mmlu_pro", "reasoning_gym", "llmrouter", "routerbench", "zeroeval")
TIERS = ("small", "medium", "large")
MOST_TRAINED = 4000
MOST_MEASURED = 1500
"""Rows on which overlaps are measured."""
TOKENS = 250.0
"""Of an answer where nobody counted."""
FIRST_S, TOKENS_PER_S = 0.3, np.array([100.0, 60.0, 30.0])
"""The latency model: so long until the first token, so many tokens a second by tier."""


def family(data: Path, source: str, most: int, seed: int = 0) -> Rungs:
    """`most` held-out rows of a source over its three tiers, nobody looking at them yet."""
    outcomes = data / "outcomes"
    models = FAMILIES[source]
    table = [row for row in rows(outcomes / f"{source}.parquet") if all(_known(row[model]) for model in models) and not row.get("contaminated")]
    dev = [row for row in table if row["split"] == "dev"]
    train = [row for row in table if row["split"] == "train"]
    rng = np.random.default_rng(seed)
    dev = [dev[i] for i in sorted(rng.permutation(len(dev))[:most])]
    train = [train[i] for i in sorted(rng.permutation(len(train))[:MOST_TRAINED])]
    quality = _quality(dev, models)
    prompts = [row["prompt"] for row in dev]
    p = expected([row["prompt"] for row in train], _quality(train, models), prompts) if train else left_out(prompts, quality)
    usd, expected_usd, seconds = _bills(outcomes, source, models, dev)
    found = rungs_of(TIERS, quality, usd, seconds=seconds, p=p, task=(source,) * len(dev))
    return replace(found, expected_usd=expected_usd)


def measured(data: Path, source: str, seed: int = 0) -> list[Overlap]:
    """How far its tiers succeed together, on rows to train on; [] where there are none."""
    models = FAMILIES[source]
    train = [row for row in rows(data / "outcomes" / f"{source}.parquet")
             if row["split"] == "train" and all(_known(row[model]) for model in models) and not row.get("contaminated")]
    if not train:
        return []
    rng = np.random.default_rng(seed)
    train = [train[i] for i in sorted(rng.permutation(len(train))[:MOST_MEASURED])]
    quality = _quality(train, models)
    return overlaps_of(TIERS, quality, left_out([row["prompt"] for row in train], quality))


def _known(value: Any) -> bool:
    return value is not None and value == value


def _quality(table: list[dict[str, Any]], models: tuple[str, ...]) -> np.ndarray:
    return np.array([[float(row[model]) for model in models] for row in table])


def _bills(outcomes: Path, source: str, models: tuple[str, ...], table: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dollars per answer, dollars expected (mean answer length), seconds."""
    with (outcomes / "models.csv").open() as file:
        prices = {row["model"]: (float(row["usd_per_M_in"] or 0), float(row["usd_per_M_out"] or 0)) for row in csv.DictReader(file)}
    lengths = outcomes / f"{source}.len.parquet"
    chars: dict[str, dict[str, Any]] = {str(row["query_id"]): row for row in rows(lengths)} if lengths.exists() else {}
    tokens = np.array([[_tokens(chars.get(str(row["query_id"]), {}).get(model)) for model in models] for row in table])
    asked = np.array([[len(row["prompt"]) / 4] for row in table])
    into, out = np.array([prices[model][0] for model in models]) / 1e6, np.array([prices[model][1] for model in models]) / 1e6
    return asked * into + tokens * out, asked * into + tokens.mean(axis=0) * out, FIRST_S + tokens / TOKENS_PER_S


def _tokens(chars: Any) -> float:
    return float(chars) / 4 if _known(chars) else TOKENS
