"""What each process of a router has in flight on one endpoint, and waits for there, in memory that all of them see.

Why besides what they tell each other every few milliseconds? Because that is time enough for each of them to fill an
endpoint to its limit alone. A count in shared memory is never late: a limit holds within the one request that two
processes may begin in the same microsecond.

Attempts and prompt tokens share a cell, so that cells need not be laid out anew and both are of one moment: tokens above, attempts
in the lower bits. Sums of cells are sums of both.
"""

from __future__ import annotations

from typing import Self

_ATTEMPTS = 24
"""Bits for attempts: 16 million at once, of all processes together. Above, 2^39 tokens."""
_MASK = (1 << _ATTEMPTS) - 1


def attempts_in(cell: int) -> int:
    """Of one cell, or of a sum of them."""
    return cell & _MASK


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

    def set(self, in_flight: int, awaited_tokens: int = 0) -> None:
        """What this process has in flight there now, and the prompt tokens of which it awaits the answers."""
        self._board[self._mine] = awaited_tokens << _ATTEMPTS | in_flight

    def elsewhere(self) -> int:
        """What all others have in flight."""
        return self._others_cells() & _MASK

    def awaited_elsewhere(self) -> int:
        """Prompt tokens of which others await the answers."""
        return self._others_cells() >> _ATTEMPTS

    def others(self) -> tuple[int, int]:
        """Both of them, of one moment."""
        cells = self._others_cells()
        return cells & _MASK, cells >> _ATTEMPTS

    def _others_cells(self) -> int:
        board, sum_ = self._board, 0
        for cell in self._others:
            sum_ += board[cell]
        return sum_

    def __repr__(self) -> str:
        return f"<SharedCount [{attempts_in(self._board[self._mine])} here, {self.elsewhere()} elsewhere]>"
