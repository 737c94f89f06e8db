"""A client that believes nothing: raw socket, one deadline clock, every byte of an answer checked.

It knows the right answer from the request's id (`fault_answers`), so that a wrong byte, a duplicated piece or somebody
else's answer is found as surely as a missing one. An SDK would repair, hide or retry; this does not. What an SDK with two
retries would have made of it is `ask_patiently`, and is to be reported apart: retries of a client are no success of a router.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Literal

from pointsman.testing.fault_answers import prompt_of, text_of
from pointsman.testing.fault_server import NO_LINGER

Ended = Literal["complete", "error", "status", "broken", "hung", "unreachable", "left"]
"""complete: the right answer, whole · error: an open stream ended in exactly one error frame · status: an error response
· broken: anything that no client should ever see · hung: past the time allowed · unreachable: no connection · left: we left."""

_RETRIED: Final = frozenset((408, 409, 429))
SDK_RETRIES: Final = 2
"""As the official SDKs do by default."""


@dataclass(slots=True)
class Seen:
    """What one request brought."""

    id: str
    ended: Ended = "broken"
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    text: str = ""
    error: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)
    """What was wrong with the bytes; a proper end has none."""
    began: float = 0.0
    took_s: float = 0.0
    tries: int = 1
    """Requests sent, retries included."""
    unreached: int = 0
    """Of these, how many found nobody listening."""
    records: list[str] = field(default_factory=list)
    """The record id of every try that told one."""

    @property
    def retry_after_s(self) -> float | None:
        value = self.headers.get("retry-after")
        return float(value) if value is not None and value.isdigit() else None

    def __str__(self) -> str:
        said = f"{self.ended} {self.status or ''}".strip()
        code = (self.error or {}).get("code")
        return " ".join(filter(None, (said, str(code or ""), "; ".join(self.problems))))


def request_bytes(id: str, *, model: str, stream: bool, padding: int = 0, http: str = "1.1", close: bool = True,
                  more: dict[str, Any] | None = None) -> bytes:
    """A whole request. `padding` bytes of prompt make it large."""
    content = prompt_of(id) + "x" * padding
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": content}]} | (more or {})).encode()
    lines = [f"POST /v1/chat/completions HTTP/{http}", "host: localhost", "content-type: application/json",
             f"content-length: {len(body)}", f"x-request-id: {id}"]
    if close:
        lines.append("connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Oracle:
    """Asks the router on a loopback port."""

    def __init__(self, port: int, *, allowed_s: float) -> None:
        """`allowed_s`: how long a request may take before it counts as hung (its deadline and a second)."""
        self.port, self.allowed_s = port, allowed_s

    async def ask(self, id: str, *, model: str, stream: bool, padding: int = 0, more: dict[str, Any] | None = None) -> Seen:
        """One request to its end, judged."""
        seen, loop = Seen(id), asyncio.get_running_loop()
        seen.began = loop.time()
        raw = b""
        try:
            async with asyncio.timeout(self.allowed_s):
                raw = await self._exchange(request_bytes(id, model=model, stream=stream, padding=padding, more=more), seen)
        except TimeoutError:
            seen.ended = "hung"
        seen.took_s = loop.time() - seen.began
        if seen.ended not in ("hung", "unreachable"):
            read(raw, seen, stream=stream)
        return seen

    async def _exchange(self, request: bytes, seen: Seen) -> bytes:
        """Everything the router sent until it closed."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        received = bytearray()
        try:
            try:
                await loop.sock_connect(sock, ("127.0.0.1", self.port))
            except OSError as exc:
                seen.ended = "unreachable"
                seen.problems.append(f"connect: {exc.strerror}")
                return b""
            try:
                await loop.sock_sendall(sock, request)
                while data := await loop.sock_recv(sock, 65536):
                    received += data
            except OSError as exc:
                seen.problems.append(f"the connection broke: {exc.strerror}")
        finally:
            sock.close()
        return bytes(received)

    async def ask_patiently(self, id: str, *, model: str, stream: bool, rng: Random, retries: int = SDK_RETRIES) -> Seen:
        """As an SDK would: broken connections, 408, 409, 429 and 5xx are retried twice, unless told that it is pointless;
        an answer that has begun is not."""
        tries, unreached, records, began = 0, 0, [], asyncio.get_running_loop().time()
        while True:
            seen = await self.ask(id, model=model, stream=stream)
            tries += 1
            unreached += seen.ended == "unreachable"
            records += seen.records
            if tries > retries or not _is_retried(seen):
                seen.tries, seen.unreached, seen.records = tries, unreached, records
                seen.took_s = asyncio.get_running_loop().time() - began
                return seen
            pause = min(0.5 * 2.0 ** (tries - 1), 8.0) * (1 - 0.25 * rng.random())
            await asyncio.sleep(seen.retry_after_s if seen.retry_after_s is not None and seen.retry_after_s <= 60 else pause)

    async def leave(self, id: str, *, model: str, stream: bool, after: asyncio.Event, how: Literal["fin", "rst"],
                    keep: int | None = None, padding: int = 0) -> float:
        """Sends a request (only its first `keep` bytes when given), waits for `after`, leaves; the moment of leaving."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, ("127.0.0.1", self.port))
            await loop.sock_sendall(sock, request_bytes(id, model=model, stream=stream, padding=padding)[:keep])
            reading = loop.create_task(_swallow(sock))  # else unread bytes would turn the FIN into an RST
            try:
                async with asyncio.timeout(self.allowed_s):
                    await after.wait()
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            if how == "rst":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        finally:
            sock.close()
        return loop.time()


async def _swallow(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while await loop.sock_recv(sock, 65536):
        pass


def _is_retried(seen: Seen) -> bool:
    if seen.ended == "unreachable":
        return True
    if seen.headers.get("x-should-retry") == "false":
        return False
    return seen.status == 0 or seen.status in _RETRIED or (seen.ended == "status" and seen.status >= 500)


# ---------------------------------------------------------------------------------------------------------------------
# Reading, strictly


def read(raw: bytes, seen: Seen, *, stream: bool) -> None:
    """Fills `seen` from all the bytes of one connection, on which one answer and a close are expected."""
    try:
        status, headers, body = _response(raw)
    except ValueError as exc:
        seen.problems.append(str(exc))
        return
    seen.status, seen.headers, seen.body = status, headers, body
    if "x-route-record" in headers:
        seen.records.append(headers["x-route-record"])
    try:
        if status != 200:
            _read_error(seen)
        elif stream:
            _read_stream(seen)
        else:
            _read_plain(seen)
    except ValueError as exc:
        seen.problems.append(str(exc))
    if seen.problems:
        seen.ended = "broken"


def _response(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, found, rest = raw.partition(b"\r\n\r\n")
    if not found:
        raise ValueError(f"no complete response head in {len(raw)} bytes")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version != "HTTP/1.1" or not status[:3].isdigit():
        raise ValueError(f"the status line is {first[:60]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, found_colon, value = line.partition(":")
        if not found_colon or name != name.strip() or not name:
            raise ValueError(f"a header line is {line[:60]!r}")
        if name.lower() in headers:
            raise ValueError(f"the header {name} came twice")
        headers[name.lower()] = value.strip()
    if ("content-length" in headers) == ("transfer-encoding" in headers):
        raise ValueError("neither or both of content-length and transfer-encoding")
    if "content-length" in headers:
        if len(rest) != int(headers["content-length"]):
            raise ValueError(f"{len(rest)} bytes of body, {headers['content-length']} were announced")
        return int(status[:3]), headers, rest
    return int(status[:3]), headers, _dechunked(rest)


def _dechunked(rest: bytes) -> bytes:
    body = bytearray()
    while True:
        size, found, rest = rest.partition(b"\r\n")
        if not found:
            raise ValueError("the chunked body was cut")
        length = int(size, 16)
        if len(rest) < length + 2 or rest[length : length + 2] != b"\r\n":
            raise ValueError("a chunk was cut or is longer than it says")
        body += rest[:length]
        rest = rest[length + 2 :]
        if length == 0:
            if rest:
                raise ValueError(f"{len(rest)} bytes after the end of the answer")
            return bytes(body)


def _json(data: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, UnicodeDecodeError) as exc:
        raise ValueError(f"not JSON: {data[:80]!r} ({exc})") from exc
    if not isinstance(value, dict):
        raise ValueError(f"no JSON object: {data[:80]!r}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check_error(error: object) -> dict[str, Any]:
    if not isinstance(error, dict) or not {"message", "type", "code"} <= set(error):
        raise ValueError(f"the error lacks message, type or code: {str(error)[:120]}")
    if not isinstance(error["message"], str) or "<html" in error["message"].lower():
        raise ValueError("the error's message is no text for people")
    return error


def _read_error(seen: Seen) -> None:
    if seen.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise ValueError(f"an error of type {seen.headers.get('content-type')}")
    seen.error = _check_error(_json(seen.body).get("error"))
    if seen.status in (429, 503) and seen.retry_after_s is None:
        raise ValueError(f"{seen.status} without a Retry-After in whole seconds: {seen.headers.get('retry-after')!r}")
    seen.ended = "status"


def _read_plain(seen: Seen) -> None:
    value = _json(seen.body.decode("utf-8", "strict"))
    choice = value["choices"][0] if value.get("choices") else {}
    seen.text = choice.get("message", {}).get("content") or ""
    if seen.text != text_of(seen.id):
        raise ValueError(f"the answer is {seen.text[:60]!r}, not {text_of(seen.id)[:60]!r}")
    if choice.get("finish_reason") != "stop":
        raise ValueError(f"finish_reason is {choice.get('finish_reason')!r}")
    seen.ended = "complete"


def _read_stream(seen: Seen) -> None:
    """Frames, then exactly one end: `[DONE]` after a finish, or one error frame."""
    if seen.headers.get("content-type", "").partition(";")[0] != "text/event-stream":
        raise ValueError(f"a stream of type {seen.headers.get('content-type')}")
    text = seen.body.decode("utf-8", "strict")
    if not text.endswith("\n\n"):
        raise ValueError("the last frame is not closed by an empty line")
    finish, over = None, ""
    for frame in text[:-2].split("\n\n"):
        if over:
            raise ValueError(f"a frame after the {over}: {frame[:60]!r}")
        if frame.startswith(":"):
            continue
        lines = frame.split("\n")
        if not all(line.startswith("data: ") for line in lines):
            raise ValueError(f"a frame that is no data: {frame[:60]!r}")
        data = "\n".join(line[6:] for line in lines)
        if data == "[DONE]":
            over = "[DONE]"
            continue
        value = _json(data)
        if "error" in value:
            over, seen.error = "error", _check_error(value["error"])
            if value["choices"][0]["finish_reason"] != "error":
                raise ValueError("the error frame has no choice that ends in an error")
            continue
        for choice in value["choices"]:
            seen.text += (choice.get("delta") or {}).get("content") or ""
            finish = choice.get("finish_reason") or finish
    expected = text_of(seen.id)
    if not over:
        raise ValueError("the stream ended in neither [DONE] nor an error frame")
    if over == "error":
        if not expected.startswith(seen.text):
            raise ValueError(f"before the error came {seen.text[-60:]!r}, which is not how the answer goes")
        seen.ended = "error"
        return
    if seen.text != expected or finish != "stop":
        raise ValueError(f"[DONE] after {seen.text[-60:]!r} and finish {finish!r}; the answer is {expected[-60:]!r}")
    seen.ended = "complete"
