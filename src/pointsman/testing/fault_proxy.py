"""A TCP proxy between the router and an upstream that spoils the line: slow, narrow, sliced, cut, dumb or wrong.

The kernel of a developer's machine seldom may shape traffic, so this does it in the middle. Toxics act on the bytes that flow
from the upstream to the router unless their name says otherwise; offsets count from the start of each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from random import Random
from typing import Final, Self

import msgspec

from pointsman.testing.fault_server import NO_LINGER

_READ: Final = 65536


class Toxics(msgspec.Struct, frozen=True):
    """What is done to the line. The default does nothing."""

    latency_s: float = 0.0
    """Added once per piece that is read."""
    jitter_s: float = 0.0
    """Up to this much more, at random."""
    bandwidth: int | None = None
    """Bytes per second."""
    slice: int | None = None
    """Pieces of at most this many bytes, each in a segment of its own."""
    limit: int | None = None
    """After so many bytes both sides are closed (FIN)."""
    reset: int | None = None
    """After so many bytes the router's side is reset (RST)."""
    half_close: int | None = None
    """After so many bytes the router is told that no more will come, while its own bytes still go through."""
    blackhole: int | None = None
    """After so many bytes everything is swallowed in both directions and nobody is told: the cable is cut."""
    stall: int | None = None
    """After so many bytes nothing is read or passed on any more: back-pressure, as behind a full window."""
    corrupt: int | None = None
    """The byte at this offset is turned over (all its bits)."""
    deaf: bool = False
    """The router's bytes never reach the upstream."""


class FaultProxy:
    """Listens on a loopback port and passes everything on to `target`, spoiled by `toxics` (which may be replaced)."""

    def __init__(self, target: int, toxics: Toxics | None = None, *, seed: int = 0) -> None:
        self.target, self.toxics = target, toxics or Toxics()
        self.port = 0
        self.opened = 0
        self._rng = Random(seed)
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._lines: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def open_lines(self) -> int:
        return len(self._lines)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(512)
        self.port, self._socket = listening.getsockname()[1], listening
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listening))

    async def aclose(self) -> None:
        tasks = [*self._lines, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                near, _ = await loop.sock_accept(listening)
            except OSError:  # the peer left while it waited, or descriptors ran out
                await asyncio.sleep(0.01)
                continue
            self.opened += 1
            line = loop.create_task(self._line(near))
            self._lines.add(line)
            line.add_done_callback(self._lines.discard)

    async def _line(self, near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        far = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with contextlib.suppress(OSError):  # either side may leave at any time: that is what we are for
                await loop.sock_connect(far, ("127.0.0.1", self.target))
                there = loop.create_task(self._there(near, far))
                back = loop.create_task(self._back(near, far))
                try:
                    done, _ = await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                    if back in done and there not in done and back.result():
                        await there  # half closed: the router's side goes on until it leaves
                finally:
                    there.cancel()
                    back.cancel()
                    await asyncio.gather(there, back, return_exceptions=True)
        finally:
            near.close()
            far.close()

    async def _there(self, near: socket.socket, far: socket.socket) -> None:
        """Router to upstream. Returns when the router has left."""
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(near, _READ):
            if not self.toxics.deaf:
                await loop.sock_sendall(far, data)

    async def _back(self, near: socket.socket, far: socket.socket) -> bool:
        """Upstream to router; True when the router's side should stay open for what it still sends."""
        loop, passed, toxics = asyncio.get_running_loop(), 0, self.toxics
        while data := await loop.sock_recv(far, _READ):
            if toxics.latency_s or toxics.jitter_s:
                await asyncio.sleep(toxics.latency_s + toxics.jitter_s * self._rng.random())
            for piece in _pieces(data, toxics.slice):
                for bound in (toxics.limit, toxics.reset, toxics.half_close, toxics.blackhole, toxics.stall):
                    if bound is not None and passed + len(piece) >= bound:
                        await loop.sock_sendall(near, piece[: max(0, bound - passed)])
                        return await self._cut(near, toxics)
                await loop.sock_sendall(near, _corrupted(piece, passed, toxics.corrupt))
                passed += len(piece)
                if toxics.bandwidth is not None:
                    await asyncio.sleep(len(piece) / toxics.bandwidth)
                elif toxics.slice is not None:
                    await asyncio.sleep(0)
        return False

    async def _cut(self, near: socket.socket, toxics: Toxics) -> bool:
        if toxics.reset is not None:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            return False
        if toxics.half_close is not None:
            near.shutdown(socket.SHUT_WR)
            return True
        # Black hole and stall: the upstream's bytes are left unread; only the router's leaving ends the line.
        return toxics.limit is None

    def __repr__(self) -> str:
        return f"<FaultProxy :{self.port} -> :{self.target} [{self.opened} opened, {self.open_lines} open]>"


def _pieces(data: bytes, size: int | None) -> list[bytes]:
    return [data] if size is None else [data[i : i + size] for i in range(0, len(data), size)]


def _corrupted(piece: bytes, passed: int, at: int | None) -> bytes:
    if at is None or not passed <= at < passed + len(piece):
        return piece
    i = at - passed
    return piece[:i] + bytes((piece[i] ^ 0xFF,)) + piece[i + 1 :]
