"""Adding up what several processes counted, right whatever order their totals come in and whoever dies.

`Unsaid` is the teller's side: which totals have grown since they were last told. `Sums` is the listener's: how much
each process has grown since it was last heard. A process that dies tells nothing more, so what it counted stays.
"""

from __future__ import annotations

from pointsman.core.counts import Counts, Labels

Row = tuple[str, Labels]


class Unsaid:
    """Of all totals of a process, those that nobody was told yet."""

    def __init__(self) -> None:
        self._said: dict[Row, float | tuple[float, ...]] = {}

    def of(self, counts: Counts) -> Counts:
        """The rows that have changed since the last call."""
        return Counts(
            tuple(row for row in counts.counters if self._is_new(row)),
            tuple(row for row in counts.histograms if self._is_new(row)),
        )

    def _is_new(self, row: tuple[str, Labels, float] | tuple[str, Labels, tuple[float, ...]]) -> bool:
        name, labels, value = row
        if self._said.get((name, labels)) == value:
            return False
        self._said[name, labels] = value
        return True


class Sums:
    """What has been heard of each process, so that every count is added once."""

    def __init__(self) -> None:
        self._counters: dict[int, dict[Row, float]] = {}
        self._histograms: dict[int, dict[Row, tuple[float, ...]]] = {}

    def heard(self, process: int, counts: Counts) -> Counts:
        """By how much the totals of `process` have grown: add it to the sum. Nothing for what was heard before."""
        counters, histograms = self._counters.setdefault(process, {}), self._histograms.setdefault(process, {})
        grown = []
        for name, labels, total in counts.counters:
            before = counters.get((name, labels), 0.0)
            if total > before:
                counters[name, labels] = total
                grown.append((name, labels, total - before))
        grown_histograms = []
        for name, labels, cells in counts.histograms:
            old = histograms.get((name, labels)) or (0.0,) * len(cells)
            new = tuple(map(max, cells, old))
            if new != old and len(cells) == len(old):
                histograms[name, labels] = new
                grown_histograms.append((name, labels, tuple(a - b for a, b in zip(new, old, strict=True))))
        return Counts(tuple(grown), tuple(grown_histograms))

    def forget(self, process: int) -> None:
        """It is gone and will tell no more. What it had counted has been added and stays."""
        self._counters.pop(process, None)
        self._histograms.pop(process, None)

    def __repr__(self) -> str:
        return f"<Sums of {len(self._counters)} processes>"
