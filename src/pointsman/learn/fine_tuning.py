"""Labels as a set to fine-tune a model on: a head with a class per tier, or a judge that answers one digit.

The class of a prompt is the first rung, from the cheapest, whose answer was good enough; where none was, the last, as the classifier's
own labels have it. A row in which that hangs on a model that was not run is left out and counted. Each text is what serving would
show: the user's own words, cut as the stage `remote` cuts them; for a judge the very question that the stage `judge` puts.

Near-duplicates stay on one side of the split, or a model would be measured on what it was fitted to.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec

from pointsman.classify.judge import MOST_RUNGS, question
from pointsman.classify.subject import subject
from pointsman.core.excerpt import ends
from pointsman.core.request import ChatRequest, Kind, Message
from pointsman.core.settings import JudgeSettings, RemoteSettings
from pointsman.errors import DataRefused
from pointsman.learn import near_duplicate
from pointsman.learn.dataset import Dataset
from pointsman.learn.prices import prices_of
from pointsman.learn.table import OutcomeTable

Form = Literal["head", "judge"]


@dataclass(frozen=True)
class Wanted:
    """What the caller asks for."""

    form: Form = "head"
    ladder: tuple[str, ...] | None = None
    prices: str | None = None
    good_from: float = 0.5
    """An outcome from which an answer is good enough."""
    max_chars: int | None = None
    """None = what the stage shows by default."""
    held_out: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Written:
    """What came out."""

    rows: int
    ladder: tuple[str, ...]
    counts: dict[str, int]
    """Rows by class."""
    undecided: int
    """Rows left out: a model that decides was not run on them."""
    held_out: int
    order: str
    """How the order of the rungs is known."""


def write(dataset: Dataset, out: Path, wanted: Wanted) -> Written:
    """Writes JSON lines, whole or not at all. Raises DataRefused."""
    table = dataset.table
    order, how = _order(dataset, wanted)
    ladder = tuple(table.models[at] for at in order)
    if len(ladder) < 2:
        raise DataRefused(str(dataset.path), f"there is one class, {ladder[0]!r}: nothing to tell apart")
    if wanted.form == "judge" and len(ladder) > MOST_RUNGS:
        raise DataRefused(str(dataset.path), f"a judge says one digit and tells {MOST_RUNGS} rungs apart; there are {len(ladder)}")
    classes = [class_of([float(row[at]) for at in order], wanted.good_from) for row in table.quality]
    splits = _splits(table, wanted)
    rng = Random(wanted.seed)
    lines, counts, held_out = [], dict.fromkeys(ladder, 0), 0
    for prompt, place, split in zip(table.prompts, classes, splits, strict=True):
        if place is None:
            continue
        counts[ladder[place]] += 1
        held_out += split == "dev"
        lines.append(msgspec.json.encode(_row(prompt, place, ladder, split, wanted, rng)))
    if not lines:
        raise DataRefused(str(dataset.path), "no row says which rung is good enough")
    _put(out, b"\n".join(lines) + b"\n")
    return Written(len(lines), ladder, counts, len(classes) - len(lines), held_out, how)


def _order(dataset: Dataset, wanted: Wanted) -> tuple[list[int], str]:
    """Places of the models, cheapest first, and how that is known."""
    table = dataset.table
    if wanted.ladder or wanted.prices:
        return prices_of(table.models, table.quality, wanted.prices, wanted.ladder).order(), "as given"
    if dataset.shape == "tiers":
        return list(range(len(table.models))), "as the labels' names say"
    if dataset.shape == "categories":
        return list(range(len(table.models))), "though they are kinds and not sizes"
    prices = prices_of(table.models, table.quality)
    return prices.order(), prices.how


def class_of(row: list[float], good_from: float) -> int | None:
    """The first rung that is good enough; None = a model before it was not run, so that nobody knows. `row` in ladder order."""
    for place, value in enumerate(row):
        if isnan(value):
            return None
        if value >= good_from:
            return place
    return len(row) - 1


def _row(prompt: str, place: int, ladder: tuple[str, ...], split: str, wanted: Wanted, rng: Random) -> dict[str, Any]:
    about = subject(ChatRequest(Kind.CHAT, b"", "auto", (Message("user", prompt),)))
    text = about.data.decode("utf-8", "replace")
    if wanted.form == "head":
        return {"text": ends(text, wanted.max_chars or RemoteSettings().max_chars), "label": ladder[place], "label_id": place, "split": split}
    asked = msgspec.json.decode(question(text, len(ladder), "word", wanted.max_chars or JudgeSettings().max_chars, rng))
    return {"messages": [*asked["messages"], {"role": "assistant", "content": str(place + 1)}], "split": split}


def _splits(table: OutcomeTable, wanted: Wanted) -> list[str]:
    """The data's own, else groups drawn at random."""
    if table.split is not None:
        return table.split
    groups = table.group if table.group is not None else near_duplicate.groups(table.prompts)
    rng = Random(wanted.seed)
    names = sorted(set(groups))
    held = set(rng.sample(names, round(len(names) * wanted.held_out)))
    return ["dev" if group in held else "train" for group in groups]


def _put(out: Path, data: bytes) -> None:
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(out)
    except OSError as exc:
        raise DataRefused(str(out), f"it cannot be written: {exc.strerror or exc}") from exc
    finally:
        part.unlink(missing_ok=True)
