"""A model server that believes nothing: what it gets from the router must be right HTTP and right JSON, or it says so.

It answers at once and correctly, so that every failed answer of the router is the router's.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
HEADERS = frozenset(("host", "content-type", "content-length", "accept", "accept-encoding", "authorization", "user-agent",
                     "connection", "x-request-id"))
MAX_DEPTH = 64
MAX_CHOICES = 64
TOP_LEVEL = frozenset(("model", "messages", "stream", "stream_options", "max_tokens", "n", "prompt", "input", "best_of", "metadata"))


class StrictUpstream:
    """`violations` holds what should never have come, with the bytes."""

    def __init__(self) -> None:
        self.violations: list[tuple[str, bytes]] = []
        self.requests = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=4 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(self._length(head))
                self.requests += 1
                writer.write(self._answer(head, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _length(self, head: bytes) -> int:
        lines = head[:-4].split(b"\r\n")
        method, path, version = lines[0].decode("latin-1").split(" ")
        names = [line.partition(b":")[0].decode("latin-1").lower() for line in lines[1:]]
        lengths = [line.partition(b":")[2].strip() for line in lines[1:] if line.lower().startswith(b"content-length:")]
        if method == "GET":
            return 0
        if (method, version) != ("POST", "HTTP/1.1") or path not in PATHS:
            self._wrong("request line", head)
        if len(lengths) != 1 or not lengths[0].isdigit() or len(names) != len(set(names)) or not HEADERS.issuperset(names):
            self._wrong("headers", head)
        if b"fuzz-key" in head:
            self._wrong("the client's key", head)
        return int(lengths[0])

    def _wrong(self, what: str, data: bytes) -> None:
        self.violations.append((what, data[:4000]))

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET"):
            return _plain(200, {"object": "list", "data": []})
        try:
            asked = self._read(body)
        except (ValueError, RecursionError) as exc:
            self._wrong(f"body: {exc}", body)
            return _plain(400, {"error": {"message": str(exc), "type": "bad", "param": None, "code": None}})
        path = head.split(b" ", 2)[1].decode()
        return answer(path, asked)

    def _read(self, body: bytes) -> dict[str, Any]:
        """Strict JSON: no NaN, UTF-8, an object, nothing we read twice, no deeper than allowed."""
        duplicates: list[str] = []

        def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
            duplicates[:] = [key for key, _ in found if sum(key == other for other, _ in found) > 1] if len(found) < 50 else []
            return dict(found)

        def constant(name: str) -> None:
            raise ValueError(f"{name} is not JSON")

        asked = json.loads(body.decode(), object_pairs_hook=pairs, parse_constant=constant, parse_int=_integer)
        if not isinstance(asked, dict):
            raise ValueError("not an object")
        if TOP_LEVEL.intersection(duplicates):
            raise ValueError(f"duplicates: {duplicates}")
        if _depth(body) > MAX_DEPTH:
            raise ValueError("too deep")
        if asked["model"] not in ("small-7b", "large-70b", "vectors"):
            raise ValueError(f"model {asked['model']!r} was not replaced")
        return asked


def _integer(text: str) -> int:
    return int(text) if len(text) < 4000 else 0


def _depth(body: bytes) -> int:
    """Deepest nesting; strings left out."""
    depth = deepest = 0
    in_string = escaped = False
    for byte in body if len(body) < 100_000 else b"":
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _plain(status: int, body: Any) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(data)) + data


def answer(path: str, asked: dict[str, Any]) -> bytes:
    """A right answer, streamed if asked for."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    if path.endswith("embeddings"):
        count = _count(asked["input"])
        data = [{"object": "embedding", "index": i, "embedding": [0.5]} for i in range(count)]
        return _plain(200, {"object": "list", "data": data, "model": "vectors", "usage": usage})
    n = asked.get("n") or 1
    is_chat = path.endswith("chat/completions")
    choices = max(1, n) * (1 if is_chat else _count(asked.get("prompt")))
    if choices > MAX_CHOICES:
        return _plain(400, {"error": {"message": "n is too large", "type": "invalid_request_error", "param": "n", "code": None}})
    if asked.get("stream") is not True:
        said = {"message": {"role": "assistant", "content": "Paris."}} if is_chat else {"text": "Paris."}
        return _plain(200, {"id": "x", "object": "chat.completion", "model": asked["model"], "usage": usage, "choices": [
            {"index": i, "finish_reason": "stop", **said} for i in range(choices)]})
    events = []
    for i in range(choices):
        said = {"delta": {"content": "Paris."}} if is_chat else {"text": "Paris."}
        events.append({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": i, "finish_reason": "stop", **said}]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        events.append({"id": "x", "object": "chat.completion.chunk", "choices": [], "usage": usage})
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(data) + data


def _count(value: Any) -> int:
    if not isinstance(value, list) or not value or isinstance(value[0], int):
        return 1
    return len(value)
