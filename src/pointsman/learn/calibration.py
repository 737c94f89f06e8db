"""`pointsman calibrate` without the terminal: read, score, fit the curves, find the setting, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np

from pointsman import artifact
from pointsman.artifact import Artifact
from pointsman.classify.heads.rehearsal import Rehearsal, array
from pointsman.errors import DataRefused
from pointsman.learn.calibrate import Calibrated, cross_fitted, recalibrated, report
from pointsman.learn.embedders import STATIC
from pointsman.learn.measured import Measured, measured, of_places
from pointsman.learn.metrics import Floats
from pointsman.learn.prices import Prices, prices_of
from pointsman.learn.scores import Scores
from pointsman.learn.scoring import score
from pointsman.learn.setting import Found, setting

Progress: TypeAlias = Callable[[str, float], None]


@dataclass(frozen=True)
class Goal:
    """What is to be reached, at most one of the first three; and what calls cost."""

    quality: float | None = None
    share: float | None = None
    budget: float | None = None
    ladder: Sequence[str] | None = None
    prices: str | None = None
    reference: str | None = None

    @property
    def is_set(self) -> bool:
        return self.quality is not None or self.share is not None or self.budget is not None


class Calibration(msgspec.Struct, frozen=True):
    """What came out."""

    rows: int
    models: tuple[Calibrated, ...]
    reference: str
    reference_price: float
    prices: str
    is_price_guessed: bool
    notes: tuple[str, ...]
    setting: Found | None
    written: str | None
    """The directory of the new artifact; None = nothing was written."""
    version: str
    """Of the new artifact, or of the old one when nothing was written."""


def calibration(place: Path | str, data: Path | str, goal: Goal, *, out: Path | str | None = None, shape: str | None = None, split: str | None = None,
                embedder: str = "auto", seed: int = 0, progress: Progress | None = None) -> Calibration:
    """Everything of the command. Raises `DataRefused`, `ArtifactRefused`, `ArtifactUnwritable`."""
    made = artifact.read(place)
    if out is not None:
        artifact.refuse_place(Path(out))
    found = measured(made, data, shape=shape, split=split, embedder=embedder, progress=progress)
    table, scores = found.table, found.scores
    prices = prices_of(table.models, table.quality, goal.prices, goal.ladder)
    if goal.budget is not None and prices.is_guess:
        raise DataRefused("--budget", "how much a request may cost can be told where it is known what it costs: add --prices small=0.0004,large=0.009")
    top = _reference(table.models, prices, goal)
    after = cross_fitted(table, scores.p, seed)
    # The bound keeps its distance: how sure one may be is another question than how high.
    rehearsed = (Rehearsal(array(after, table.quality, np.random.default_rng(seed))),) if scores.rehearsals else ()
    moved = Scores(after, (after - (scores.p - scores.lower)).clip(0.0, 1.0), scores.foreign, rehearsed)
    reached, notes = None, list(found.notes)
    if goal.is_set:
        # Without --out the artifact stays as it is, and the setting is for it.
        reached = setting(table, scores if out is None else moved, prices.usd, prices.order(), top, quality=goal.quality, share=goal.share,
                          budget=goal.budget, seed=seed)
        if reached is None:
            notes.append("too few rows have an outcome of every model: no setting can be told")
    written = None if out is None else artifact.write(recalibrated(made, table, _stacks(made, found, progress), found.places, seed), out)
    return Calibration(len(table), tuple(report(table, scores.p, after, seed)), table.models[top], float(prices.usd[top]), prices.how, prices.is_guess, tuple(notes), reached,
                       None if written is None else str(out), (written or made).version)


def _reference(models: Sequence[str], prices: Prices, goal: Goal) -> int:
    if goal.reference is None:
        return prices.order()[-1]
    if goal.reference not in models:
        raise DataRefused("--reference", f"{goal.reference!r} is no model of these rows; there are {', '.join(models[:8])}")
    return list(models).index(goal.reference)


def _stacks(made: Artifact, found: Measured, progress: Progress | None) -> dict[str, Floats]:
    """The scores of each stack that can be scored here."""
    scored = found.scores.p
    if found.scored.embedder == STATIC:
        return {"static": scored}
    static = score(made, found.table.prompts, embedder=STATIC, progress=progress)
    return {"static": of_places(static.predicted, found.places).p, "full": scored}
