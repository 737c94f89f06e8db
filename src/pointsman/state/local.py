"""A link between two processes of this machine: messages over a pair of Unix sockets.

Why a pair and not a path in the file system? Nobody else can connect to it, nothing is left behind, and its end is
told by the kernel: whoever dies, however, the other side reads the end of the stream.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pointsman.state.frames import BadFrame, Framer, framed

M = TypeVar("M")


class Link(asyncio.Protocol, Generic[M]):
    """One end. `said` gets each message of the other side; `lost` is called once, when there will be no more."""

    def __init__(self, kinds: Any, said: Callable[[M], None], lost: Callable[[BadFrame | None], None]) -> None:
        self._framer: Framer[M] = Framer(kinds)
        self._said, self._lost = said, lost
        self._transport: asyncio.Transport | None = None
        self._broken: BadFrame | None = None

    async def open(self, own: socket.socket) -> None:
        """Begins to speak and to listen on `own`, which belongs to this link from now on."""
        own.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self, sock=own)

    def say(self, message: Any) -> None:
        """Sends a message, or does nothing when the other side is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(framed(message))

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def unsent_bytes(self) -> int:
        """What waits for the other side to read."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def close(self) -> None:
        """Ends the link once what was said is sent. Idempotent."""
        if self._transport is not None:
            self._transport.close()

    # -- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a socket's transport is one for both ways

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._framer.feed(data)
        except BadFrame as exc:
            self._broken = exc
            if self._transport is not None:
                self._transport.abort()
            return
        for message in messages:
            self._said(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost(self._broken)

    def __repr__(self) -> str:
        return f"<Link [{'open' if self.is_open else 'closed'}, {self.unsent_bytes} bytes wait]>"
