"""Open-loop clients: every request leaves when the trace says, whatever became of the others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

GAVE_UP = "gave up"
_CONTENT = re.compile(rb'"content": ?"[^"]')


@dataclass(slots=True)
class Answer:
    """What became of one request. Times are simulated seconds."""

    number: int
    ttft_s: float | None = None
    error: str = ""
    """"" = the answer is whole."""
    sent_late_s: float = 0.0
    """Real seconds between the moment it was due and the moment it left."""


class Clients:
    """Plays `bodies` at `times` (simulated seconds) against one URL."""

    def __init__(self, url: str, *, fast: float, patience_s: float, headers: dict[str, str] | None = None) -> None:
        """`patience_s`: simulated seconds without a first token after which a client leaves."""
        self.url, self.fast, self.patience_s, self.headers = url, fast, patience_s, headers or {}

    async def play(self, bodies: Sequence[bytes], times: Sequence[float]) -> list[Answer]:
        """All answers, in order, once each has its first token or has failed.

        Those still talking then are broken off and count as whole: what is measured is known, and the longest answer on
        the slowest engine would take longer than all arrivals.
        """
        loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            began = loop.time()
            answers: list[Answer] = []
            tasks: list[asyncio.Task[None]] = []
            for number, (body, at_s) in enumerate(zip(bodies, times, strict=True)):
                due = began + at_s / self.fast
                if (wait := due - loop.time()) > 0:
                    await asyncio.sleep(wait)
                answers.append(Answer(number, sent_late_s=loop.time() - due))
                tasks.append(asyncio.create_task(self._ask(session, answers[-1], body, due)))
            while not all(task.done() or answer.ttft_s is not None for task, answer in zip(tasks, answers, strict=True)):
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return answers

    async def _ask(self, session: aiohttp.ClientSession, answer: Answer, body: bytes, due: float) -> None:
        try:
            async with asyncio.timeout_at(due + self.patience_s / self.fast) as patience:
                headers = {"content-type": "application/json", **self.headers}
                async with session.post(self.url, data=body, headers=headers) as response:
                    if response.status != 200:
                        answer.error = f"status {response.status}"
                        await response.read()
                        return
                    await self._read(response, answer, due, patience)
        except TimeoutError:
            answer.error = GAVE_UP
        except (aiohttp.ClientError, OSError) as error:
            answer.error = type(error).__name__

    async def _read(self, response: aiohttp.ClientResponse, answer: Answer, due: float, patience: asyncio.Timeout) -> None:
        loop, tail, is_whole = asyncio.get_running_loop(), b"", False
        async for data in response.content.iter_any():
            seen = tail + data
            if answer.ttft_s is None and _CONTENT.search(seen):
                answer.ttft_s = (loop.time() - due) * self.fast
                patience.reschedule(due + 10 * self.patience_s / self.fast)
            # A finish reason on a whole answer; `error` and `null` are none.
            if b'"finish_reason":"length"' in seen or b'"finish_reason":"stop"' in seen:
                is_whole = True
            tail = seen[-200:]
        if not is_whole:
            answer.error = "cut off"
