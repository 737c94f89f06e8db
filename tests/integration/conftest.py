"""A client that sees what a client sees."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest


@dataclass
class Heard:
    """One answer: status, headers, body, and for streams the data of its events."""

    status: int
    headers: dict[str, str]
    body: bytes
    events: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def chunks(self) -> list[Any]:
        return [json.loads(event) for event in self.events if event != "[DONE]"]

    @property
    def is_done(self) -> bool:
        return self.events[-1:] == ["[DONE]"]

    @property
    def error(self) -> dict[str, Any] | None:
        """The error a client is shown: as a body, or as the terminal frame of a stream."""
        if self.status != 200:
            return self.json["error"]
        return self.chunks[-1].get("error") if self.chunks else None

    @property
    def text(self) -> str:
        if not self.events:
            return self.json["choices"][0]["message"]["content"]
        return "".join(c["delta"].get("content") or "" for chunk in self.chunks for c in chunk.get("choices", ()))


class Client:
    def __init__(self, timeout_s: float = 60.0) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await asyncio.sleep(0)

    async def post(self, url: str, body: Any, headers: dict[str, str] | None = None) -> Heard:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self._session.post(url, data=data, headers={"content-type": "application/json"} | (headers or {})) as r:
            raw = await r.read()
            heard = Heard(r.status, {k.lower(): v for k, v in r.headers.items()}, raw)
            if r.content_type == "text/event-stream":
                frames = raw.decode().split("\n\n")
                heard.events = [f.removeprefix("data: ") for f in frames if f.startswith("data: ")]
            return heard

    async def get(self, url: str, headers: dict[str, str] | None = None) -> Heard:
        async with self._session.get(url, headers=headers or {}) as r:
            return Heard(r.status, {k.lower(): v for k, v in r.headers.items()}, await r.read())

    async def chat(self, root: str, prompt: str = "hi", *, stream: bool = False, model: str = "auto", **fields: Any) -> Heard:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream} | fields
        return await self.post(f"{root}/chat/completions", body)


@pytest.fixture
def client() -> type[Client]:
    return Client
