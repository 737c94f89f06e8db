"""How much worse than the reference may a tier be expected to be, so that the mean over all requests keeps a share of its quality?

A *rehearsal* is a few hundred labelled rows with what the artifact expected of each model before it had seen their labels, and what
came. The allowance of a `quality` q is the largest expected loss l for which this, measured on those rows, holds:

    "the cheapest tier that is expected to lose at most l, else the reference" keeps at least q of the reference's mean quality

surely: the mean of (got - q x reference) must be two standard errors above nothing. Allowances are tried from the
strictest on that sends a tenth of the rows down, and the first that fails ends the search (fixed sequence testing: Angelopoulos et al. 2021,
"Learn then Test"), so that trying many costs no certainty.

Why not from the very strictest? It sends one row down, and one row proves nothing. Where none was lost nothing seems to vary, and all is certain
after five rows; so the standard error has one row's answer that might have been lost besides.

Why measured, and not (1 - q) of the reference's mean for every request? That keeps far more than was asked and pays for it: where
a request may lose .05, most that are sent down lose next to nothing. And why not a bound for every request? How sure one may be of a
single answer says nothing of the mean over all of them; with few labels every such bound is wide and nothing is ever sent down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.artifact import Artifact
from pointsman.classify.policy import GRID
from pointsman.errors import ArtifactRefused

Floats: TypeAlias = NDArray[np.float64]

ARRAY = "rehearsal"
"""Of each stack, `static.rehearsal` and `full.rehearsal`."""
MOST = 1000
"""Rows that are kept: more narrow the standard error no further than traffic changes."""
FEWEST = 50
"""Rows with an outcome of every compared tier, without which nothing is promised."""
NOT_RUN = -1.0
"""Stands for the outcome of a model that was not run: an artifact holds numbers only."""
SURE = 2.0
"""Standard errors. Two and not 1.28 (nine in ten), for traffic moves on from what was labelled: on held-out rows of five sources two kept
the target in 84 to 99 of a hundred cases and missed it by more than noise in 3 at most, 1.28 in 73 to 97 and up to 8."""
FIRST = 0.1
"""Share of the rows that the strictest allowance sends down. On five sources at 100 labels `quality: 1` of the model that was best on them lost to that
model by more than noise in 38 of 135 cases when the search began with one row and certainty could be had for nothing, and now in the 6 in
which the labels name the wrong model; with 1,000 it gains .0027 where it lost .0002, and 0.95 to 0.8 keep what they kept."""
STEPS = 200
"""Allowances that are tried: at most as many different ways to split the rows."""
NEVER = -1.0
"""Less than any expected loss: all goes to the reference."""


def array(expected: Floats, came: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """(rows, 2 m) as it lies in an artifact: what was expected of each model, then what came (`NOT_RUN` where it was not run)."""
    whole = np.concatenate([expected, np.where(np.isfinite(came), came, NOT_RUN)], axis=1)[np.isfinite(expected).all(axis=1)]
    if len(whole) > MOST:
        whole = whole[np.sort(rng.choice(len(whole), MOST, replace=False))]
    return whole.astype(np.float32)


class Rehearsal:
    """The rows of one stack."""

    __slots__ = ("_came", "_expected", "_was_run")

    def __init__(self, rows: NDArray[Any]) -> None:
        models = rows.shape[1] // 2
        self._expected = np.asarray(rows[:, :models], dtype=np.float64)
        self._came = np.asarray(rows[:, models:], dtype=np.float64)
        self._was_run = self._came >= 0.0

    def allowances(self, order: Sequence[int], reference: int) -> tuple[float, ...] | None:
        """For each quality of `GRID` the largest expected loss. `order`: columns from the cheapest on; those that come after the
        reference are never chosen. None = too few rows were run on all of them."""
        cheaper = list(order[: list(order).index(reference)]) if reference in order else list(order)
        known = self._was_run[:, [*cheaper, reference]].all(axis=1)
        if int(known.sum()) < FEWEST:
            return None
        loss = self._expected[known][:, [reference]] - self._expected[known][:, cheaper]
        return _allowances(loss, self._came[known][:, cheaper], self._came[known, reference])

    def of_places(self, places: Sequence[int]) -> Rehearsal:
        """Of some models, in another order."""
        chosen = list(places)
        return Rehearsal(np.concatenate([self._expected[:, chosen], self._came[:, chosen]], axis=1))

    def __repr__(self) -> str:
        return f"<Rehearsal {len(self._came)} rows>"


def of_artifact(artifact: Artifact, *, with_sentence: bool) -> tuple[Rehearsal, ...]:
    """Of the stacks that answer here; empty for artifacts that were never rehearsed. Raises `ArtifactRefused`."""
    found = []
    for stack in ("static", "full") if with_sentence else ("static",):
        if (name := f"{stack}.{ARRAY}") in artifact.arrays:
            rows = artifact.array(name)
            if rows.ndim != 2 or rows.shape[1] != 2 * len(artifact.manifest["models"]):
                raise ArtifactRefused(str(artifact.path), f"its array {name} has no two columns for each model")
            found.append(Rehearsal(rows))
    return tuple(found)


def together(rehearsals: Sequence[Rehearsal], order: Sequence[int], reference: int) -> tuple[float, ...] | None:
    """What all allow: which stack will answer a request is not known beforehand."""
    told = [one.allowances(order, reference) for one in rehearsals]
    known = [one for one in told if one is not None]
    return tuple(min(both) for both in zip(*known, strict=True)) if known and len(known) == len(told) else None


def _allowances(loss: Floats, came: Floats, reference: Floats) -> tuple[float, ...]:
    """`loss` (n, k): expected, of the tiers that are cheaper than the reference; `came` (n, k), `reference` (n,): what came."""
    wanted = np.array(GRID)
    if not loss.shape[1]:
        return (NEVER,) * len(GRID)
    tried = np.unique(np.quantile(loss, np.linspace(0.0, 1.0, STEPS), method="higher"))
    strictest = float(np.quantile(loss.min(axis=1), FIRST, method="higher"))
    tried = np.append(strictest, tried[tried > strictest])
    found, still = np.full(len(GRID), NEVER), np.ones(len(GRID), dtype=np.bool_)
    rows = np.arange(len(loss))
    for allowance in tried:
        within = loss <= allowance
        got = np.where(within.any(axis=1), came[rows, np.argmax(within, axis=1)], reference)
        still &= _keeps(got, reference, wanted)
        found[still] = allowance
    return tuple(found.tolist())


def _keeps(got: Floats, reference: Floats, wanted: Floats) -> NDArray[np.bool_]:
    """Of each wanted share: does `got` surely keep it?"""
    away = float(got.mean()) - wanted * float(reference.mean())
    (first, both), (_, second) = np.cov(got, reference)
    spread = first - 2.0 * wanted * both + wanted * wanted * second
    return np.asarray(away >= SURE * np.sqrt(np.maximum(spread, 0.0) / len(got) + 1.0 / len(got) ** 2) - 1e-12)
