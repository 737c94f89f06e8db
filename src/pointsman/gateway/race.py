"""Attempts that run at once: a first one and, once it is slow, a second beside it.

The machine decides when the second starts and which one wins; here they only run. Nothing of this is touched by
requests that are not hedged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from pointsman.cascade.events import Call, Event, Tick
from pointsman.core.clock import Clock
from pointsman.core.fleet import EndpointId
from pointsman.gateway.dispatch import Journey

_log = logging.getLogger(__name__)

Ended = tuple[Journey | None, Event]


class Race:
    """The running attempts of one request that may be hedged."""

    def __init__(self, clock: Clock, discard: Callable[[Journey], None]) -> None:
        """`discard` ends an attempt that had come to something just when it was cancelled."""
        self._clock, self._discard = clock, discard
        self._running: dict[int, asyncio.Task[Ended]] = {}
        self._endpoints: dict[int, EndpointId] = {}

    @property
    def is_on(self) -> bool:
        return bool(self._running)

    def holds(self, attempt: int, endpoint: EndpointId) -> None:
        """The attempt has leased this endpoint: the other one goes elsewhere."""
        self._endpoints[attempt] = endpoint

    @property
    def endpoints(self) -> frozenset[EndpointId]:
        return frozenset(self._endpoints[attempt] for attempt in self._running if attempt in self._endpoints)

    def start(self, call: Call, perform: Callable[[Call], Awaitable[Ended]]) -> None:
        async def attempt() -> Ended:
            return await perform(call)

        self._running[call.attempt] = asyncio.get_running_loop().create_task(attempt())

    def go_on(self, attempt: int, rest: Coroutine[Any, Any, Ended], endpoint: EndpointId) -> None:
        """An attempt that had come to a halt runs again beside the other one."""
        self._endpoints[attempt] = endpoint
        self._running[attempt] = asyncio.get_running_loop().create_task(rest)

    async def next(self, at: float | None = None) -> tuple[int, Ended]:
        """What happens first: an attempt's event, or at `at` (monotonic seconds) a Tick. Returns (attempt, what).

        Cancelling it ends every attempt.
        """
        timeout = None if at is None else max(0.0, at - self._clock.now())
        try:
            done, _ = await asyncio.wait(self._running.values(), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop()
            raise
        for attempt, task in tuple(self._running.items()):
            if task in done:
                del self._running[attempt]
                return attempt, task.result()
        return 0, (None, Tick(self._clock.now()))

    async def cancel(self, attempt: int) -> bool:
        """Ends one attempt and waits until its socket is closed. False: it is not (or no longer) in the race."""
        task = self._running.pop(attempt, None)
        if task is None:
            return False
        self._end(task)
        await asyncio.wait((task,))
        return True

    async def stop(self) -> None:
        """Ends all of them, and waits. Cancelled while it waits, it has ended them all the same."""
        tasks = tuple(self._running.values())
        self.abandon()
        if tasks:
            await asyncio.wait(tasks)

    def abandon(self) -> None:
        """Ends all of them without waiting."""
        while self._running:
            self._end(self._running.popitem()[1])

    def _end(self, task: asyncio.Task[Ended]) -> None:
        """Whoever waits for the end may be cancelled meanwhile: what the attempt still comes to is seen to by itself."""
        if task.done():
            self._see_to(task)
        else:
            task.add_done_callback(self._see_to)
            task.cancel()

    def _see_to(self, task: asyncio.Task[Ended]) -> None:
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("an attempt that had lost its race failed inside the router", exc_info=error)
        elif (journey := task.result()[0]) is not None:
            self._discard(journey)
