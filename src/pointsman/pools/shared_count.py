"""What each process of a router has in flight on one endpoint, in memory that all of them see.

Why besides what they tell each other every few milliseconds? Because that is time enough for each of them to fill an
endpoint to its limit alone. A count in shared memory is never late: a limit holds within the one request that two
processes may begin in the same microsecond.
"""

from __future__ import annotations

from typing import Self


class SharedCount:
    """One endpoint's cells, one for each process. Only its owner writes a cell, and the supervisor once the owner is dead."""

    __slots__ = ("_board", "_mine", "_others")

    def __init__(self, board: memoryview, mine: int, others: tuple[int, ...]) -> None:
        """`board` holds signed 64-bit integers; `mine` and `others` say which of them are this endpoint's."""
        self._board, self._mine, self._others = board, mine, others

    @classmethod
    def at(cls, board: memoryview, column: int, seat: int, seats: int) -> Self:
        """Of the endpoint in `column` of a board of `seats` rows, for the process in row `seat`."""
        width = len(board) // seats
        return cls(board, seat * width + column, tuple(row * width + column for row in range(seats) if row != seat))

    def set(self, in_flight: int) -> None:
        """What this process has in flight there now."""
        self._board[self._mine] = in_flight

    def elsewhere(self) -> int:
        """What all others have."""
        board, count = self._board, 0
        for cell in self._others:
            count += board[cell]
        return count

    def __repr__(self) -> str:
        return f"<SharedCount [{self._board[self._mine]} here, {self.elsewhere()} elsewhere]>"
