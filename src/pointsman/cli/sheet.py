"""A table for a terminal of any width: what matters less is left out before anything is cut off.

Why not a Rich table? In 80 columns it shortens every cell at once, names too, and wraps a reason into a column of six letters.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.cells import cell_len
from rich.text import Text

GAP = 2
"""Columns of blank between two columns."""
NAME_AT_LEAST = 8


class Column(msgspec.Struct, frozen=True):
    """`rank`: those with the highest are left out first; 0 = never. `is_number`: stands to the right."""

    title: str
    rank: int = 0
    is_number: bool = False


class Sheet:
    """Rows of cells, one for each column. A cell may bring its colour."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns
        self._rows: list[tuple[Text, ...]] = []

    def add(self, *cells: str | Text) -> None:
        self._rows.append(tuple(cell if isinstance(cell, Text) else Text(cell) for cell in cells))

    def shown(self, width: int) -> list[int]:
        """The columns that there is room for, by their places."""
        kept = list(range(len(self._columns)))
        widths = [self._width(place) for place in kept]
        for place in sorted((place for place in kept if self._columns[place].rank), key=lambda place: -self._columns[place].rank):
            if sum(widths[one] for one in kept) + GAP * (len(kept) - 1) <= width:
                break
            kept.remove(place)
        return kept

    def lines(self, width: int, only: Sequence[int] | None = None) -> list[Text]:
        """A heading and a line for each row (`only`: for these), none wider than `width`."""
        kept = self.shown(width)
        widths = {place: self._width(place) for place in kept}
        over = sum(widths.values()) + GAP * (len(kept) - 1) - width
        if over > 0:  # even so: the first column, which has names, gives way
            widths[kept[0]] = max(NAME_AT_LEAST, widths[kept[0]] - over)
        rows = self._rows if only is None else [self._rows[number] for number in only]
        titles = tuple(Text(column.title, "dim") for column in self._columns)
        return [self._line(row, kept, widths, width) for row in (titles, *rows)]

    def _width(self, place: int) -> int:
        return max(cell_len(self._columns[place].title), *(cell_len(row[place].plain) for row in self._rows), 0)

    def _line(self, row: tuple[Text, ...], kept: list[int], widths: dict[int, int], width: int) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis", end="\n")
        for place in kept:
            cell = row[place].copy()
            cell.truncate(widths[place], overflow="ellipsis")
            blank = " " * (widths[place] - cell_len(cell.plain))
            line = Text.assemble(line, " " * GAP if place != kept[0] else "", *((blank, cell) if self._columns[place].is_number else (cell, blank)))
        line.rstrip()
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
        return line
