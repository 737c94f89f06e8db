"""What has to exist before any process begins to work: the listening socket, the shared counts, the nursery."""

from __future__ import annotations

import functools
import mmap
import socket
from typing import Self

from pointsman.core.settings import ServerSettings
from pointsman.server.listener import bound
from pointsman.server.turn import CELL_BYTES, Turn, new_board
from pointsman.supervisor.nursery import Nursery
from pointsman.supervisor.worker import work


class Crew:
    """The means of several workers. Made before there is an event loop, closed after it."""

    def __init__(self, size: int, listening: socket.socket, memory: mmap.mmap, nursery: Nursery) -> None:
        self.size, self.listening, self.nursery = size, listening, nursery
        self._memory = memory
        self._board = new_board(memoryview(memory))

    @classmethod
    def assemble(cls, server: ServerSettings, size: int, log_fd: int | None) -> Self:
        """Binds the address and forks the nursery. Raises CannotListen."""
        listening = bound(server.host, server.port)
        memory = mmap.mmap(-1, max(1, size) * CELL_BYTES)
        board = new_board(memoryview(memory))
        job = functools.partial(work, listening=listening, board=board, log_fd=log_fd)
        return cls(size, listening, memory, Nursery.open(job))

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    def absent(self, seat: int) -> None:
        """Nobody in that seat takes connections: the others need not step back for it."""
        Turn(self._board, seat).leave()

    def disband(self) -> None:
        """Closes the address and waits for the nursery, whose workers must have ended. Idempotent."""
        self.listening.close()
        self.nursery.close()
        self.nursery.wait()

    def __repr__(self) -> str:
        return f"<Crew of {self.size} on port {self.port}>"
