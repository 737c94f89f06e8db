"""What a part of the matrix found out: numbers with their targets, and problems with the command that shows them again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cells import Problem
from world import LoopLag, Router

from pointsman.testing.fault_oracle import Oracle, Seen

TOO_LATE_S = 0.25


@dataclass
class Measure:
    """One row of the scorecard."""

    id: str
    what: str
    value: str
    target: str
    holds: bool | None
    """None: not measurable here; `value` says why."""


@dataclass
class Found:
    """What one part found."""

    executed: int = 0
    void: int = 0
    """Cases that were repeated because the harness itself was late."""
    measures: list[Measure] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Case -> why it was not executed."""

    def add(self, other: Found) -> None:
        self.executed += other.executed
        self.void += other.void
        self.measures += other.measures
        self.problems += other.problems
        self.skipped |= other.skipped

    async def judged(self, case: Callable[[], Awaitable[None]], folder: Path) -> None:
        """Runs a case that measures into this; once more if it found trouble while our own loop stood still."""
        measures, problems = len(self.measures), len(self.problems)
        async with LoopLag() as lag:
            await case()
        if len(self.problems) > problems and lag.worst > TOO_LATE_S:
            self.void += 1
            del self.measures[measures:], self.problems[problems:]
            shutil.rmtree(folder, ignore_errors=True)
            await case()

    def measure(self, id: str, what: str, value: str, target: str, holds: bool | None, again: str) -> None:
        """A row; one that does not hold is a problem too."""
        self.measures.append(Measure(id, what, value, target, holds))
        if holds is False:
            self.problems.append(Problem(id, what, f"{value}, allowed: {target}", again))


@dataclass
class Traffic:
    """Requests at a steady rate, whatever becomes of them: a closed loop would slow down with what it measures."""

    router: Router
    model: str
    rate: float
    prefix: str
    stream_share: float = 0.5
    seed: int = 7
    seen: list[Seen] = field(default_factory=list)

    async def run(self, seconds: float, during: Callable[[], Awaitable[None]] | None = None) -> list[Seen]:
        """Sends for `seconds`; `during` begins beside it after a fifth of the time."""
        loop, rng = asyncio.get_running_loop(), Random(f"{self.prefix} {self.seed}")
        oracle = Oracle(self.router.port, allowed_s=self.router.plan.clock.allowed_s)
        began, tasks, count = loop.time(), set(), int(seconds * self.rate)
        beside = loop.create_task(self._beside(seconds / 5, during)) if during else None
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / self.rate - loop.time()))
            task = loop.create_task(oracle.ask(f"{self.prefix}.{self.seed}.{number}", model=self.model,
                                               stream=rng.random() < self.stream_share))
            tasks.add(task)
            task.add_done_callback(lambda t: self.seen.append(t.result()))
        await asyncio.gather(*tasks)
        if beside is not None:
            await beside
        return self.seen

    async def _beside(self, after_s: float, during: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(after_s)
        await during()

    @property
    def failed(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.ended != "complete"]

    def summary(self) -> str:
        worst = f"; the first bad end: {self.failed[0]}" if self.failed else ""
        return f"{len(self.failed)} of {len(self.seen)} requests without their answer{worst}"
