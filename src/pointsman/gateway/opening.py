"""Opening a streamed response before there is an answer, so that no proxy between us and the client hangs up.

Headers that say `pending`, and a comment every so often. No answer byte is sent: attempts stay free to change.
"""

from __future__ import annotations

import asyncio

from pointsman.gateway.port import Port
from pointsman.gateway.trip import Trip


class Opening:
    """Of one request."""

    __slots__ = ("_keeping", "_port", "_timer", "_trip", "is_open")

    def __init__(self, port: Port, trip: Trip) -> None:
        self._port, self._trip = port, trip
        self._timer: asyncio.TimerHandle | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.is_open = False
        """Status and headers are sent, and no answer with them."""

    def set(self, after_s: float) -> None:
        """Opens in so many seconds unless stopped before, and says so again as often."""
        self._timer = asyncio.get_running_loop().call_later(after_s, self._begin, after_s)

    async def stop(self) -> None:
        """Returns when nothing more will be said: an answer or an error comes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    def close(self) -> None:
        """As `stop`, without waiting."""
        if self._timer is not None:
            self._timer.cancel()
        if self._keeping is not None:
            self._keeping.cancel()

    def _begin(self, every_s: float) -> None:
        self._keeping = asyncio.get_running_loop().create_task(self._keep(every_s))

    async def _keep(self, every_s: float) -> None:
        self.is_open = True
        while True:
            await self._port.open(self._trip.facts())
            await asyncio.sleep(every_s)
