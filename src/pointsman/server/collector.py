"""When everything in memory is looked through for garbage: where more of it is held than the requests under way explain.

Why not leave that to the interpreter? It looks through everything whenever a quarter more objects have outlived their
youth, and an open stream is a hundred of them. Opening 8,000 took thirteen such looks at up to 900,000 objects, a
third of all processor time and some tenths of a second of silence each, to find 34 objects. What a request leaves is
freed by counting references, however it ended (a test sees to it). The young are collected as ever: they find the
cycles that libraries make.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
"""Counting blocks takes 0.4 ms with 8,000 streams open. Five seconds: a ten-thousandth of the time, and little can gather meanwhile."""
BLOCKS_OF_ONE = 400
"""Blocks of memory that a request under way may hold. An open stream holds 260 (measured), one with tools or several attempts more."""
GROWTH = 0.25
"""Of what no request explains, since the last look through everything. A quarter, as the interpreter's own rule: with 50,000 blocks
at rest above a fresh start it runs, which is some megabytes, and the looks cost a bounded share of what was allocated."""
NEVER = 2**31 - 1


class Collector:
    """The process's garbage collection, from `begin` to `end`; `running` tells the requests under way."""

    def __init__(self, running: Callable[[], int], *, blocks: Callable[[], int] = sys.getallocatedblocks,
                 collect: Callable[[], object] = gc.collect) -> None:
        self._running, self._blocks, self._collect = running, blocks, collect
        # As they were found; None while they are not ours.
        self._thresholds: tuple[int, int, int] | None = None
        self._known = 0
        """Blocks that no request explained when everything had just been looked through."""

    def begin(self) -> None:
        """From now on everything is looked through only by `look`. An allocator that does not count leaves all to the interpreter."""
        self._known = self._unexplained()
        found = gc.get_threshold()
        if self._blocks() and found[0] and found[2] != NEVER:
            self._thresholds = found
            gc.set_threshold(found[0], found[1], NEVER)

    def end(self) -> None:
        """Leaves the rest to the interpreter again. Idempotent."""
        if self._thresholds is not None:
            gc.set_threshold(*self._thresholds)
            self._thresholds = None

    async def run(self) -> None:
        """Looks now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> bool:
        """Collects everything, if there is reason to; whether it did."""
        if self._thresholds is None or self._unexplained() <= self._known * (1 + GROWTH):
            return False
        found = self._collect()
        self._known = self._unexplained()
        _log.info("looked through everything in memory: %s objects were garbage; %d blocks stay that no request under way explains", found, self._known)
        return True

    def _unexplained(self) -> int:
        return max(0, self._blocks() - BLOCKS_OF_ONE * self._running())

    def __repr__(self) -> str:
        return f"<Collector [{self._unexplained()} blocks unexplained, {self._known} known]>"
