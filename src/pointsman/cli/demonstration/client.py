"""The customer: a small HTTP client that measures what a person would notice.

Why not the router's own client? The demo should see the router as a stranger does: plain HTTP/1.1 over loopback, one
connection for each request, nothing shared with what is being shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec

from pointsman.core.price import NANO

TIMEOUT_S = 180.0
"""One whole request. Longer than anything in the set takes at true speed."""
_LIMIT = 1 << 20


class Answer(msgspec.Struct, frozen=True):
    """What came back, as the client saw it."""

    status: int
    headers: dict[str, str]
    """Lower-case names."""
    said_nano_usd: int | None = None
    """The exact cost, where the answer tells it: plain answers in a header, streams in the usage that was asked for."""
    error: str | None = None

    @property
    def record_id(self) -> str:
        return self.headers.get("x-route-record", "")

    @property
    def tier(self) -> str:
        return self.headers.get("x-route-tier-name", "")

    @property
    def about_nano_usd(self) -> int:
        """For a running total: the exact cost, else what a streamed answer was expected to cost when it began."""
        return self.said_nano_usd if self.said_nano_usd is not None else nano_of(self.headers.get("x-route-cost-usd")) or 0


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Event(msgspec.Struct):
    """What the client reads of a streamed event or of a plain body."""

    choices: list[_Choice] = []
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


_read = msgspec.json.Decoder(_Event).decode


class _Stream(msgspec.Struct):
    """How far a streamed answer is."""

    said_nano_usd: int | None = None
    is_finished: bool = False
    is_done: bool = False
    error: str | None = None

    def take(self, event: bytes) -> None:
        if event == b"[DONE]":
            self.is_done = True
            return
        it = _read(event)
        if it.error is not None:
            self.error = str(it.error.get("message"))
        if it.usage is not None:
            self.said_nano_usd = nano_of(it.usage.get("cost_usd"))
        for choice in it.choices:
            self.is_finished |= choice.finish_reason is not None


async def ask(host: str, port: int, body: bytes, headers: dict[str, str]) -> Answer:
    """One chat request. Never raises for what a server or a network may do: that is `Answer.error`."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _asked(host, port, body, headers)
    except TimeoutError:
        why = f"no complete answer within {TIMEOUT_S:g} s"
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        why = f"the connection broke: {error}"
    except (ValueError, IndexError, msgspec.MsgspecError) as error:
        why = f"the answer cannot be read: {error}"
    return Answer(0, {}, error=why)


async def _asked(host: str, port: int, body: bytes, headers: dict[str, str]) -> Answer:
    reader, writer = await asyncio.open_connection(host, port, limit=_LIMIT)
    try:
        lines = [f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}", "Content-Type: application/json",
                 "Connection: close", f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        status, seen = await _head(reader)
        if seen.get("content-type", "").startswith("text/event-stream"):
            return await _streamed(reader, status, seen)
        return await _plain(reader, status, seen)
    finally:
        writer.close()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    return int(head[0].split()[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _plain(reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> Answer:
    body = b"".join([part async for part in _parts(reader, headers)])
    it = _read(body)
    error = None
    if status != 200 or it.error is not None:
        error = str((it.error or {}).get("message", f"status {status}"))
    elif not it.choices or any(choice.finish_reason is None for choice in it.choices):
        error = "the answer has no finish_reason"
    return Answer(status, headers, nano_of(headers.get("x-route-cost-usd")), error)


async def _streamed(reader: asyncio.StreamReader, status: int, headers: dict[str, str]) -> Answer:
    stream, rest = _Stream(), b""
    async for part in _parts(reader, headers):
        *events, rest = (rest + part).split(b"\n\n")
        for event in events:
            if event.startswith(b"data: "):
                stream.take(event[6:])
    error = stream.error
    if error is None and not (stream.is_finished and stream.is_done):
        error = "the stream ended before its answer"
    return Answer(status, headers, stream.said_nano_usd, error)


async def _parts(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The body, as it comes."""
    if headers.get("transfer-encoding") != "chunked":
        yield await reader.readexactly(int(headers["content-length"]))
        return
    while size := int(await reader.readline(), 16):
        yield (await reader.readexactly(size + 2))[:-2]


def nano_of(usd: object) -> int | None:
    """A decimal number of dollars as nano-dollars; None for what is no amount (`unknown`, `pending`, absent)."""
    try:
        return int(Decimal(str(usd)) * NANO)
    except ArithmeticError:
        return None
