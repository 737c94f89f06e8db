"""Whose turn it is to take a connection, when several processes wait at one listening socket.

Why not leave it to the kernel? It wakes everyone, and the quickest takes all that wait: with a few long-lived
connections, which is what SDKs and proxies keep, one process would do all the work. `SO_REUSEPORT` deals by hash: four
connections to two processes all land on one of them every eighth time, and a killed process takes its waiting ones along.

So whoever has more connections than the least busy one steps back for a moment. Nobody is asked: the counts stand in
memory that the processes share, and a process that does not answer delays a connection by that moment only.
"""

from __future__ import annotations

STEP_BACK_S = 0.005
"""How long a busier process waits before it takes a connection that nobody else took. An idle loop needs a fiftieth of it, a busy
one a turn; who pays it is a new connection, and only while the less busy process does not answer."""
SLACK = 8
"""One in so many: how far counts may drift apart. Exact equality would cost a burst of connections a wait each."""
NOBODY = -1


class Turn:
    """One process's seat at the shared counts.

    `board` has one signed 64-bit cell for each seat; an empty seat is `NOBODY`. Only its owner writes a cell, and the
    supervisor once the owner is dead.
    """

    def __init__(self, board: memoryview, seat: int) -> None:
        self._board, self._seat = board, seat

    def sit(self, connections: int) -> None:
        """This process takes part, and has so many connections open."""
        self._board[self._seat] = connections

    def leave(self) -> None:
        """It takes no more: the others need not wait for it."""
        self._board[self._seat] = NOBODY

    def room(self, mine: int) -> int:
        """How many of the waiting connections it may take at once; 0 or less = step back first."""
        fewest = min((n for seat, n in enumerate(self._board) if seat != self._seat and n != NOBODY), default=None)
        return UNLIMITED if fewest is None else fewest + slack(mine) - mine

    def __repr__(self) -> str:
        return f"<Turn of seat {self._seat} at {self._board.tolist()}>"


UNLIMITED = 1_000_000


def slack(mine: int) -> int:
    """How many a process may be ahead of another. At least one: somebody has to be first."""
    return max(1, mine // SLACK)


def new_board(memory: memoryview) -> memoryview:
    """All seats of shared memory (eight bytes each), empty."""
    board = memory.cast("q")
    for seat in range(len(board)):
        board[seat] = NOBODY
    return board
