"""Keeps house for several workers: starts and replaces them, adds up what they count, tells each what the others do.

It is a service like any other, only without clients of its own: its pools show what all workers together run, its
metrics hold what all of them have counted, and whoever asks or changes something asks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from pointsman.core.fleet import EndpointId, Sighting
from pointsman.core.settings import Settings
from pointsman.errors import PointsmanError
from pointsman.gateway.departures import By
from pointsman.gateway.traffic import Answers
from pointsman.records.spool import spool_directory
from pointsman.records.tail import Tail
from pointsman.server.listener import GRACE_S
from pointsman.state.census import Census
from pointsman.state.columns import Columns
from pointsman.state.frames import BadFrame
from pointsman.state.local import Link
from pointsman.state.messages import (
    Configured,
    Drain,
    FromWorker,
    Hurry,
    Leave,
    News,
    Page,
    PageWanted,
    Pulse,
    Ready,
    Refused,
    View,
)
from pointsman.state.outlook import Outlook
from pointsman.supervisor.crew import Crew
from pointsman.supervisor.mirror import Mirror
from pointsman.supervisor.nursery import NurseryGone
from pointsman.supervisor.seat import Seat
from pointsman.telemetry.sums import Sums
from pointsman.wiring import Service

TICK_S = 0.02
"""How often what has changed here is told to the workers."""
GATHER_S = 0.002
"""Pulses of this long are told on together: with many workers each would otherwise be told by each."""
SILENT_LOOKS, LOOK_EVERY_S = 15, 1.0
"""A worker that says nothing for fifteen looks, one a second, is stuck: it is killed and replaced. Looks and not seconds:
a machine that was asleep has heard nobody."""
START_TIMEOUT_S = 60.0
"""Workers begin within two seconds; on a machine that is short of processors, within this. One that dies instead is heard of at once."""
SWAP_TIMEOUT_S = 15.0
LAST_WAIT_S = GRACE_S + 10.0
_log = logging.getLogger(__name__)


class NoWorker(PointsmanError):
    """Not one worker came up."""

    def __init__(self, wanted: int) -> None:
        super().__init__(wanted)
        self.wanted = wanted

    def __str__(self) -> str:
        return f"none of {self.wanted} workers began to serve; the log says why, and `server.workers: 1` serves without any"


class Supervisor(Service):
    """The house of a crew."""

    serves: ClassVar[bool] = False

    def __init__(self, settings: Settings, crew: Crew, *, load: Callable[[], Settings] | None = None,
                 overridden: tuple[str, ...] = ()) -> None:
        super().__init__(settings, load=load, overridden=overridden)
        self._crew = crew
        self._seats = [Seat(number) for number in range(crew.size)]
        self._census, self._sums, self._columns = Census(), Sums(), Columns()
        self._outlook, self._mirror = Outlook(self.gateway.graph.fleet), Mirror(self.gateway, self._clock)
        self._sightings: dict[EndpointId, Sighting] = {}
        self._lives = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closing = False
        # A round of telling is due: some worker runs other things than the others were told.
        self._is_gathering = False
        self._swapped: dict[int, asyncio.Future[None]] = {}
        self._emptied = asyncio.Event()

    # -- life

    async def start(self) -> None:
        """Returns when the workers serve. Raises CannotListen or NoWorker; whatever had been started is stopped again."""
        self._crew.nursery.attach(self._ended)
        await super().start()
        self.port = self._crew.port
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                for seat in self._seats:
                    self._crew.expect(seat.number)
                await asyncio.gather(*(self._fill(seat) for seat in self._seats))
        except (TimeoutError, NurseryGone) as exc:
            _log.error("not all workers began to serve: %s", exc or f"waited {START_TIMEOUT_S:g} s")
        if not any(seat.is_serving for seat in self._seats):
            await self.aclose(at_once=True)
            raise NoWorker(len(self._seats))
        self._go(self._keep_telling())
        self._go(self._keep_listening())

    def _go(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def drain(self) -> None:
        super().drain()
        self._say_all(Drain())

    def hurry(self) -> None:
        super().hurry()
        self._say_all(Hurry())

    async def aclose(self, *, at_once: bool = False, linger: bool = True) -> None:
        """Workers end what they have, then leave; then the house is closed. Idempotent."""
        self._is_closing = True
        self.gateway.is_draining = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._say_all(Leave())
        if at_once:
            self._say_all(Hurry())
        await self._wait_for_workers()
        await super().aclose(at_once=at_once)
        self._crew.disband()

    async def _wait_for_workers(self) -> None:
        self._check_empty()
        try:
            async with asyncio.timeout(LAST_WAIT_S):
                await self._emptied.wait()
        except TimeoutError:
            for seat in self._seats:
                self._kill(seat, f"has not left within {LAST_WAIT_S:g} s")
            await self._emptied.wait()

    # -- workers come and go

    async def _fill(self, seat: Seat) -> None:
        """Puts a worker into an empty seat, and returns when it serves or has died. Raises NurseryGone."""
        loop = asyncio.get_running_loop()
        self._crew.expect(seat.number)
        try:
            process, own = await self._crew.nursery.bear(seat.number)
        except NurseryGone:
            self._crew.absent(seat.number)
            raise
        self._lives += 1
        seat.process, seat.life, seat.born_at = process, self._lives, loop.time()
        seat.ready = loop.create_future()
        seat.tail = Tail(Path(spool_directory(self._started.records.path)))
        seat.link = Link(FromWorker, lambda message: self._heard(seat, message), lambda broken: self._lost(seat, broken))
        await seat.link.open(own)
        seat.link.say(self._configured())
        await seat.ready

    def _lost(self, seat: Seat, broken: BadFrame | None) -> None:
        """Its link has ended, and so has the worker, or soon will have."""
        life, lived_s = seat.life, asyncio.get_running_loop().time() - seat.born_at
        if broken is not None:
            self._kill(seat, str(broken))
        self._count_the_rest(seat)
        self._census.forget(life)
        self._sums.forget(life)
        self._crew.absent(seat.number)
        was_told_to_go = seat.leaving
        self._mirror.give_up_probes(life)
        if seat.ready is not None and not seat.ready.done():
            seat.ready.set_result(None)
        if (swapped := self._swapped.pop(seat.number, None)) is not None and not swapped.done():
            swapped.set_result(None)
        process = seat.process
        seat.vacate()
        self._gather()
        self._check_empty()
        if self._is_closing:
            return
        pause_s = seat.restarts.pause_s(lived_s)
        if not pause_s:
            self._crew.expect(seat.number)
        _log.log(logging.INFO if was_told_to_go else logging.ERROR,
                 "worker %d (process %d) is gone after %.1f s; the next one comes %s", seat.number, process, lived_s,
                 f"in {pause_s:g} s" if pause_s else "at once")
        self._metrics.count("pointsman_worker_restarts_total")
        self._go(self._replace(seat, pause_s))

    async def _replace(self, seat: Seat, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        if self._is_closing:
            return
        try:
            await self._fill(seat)
        except NurseryGone as exc:
            _log.error("%s", exc)
            if not any(other.link is not None for other in self._seats):
                self.failed.set()
        if self.gateway.is_draining and seat.link is not None:
            seat.link.say(Drain())

    def _ended(self, number: int, process: int, status: int) -> None:
        """The nursery says how a worker ended; that it did, its link has told."""
        if os.WIFSIGNALED(status):
            _log.warning("process %d of worker %d was ended by %s", process, number, signal.Signals(os.WTERMSIG(status)).name)
        elif os.waitstatus_to_exitcode(status):
            _log.error("process %d of worker %d ended with code %d", process, number, os.waitstatus_to_exitcode(status))

    def _kill(self, seat: Seat, why: str) -> None:
        if seat.process:
            _log.error("worker %d (process %d) %s: it is killed", seat.number, seat.process, why)
            with contextlib.suppress(ProcessLookupError):
                os.kill(seat.process, signal.SIGKILL)

    def _check_empty(self) -> None:
        if all(seat.link is None for seat in self._seats):
            self._emptied.set()
        else:
            self._emptied.clear()

    def _count_the_rest(self, seat: Seat) -> None:
        """What it had written to its spool and not told any more belongs into the sums."""
        if seat.tail is None:
            return
        for record in seat.tail.rest():
            self._metrics.write(record)
            self._traffic.write(record)

    # -- what workers say

    def _heard(self, seat: Seat, message: FromWorker) -> None:
        seat.silent = 0
        match message:
            case Pulse():
                self._felt(seat, message)
            case Ready(generation):
                seat.generation, seat.refused = generation, ""
                if seat.ready is not None and not seat.ready.done():
                    seat.ready.set_result(None)
                self._acknowledged(seat, generation)
                self._say_everything(seat)
            case Refused(generation, why):
                seat.refused = why
                _log.error("worker %d cannot serve generation %d and is replaced: %s", seat.number, generation, why)
                self._acknowledged(seat, generation)
                self._retire(seat)
            case PageWanted(number):
                body, media = self.metrics()
                if seat.link is not None:
                    seat.link.say(Page(number, body, media))

    def _retire(self, seat: Seat) -> None:
        """Has one worker end what it has and go; its seat is filled again."""
        seat.leaving = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(seat.process, signal.SIGTERM)

    def _felt(self, seat: Seat, pulse: Pulse) -> None:
        before, seat.pulse = seat.pulse, pulse
        self._metrics.add(self._sums.heard(seat.life, pulse.counts))
        if pulse.is_whole:
            if seat.tail is not None and pulse.spool:
                seat.tail.told(pulse.spool, pulse.spool_size)
            self._traffic.add({name: Answers(a.count, a.ttft_sum_s, a.ttft_n) for name, a in pulse.answers.items()})
            self._mirror.answered(pulse.answers)
            seat.waiting, seat.anterooms, seat.unfit = pulse.waiting, pulse.anterooms, pulse.unfit
            self._mirror.departed(pulse.departed, seat.departed)
            seat.departed = pulse.departed
        if before is None or before.loads != pulse.loads or before.generation != pulse.generation:
            self._census.tell(seat.life, pulse.generation, pulse.loads)
            self._gather()
        if pulse.times and pulse.generation == self.gateway.graph.generation:
            self._mirror.heard(pulse.times)
            heard = {name: times for name, times in pulse.times.items() if times.heard or times.waited}
            self._say_others(seat, View(pulse.generation, times=heard))
        if pulse.news and pulse.generation == self.gateway.graph.generation:
            self._tell_news(self._outlook.hear(pulse.news), seat)

    def _tell_news(self, news: tuple[News, ...], source: Seat | None) -> None:
        if not news:
            return
        if source is not None:
            self._mirror.probing(news, source.life)
        self._say_others(source, View(self.gateway.graph.generation, news=news))

    # -- what workers are told

    def _say_all(self, message: Any) -> None:
        for seat in self._seats:
            if seat.link is not None:
                seat.link.say(message)

    def _say_others(self, source: Seat | None, message: Any) -> None:
        for seat in self._seats:
            if seat is not source and seat.link is not None:
                seat.link.say(message)

    def _say_everything(self, seat: Seat) -> None:
        """To one that has just come, or has just changed its configuration."""
        graph = self.gateway.graph
        if seat.link is not None and seat.generation == graph.generation:
            seat.link.say(View(
                graph.generation, self._census.elsewhere(seat.life, graph.generation), self._outlook.whole(),
                tuple(self._sightings.values())))
            seat.link.say(self._mirror.notices())

    def depart(self, endpoint: str, lead_s: float | None, reason: str, by: By = "operator") -> dict[str, Any]:
        done = super().depart(endpoint, lead_s, reason, by)
        self._tell_news(self._outlook.found_out(self._clock.now()), None)
        self._say_all(self._mirror.notices())
        return done

    def stay(self, endpoint: str, by: By = "operator") -> dict[str, Any]:
        done = super().stay(endpoint, by)
        self._tell_news(self._outlook.found_out(self._clock.now()), None)
        self._say_all(self._mirror.notices())
        return done

    def _gather(self) -> None:
        if not self._is_gathering:
            self._is_gathering = True
            asyncio.get_running_loop().call_later(GATHER_S, self._tell_loads)

    def _tell_loads(self) -> None:
        """Each worker hears what the others run; we see the sum."""
        self._is_gathering = False
        graph = self.gateway.graph
        for seat in self._seats:
            if seat.link is not None:
                elsewhere = self._census.elsewhere(seat.life, graph.generation)
                if elsewhere != seat.told:
                    seat.told = elsewhere
                    seat.link.say(View(graph.generation, elsewhere))
        self._mirror.run(self._census.total(graph.generation))

    async def _keep_telling(self) -> None:
        """What the operator or the monitor has changed here reaches everyone within a tick."""
        while True:
            await asyncio.sleep(TICK_S)
            if self._outlook.has_news:
                self._tell_news(self._outlook.found_out(self._clock.now()), None)

    def sight(self, sighting: Sighting) -> None:
        super().sight(sighting)
        self._sightings[sighting.endpoint] = sighting
        self._say_all(View(self.gateway.graph.generation, sightings=(sighting,)))

    async def _keep_listening(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for seat in self._seats:
                if seat.link is None:
                    continue
                seat.silent += 1
                if seat.silent > SILENT_LOOKS:
                    self._kill(seat, f"has said nothing for {SILENT_LOOKS * LOOK_EVERY_S:g} s")

    # -- one configuration for all

    def _swap(self, settings: Settings, generation: int) -> None:
        super()._swap(settings, generation)
        graph = self.gateway.graph
        self._outlook = Outlook(graph.fleet)
        self._sightings.clear()
        for seat in self._seats:
            seat.told = None
        self._say_all(self._configured())

    def _configured(self) -> Configured:
        graph = self.gateway.graph
        return Configured(graph.generation, graph.settings, self._columns.of(graph.settings))

    async def reload(self) -> dict[str, Any]:
        """Reads and checks the file once; then every worker swaps. Says which did."""
        done = await super().reload()
        if not done["reloaded"]:
            return done
        generation = done["generation"]
        loop = asyncio.get_running_loop()
        waiting = {}
        for seat in self._seats:
            if seat.link is not None and seat.generation != generation:
                waiting[seat.number] = self._swapped[seat.number] = loop.create_future()
        if waiting:
            await asyncio.wait(waiting.values(), timeout=SWAP_TIMEOUT_S)
        return done | {"workers": [{"worker": seat.number, "generation": seat.generation or None, "refused": seat.refused}
                                   for seat in self._seats]}

    def _acknowledged(self, seat: Seat, generation: int) -> None:
        waiting = self._swapped.get(seat.number)
        if waiting is not None and generation == self.gateway.graph.generation:
            del self._swapped[seat.number]
            if not waiting.done():
                waiting.set_result(None)

    # -- answers for the whole router

    @property
    def workers(self) -> int:
        return sum(seat.is_serving for seat in self._seats)

    @property
    def in_flight(self) -> int:
        return sum(seat.in_flight for seat in self._seats)

    def state(self) -> dict[str, Any]:
        now = asyncio.get_running_loop().time()
        return super().state() | {"workers": [seat.status(now) for seat in self._seats]}

    def _waiting_for(self, tier: str) -> int:
        return super()._waiting_for(tier) + sum(seat.waiting.get(tier, 0) for seat in self._seats)

    def anterooms(self) -> dict[str, dict[str, Any]]:
        """Over all workers."""
        found = super().anterooms()
        for seat in self._seats:
            for pool, crowd in seat.anterooms.items():
                if pool in found:
                    found[pool] = crowd.beside(found[pool])
        return found

    def _tier_status(self) -> list[dict[str, Any]]:
        """Who waits where, over all workers; a tier is unfit when we or any of them say so."""
        found = super()._tier_status()
        for tier in found:
            name = tier["tier"]
            tier["waiting"] = self._waiting_for(name)
            tier["unfit"] = tier["unfit"] or next((seat.unfit[name] for seat in self._seats if name in seat.unfit), "")
        return found
