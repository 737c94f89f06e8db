"""Which rows belong together: near-duplicates, sessions, users. Rows of one group never stand on both sides of a fold."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.intp]

_SEEN = 4000
"""Characters that are compared."""


def groups_of(prompts: Sequence[str], named: Sequence[str] | None = None) -> Rows:
    """A number per row; equal numbers are one group. Named groups are believed; prompts that differ only in case, spaces
    and marks are one in any case."""
    numbers: dict[str, int] = {}
    parents: list[int] = []

    def number(key: str) -> int:
        if key not in numbers:
            numbers[key] = len(parents)
            parents.append(len(parents))
        return numbers[key]

    def root(one: int) -> int:
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    own = []
    for row, prompt in enumerate(prompts):
        mine = number("text:" + _plain(prompt))
        own.append(mine)
        if named is not None and named[row]:
            first, second = root(mine), root(number("name:" + str(named[row])))
            parents[max(first, second)] = min(first, second)
    _, found = np.unique([root(one) for one in own], return_inverse=True)
    return found.astype(np.intp)


def several(groups: Rows) -> list[Rows]:
    """The rows of each group that has more than one."""
    order = np.argsort(groups, kind="stable")
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    return [rows for rows in np.split(order, cuts) if len(rows) > 1]


def held_out(groups: Rows, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whole groups, together about `share` of the rows. Rows one by one where groups are so large that hardly a row would be left."""
    sizes = np.bincount(groups)
    order = rng.permutation(len(sizes))
    count = int(np.searchsorted(np.cumsum(sizes[order]), share * len(groups))) + 1
    chosen = np.zeros(len(sizes), dtype=np.bool_)
    chosen[order[:count]] = True
    if 2 * sizes[chosen].sum() > len(groups):
        return np.asarray(rng.permutation(len(groups)) < share * len(groups))
    return chosen[groups]


def _plain(prompt: str) -> str:
    """A digest of the letters and digits."""
    letters = "".join(filter(str.isalnum, prompt[:_SEEN].lower()))
    return hashlib.sha256((letters or prompt).encode("utf-8", "replace")).hexdigest()
