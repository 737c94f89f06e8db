"""An event loop on which time passes only while everybody waits, and then as fast as in the world: for tests over real sockets.

Why not the world's clock? On a busy machine a process stands still for a second now and then. A test in which the client, the router and the
engines share one loop then sees a timer of 50 ms go off before bytes that have long arrived are read, and blames the code. Here a wait counts
for as long as was asked and no longer, and work costs next to nothing: whatever the processor does, the order of things is that of an idle one.

Why not `virtual_time`? It jumps to the next timer as soon as no socket has news, and news from another process or thread take their time. Here
they get it. What another process does under a limit stays a matter of real time: give such limits room.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time

TURN_S = 1e-5
"""What a turn of the loop costs at most, in seconds: about what it does on an idle machine. Not zero, or a loop that asks over and over whether a
moment has come would never see it."""


class _Patient(selectors.DefaultSelector):
    """Waits as it is asked to, and sums up what of it counts."""

    def __init__(self) -> None:
        super().__init__()
        # What has passed; and while it waits, since when, and how much of that will count. One value: threads look at it at any moment.
        self._state: tuple[float, float | None, float] = (time.monotonic(), None, 0.0)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        passed, _, _ = self._state
        self._state = (passed, time.monotonic(), math.inf if timeout is None else max(timeout, 0.0) + TURN_S)
        try:
            return super().select(timeout)
        finally:
            self._state = (max(self.passed(), passed + TURN_S), None, 0.0)

    def passed(self) -> float:
        passed, since, limit = self._state
        return passed if since is None else passed + min(time.monotonic() - since, limit)


class PatientLoop(asyncio.SelectorEventLoop):
    """Its `time()` begins at the world's and falls behind by whatever the machine stood still or worked."""

    latest: PatientLoop | None = None
    """The one that began to run last: what threads without a loop of their own go by."""

    def __init__(self) -> None:
        self._patient = _Patient()
        super().__init__(self._patient)

    def time(self) -> float:
        return self._patient.passed()

    def run_forever(self) -> None:
        before, PatientLoop.latest = PatientLoop.latest, self
        try:
            super().run_forever()
        finally:
            PatientLoop.latest = before


class Patience(asyncio.DefaultEventLoopPolicy):
    """With it `asyncio.run` and everybody else makes patient loops."""

    _loop_factory = PatientLoop


def now() -> float:
    """`core.clock.SystemClock.now` for code on such a loop, or in a thread that works for one; the world's time elsewhere."""
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = PatientLoop.latest
    return running.time() if isinstance(running, PatientLoop) else time.monotonic()
