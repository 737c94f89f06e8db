"""The clients of a soak: every kind of request, patient and impatient, right and wrong, and what they saw."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

KEY = "soak-key-0123456789"
HANGS_S = 40.0
"""Twice the route's deadline: whoever waits that long hangs."""
REFUSED = (400, 413, 422)
"""What an engine may say about a request on a REFUSALS day."""


@dataclass
class Tally:
    """What the clients saw, and what must stand in the store."""

    sent: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    """Errors that somebody else could have hidden, broken ends, wrong answers: none is allowed."""
    told: Counter[str] = field(default_factory=Counter)
    """Ends that are right though not answers."""
    expected: set[str] = field(default_factory=set)
    """Request ids that must have left exactly one record."""
    maybe: set[str] = field(default_factory=set)
    """Ids of requests that were left early: at most one record."""
    records: dict[str, str] = field(default_factory=dict)
    """Request id -> record id, where an answer told it."""
    refused: dict[str, str] = field(default_factory=dict)
    """Request id -> the error its client got; its record tells whether the router had a try left."""
    took_ms: list[float] = field(default_factory=list)
    hung: int = 0

    @property
    def requests(self) -> int:
        return sum(self.sent.values())


class Clients:
    """`workers` clients that share one pace."""

    def __init__(self, port: int, rng: Random, rate: float, workers: int = 48) -> None:
        self.tally = Tally()
        self._url = f"http://127.0.0.1:{port}"
        self._rng, self._rate, self._workers = rng, rate, workers
        self._number = 0
        self._until = 0.0
        self._session: aiohttp.ClientSession | None = None

    async def run(self, seconds: float) -> None:
        """Asks for `seconds`, lets what is under way end, and closes every connection."""
        self._until = time.monotonic() + seconds
        timeout = aiohttp.ClientTimeout(total=HANGS_S)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=2048) as self._session:
            await asyncio.gather(*(self._work() for _ in range(self._workers)))

    async def warm(self) -> None:
        """One decision, which needs no upstream."""
        async with aiohttp.ClientSession() as self._session:
            self._number += 1
            self.tally.sent["decided only"] += 1
            await self._decided(f"soak-{self._number}")

    async def _work(self) -> None:
        kinds: tuple[tuple[str, int, Callable[[str], Awaitable[None]]], ...] = (
            ("plain", 28, self._plain), ("streamed", 26, self._streamed), ("left while streamed", 7, self._left_streamed),
            ("left while waiting", 5, self._left_waiting), ("read slowly", 2, self._slowly), ("wrong", 10, self._wrong),
            ("decided only", 10, self._decided), ("embeddings", 7, self._embeddings), ("completions", 5, self._completions))
        weights = [weight for _, weight, _ in kinds]
        while (now := time.monotonic()) < self._until:
            name, _, ask = self._rng.choices(kinds, weights)[0]
            self._number += 1
            request = f"soak-{self._number}"
            self.tally.sent[name] += 1
            try:
                await ask(request)
            except TimeoutError:
                self.tally.hung += 1
                self.tally.violations[f"{name}: hung for {HANGS_S:g} s"] += 1
                self.tally.maybe.add(request)
            except aiohttp.ClientError as exc:
                self.tally.violations[f"{name}: {type(exc).__name__}"] += 1
                self.tally.maybe.add(request)
            pause = self._workers / self._rate - (time.monotonic() - now)
            await asyncio.sleep(max(0.0, pause * self._rng.uniform(0.5, 1.5)))

    # -- one request of each kind

    def _post(self, path: str, body: Any, id: str, **headers: str) -> Any:
        if self._session is None:
            raise RuntimeError("no session")
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        tier = self._rng.choice(("small", "medium", "large", "any"))
        return self._session.post(self._url + path, data=data, headers={
            "content-type": "application/json", "authorization": f"Bearer {KEY}", "x-request-id": id, "x-tier": tier} | headers)

    def _chat(self, **fields: Any) -> dict[str, Any]:
        words = " ".join(self._rng.choice(("refund", "prove", "why", "order", "中文", "def f(x):")) for _ in range(self._rng.randrange(3, 60)))
        return {"model": "auto", "messages": [{"role": "user", "content": words}]} | fields

    async def _plain(self, id: str, path: str = "/v1/chat/completions", body: Any = None) -> None:
        began = time.monotonic()
        async with self._post(path, body or self._chat(n=self._rng.choice((1, 1, 2))), id) as reply:
            raw = await reply.read()
            self._remember(id, reply)
            if reply.status == 200:
                answer = json.loads(raw)
                if not answer.get("choices") and not answer.get("data"):
                    self.tally.violations["an answer without choices"] += 1
                self.tally.took_ms.append((time.monotonic() - began) * 1000)
            else:
                self._failed(id, reply.status, raw)

    async def _streamed(self, id: str, read: Callable[[Any], Awaitable[bytes]] | None = None) -> None:
        began = time.monotonic()
        body = self._chat(stream=True, **({"stream_options": {"include_usage": True}} if self._rng.random() < 0.5 else {}))
        async with self._post("/v1/chat/completions", body, id) as reply:
            raw = await (read(reply) if read else reply.read())
            self._remember(id, reply)
            if reply.status != 200:
                self._failed(id, reply.status, raw)
                return
            frames = [frame[6:] for frame in raw.split(b"\n\n") if frame.startswith(b"data: ")]
            errors = sum(b'"error"' in frame and "error" in json.loads(frame) for frame in frames if frame != b"[DONE]")
            if frames[-1:] == [b"[DONE]"] and not errors:
                if read is None:
                    self.tally.took_ms.append((time.monotonic() - began) * 1000)
            elif errors == 1 and b"[DONE]" not in frames:
                if any(b'"content":"' in frame for frame in frames[:-1]):
                    self.tally.told["broken after the commit, told in one error frame"] += 1
                else:
                    self.tally.violations["an error frame before any content"] += 1
            else:
                self.tally.violations["a stream without a right end"] += 1

    async def _slowly(self, id: str) -> None:
        async def read(reply: Any) -> bytes:
            parts = []
            async for part in reply.content.iter_chunked(4096):
                parts.append(part)
                await asyncio.sleep(0.03)
            return b"".join(parts)

        await self._streamed(id, read)

    async def _left_streamed(self, id: str) -> None:
        self.tally.maybe.add(id)
        async with self._post("/v1/chat/completions", self._chat(stream=True), id) as reply:
            for _ in range(self._rng.randrange(3)):
                await reply.content.readany()
            reply.close()

    async def _left_waiting(self, id: str) -> None:
        self.tally.maybe.add(id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._rng.choice((0.0005, 0.003, 0.02, 0.2))):
                async with self._post("/v1/chat/completions", self._chat(stream=self._rng.random() < 0.5), id) as reply:
                    await reply.read()

    async def _wrong(self, id: str) -> None:
        body, status, headers = self._rng.choice((
            (b'{"model":', 400, {}), (b'{"model":"auto","messages":5}', 400, {}), (self._chat(model="nobody"), 404, {}),
            (self._chat(api_base="http://evil"), 400, {}), (self._chat(), 401, {"authorization": "Bearer nobody"}),
            (self._chat(), 415, {"content-type": "text/plain"}), (b"", 400, {}), (b"[" * 5000, 400, {})))
        async with self._post("/v1/chat/completions", body, id, **headers) as reply:
            raw = await reply.read()
            if reply.status != status:
                self.tally.violations[f"wrong request: {reply.status} instead of {status}"] += 1
            json.loads(raw)["error"]["message"]
            if status != 401:  # whoever is not let in leaves no record
                self._remember(id, reply)

    async def _decided(self, id: str) -> None:
        path = self._rng.choice(("/v1/route", "/classify"))
        async with self._post(path, self._chat(), id) as reply:
            await reply.read()
            self._remember(id, reply)
            if reply.status != 200 or "x-route-tier" not in reply.headers:
                self.tally.violations[f"{path}: {reply.status}"] += 1

    async def _embeddings(self, id: str) -> None:
        await self._plain(id, "/v1/embeddings", {"model": "vectors", "input": ["a", "b"]})

    async def _completions(self, id: str) -> None:
        await self._plain(id, "/v1/completions", {"model": "auto", "prompt": "Once upon a time"})

    # -- what came of it

    def _remember(self, id: str, reply: Any) -> None:
        self.tally.expected.add(id)
        if "x-route-record" in reply.headers:
            self.tally.records[id] = reply.headers["x-route-record"]

    def _failed(self, id: str, status: int, raw: bytes) -> None:
        error = json.loads(raw)["error"]
        if status in REFUSED:
            self.tally.told["the engine found the request at fault"] += 1
        else:
            self.tally.refused[id] = f"{status} {error.get('code')}"
