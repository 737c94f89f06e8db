"""The agent: watches the places where a notice may appear, tells the routers, and stays until nothing runs here any more.

Every blocking question runs in a thread; a cloud that does not answer delays nobody else. Time and sleep are passed in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from pointsman.spot.notice import Notice, Source, Unavailable
from pointsman.spot.teller import Heard, Refused, Teller, Unheard, pauses

_log = logging.getLogger(__name__)
LOOK_AFTER_S = 1.0
"""How often routers are asked whether anything still runs here. Each time they hear the notice anew, too."""


class Agent:
    """One machine's."""

    def __init__(self, tellers: Sequence[Teller], sources: Sequence[Source], *, wall: Callable[[], float],
                 sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._tellers, self._sources, self._wall, self._sleep = tellers, sources, wall, sleep
        self._turns = {id(teller): asyncio.Lock() for teller in tellers}

    async def arrive(self) -> None:
        """Tells every router that the endpoint is there: one that an agent drained for the machine before is taken back. One that the operator
        drained stays so, and that is said."""
        said = await asyncio.gather(*(self._tell(teller, teller.back, until=self._wall() + 60) for teller in self._tellers))
        for teller, heard in zip(self._tellers, said, strict=True):
            if heard is not None and heard.draining:
                _log.warning("%s: the operator has drained this endpoint; it stays out of service until the operator puts it back", teller.router)

    async def watch(self) -> Notice:
        """Returns with the first notice, from whichever place."""
        async with asyncio.TaskGroup() as group:
            first: asyncio.Future[Notice] = asyncio.get_running_loop().create_future()
            tasks = [group.create_task(self._watch_one(source, first)) for source in self._sources]
            notice = await first
            for task in tasks:
                task.cancel()
        return notice

    async def leave(self, notice: Notice) -> bool:
        """Tells every router, and returns once nothing runs here any more or the time is over. False: some did not hear."""
        ends_at = self.ends_at(notice)
        heard = await asyncio.gather(*(self._see_off(teller, notice, ends_at) for teller in self._tellers))
        return all(heard)

    def ends_at(self, notice: Notice) -> float | None:
        """When the machine goes, in wall-clock seconds; None = nobody knows."""
        if notice.at is not None:
            return notice.at.timestamp()
        return None if notice.lead_s is None else self._wall() + notice.lead_s

    async def _see_off(self, teller: Teller, notice: Notice, ends_at: float | None) -> bool:
        until = self._wall() + 3600 if ends_at is None else ends_at
        heard = False
        while self._wall() < until:
            said = await self._tell(teller, lambda: teller.leaving(self._left(ends_at), notice.reason), until=until)
            if said is None:
                return heard
            heard = True
            if said.in_flight == 0:
                _log.info("%s: nothing runs on this endpoint any more", teller.router)
                return True
            await self._sleep(LOOK_AFTER_S)
        return heard

    def _left(self, ends_at: float | None) -> float | None:
        return None if ends_at is None else max(0.0, ends_at - self._wall())

    async def _tell(self, teller: Teller, say: Callable[[], Heard], *, until: float) -> Heard | None:
        """Says it until it is heard. None: it was refused, or the time is over."""
        pause = pauses()
        while True:
            try:
                async with self._turns[id(teller)]:
                    return await _to_its_end(say)
            except Refused as exc:
                _log.error("%s", exc)
                return None
            except Unheard as exc:
                wait_s = pause()
                if self._wall() + wait_s >= until:
                    _log.error("%s; the time is over", exc)
                    return None
                _log.warning("%s; trying again in %.1f s", exc, wait_s)
                await self._sleep(wait_s)

    async def _watch_one(self, source: Source, first: asyncio.Future[Notice]) -> None:
        complained = ""
        while True:
            try:
                notice = await asyncio.to_thread(source.look)
            except Unavailable as exc:
                if str(exc) != complained:
                    _log.warning("%s: %s", source.name, exc)
                complained = str(exc)
                notice = None
            if notice is not None and not first.done():
                first.set_result(notice)
            await self._sleep(source.every_s)


async def _to_its_end(say: Callable[[], Heard]) -> Heard:
    """Says it in a thread, and returns only when it has been said, even if cancelled.

    A thread cannot be called back: a "back in service" still on its way must not arrive after the notice that came next.
    """
    saying = asyncio.ensure_future(asyncio.to_thread(say))
    try:
        return await asyncio.shield(saying)
    except asyncio.CancelledError:
        await asyncio.wait({saying})
        if not saying.cancelled():
            saying.exception()  # read, so that nobody complains: whoever asked is gone
        raise
