"""An upstream that plays a scenario on raw sockets and keeps a ledger of what it saw.

    async with FaultServer(Scenario(lambda asked: [Send(b"HTTP/1.1 2"), Reset()])) as server:
        ...  # server.url is an OpenAI-compatible base URL; server.ledger.of("r1") what became of request r1

Why not one of the servers that exist? Whoever shares a library with the router shares its bugs: both sides would
agree on wrong bytes. What is left of HTTP here is finding the end of a request. GETs (model lists, health, metrics) are
answered beside the scenario and enter no ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Final, Self

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_ledger import Ended, Entry, Ledger
from pointsman.testing.fault_steps import (
    Asked,
    Close,
    Complete,
    Drip,
    Fin,
    Reset,
    Scenario,
    Send,
    Stall,
    Step,
    Wait,
)

RIGHT: Final = Scenario(answers.right)
"""Answers every request."""
_LOOK_EVERY_S: Final = 0.005
_CLOSE_WAIT, _CLOSED = 8, 7  # of Linux's tcp_info
NO_LINGER: Final = struct.pack("ii", 1, 0)


class _Over(Exception):
    """The connection is closed; by whom is noted."""


class FaultServer:
    """One endpoint on a loopback port. `scenario` may be replaced at any time; `name` is what the ledger calls it."""

    def __init__(self, scenario: Scenario = RIGHT, *, name: str = "endpoint", ledger: Ledger | None = None, port: int = 0,
                 get: dict[str, Callable[[], Sequence[Step]]] | None = None) -> None:
        """`get`: path -> the steps by which a GET of it is answered, besides `/v1/models`; made anew each time."""
        self.scenario, self.name = scenario, name
        self.ledger = Ledger() if ledger is None else ledger
        self.port = port
        self.get = get or {}
        self.connections: set[_Connection] = set()
        self.opened = 0
        """Connections ever accepted."""
        self.requests = 0
        """POSTs that were read, or connections taken over before reading."""
        self.errors: list[BaseException] = []
        """What a scenario raised by mistake."""
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._fillers: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return sum(connection.is_running for connection in self.connections)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Takes the port, and listens if the scenario does."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.scenario.receive_buffer is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.scenario.receive_buffer)
        listening.setblocking(False)
        listening.bind(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        self._socket = listening
        if not self.scenario.listens:
            return
        listening.listen(512 if self.scenario.accepts else 0)
        if self.scenario.accepts:
            self._accepting = asyncio.get_running_loop().create_task(self._accept(listening))
        else:
            self._fill()

    def _fill(self) -> None:
        """Fills the queue of connections that nobody accepts: the kernel then drops further SYNs."""
        for _ in range(4):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", self.port))
            self._fillers.append(filler)

    async def stop_listening(self) -> None:
        """Connects are refused from here on; open connections go on."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None
        for sock in (self._socket, *self._fillers):
            if sock is not None:
                sock.close()
        self._socket = None
        self._fillers.clear()

    async def aclose(self) -> None:
        """Resets every connection and frees the port. Raises what a scenario raised by mistake."""
        await self.stop_listening()
        for connection in tuple(self.connections):
            await connection.kill()
        if self.errors:
            raise self.errors[0]

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listening)
            except OSError:  # the peer left while it waited, or descriptors ran out
                await asyncio.sleep(0.01)
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.opened += 1
            connection = _Connection(self, sock, self.opened)
            self.connections.add(connection)
            connection.start()

    def __repr__(self) -> str:
        return f"<FaultServer {self.name} :{self.port} [{self.requests} seen, {len(self.connections)} open]>"


class _Connection:
    """One accepted socket: reads a request, plays the steps, reads the next."""

    def __init__(self, server: FaultServer, sock: socket.socket, number: int) -> None:
        self._server, self._sock, self._number = server, sock, number
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._gone: asyncio.Future[Ended] = self._loop.create_future()
        self._looking: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._entry: Entry | None = None
        self._is_reading = self._is_last = False
        self._nth = self._received = 0

    @property
    def is_running(self) -> bool:
        """A request is being answered on it."""
        return self._entry is not None and self._entry.is_running

    def start(self) -> None:
        self._task = self._loop.create_task(self._serve())
        self._task.add_done_callback(self._served)

    async def kill(self) -> None:
        if self._sock.fileno() >= 0:
            self._reset_on_close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            await asyncio.sleep(0)  # its callback closes the socket

    # -- the socket's side

    def _read_on(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def _read_no_more(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._sock.fileno())

    def _readable(self) -> None:
        try:
            data = self._sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._peer_left("rst")
            return
        if data:
            self._buffer += data
        else:
            self._peer_left("fin")
        self._arrived.set()

    def _peer_left(self, how: Ended) -> None:
        self._read_no_more()
        if not self._gone.done():
            self._gone.set_result(how)
        entry = self._entry
        if entry is not None and entry.is_running:
            entry.ended, entry.ended_at = how, self._loop.time()
        self._arrived.set()

    async def _look(self) -> None:
        """Without reading: asks the kernel whether the peer is still there."""
        while not self._gone.done():
            state = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[0] if hasattr(socket, "TCP_INFO") else 1
            if state in (_CLOSE_WAIT, _CLOSED):
                self._peer_left("fin" if state == _CLOSE_WAIT else "rst")
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    def _reset_on_close(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)

    # -- requests

    async def _serve(self) -> None:
        scenario = self._server.scenario
        if scenario.reads != "nothing":
            self._read_on()
        while True:
            body = await self._request(scenario)
            scenario = self._server.scenario
            self._nth += 1
            self._server.requests += 1
            asked = answers.asked_of(body, self._server.requests, self._nth)
            entry = self._entry = Entry(asked.id, self._server.name, self._loop.time(), self._number, self._nth, self._received)
            self._server.ledger.add(entry)
            if scenario.reads != "whole":
                self._read_no_more()
                self._looking = self._loop.create_task(self._look())
            if self._gone.done():
                self._peer_left(self._gone.result())
                entry.phase = "over"
                raise _Over
            entry.phase = "answering"
            await self._play(scenario.plan(asked), entry)
            if entry.phase == "answering":
                entry.phase = "answered"
            if self._is_last:
                return

    async def _request(self, scenario: Scenario) -> bytes:
        """The body of the next POST, or what little the scenario reads. GETs are answered on the way."""
        self._received = 0
        if scenario.reads == "nothing":
            return b""
        if scenario.reads == "part":
            await self._have(scenario.part_bytes)
            self._received = len(self._buffer)
            return bytes(self._buffer)
        while True:
            while (end := self._buffer.find(b"\r\n\r\n") + 4) < 4:
                await self._have(len(self._buffer) + 1)
            lines = bytes(self._buffer[:end]).split(b"\r\n")
            length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
            await self._have(end + length)
            self._is_last = any(line.lower() == b"connection: close" for line in lines)
            body = bytes(self._buffer[end : end + length])
            del self._buffer[: end + length]
            self._received = end + length
            if lines[0].startswith(b"GET "):
                await self._answer_get(lines[0].split(b" ")[1].decode())
                continue
            return body

    async def _have(self, count: int) -> None:
        """Returns once so many bytes wait in the buffer."""
        while len(self._buffer) < count:
            if self._gone.done():
                raise _Over
            self._arrived.clear()
            await self._arrived.wait()

    async def _answer_get(self, path: str) -> None:
        path = path.split("?")[0]
        if path in self._server.get:
            await self._steps(self._server.get[path](), Entry("", self._server.name, 0.0, self._number, 0, 0))
            return
        if path == "/v1/models":
            card = {"id": "m", "object": "model", "created": 1, "owned_by": "faults", "max_model_len": 32768}
            answer = answers.plain("200 OK", json.dumps({"object": "list", "data": [card]}).encode())
        elif path == "/health":
            answer = answers.plain("200 OK", b"")
        else:
            answer = answers.plain("404 Not Found", b'{"detail":"Not Found"}')
        await self._loop.sock_sendall(self._sock, answer)

    # -- steps

    async def _play(self, steps: Sequence[Step], entry: Entry) -> None:
        playing = self._loop.create_task(self._steps(steps, entry))
        try:
            futures: set[asyncio.Future[object]] = {playing, self._gone}  # type: ignore[arg-type]  # their results are not read
            await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not playing.done():
                playing.cancel()
            (ended,) = await asyncio.gather(playing, return_exceptions=True)
        if isinstance(ended, OSError):
            self._peer_left("rst")
        elif isinstance(ended, BaseException) and not isinstance(ended, asyncio.CancelledError | _Over):
            raise ended
        if self._gone.done() or isinstance(ended, _Over):
            entry.phase = "over" if not entry.is_complete else "answered"
            raise _Over

    async def _steps(self, steps: Sequence[Step], entry: Entry) -> None:
        for step in steps:
            match step:
                case Send(data, tokens):
                    await self._loop.sock_sendall(self._sock, data)
                    entry.sent += len(data)
                    entry.billed += tokens
                case Drip(data, every_s, size, tokens):
                    for start in range(0, len(data), size):
                        await asyncio.sleep(every_s)
                        piece = data[start : start + size]
                        await self._loop.sock_sendall(self._sock, piece)
                        entry.sent += len(piece)
                    entry.billed += tokens
                case Wait(s):
                    await asyncio.sleep(s)
                case Complete():
                    entry.is_complete = True
                    entry.phase = "answered"
                case Stall():
                    await asyncio.Event().wait()
                case Fin():
                    self._sock.shutdown(socket.SHUT_WR)
                case Close() | Reset():
                    if isinstance(step, Reset):
                        self._reset_on_close()
                    entry.ended, entry.ended_at = "us", self._loop.time()
                    raise _Over

    def _served(self, task: asyncio.Task[None]) -> None:
        self._read_no_more()
        if self._looking is not None:
            self._looking.cancel()
        self._sock.close()
        if self._entry is not None and self._entry.is_running:
            self._entry.phase = "over"
            if not self._entry.ended:
                self._entry.ended, self._entry.ended_at = "us", self._loop.time()
        self._server.connections.discard(self)
        if not task.cancelled():
            error = task.exception()
            if error is not None and not isinstance(error, _Over | OSError):
                self._server.errors.append(error)


__all__ = ["RIGHT", "Asked", "FaultServer"]
