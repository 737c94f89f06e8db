"""An event loop on which time passes only while everybody waits: tests of deadlines that take no time and measure no machine.

    async def story():
        clock = LoopClock()
        await asyncio.sleep(600)      # at once
        return clock.now()            # 600 s later, to the bit

    run(story())

What work costs is nothing here: between two waits the clock stands still. So what is measured is what the code decides to wait for, and
no busy neighbour can make it fail. For code that talks to real sockets it is no use: the world's time goes on.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
STEP_S = 1e-9
"""A jump goes so far beyond its timer: sums of floats may fall short of it by a rounding, and the loop would not move."""


class NothingToWaitFor(RuntimeError):
    """Everybody waits, and for nobody's timer: on a real loop this would hang."""


class _Jumping(selectors.DefaultSelector):
    """Asks for events without waiting, and tells how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout is None:
            raise NothingToWaitFor("every task waits, and no timer is set")
        if not found and timeout is not None and timeout > 0:
            self.waited_s += timeout + STEP_S
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time()` begins at 0 and jumps from timer to timer."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.waited_s


class LoopClock:
    """`core.clock.Clock` by the running loop; its wall clock begins in 2027."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now()


def run(story: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)
