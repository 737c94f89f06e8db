"""Memory that all processes of a router share: who has how many connections, how many attempts where, and what was sent where.

Anonymous, inherited by fork, gone with the last process. A cell is written by one process and is eight bytes on an eight-byte
boundary, which this machine's processors write and read as a whole.
"""

from __future__ import annotations

import mmap

from pointsman.pools.journal import CELLS as JOURNAL_CELLS
from pointsman.pools.journal import Journal
from pointsman.pools.shared_count import SharedCount, attempts_in
from pointsman.server.turn import Turn, new_board
from pointsman.state.columns import COLUMNS

CELL_BYTES = 8


class Boards:
    """The shared counts of `seats` workers."""

    def __init__(self, seats: int, columns: int = COLUMNS) -> None:
        self.seats, self._columns = seats, columns
        memory = memoryview(mmap.mmap(-1, seats * (1 + columns + JOURNAL_CELLS) * CELL_BYTES))
        self._connections = new_board(memory[:seats * CELL_BYTES])
        self._in_flight = memory[seats * CELL_BYTES:seats * (1 + columns) * CELL_BYTES].cast("q")
        self._journals = memory[seats * (1 + columns) * CELL_BYTES:].cast("q")

    def turn(self, seat: int) -> Turn:
        return Turn(self._connections, seat)

    def count(self, seat: int, column: int) -> SharedCount:
        return SharedCount.at(self._in_flight, column, seat, self.seats)

    def journal(self, seat: int) -> Journal:
        """For one reader: each reads all news. Whoever sits there next goes on writing where the last one stopped."""
        return Journal(self._journals, seat)

    def clear(self, seat: int) -> None:
        """Who sat there is gone: has no connections, and nothing in flight."""
        self.turn(seat).leave()
        start = seat * self._columns
        self._in_flight[start:start + self._columns] = memoryview(bytes(self._columns * CELL_BYTES)).cast("q")

    def __repr__(self) -> str:
        return f"<Boards of {self.seats} seats [{attempts_in(sum(self._in_flight.tolist()))} in flight]>"
