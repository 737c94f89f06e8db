"""An operator's own HTTP service on a loopback port: takes JSON, answers what a test says, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

Answer = bytes | None | Callable[[Any], bytes]
"""The whole response; None = it reads the request and says nothing; or made from what was posted."""


class Posted(NamedTuple):
    """One request as it came."""

    head: bytes
    body: Any


class JsonService:
    """`async with JsonService(http(200, b"{}")) as service: ...service.url...` Connections are closed after each answer."""

    def __init__(self, answer: Answer, path: str = "/classify") -> None:
        self.answer, self._path = answer, path
        self.posted: list[Posted] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self._path}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            posted = Posted(head, msgspec.json.decode(await reader.readexactly(length)))
            self.posted.append(posted)
            said = self.answer(posted.body) if callable(self.answer) else self.answer
            if said is None:
                await reader.read()
            else:
                writer.write(said)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # the router left, or the test is over
            pass
        finally:
            writer.close()

    def __repr__(self) -> str:
        return f"<JsonService {self._path} [{len(self.posted)} posted]>"


def http(status: int, body: bytes, *headers: str) -> bytes:
    """A response with a length, and these header lines more."""
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def a_json(value: Any) -> bytes:
    """200 with this as JSON."""
    return http(200, msgspec.json.encode(value))
