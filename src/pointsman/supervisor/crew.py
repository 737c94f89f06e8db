"""What has to exist before any process begins to work: the listening socket, the shared counts, the nursery."""

from __future__ import annotations

import functools
import socket
from typing import Self

from pointsman.supervisor.boards import Boards
from pointsman.supervisor.nursery import Nursery
from pointsman.supervisor.worker import work


class Crew:
    """The means of several workers. Made before there is an event loop, closed after it."""

    def __init__(self, size: int, listening: socket.socket, boards: Boards, nursery: Nursery) -> None:
        self.size, self.listening, self.nursery = size, listening, nursery
        self._boards = boards

    @classmethod
    def assemble(cls, listening: socket.socket, size: int, log_fd: int | None) -> Self:
        """Forks the nursery, whose workers share `listening`."""
        boards = Boards(size)
        return cls(size, listening, boards, Nursery.open(functools.partial(work, listening=listening, boards=boards, log_fd=log_fd)))

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    def expect(self, seat: int) -> None:
        """Somebody will sit there in a moment: the others leave it its share of what connects meanwhile."""
        self._boards.turn(seat).sit(0)

    def absent(self, seat: int) -> None:
        """Nobody in that seat takes connections or has anything in flight."""
        self._boards.clear(seat)

    def disband(self) -> None:
        """Closes the address and waits for the nursery, whose workers must have ended. Idempotent."""
        self.listening.close()
        self.nursery.close()
        self.nursery.wait()

    def __repr__(self) -> str:
        return f"<Crew of {self.size} on port {self.port}>"
