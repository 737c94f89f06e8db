"""Who decides how many machines there are."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Protocol

from pointsman.core.schedule import parse_hours
from pointsman.core.settings import ScaleSettings, ScheduleHint
from pointsman.pools.scaling import Demand, Scaler

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


class Rule(Protocol):
    name: str
    every_s: float

    def look(self, now: float, running: int, waiting: int, ready: int, *, is_breaching: bool, answers_per_s: float) -> int:
        """Machines wanted."""
        ...


class Static:
    """Always the same: what the busiest minute needs."""

    every_s = 3600.0

    def __init__(self, machines: int) -> None:
        self.name, self._machines = f"static {machines}", machines

    def look(self, now: float, running: int, waiting: int, ready: int, *, is_breaching: bool, answers_per_s: float) -> int:
        return self._machines


class Keda:
    """KEDA's Prometheus scaler over an HPA of type AverageValue: `ceil(metric / target)`, polled every 15 s, never down within
    300 s of a higher recommendation, a change of less than a tenth ignored (Kubernetes' defaults)."""

    every_s = 15.0

    def __init__(self, target: float, least: int, *, queue_only: bool) -> None:
        what = "queue" if queue_only else "queue + running"
        self.name = f"KEDA {what} > {target:g}, min {least}"
        self._target, self._least, self._queue_only = target, least, queue_only
        self._said: deque[tuple[float, int]] = deque()

    def look(self, now: float, running: int, waiting: int, ready: int, *, is_breaching: bool, answers_per_s: float) -> int:
        metric = waiting if self._queue_only else waiting + running
        wanted = max(self._least, ceil(metric / self._target))
        if ready and abs(wanted / ready - 1) <= 0.1:
            wanted = ready
        self._said.append((now, wanted))
        while self._said[0][0] < now - 300:
            self._said.popleft()
        return max(said for _, said in self._said)


class Pointsman:
    """The router's own signal."""

    every_s = 5.0

    def __init__(self, slots: int, boot_s: float, target_use: float, least: int = 1, *, schedule: tuple[str, int] | None = None) -> None:
        self.name = f"Pointsman, target_use {target_use:g}" + (f", {schedule[0]}: {schedule[1]}" if schedule else "")
        hints = (ScheduleHint(schedule[0], parse_hours(schedule[0]), schedule[1]),) if schedule else ()
        self._scaler = Scaler(ScaleSettings(min=least, target_use=target_use, boot_s=boot_s, schedule=hints))
        self._slots = slots

    def look(self, now: float, running: int, waiting: int, ready: int, *, is_breaching: bool, answers_per_s: float) -> int:
        demand = Demand(running, waiting, tuple(f"tier/{i}" for i in range(ready)), self._slots, is_breaching, answers_per_s)
        return self._scaler.look(demand, now, MIDNIGHT + timedelta(seconds=now)).desired or 1
