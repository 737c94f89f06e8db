"""What time it is: handed in, never asked for, so that every decision can be replayed."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Monotonic seconds; for durations and deadlines."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch; for stamps only."""
        ...


class SystemClock:
    """The real one; `wiring` hands it out."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
