"""A client that may look at an answer while it comes, and leave in the middle of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

MESSAGES = [{"role": "user", "content": "Count, please."}]


def counted(words: int) -> str:
    """What the counting model says in so many tokens."""
    return "".join(f" {number}" for number in range(1, words + 1))


@dataclass
class Answer:
    """What has come so far."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    events: list[str] = field(default_factory=list)
    """The data of a stream's events, `[DONE]` included."""
    grew: asyncio.Event = field(default_factory=asyncio.Event)
    broke: str = ""
    """The connection ended before the answer did."""

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
    def error(self) -> Any:
        """As a body, or as the last frame of a stream."""
        if self.status != 200:
            return self.json["error"]
        return self.chunks[-1].get("error") if self.events and not self.is_done else None

    @property
    def text(self) -> str:
        if not self.events:
            return str(self.json["choices"][0]["message"]["content"])
        return "".join(c["delta"].get("content") or "" for chunk in self.chunks for c in chunk.get("choices", ()) if "delta" in c)

    @property
    def ids(self) -> set[str]:
        return {chunk["id"] for chunk in self.chunks if "id" in chunk}

    @property
    def usage(self) -> Any:
        return next((chunk["usage"] for chunk in reversed(self.chunks) if chunk.get("usage")), None)

    async def has(self, events: int) -> None:
        """Until so many events are here, or the answer is over."""
        while len(self.events) < events and not self.broke and not self.is_done:
            self.grew.clear()
            await self.grew.wait()


class Client:
    """`chat` answers whole; `begin` returns at once with what will be the answer, and the task that reads it."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300), connector=aiohttp.TCPConnector(limit=0))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def begin(self, root: str, **fields: Any) -> tuple[Answer, asyncio.Task[Answer]]:
        answer = Answer()
        return answer, asyncio.create_task(self._read(f"{root}/chat/completions", asked(**fields), answer))

    async def chat(self, root: str, **fields: Any) -> Answer:
        return await self._read(f"{root}/chat/completions", asked(**fields), Answer())

    async def post(self, url: str, body: dict[str, Any]) -> Answer:
        return await self._read(url, body, Answer())

    async def _read(self, url: str, body: dict[str, Any], answer: Answer) -> Answer:
        try:
            async with self._session.post(url, json=body) as reply:
                answer.headers = {name.lower(): value for name, value in reply.headers.items()}
                answer.status = reply.status
                async for line in reply.content:
                    answer.body += line
                    if reply.content_type == "text/event-stream" and line.startswith(b"data: "):
                        answer.events.append(line[6:].decode().strip())
                    answer.grew.set()
        except aiohttp.ClientError as error:
            answer.broke = repr(error)
            answer.grew.set()
        return answer


def asked(**fields: Any) -> dict[str, Any]:
    """A chat with the counting model; greedy, and it never ends before `max_tokens`."""
    body = {"model": "auto", "messages": MESSAGES, "temperature": 0, "max_tokens": 20} | fields
    if body.get("stream"):
        body.setdefault("stream_options", {"include_usage": True})
    return {name: value for name, value in body.items() if value is not None}
