"""What each process of a router has sent where, told to the others in memory that all of them see.

Why not a table that all look things up in? Every request asks for dozens of beginnings at each endpoint, and a dictionary
of one's own answers in a tenth of the time. So each process writes what it did into a ring of its own, and reads what is new in
the others' before it picks: a few microseconds a request.

Why no lock? Each ring has one writer. A reader that has slept through half a ring skips what it missed; and an entry that is
read while it is overwritten is a wrong guess at what a cache holds, which is all that any of this is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

ENTRIES = 8_192
"""Beginnings in a ring: 64 KB, hundreds of requests; read at every request, so seconds of any traffic."""
CELLS = ENTRIES + 1
"""Of a ring: its entries, and how many were ever written."""
_NUMBER, _MASK = 32, (1 << 32) - 1


class Journal:
    """One process's view: its own ring to write, the others' to read. Columns are endpoints, the same in every process."""

    __slots__ = ("_board", "_mine", "_read")

    def __init__(self, board: memoryview, seat: int) -> None:
        """`board` holds signed 64-bit integers, a ring after the other; `seat` says which is this process's."""
        self._board, self._mine = board, seat * CELLS
        # By the first cell of each other ring: how many of its entries were read. What was written before now is news to nobody here.
        self._read = {start: 0 for start in range(0, len(board), CELLS) if start != self._mine}

    def write(self, column: int, numbers: Iterable[int]) -> None:
        """These beginnings were sent to that endpoint, the one to be forgotten last at the end."""
        board, first = self._board, self._mine + 1
        count, high = board[self._mine], column << _NUMBER
        for number in numbers:
            board[first + count % ENTRIES] = high | number
            count += 1
        board[self._mine] = count  # last: nobody looks at what is not counted

    def news(self) -> Iterator[tuple[int, int]]:
        """(column, number) of what the others have written since."""
        board = self._board
        for start, read in self._read.items():
            count = board[start]
            if count == read:
                continue
            if not 0 <= count - read <= ENTRIES // 2:
                read = max(0, count - ENTRIES // 2)
            self._read[start] = count
            for at in range(read, count):
                entry = board[start + 1 + at % ENTRIES]
                yield entry >> _NUMBER, entry & _MASK

    def __repr__(self) -> str:
        return f"<Journal [{self._board[self._mine]} written, {len(self._read)} others]>"
