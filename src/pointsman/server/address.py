"""What a router listens on: sockets that are bound before anything heavy is loaded, so that a port that is taken is said at once."""

from __future__ import annotations

import socket
from typing import NamedTuple, Self

from pointsman.core.settings import AdminSettings, ServerSettings
from pointsman.errors import PointsmanError

BACKLOG = 2048


class CannotListen(PointsmanError):
    """The address is taken or not ours."""

    def __init__(self, host: str, port: int, why: str, setting: str) -> None:
        super().__init__(host, port, why)
        self.host, self.port, self.why, self.setting = host, port, why, setting

    def __str__(self) -> str:
        option = "`--port` or " if self.setting == "server" else ""
        return (f"cannot listen on {self.host}:{self.port}: {self.why}; "
                f"stop what holds it or choose another with {option}`{self.setting}.port`")


def bound(host: str, port: int, setting: str = "server") -> socket.socket:
    """A listening socket. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Naming the protocol makes asyncio set TCP_NODELAY: without it a reply on a kept connection waits 40 ms for an ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as exc:
        listening.close()
        raise CannotListen(host, port, exc.strerror or str(exc), setting) from exc
    return listening


class Addresses(NamedTuple):
    """The clients' address and the operator's, both held. `close` when nobody has taken them over, or all is over."""

    front: socket.socket
    admin: socket.socket | None = None

    @classmethod
    def hold(cls, server: ServerSettings, admin: AdminSettings | None) -> Self:
        """Binds them. Without `admin` the operator's is bound later, by whoever keeps house. Raises CannotListen."""
        front = bound(server.host, server.port)
        if admin is None:
            return cls(front)
        try:
            return cls(front, bound(admin.host, admin.port, "admin"))
        except CannotListen:
            front.close()
            raise

    def close(self) -> None:
        """Idempotent."""
        self.front.close()
        if self.admin is not None:
            self.admin.close()
