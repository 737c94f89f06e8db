"""The crowd meets the router: sends each prompt at its moment and keeps count."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from pointsman.cli.demonstration.client import Answer, ask
from pointsman.cli.demonstration.prompts import Arrival

LATEST = 6
"""How many answers the display remembers."""


class Progress:
    """How far a tour is, for the eye. Everything here is real time and what the client was told."""

    def __init__(self, total: int, now: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.sent = self.answered = self.failed = 0
        self.by_tier: Counter[str] = Counter()
        # Streamed answers count with the cost that was expected when they began: exact costs are in the records.
        self.about_nano_usd = 0
        self.latest: deque[tuple[Arrival, Answer]] = deque(maxlen=LATEST)
        self.first_answer_s: float | None = None
        self._now, self._began = now, now()

    @property
    def in_flight(self) -> int:
        return self.sent - self.answered - self.failed

    @property
    def elapsed_s(self) -> float:
        return self._now() - self._began

    @property
    def per_s(self) -> float:
        """Answers per real second since the start."""
        return self.answered / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def take(self, arrival: Arrival, answer: Answer) -> None:
        if answer.error is not None:
            self.failed += 1
            return
        self.answered += 1
        if self.first_answer_s is None:
            self.first_answer_s = self.elapsed_s
        self.by_tier[answer.tier] += 1
        self.about_nano_usd += answer.about_nano_usd
        self.latest.append((arrival, answer))

    def __repr__(self) -> str:
        return f"<Progress {self.answered}/{self.total} [{self.in_flight} in flight, {self.failed} failed]>"


class Tour:
    """One walk through the arrivals. `fast` 4: four simulated seconds in a real one."""

    def __init__(self, arrivals: Sequence[Arrival], host: str, port: int, fast: float, model: str = "auto") -> None:
        self._arrivals, self._host, self._port, self._fast, self._model = arrivals, host, port, fast, model
        self.progress = Progress(len(arrivals))

    async def run(self) -> list[tuple[Arrival, Answer]]:
        """All answers, in the order of sending."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._visit(arrival, began)) for arrival in self._arrivals]
        return [(arrival, task.result()) for arrival, task in zip(self._arrivals, tasks, strict=True)]

    async def _visit(self, arrival: Arrival, began: float) -> Answer:
        due = began + arrival.at_s / self._fast
        await asyncio.sleep(max(due - asyncio.get_running_loop().time(), 0.0))
        self.progress.sent += 1
        answer = await ask(self._host, self._port, arrival.body(self._model), arrival.prompt.headers)
        self.progress.take(arrival, answer)
        return answer
