"""A listening socket with uvicorn behind it, embedded: no signals, no access log, no banner.

Why do we accept ourselves? uvloop takes one new connection per turn of the loop. Under load a turn is long, and with
256 clients arriving at once the last was let in after 5.9 s (measured: p99 1.06 s at 256 connections, of which the
router saw none). Taking all that wait costs one system call each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from pointsman.server.address import BACKLOG, CannotListen, bound
from pointsman.server.connection import Connection
from pointsman.server.turn import STEP_BACK_S, Turn, slack

logging.getLogger("uvicorn").setLevel(logging.ERROR)  # a line for every stranger's bad bytes would be a way to fill a disk
_log = logging.getLogger(__name__)

ACCEPT_AT_ONCE = 256
ACCEPT_AGAIN_S = 1.0
GRACE_S = 120
"""How long streams may go on after a stop was asked for. 120 s, as linkerd: longer than nearly every answer."""


class _Acceptor:
    """Takes every connection that waits, and lets the loop make a transport of it.

    With a `turn` it shares the socket with other processes, and takes what is its share; `connections` counts what is open.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, listening: socket.socket, protocol: Callable[[], asyncio.Protocol],
                 turn: Turn | None = None, connections: Callable[[], int] = int) -> None:
        self._loop, self._listening, self._protocol = loop, listening, protocol
        self._turn, self._connections = turn, connections
        self._joining: set[asyncio.Task[Any]] = set()
        self._is_open = True
        self._listen()

    def _listen(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        if self._turn is None:
            self._take(ACCEPT_AT_ONCE)
            return
        room = self._turn.room(self._open())
        if room > 0:
            self._take(min(room, ACCEPT_AT_ONCE))
            self._turn.sit(self._open())
        else:
            self._loop.remove_reader(self._listening.fileno())
            self._loop.call_later(STEP_BACK_S, self._take_what_is_left)

    def _open(self) -> int:
        return self._connections() + len(self._joining)

    def _take_what_is_left(self) -> None:
        """Nobody else took it meanwhile."""
        if self._is_open and self._turn is not None:
            self._listen()
            self._take(slack(self._open()))
            self._turn.sit(self._open())

    def _take(self, most: int) -> None:
        for _ in range(most):
            try:
                connection, _address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:  # out of file descriptors: serve those who are in, look again later
                _log.error("cannot accept connections: %s; trying again in %g s", exc, ACCEPT_AGAIN_S)
                self._loop.remove_reader(self._listening.fileno())
                self._loop.call_later(ACCEPT_AGAIN_S, self._listen)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._join(connection))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)

    async def _join(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # it left again before it was let in
            connection.close()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._listening.fileno())

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._joining, return_exceptions=True)


class _Embedded(uvicorn.Server):
    """Signals belong to whoever runs the process; accepting is ours."""

    turn: Turn | None = None
    """Set before it starts, where several processes share the socket."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop, config = asyncio.get_running_loop(), self.config

        def protocol() -> asyncio.Protocol:
            return Connection(config=config, server_state=self.server_state, app_state={}, _loop=loop)

        def connections() -> int:
            return len(self.server_state.connections)

        waiting = sockets or ()
        self.servers = [_Acceptor(loop, each, protocol, self.turn, connections) for each in waiting]  # type: ignore[misc]
        self.started = True


class Listener:
    """One address, one ASGI application. `listening` and `turn` are for a process that shares its socket with others."""

    def __init__(self, app: Any, host: str, port: int, *, setting: str = "server", grace_s: int = GRACE_S,
                 listening: socket.socket | None = None, turn: Turn | None = None) -> None:
        self.host, self._setting, self._grace_s = host, setting, grace_s
        self._socket = listening or bound(host, port, setting)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Embedded(uvicorn.Config(
            app, loop="none", http=Connection, ws="none", lifespan="off", interface="asgi3", access_log=False,
            log_config=None, server_header=False, date_header=False, proxy_headers=False, backlog=BACKLOG,
            timeout_keep_alive=75, timeout_graceful_shutdown=grace_s,
        ))
        self._server.turn = turn
        self._serving: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Open connections of clients."""
        return len(self._server.server_state.connections)

    async def start(self) -> None:
        """Accepts connections once this returns."""
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise CannotListen(self.host, self.port, "the server stopped at once", self._setting)
            await asyncio.sleep(0.001)

    async def stop(self, *, at_once: bool = False, linger: bool = True) -> None:
        """Lets running exchanges end, up to the grace, then takes no new connections, and returns.

        Without `linger` it takes no new ones from now on: somebody else listens at the same socket.
        """
        if not at_once and linger:
            await self._until_idle()
        self._server.should_exit = True
        self._server.force_exit = self._server.force_exit or at_once
        if self._serving is not None:
            await self._serving
            self._serving = None
        left = tuple(self._server.server_state.tasks)
        for task in left:  # cut: each still leaves its record, so wait for them
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._socket.close()

    async def _until_idle(self) -> None:
        """Who connects meanwhile is still answered: a load balancer must be able to read that we drain."""
        running, now = self._server.server_state.tasks, asyncio.get_running_loop().time
        until = now() + self._grace_s
        while running and not self._server.force_exit and now() < until:
            await asyncio.wait(tuple(running), timeout=0.05)
        self._server.force_exit = self._server.force_exit or now() >= until

    def hurry(self) -> None:
        """A second signal: end what still runs now."""
        self._server.force_exit = True
