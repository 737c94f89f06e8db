"""How far a run is, and how long it will take: one line that is written over itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from cells import Cell

WIDTH = 24
UNKNOWN_S = 20.0
"""What a cell is taken to need before any was made."""


class Pace:
    """Seconds by kind of cell, from those that were made: in this run or an earlier one."""

    def __init__(self, made: Mapping[Cell, float]) -> None:
        self._seconds: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for cell, seconds in made.items():
            self.add(cell, seconds)

    def add(self, cell: Cell, seconds: float) -> None:
        for kind in _kinds(cell):
            self._seconds[kind].append(seconds)

    def of(self, cell: Cell) -> float:
        """The mean of the cells that are most like it."""
        known = next((self._seconds[kind] for kind in _kinds(cell) if kind in self._seconds), None)
        return UNKNOWN_S if known is None else sum(known) / len(known)

    def left_s(self, missing: Sequence[Cell], jobs: int) -> float:
        """Until all of them are made."""
        return sum(map(self.of, missing)) / max(1, jobs)


def bar(done: int, total: int, left_s: float, what: str) -> str:
    """`[#######.................] 37/120 cells, 12 min left: ours, zeroeval, 300 labels, draw 2`."""
    full = WIDTH * done // max(1, total)
    return f"[{'#' * full}{'.' * (WIDTH - full)}] {done}/{total} cells, {duration(left_s)} left: {what}"


def duration(seconds: float) -> str:
    """In the unit a person would use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _kinds(cell: Cell) -> list[tuple[str, ...]]:
    """From the most to the least alike."""
    source, labels = cell.trial.source, str(cell.trial.labels)
    return [(cell.part, source, labels), (cell.part, source), (cell.part, "", labels), (cell.part,), ()]
