"""One of several processes that answer clients: a service without a house, and a link to the supervisor.

It serves what it is told to serve, tells what it does, and leaves when it is told to, or when nobody tells it anything
any more. What it knows of the rest of the fleet is at most a tick old.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import uvloop

from pointsman.core.fleet import EndpointId
from pointsman.core.settings import Settings
from pointsman.errors import PointsmanError
from pointsman.gateway.departures import Notice
from pointsman.pools.pool import Pool
from pointsman.server.listener import Listener
from pointsman.server.turn import Turn
from pointsman.state.frames import BadFrame
from pointsman.state.local import Link
from pointsman.state.messages import (
    Answered,
    Configured,
    Crowd,
    Drain,
    FromSupervisor,
    Hurry,
    Leave,
    Load,
    Loads,
    Notices,
    Page,
    PageWanted,
    Pulse,
    Ready,
    Refused,
    View,
)
from pointsman.state.outlook import Outlook
from pointsman.state.overheard import Overheard, listen, tell
from pointsman.supervisor.boards import Boards
from pointsman.telemetry.sums import Unsaid
from pointsman.wiring import Service

TICK_S = 0.02
"""While requests run: how long an ejected endpoint may stay in service elsewhere. Looking costs a thousandth of the time."""
PULSE_S = 0.1
"""Between two tellings of what was counted and of what runs where, in tokens. Attempts in flight are seen at once."""
REST_S = 1.0
"""Between two signs of life of a process that does nothing."""
PAGE_TIMEOUT_S = 9.0
"""Less than the ten seconds that Prometheus gives a scrape."""
SWITCH_INTERVAL_S = 0.0005
"""How long the log writer's thread may keep the interpreter while a request waits."""
_log = logging.getLogger(__name__)


class NoPage(PointsmanError):
    """The supervisor does not answer."""

    status, code = 503, "metrics_unavailable"

    def __str__(self) -> str:
        return "the process that adds up the metrics does not answer; ask again, or ask the admin listener"


class WorkerService(Service):
    """Answers clients at a socket that it shares."""

    keeps_house: ClassVar[bool] = False

    def __init__(self, settings: Settings, *, generation: int, listening: socket.socket, turn: Turn, log_fd: int | None,
                 page: Callable[[], Any]) -> None:
        super().__init__(settings, log_fd=log_fd)
        self.gateway.graph.generation = generation
        self._listening, self._turn, self._ask_page = listening, turn, page

    def _front_listener(self) -> Listener:
        server = self.settings.server
        return Listener(self._app(), server.host, server.port, listening=self._listening, turn=self._turn)

    async def page(self) -> tuple[bytes, str]:
        """That of the whole router. Raises NoPage."""
        page: tuple[bytes, str] = await self._ask_page()
        return page

    def take_up(self, settings: Settings, generation: int) -> None:
        """Serves another generation from now on."""
        self._swap(settings, generation)

    @property
    def connections(self) -> int:
        return sum(listener.connections for listener in self._listeners)

    def _tier_status(self) -> list[dict[str, Any]]:
        """Only what is told: how many machines a tier wants is for the house to say."""
        now, fleet = self._clock.now(), self.gateway.graph.fleet
        return [{"tier": tier, "waiting": self.gateway.admission.waiting(tier), "unfit": fleet.fitness(tier, now).reason}
                for tier in fleet.tiers]

    def now(self) -> float:
        """Monotonic seconds, as all processes of this machine count them."""
        return self._clock.now()

    def loads(self) -> Loads:
        """What runs where."""
        return {
            endpoint.id: Load(endpoint.vitals.in_flight, endpoint.vitals.in_flight_tokens)
            for pool in self.gateway.graph.fleet.pools.values() for endpoint in pool.endpoints if endpoint.vitals.in_flight}

    @property
    def place(self) -> tuple[str, int]:
        """How far its records have come: another place means that something was counted."""
        return self._journal.spool.place

    def _answers(self) -> dict[EndpointId, Answered]:
        """What became of attempts since the last time, by endpoint."""
        answers, ttfts = self._traffic.take(), self._traffic.take_ttfts()
        found = {name: Answered(a.answered, a.ttft_sum_s, a.ttft_n, ttfts.get(name, ())) for name, a in answers.items()}
        for pool in self.gateway.graph.fleet.pools.values():
            for endpoint in pool.endpoints:
                untold = endpoint.vitals.windows.untold
                failed, gaps = (0, ()) if untold is None else untold.take()
                if failed or gaps:
                    answered = found.get(endpoint.id, _NO_ANSWERS)
                    found[endpoint.id] = msgspec.structs.replace(answered, failed=failed, gaps=gaps)
        return found

    def pulse(self, unsaid: Unsaid) -> dict[str, Any]:
        """The slower half of a pulse: what was counted, and up to which record. No record may be in one and not in the other."""
        self._sinks.catch_up()
        spool, size = self.place
        answers = self._answers()
        tiers = self._tier_status()
        return {
            "is_whole": True, "counts": unsaid.of(self._metrics.counts()), "spool": spool, "spool_size": size, "answers": answers,
            "waiting": {tier["tier"]: tier["waiting"] for tier in tiers if tier["waiting"]},
            "anterooms": {pool: Crowd(**crowd) for pool, crowd in self.anterooms().items() if crowd["waiting"]},
            "unfit": {tier["tier"]: tier["unfit"] for tier in tiers if tier["unfit"]},
            "departed": dict(self.gateway.departures.outcomes),
        }


class Worker:
    """The process around the service."""

    def __init__(self, seat: int, listening: socket.socket, boards: Boards, log_fd: int | None) -> None:
        self._seat, self._listening, self._boards, self._log_fd = seat, listening, boards, log_fd
        self._turn = boards.turn(seat)
        self._link: Link[FromSupervisor] = Link(FromSupervisor, self._heard, self._lost)
        self._service: WorkerService | None = None
        self._outlook: Outlook | None = None
        self._overheard: dict[str, Overheard] = {}
        self._unsaid = Unsaid()
        self._first: asyncio.Future[Configured] | None = None
        # The latest configuration, which may come while the first is being taken up.
        self._newest: Configured | None = None
        self._end = asyncio.Event()
        self._linger = True
        # What the others were last told of our in-flight counts, and when they were told all we have.
        self._told: Loads = {}
        self._told_at = 0.0
        self._place = ("", 0)
        self._elsewhere: Loads = {}
        self._pages: dict[int, asyncio.Future[Page]] = {}
        self._next_page = 0

    async def run(self, link: socket.socket) -> int:
        """Until it is told to leave, or nobody is there to tell it. Returns the exit code."""
        loop = asyncio.get_running_loop()
        self._first = loop.create_future()
        loop.add_signal_handler(signal.SIGTERM, self._leave_alone)
        for number in (signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, int)  # a terminal sends them to everyone; the supervisor acts on them
        await self._link.open(link)
        try:
            first = await self._first
        except asyncio.CancelledError:
            return 0  # the supervisor went before it had said anything
        service = WorkerService(
            first.settings, generation=first.generation, listening=self._listening, turn=self._turn, log_fd=self._log_fd,
            page=self._page)
        self._outlook = Outlook(service.gateway.graph.fleet)
        self._share(service, first)
        self._overheard = listen(service.gateway.graph.fleet)
        await service.start()
        self._service = service
        self._turn.sit(0)
        self._link.say(Ready(first.generation))
        self._tell(service, service.now(), everything=True)
        if self._newest is not None and self._newest is not first:
            self._take_up(service, self._newest)
        beating = loop.create_task(self._beat(service))
        try:
            await self._end.wait()
            if not self._linger:
                self._turn.leave()
            await service.aclose(linger=self._linger)
        finally:
            self._turn.leave()
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        self._tell(service, service.now(), everything=True)
        await self._said_all()
        return 0

    async def _said_all(self) -> None:
        """The last counts are on their way before the process ends."""
        while self._link.is_open and self._link.unsent_bytes:  # noqa: ASYNC110  a transport tells nobody
            await asyncio.sleep(0.001)
        self._link.close()

    def _leave_alone(self) -> None:
        """This one process is to go; the others serve on. Asked twice: at once."""
        if self._end.is_set() and self._service is not None:
            self._service.hurry()
        self._linger = False
        self._end.set()

    # -- what the supervisor says

    def _heard(self, message: FromSupervisor) -> None:
        service = self._service
        match message:
            case Configured() if service is None:
                self._newest = message
                if self._first is not None and not self._first.done():
                    self._first.set_result(message)
            case Page() if (waiting := self._pages.pop(message.number, None)) is not None:
                if not waiting.done():
                    waiting.set_result(message)
            case Leave():
                self._end.set()
            case _ if service is None:
                return
            case Configured():
                self._take_up(service, message)
            case View():
                self._look(service, message)
            case Notices(leaving):
                service.gateway.departures.notices = {
                    name: Notice(one.reason, one.announced_at, one.leaves_at, one.cut_off_at) for name, one in leaving.items()}
            case Drain():
                service.drain()
            case Hurry():
                service.hurry()

    def _take_up(self, service: WorkerService, message: Configured) -> None:
        try:
            service.take_up(message.settings, message.generation)
        except Exception as exc:  # noqa: BLE001  whatever it is: the old generation serves on, and the supervisor decides
            _log.exception("worker %d cannot take up generation %d", self._seat, message.generation)
            self._link.say(Refused(message.generation, f"{type(exc).__name__}: {exc}"[:500]))
            return
        self._outlook = Outlook(service.gateway.graph.fleet)
        self._share(service, message)
        self._overheard = listen(service.gateway.graph.fleet)
        self._elsewhere = {}
        self._link.say(Ready(message.generation))
        self._tell(service, service.now(), everything=False)

    def _share(self, service: WorkerService, configured: Configured) -> None:
        """Shows the other workers at once what is in flight here, and what was sent where."""
        pools = service.gateway.graph.fleet.pools.values()
        for endpoint in (endpoint for pool in pools for endpoint in pool.endpoints):
            column = configured.columns.get(endpoint.id)
            if column is not None:
                endpoint.vitals.share(self._boards.count(self._seat, column))
        for pool in pools:
            pool.share(self._boards.journal(self._seat), configured.columns)

    def _look(self, service: WorkerService, view: View) -> None:
        graph = service.gateway.graph
        if view.generation != graph.generation or self._outlook is None:
            return  # of a configuration that is not ours yet, or no more; the next one will be
        self._outlook.hear(view.news)
        for sighting in view.sightings:
            service.sight(sighting)
        for name, times in view.times.items():
            tell(graph.fleet.pools[name], times, service.now(), answers=False)
        if view.elsewhere is not None:
            before, self._elsewhere = self._elsewhere, view.elsewhere
            for name in before.keys() | view.elsewhere.keys():
                load = view.elsewhere.get(name, _NOTHING)
                _pool_of(name, graph.fleet.pools).observe_elsewhere(name, load.in_flight, load.tokens)
            service.gateway.admission.wake()

    def _lost(self, broken: BadFrame | None) -> None:
        """Nobody adds up, nobody reloads: what is under way ends, and whoever watches over the router starts it anew."""
        if broken is not None:
            _log.error("worker %d: %s", self._seat, broken)
        if not self._end.is_set():
            _log.warning("worker %d: the supervisor is gone; what is under way ends, then this process leaves", self._seat)
        if self._first is not None and not self._first.done():
            self._first.cancel()
        for waiting in self._pages.values():
            waiting.cancel()
        self._linger = False
        self._end.set()

    async def _page(self) -> tuple[bytes, str]:
        self._next_page += 1
        number = self._next_page
        waiting: asyncio.Future[Page] = asyncio.get_running_loop().create_future()
        self._pages[number] = waiting
        if self._service is not None:
            self._tell(self._service, self._service.now(), everything=True)
        self._link.say(PageWanted(number))
        try:
            async with asyncio.timeout(PAGE_TIMEOUT_S):
                page = await asyncio.shield(waiting)
        except (TimeoutError, asyncio.CancelledError) as exc:
            if isinstance(exc, asyncio.CancelledError) and not waiting.cancelled():
                raise
            raise NoPage from None
        finally:
            self._pages.pop(number, None)
        return page.body, page.media

    # -- what it says itself

    async def _beat(self, service: WorkerService) -> None:
        while True:
            await asyncio.sleep(TICK_S if service.in_flight else PULSE_S)
            try:
                self._look_around(service, service.now())
            except Exception:  # noqa: BLE001  a worker without a pulse would be taken for dead: the log says why
                _log.exception("worker %d cannot tell how it fares", self._seat)

    def _look_around(self, service: WorkerService, now: float) -> None:
        if self._link.unsent_bytes:  # the supervisor is busy: what it will read next should not be old by then
            return
        if self._linger or not self._end.is_set():
            self._turn.sit(service.connections)
        since = now - self._told_at
        if since >= REST_S or (since >= PULSE_S and (service.place != self._place or service.loads() != self._told)):
            self._tell(service, now, everything=True)
        elif self._has_news:
            self._tell(service, now, everything=False)

    @property
    def _has_news(self) -> bool:
        return self._outlook is not None and self._outlook.has_news

    def _tell(self, service: WorkerService, now: float, *, everything: bool) -> None:
        loads = service.loads()
        pulse = Pulse(
            service.gateway.graph.generation, loads, service.in_flight,
            self._outlook.found_out(now) if self._outlook is not None else (), connections=service.connections)
        if everything:
            times = {name: times for name, heard in self._overheard.items() if (times := heard.take()) is not None}
            pulse = msgspec.structs.replace(pulse, times=times, **service.pulse(self._unsaid))
            self._told_at, self._place = now, service.place
        self._told = loads
        self._link.say(pulse)


_NOTHING, _NO_ANSWERS = Load(), Answered(0, 0.0, 0)


def _pool_of(endpoint: EndpointId, pools: dict[str, Pool]) -> Pool:
    return pools[endpoint.rpartition("/")[0]]


def work(seat: int, link: socket.socket, *, listening: socket.socket, boards: Boards, log_fd: int | None) -> int:
    """What a worker process does, from its fork to its exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return uvloop.run(_run(seat, link, listening, boards, log_fd))


async def _run(seat: int, link: socket.socket, listening: socket.socket, boards: Boards, log_fd: int | None) -> int:
    return await Worker(seat, listening, boards, log_fd).run(link)
