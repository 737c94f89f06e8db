"""A listening socket with uvicorn behind it, embedded: no signals, no access log, no banner."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from pointsman.errors import PointsmanError

logging.getLogger("uvicorn").setLevel(logging.WARNING)

BACKLOG = 2048
GRACE_S = 120
"""How long streams may go on after a stop was asked for. 120 s, as linkerd: longer than nearly every answer."""


class CannotListen(PointsmanError):
    """The address is taken or not ours."""

    def __init__(self, host: str, port: int, why: str, setting: str) -> None:
        super().__init__(host, port, why)
        self.host, self.port, self.why, self.setting = host, port, why, setting

    def __str__(self) -> str:
        return (f"cannot listen on {self.host}:{self.port}: {self.why}; "
                f"stop what holds it or choose another `{self.setting}.port`")


class _Embedded(uvicorn.Server):
    """Signals belong to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """One address, one ASGI application."""

    def __init__(self, app: Any, host: str, port: int, *, setting: str = "server", grace_s: int = GRACE_S) -> None:
        self.host, self._setting = host, setting
        self._socket = _bound(host, port, setting)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Embedded(uvicorn.Config(
            app, loop="none", http="httptools", ws="none", lifespan="off", interface="asgi3", access_log=False,
            log_config=None, server_header=False, date_header=False, proxy_headers=False, backlog=BACKLOG,
            timeout_keep_alive=75, timeout_graceful_shutdown=grace_s,
        ))
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accepts connections once this returns."""
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise CannotListen(self.host, self.port, "the server stopped at once", self._setting)
            await asyncio.sleep(0.001)

    async def stop(self, *, at_once: bool = False) -> None:
        """Takes no new connections, lets running exchanges end (up to the grace), and returns."""
        self._server.should_exit = True
        self._server.force_exit = self._server.force_exit or at_once
        if self._serving is not None:
            await self._serving
            self._serving = None
        self._socket.close()

    def hurry(self) -> None:
        """A second signal: end what still runs now."""
        self._server.force_exit = True


def _bound(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as exc:
        listening.close()
        raise CannotListen(host, port, exc.strerror or str(exc), setting) from exc
    return listening
