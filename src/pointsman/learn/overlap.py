"""How far two tiers succeed on the same queries beyond what their scores say, measured: what a bad answer below says of the tier above.

With a and b the probabilities that the two answers are acceptable, the deferral rule (`cascade.benefit`) takes both to be so with
k min(a, b) + (1 - k) a b. So the mean product of what came less what was expected is k times the mean of min(a, b) - a b: the ratio
of the two sums is k. Both tiers' expectations are first set right by their means, for an error that they share would pass for overlap.

How much data? One pair of outcomes says next to nothing. k is pulled towards what is known without them (the pair over all tasks; for that,
the default) with the weight of `PULL_ROWS` queries: where 250 queries leave an error of .1, the pairs of public models differ by .15
among each other. And it is only said where what is known without lies outside of its interval (`is_told`): replayed on recorded outcomes a
figure that is not surely another one brought nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from pointsman.cascade.benefit import OVERLAP
from pointsman.learn.metrics import Floats, Interval
from pointsman.learn.rungs import Overlaps

FEWEST_ROWS = 60
"""Queries below which nothing is said of a pair: the pull would outweigh them."""
PULL_ROWS = 80.0
DRAWS = 200


class Overlap(msgspec.Struct, frozen=True):
    """Of a tier and a higher one, on one task."""

    tier: str
    higher: str
    task: str
    """"" = all of them."""
    rows: int
    value: Interval
    """After the pull; 0 = by chance, 1 = as far as possible."""
    otherwise: float = OVERLAP
    """What the machine takes it for where nothing is said."""

    @property
    def is_told(self) -> bool:
        """Surely something else than it is taken for otherwise."""
        return not self.value.low <= self.otherwise <= self.value.high


def overlap_of(low: Floats, high: Floats, a: Floats, b: Floats, *, towards: float = OVERLAP, counts: Floats | None = None) -> float:
    """k of two tiers' outcomes in [0, 1] with the probabilities expected of them. `counts`: how often each row is there."""
    counts = np.ones(len(low)) if counts is None else counts
    a, b = (np.clip(each + counts @ (came - each) / counts.sum(), 0.001, 0.999) for each, came in ((a, low), (b, high)))
    room = np.minimum(a, b) - a * b
    pull = PULL_ROWS * float(counts @ room) / float(counts.sum())
    found = (float(counts @ ((low - a) * (high - b))) + pull * towards) / max(float(counts @ room) + pull, 1e-12)
    return min(1.0, max(0.0, found))


def overlaps_of(tiers: Sequence[str], quality: Floats, p: Floats | None, task: Sequence[str] = (), seed: int = 0) -> list[Overlap]:
    """Of every pair with enough rows, over all tasks and then task by task. `p` None: every tier is expected to do as on average."""
    p = np.broadcast_to(quality.mean(axis=0), quality.shape) if p is None else p
    found: list[Overlap] = []
    for name in ("", *sorted(set(task) - {""})):
        rows = np.array([not name or one == name for one in task], dtype=bool) if len(task) else np.ones(len(quality), dtype=bool)
        if rows.sum() < FEWEST_ROWS:
            continue
        known = {(each.tier, each.higher): each.value.value for each in found if not each.task and each.is_told}
        found += [_of_pair(tiers, (low, high), name, quality[rows], p[rows], known.get((tiers[low], tiers[high]), OVERLAP), seed)
                  for low in range(len(tiers)) for high in range(low + 1, len(tiers))]
    return found


def by_task(found: Sequence[Overlap]) -> Mapping[str, Overlaps]:
    """As replays and settings take it, as far as it is told: task -> tier -> higher tier -> k. A task has what is told of it, and the rest of ""."""
    made: dict[str, dict[str, dict[str, float]]] = {}
    for task in dict.fromkeys(each.task for each in found):
        for each in found:
            if each.task in ("", task) and each.is_told:
                made.setdefault(task, {}).setdefault(each.tier, {})[each.higher] = round(each.value.value, 3)
    return made


def _of_pair(tiers: Sequence[str], pair: tuple[int, int], task: str, quality: Floats, p: Floats, towards: float, seed: int) -> Overlap:
    low, high = pair
    columns = quality[:, low], quality[:, high], p[:, low], p[:, high]
    rng, size = np.random.default_rng(seed), len(quality)
    drawn = [overlap_of(*columns, towards=towards, counts=np.bincount(rng.integers(0, size, size), minlength=size).astype(np.float64)) for _ in range(DRAWS)]
    low_end, high_end = (float(each) for each in np.percentile(drawn, [2.5, 97.5]))
    return Overlap(tiers[low], tiers[high], task, size, Interval(overlap_of(*columns, towards=towards), low_end, high_end), towards)
