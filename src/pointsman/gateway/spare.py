"""What work beside the event loop may use of a core: a share over time, and nothing while the loop needs the core itself.

Counted in seconds of the processor, not of the clock: on a busy machine a second of work lasts longer, and would be paid for twice.

Why yield altogether when the loop is busy? Whatever else runs in this process then takes requests away from somebody: a router
that reads better and answers less is no gain. A loop that has to wait for its core is as busy as one that runs on it: a machine
that others load too, or a limit of the container, does not look idle.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

SAVED_S: Final = 0.5
"""Seconds of work that an idle helper saves up for a burst."""
LOOKS_S: Final = 0.05
"""Seconds between two looks at what the loop needs: long enough to be no noise, short enough that a rush is noticed in time."""
BUSY: Final = 0.75
"""Of one core: from here on the loop is too busy for anything beside it. Not .9: the interpreter's lock keeps a loop under full load off its
core, too, and that is neither run nor waited for a core. With .9 the stage cost a full path 6 % beside what the static scores do, with .75 3
(bench/overhead, two runs)."""
SCHEDULED: Final = "/proc/thread-self/schedstat"
IS_BUSY: Final = "the router needs its core for requests"
USED_UP: Final = "its share of the processor is used up"


class Spare:
    """One helper's purse. Asked on the loop's thread, since it is that thread's need which it looks at."""

    def __init__(self, share: float, now: Callable[[], float], needed: Callable[[], float] | None = None) -> None:
        """`share` of one core. `needed`: seconds of a core that the calling thread has wanted so far."""
        self.share, self._now, self._needed = share, now, needed_s if needed is None else needed
        # Seconds that may still be spent; below zero nothing is let in.
        self.saved_s = SAVED_S
        self._needed_s = 0.0
        # None until somebody asks: starting up is hard work for the loop's thread, and says nothing about requests.
        self._looked_at: float | None = None
        self._is_busy = False

    def refusal(self) -> str:
        """Why nothing may be begun now; "" = it may."""
        now = self._now()
        if self._looked_at is None or now - self._looked_at >= LOOKS_S:
            self._look(now)
        if self._is_busy:
            return IS_BUSY
        return "" if self.saved_s > 0 else USED_UP

    def spend(self, seconds: float) -> None:
        """That much has been used of a core."""
        self.saved_s -= seconds

    def _look(self, now: float) -> None:
        needed = self._needed()
        if self._looked_at is not None:
            passed = now - self._looked_at
            self._is_busy = needed - self._needed_s >= BUSY * passed
            self.saved_s = min(SAVED_S, self.saved_s + passed * self.share)
        self._looked_at, self._needed_s = now, needed

    def __repr__(self) -> str:
        return f"<Spare {self.share:g} of a core [{self.saved_s:.2f} s saved{', yielding' if self._is_busy else ''}]>"


def needed_s() -> float:
    """Seconds for which this thread has run or waited for a core. Only those that it ran where the system does not tell (Linux does).

    Source: the first two numbers of `schedstat`, in nanoseconds (Documentation/scheduler/sched-stats.rst of the kernel).
    """
    try:
        ran, waited, _ = Path(SCHEDULED).read_bytes().split()
    except (OSError, ValueError):
        return time.thread_time()
    return (int(ran) + int(waited)) / 1e9
