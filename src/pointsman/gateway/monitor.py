"""Asks every endpoint how busy it is, again and again, beside the requests and never for one of them.

One task for all endpoints. Each has its own times: `polling.every` give or take a tenth, somewhat longer while nothing
happens there, at once again after a refused connection. What a look showed is told as a `Sighting`; who listens may be
the pools of this process or, through a pipe, those of others.

Why does a poll that failed tell `None` and not the last report? What was idle before it fell silent is not idle now.
Why are three refused connections needed? A server that restarts refuses for a moment, and a full backlog may; three
within half a second are nobody. Why does a silent engine (timeout) stay in service? A long prefill can hold up its
front; the requests themselves find out whether it answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Any

from pointsman.core.clock import Clock
from pointsman.core.fleet import EndpointId, EndpointSpec, LoadReport, Readiness, Sighting
from pointsman.core.protocols import LoadReader
from pointsman.core.settings import PollingSettings, Settings
from pointsman.errors import ConnectFailed, UpstreamError, UpstreamFailed
from pointsman.gateway.traffic import NONE, Answers
from pointsman.pools.credence import Credence, Seen, disbelieved

JITTER = 0.1
IDLE_SHARE = 0.8
"""Of the time that a report stays fresh, how long an idle endpoint may go unasked: its report never grows stale by our leisure."""
STRANGER_EVERY_S = 10.0
"""Between two questions to an endpoint of no known engine: it only lists its models."""
CONTEXT_EVERY_S = 60.0
"""Between two questions to an endpoint that is not polled, until it has told its context length."""
AGAIN_S = 0.25
"""After a refusal, before the next try."""
REFUSALS = 3
"""Connections refused in a row: nobody is there."""
SICK_AFTER = 2
"""Times in a row that it said that it cannot serve: once may be a proxy's hiccup."""
SHORTEST_PAUSE_S = 0.01
INFINITY = float("inf")
AT_ONCE = 32
"""Endpoints asked at the same time."""
STRICT = frozenset(("vllm", "ollama"))
"""Engines that refuse names they do not list. The others answer whatever they are asked for."""

_log = logging.getLogger(__name__)


def readiness_of(endpoint: EndpointSpec, report: LoadReport) -> tuple[Readiness, str]:
    """Whether who answered so can serve our model, and why not. What it does not say counts in its favour."""
    if report.is_awake is False:
        return Readiness.ASLEEP, "asleep"
    if report.engine in STRICT and report.models is not None and endpoint.model not in report.models:
        listed = ", ".join(report.models[:4]) or "nothing"
        return Readiness.UNLISTED, f"does not list {endpoint.model!r}, but {listed}"
    return Readiness.READY, ""


class Watch:
    """One endpoint under watch."""

    def __init__(self, endpoint: EndpointSpec, due: float, *, wants_context: bool) -> None:
        self.endpoint = endpoint
        self.due = due
        self.is_busy = False
        # It is not polled for load, but asked until it has told its context length.
        self.wants_context = wants_context
        self.refused = self.sick = self.failed = 0
        self.sighting: Sighting | None = None
        self.credence = Credence()
        self.answers = NONE
        # Mean first token of the last stretch with enough of them: what its siblings are compared with.
        self.ttft_s: float | None = None
        self.is_idle = False

    @property
    def key(self) -> tuple[str, str, str | None]:
        return self.endpoint.url, self.endpoint.model, self.endpoint.api_key

    def __repr__(self) -> str:
        seen = self.sighting.readiness.value if self.sighting is not None else "not asked yet"
        return f"<Watch {self.endpoint.id} [{seen}{f', {self.failed} failed' if self.failed else ''}]>"


class Monitor:
    """The poll loop. `watch` says whom; `run` until cancelled.

    `tell` receives every sighting, in order per endpoint. `in_flight` and `answers` are what we see of an endpoint
    ourselves; `learned` is called with a context length that an endpoint told. `count` adds to a metric.
    """

    def __init__(
        self, reader: LoadReader, tell: Callable[[Sighting], None], *, clock: Clock, rng: Random,
        in_flight: Callable[[EndpointId], int] = lambda _: 0, answers: Callable[[EndpointId], Answers] = lambda _: NONE,
        learned: Callable[[EndpointSpec, int], None] = lambda _endpoint, _tokens: None,
        count: Callable[..., None] = lambda *_: None, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reader, self._tell, self._clock, self._rng, self._sleep = reader, tell, clock, rng, sleep
        self._in_flight, self._answers, self._learned, self._count = in_flight, answers, learned, count
        self._watches: dict[EndpointId, Watch] = {}
        self._polling = PollingSettings()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()

    def watch(self, settings: Settings) -> None:
        """Whom to ask from now on. Servers that stay keep their history; new ones are asked at once."""
        now, old = self._clock.now(), self._watches
        self._polling = settings.polling
        self._watches = {}
        for pool in settings.pools.values():
            for endpoint in pool.endpoints:
                watch = Watch(endpoint, now, wants_context=not endpoint.is_polled and pool.capabilities.context is None)
                twin = old.get(endpoint.id)
                if twin is not None and twin.key == watch.key and twin.endpoint.is_polled == endpoint.is_polled:
                    twin.endpoint, twin.wants_context = endpoint, twin.wants_context and watch.wants_context
                    watch = twin
                if endpoint.is_polled or watch.wants_context:
                    self._watches[endpoint.id] = watch

    async def run(self) -> None:
        """Polls until cancelled; then nothing is left running."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                for watch in self._due():
                    watch.is_busy = True
                    task = loop.create_task(self._poll(watch))
                    self._under_way.add(task)
                    task.add_done_callback(self._done)
                await self._pause()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def status(self) -> dict[EndpointId, dict[str, Any]]:
        """By endpoint: what the last look showed, for people."""
        now = self._clock.now()
        return {id_: _status(watch, now) for id_, watch in self._watches.items()}

    # -- when

    def _due(self) -> list[Watch]:
        now = self._clock.now()
        due = [watch for watch in self._watches.values() if not watch.is_busy and self._due_at(watch) <= now]
        for watch in due:
            watch.due = now + self._jittered(self._polling.every_s)
        return due

    def _due_at(self, watch: Watch) -> float:
        """An idle endpoint that gets traffic is asked as often as the others again."""
        if watch.is_idle and self._in_flight(watch.endpoint.id):
            watch.is_idle = False
            return min(watch.due, self._clock.now())
        return watch.due

    async def _pause(self) -> None:
        """Until the next is due, at most half a round: traffic and reloads bring new work."""
        now = self._clock.now()
        until = min((watch.due for watch in self._watches.values() if not watch.is_busy), default=INFINITY)
        await self._sleep(max(SHORTEST_PAUSE_S, min(until - now, self._polling.every_s / 2)))

    def _jittered(self, seconds: float) -> float:
        return seconds * self._rng.uniform(1 - JITTER, 1 + JITTER)

    def _interval_s(self, watch: Watch) -> float:
        """From one question to the next."""
        polling, report = self._polling, watch.sighting.report if watch.sighting is not None else None
        if not watch.endpoint.is_polled:
            return CONTEXT_EVERY_S
        if report is not None and not report.engine:
            return max(polling.every_s, STRANGER_EVERY_S)
        if watch.is_idle:
            return max(polling.every_s, (polling.stale_after_s - polling.timeout_s) * IDLE_SHARE)
        return polling.every_s

    # -- one look

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a poll broke off: %r", error, exc_info=error)
            self._count("pointsman_poll_failures_total", "", "internal_error")

    async def _poll(self, watch: Watch) -> None:
        watch.is_busy = True
        try:
            while await self._look(watch):
                await self._sleep(AGAIN_S)
        finally:
            watch.is_busy = False

    async def _look(self, watch: Watch) -> bool:
        """One question; says whether the next should follow at once."""
        async with self._gate:
            began = self._clock.now()
            until = asyncio.get_running_loop().time() + self._polling.timeout_s
            try:
                report = await self._reader.read(watch.endpoint, until)
            except UpstreamError as error:
                self._failed(watch, error)
            else:
                self._answered(watch, report)
        watch.due = began + self._jittered(self._interval_s(watch))
        return watch.endpoint.is_polled and (0 < watch.refused < REFUSALS or 0 < watch.sick < SICK_AFTER)

    def _answered(self, watch: Watch, report: LoadReport) -> None:
        was_away = watch.failed > 0
        watch.refused = watch.sick = watch.failed = 0
        if report.context is not None:
            watch.wants_context = False
            self._learned(watch.endpoint, report.context)
        if not watch.endpoint.is_polled:
            if not watch.wants_context:
                self._watches.pop(watch.endpoint.id, None)
            return
        doubt = self._judged(watch, report)
        if doubt:
            self._count("pointsman_reports_disbelieved_total", watch.endpoint.id, doubt)
            report = disbelieved(report, doubt)
        readiness, why = readiness_of(watch.endpoint, report)
        old = watch.sighting.report if watch.sighting is not None else None
        watch.is_idle = _is_idle(old) and _is_idle(report) and not self._in_flight(watch.endpoint.id)
        self._say(watch, Sighting(watch.endpoint.id, report, readiness, self._clock.now(), why, is_back=was_away))

    def _judged(self, watch: Watch, report: LoadReport) -> str:
        id_ = watch.endpoint.id
        answers, old = self._answers(id_), watch.answers
        watch.answers = answers
        n = answers.ttft_n - old.ttft_n
        ttft_s = (answers.ttft_sum_s - old.ttft_sum_s) / n if n > 0 else None
        if ttft_s is not None:
            watch.ttft_s = ttft_s
        others = [other.ttft_s for other in self._siblings(watch) if other.ttft_s is not None]
        return watch.credence.judge(report, Seen(self._in_flight(id_), answers.answered, ttft_s, max(0, n)), others)

    def _siblings(self, watch: Watch) -> Iterable[Watch]:
        return (other for other in self._watches.values()
                if other is not watch and other.endpoint.pool == watch.endpoint.pool)

    def _failed(self, watch: Watch, error: UpstreamError) -> None:
        watch.failed += 1
        watch.refused = watch.refused + 1 if isinstance(error, ConnectFailed) else 0
        watch.sick = watch.sick + 1 if isinstance(error, UpstreamFailed) else 0
        watch.is_idle = False
        id_ = watch.endpoint.id
        self._count("pointsman_poll_failures_total", id_, error.code)
        if not watch.endpoint.is_polled:
            _log.info("%s does not list its models: %s", id_, error)
            return
        readiness = Readiness.UNKNOWN
        if watch.refused >= REFUSALS:
            readiness = Readiness.GONE
        elif watch.sick >= SICK_AFTER:
            readiness = Readiness.SICK
        self._say(watch, Sighting(id_, None, readiness, self._clock.now(), str(error)))

    def _say(self, watch: Watch, sighting: Sighting) -> None:
        old = watch.sighting
        watch.sighting = sighting
        if not sighting.readiness.is_fit and (old is None or old.readiness is not sighting.readiness):
            _log.warning("endpoint %s cannot serve (%s): %s", watch.endpoint.id, sighting.readiness.value, sighting.why)
        elif old is not None and not old.readiness.is_fit and sighting.readiness is Readiness.READY:
            _log.info("endpoint %s is ready again", watch.endpoint.id)
        if self._watches.get(watch.endpoint.id) is watch:  # a reload may have taken it out meanwhile
            self._tell(sighting)

    def __repr__(self) -> str:
        seen = [watch.sighting for watch in self._watches.values() if watch.sighting is not None]
        ready = sum(sighting.readiness is Readiness.READY for sighting in seen)
        return f"<Monitor [{len(self._watches)} watched, {ready} ready]>"


def _is_idle(report: LoadReport | None) -> bool:
    return report is not None and report.running == 0 and report.waiting == 0


def _status(watch: Watch, now: float) -> dict[str, Any]:
    sighting = watch.sighting
    report = sighting.report if sighting is not None else None
    return {
        "is_polled": watch.endpoint.is_polled,
        "readiness": (sighting.readiness if sighting is not None else Readiness.UNKNOWN).value,
        "why": sighting.why if sighting is not None else "not asked yet",
        "failed_in_a_row": watch.failed,
        "asked_ago_s": None if sighting is None else round(now - sighting.at, 3),
        "engine": "" if report is None else report.engine,
        "version": "" if report is None else report.version,
        "disbelieved": "" if report is None else report.doubt,
    }
