"""A clock that the test moves."""

from __future__ import annotations


class ManualClock:
    """Starts at `start`; time passes when `advance` says so.

    >>> clock = ManualClock(10.0)
    >>> clock.advance(0.5)
    >>> clock.now()
    10.5
    """

    def __init__(self, start: float = 1000.0, wall: float = 1_800_000_000.0) -> None:
        self._now, self._wall = start, wall

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._wall += seconds
