"""What every rung of a ladder did with every query: the ground on which cascades are replayed.

Outcomes are measured; what a verifier said of them is recorded, or simulated with a stated error rate (`simulated`), and then the
table says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pointsman.core.verdict import Rates, probability
from pointsman.learn.table import Floats

Marks: TypeAlias = NDArray[np.bool_]
Overlaps: TypeAlias = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Rungs:
    """Rows are queries, columns are tiers, cheapest and weakest first."""

    tiers: tuple[str, ...]
    quality: Floats
    """(n, m) measured, in [0, 1]; no gaps."""
    usd: Floats
    """(n, m) price of each answer."""
    seconds: Floats
    """(n, m) until each answer was there."""
    p: Floats
    """(n, m) what the router expected of each tier before anybody was asked."""
    score: Floats
    """(n, m) what the verifiers said of each answer; NaN = they abstained."""
    no: Floats
    """(n, m) the score that a plain no of this row's verifiers is; NaN = nobody looks at this tier."""
    yes: Floats
    expected_usd: Floats
    """(n, m) what an answer was expected to cost."""
    expected_s: Floats
    check_usd: Floats
    """(m,) price of looking at an answer."""
    check_s: Floats
    task: tuple[str, ...] = ()
    """Of each row; empty = nobody said."""
    overlaps: Mapping[str, Overlaps] = field(default_factory=dict)
    """Task, or "" for all others -> tier -> higher tier -> how far they succeed together, where it was measured."""

    def __post_init__(self) -> None:
        shape = len(self.quality), len(self.tiers)
        for name in ("quality", "usd", "seconds", "p", "score", "no", "yes", "expected_usd", "expected_s"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} is {getattr(self, name).shape}, the ladder needs {shape}")
        if not (np.isfinite(self.quality).all() and np.isfinite(self.usd).all() and np.isfinite(self.seconds).all()):
            raise ValueError("outcomes, prices and seconds must be there for every tier of every row")

    def __len__(self) -> int:
        return len(self.quality)

    def overlaps_of(self, row: int) -> Overlaps:
        """What the machine is told of a row's tiers."""
        task = self.task[row] if self.task else ""
        return self.overlaps.get(task) or self.overlaps.get("", {})

    @property
    def price(self) -> Floats:
        """(n, m) expected, as a share of the row's dearest rung."""
        return np.asarray(self.expected_usd / np.maximum(self.expected_usd.max(axis=1, keepdims=True), 1e-30))

    @property
    def is_judged(self) -> Marks:
        """(n, m) somebody looks at these answers."""
        return np.isfinite(self.no)

    def take(self, rows: NDArray[np.intp] | Marks) -> Rungs:
        """Those rows."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        columns = {name: getattr(self, name)[index]
                   for name in ("quality", "usd", "seconds", "p", "score", "no", "yes", "expected_usd", "expected_s")}
        return replace(self, **columns, task=tuple(self.task[i] for i in index) if self.task else ())

    def judged_with(self, score: Floats, rates: Rates | dict[str, Rates]) -> Rungs:
        """The same answers, with other words about them. `rates`: of all tiers, or by name; a tier without is not looked at, nor is the
        last one."""
        no, yes = np.full(self.quality.shape, np.nan), np.full(self.quality.shape, np.nan)
        for place, tier in enumerate(self.tiers):
            each = rates if isinstance(rates, Rates) else rates.get(tier)
            if each is not None and place < len(self.tiers) - 1:
                no[:, place], yes[:, place] = words_of(each)
        return replace(self, score=np.where(np.isfinite(no), score, np.nan), no=no, yes=yes)

    def __repr__(self) -> str:
        return f"<Rungs {len(self)} queries over {' < '.join(self.tiers)}>"


def words_of(rates: Rates) -> tuple[float, float]:
    """A plain no and a plain yes of a verifier that errs so often, as scores."""
    return probability(min(0.0, rates.for_fail)), probability(max(0.0, rates.for_pass))


def rungs_of(tiers: tuple[str, ...], quality: Floats, usd: Floats, *, seconds: Floats | None = None, p: Floats | None = None,
             task: tuple[str, ...] = ()) -> Rungs:
    """A ladder that nobody looks at yet. `usd`: (n, m), or (m,) a tier; expectations are the tiers' means. Without `p` every tier is
    expected to do as it does on average."""
    shape = quality.shape
    usd = np.broadcast_to(usd, shape).astype(np.float64)
    seconds = np.zeros(shape) if seconds is None else np.broadcast_to(seconds, shape).astype(np.float64)
    nothing = np.full(shape, np.nan)
    means = [np.broadcast_to(one.mean(axis=0), shape).copy() for one in (quality, usd, seconds)]
    return Rungs(tiers, quality, usd, seconds, means[0] if p is None else p, nothing, nothing, nothing, means[1], means[2],
                 np.zeros(shape[1]), np.zeros(shape[1]), task)


def simulated(rungs: Rungs, error: float, seed: int = 0) -> Rungs:
    """As a verifier would have judged that says the wrong thing with probability `error`, of good answers and of bad ones. What it
    brings is bounded by that rate: at .5 it says nothing.

    An answer of quality q is acceptable with probability q: a half-right one is passed half of the time.
    """
    draw = np.random.default_rng(seed)
    is_good = draw.random(rungs.quality.shape) < rungs.quality
    is_wrong = draw.random(rungs.quality.shape) < error
    rates = Rates(error, error)
    no, yes = words_of(rates)
    return rungs.judged_with(np.where(is_good != is_wrong, yes, no), rates)
