"""Whatever an engine says of its load, and whatever the load is, a lie draws no traffic.

A pool with our balancer over four equal engines, in simulated time: slots, a queue, a report every two seconds, judged
as the monitor judges it. One engine lies. Its share of our requests may be at most 5 % above a quarter.
"""

import heapq
import itertools
from collections.abc import Callable
from random import Random

import pytest

from pointsman.core.fleet import LoadReport
from pointsman.pools.balancers.power_of_two import PowerOfTwo
from pointsman.pools.credence import Credence, Seen, disbelieved
from pointsman.pools.pool import Pool
from pointsman.testing.factories import a_pool, a_request, an_endpoint

SLOTS, SERVICE_S, POLL_S = 8, 1.0, 2.0
MOST = 1.05
Says = Callable[[LoadReport], LoadReport | None]


class Engine:
    """`slots` at work, the rest in a line. `pace` 2: takes twice as long."""

    def __init__(self, pace: float = 1.0) -> None:
        self.pace, self.running, self.done = pace, 0, 0
        self.line: list[Callable[[float], None]] = []

    def report(self, now: float) -> LoadReport:
        used = min(1.0, self.running / SLOTS)
        return LoadReport(len(self.line), self.running, used, at=now, progress=float(self.done))


class Town:
    """Our router, the engines, and strangers who send requests to the engines past us."""

    def __init__(self, says: Says, *, load: float, strangers: float = 0.0, pace: float = 1.0, seed: int = 1) -> None:
        self.says, self.rng = says, Random(seed)
        self.engines = [Engine(pace), Engine(), Engine(), Engine()]
        self.pool = Pool(a_pool("p", endpoints=tuple(
            an_endpoint(f"p/{i}", f"http://10.0.0.{i}/v1", slots=None) for i in range(4))), PowerOfTwo())
        self.credences = [Credence() for _ in self.engines]
        self.answered, self.sent = [0] * 4, [0] * 4
        self.believed = self.asked = 0
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        capacity = 4 * SLOTS / SERVICE_S
        self._gaps = ((load * capacity, self._ours), (strangers * capacity, self._theirs))

    def run(self, seconds: float) -> "Town":
        for rate, arrival in self._gaps:
            if rate:
                self._arrive(0.0, rate, arrival)
        for i in range(4):
            self._at(i * POLL_S / 4, lambda now, i=i: self._poll(now, i))
        while self._events and self._events[0][0] <= seconds:
            now, _, act = heapq.heappop(self._events)
            act(now)
        return self

    @property
    def share(self) -> float:
        """The liar's part of our requests, as a multiple of a fair one."""
        return 4 * self.sent[0] / sum(self.sent)

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), act))

    def _arrive(self, now: float, rate: float, arrival: Callable[[float], None]) -> None:
        def act(now: float) -> None:
            arrival(now)
            self._arrive(now, rate, arrival)

        self._at(now + self.rng.expovariate(rate), act)

    def _ours(self, now: float) -> None:
        lease = self.pool.lease(REQUEST, (), now, self.rng)
        i = int(lease.endpoint.id[2:])
        self.sent[i] += 1

        def over(now: float) -> None:
            self.answered[i] += 1
            lease.close("answered", now)

        self._serve(now, i, over)

    def _theirs(self, now: float) -> None:
        self._serve(now, self.rng.randrange(4), lambda now: None)

    def _serve(self, now: float, i: int, over: Callable[[float], None]) -> None:
        engine = self.engines[i]

        def start(now: float) -> None:
            engine.running += 1
            self._at(now + self.rng.uniform(0.5, 1.5) * SERVICE_S * engine.pace, finish)

        def finish(now: float) -> None:
            engine.running -= 1
            engine.done += 1
            over(now)
            if engine.line:
                engine.line.pop(0)(now)

        if engine.running < SLOTS:
            start(now)
        else:
            engine.line.append(start)

    def _poll(self, now: float, i: int) -> None:
        report = self.engines[i].report(now)
        said = self.says(report) if i == 0 else report
        if said is not None:
            vitals = self.pool.endpoints[i].vitals
            doubt = self.credences[i].judge(said, Seen(vitals.in_flight, self.answered[i]))
            if i == 0:
                self.asked, self.believed = self.asked + 1, self.believed + (not doubt)
            if doubt:
                said = disbelieved(said, doubt)
        self.pool.observe(f"p/{i}", said)
        self._at(now + POLL_S, lambda now: self._poll(now, i))


REQUEST = a_request("x" * 1500)
IDLE = LoadReport(0, 0, 0.0, at=0.0, progress=0.0)


def zero(report: LoadReport) -> LoadReport:
    return LoadReport(0, 0, 0.0, at=report.at, progress=report.progress)


def nobody_waits(report: LoadReport) -> LoadReport:
    return LoadReport(0, report.running, report.kv_usage, at=report.at, progress=report.progress)


def not_a_number(report: LoadReport) -> LoadReport:
    """What NaN becomes in the reader."""
    return LoadReport(None, None, None, at=report.at)


def frozen(report: LoadReport) -> LoadReport:
    """The page of a quiet moment, served again and again."""
    return LoadReport(0, 1, 0.05, at=report.at, progress=77.0)


def absent(report: LoadReport) -> None:
    return None


def honest(report: LoadReport) -> LoadReport:
    return report


LIES = [zero, nobody_waits, not_a_number, frozen, absent]


@pytest.mark.parametrize("load", [0.2, 0.6, 0.9, 1.2, 1.5])
@pytest.mark.parametrize("says", LIES)
def test_a_lie_draws_at_most_five_percent_more_than_a_fair_share(says: Says, load: float) -> None:
    assert Town(says, load=load).run(300 / load if load < 0.5 else 120).share <= MOST


@pytest.mark.parametrize("says", LIES)
def test_nor_when_others_use_the_engines_too(says: Says) -> None:
    assert Town(says, load=0.5, strangers=0.4).run(400).share <= MOST
    assert Town(says, load=0.3, strangers=0.9).run(400).share <= MOST


@pytest.mark.parametrize("says", LIES)
def test_a_slow_engine_gets_less_whatever_it_says(says: Says) -> None:
    assert Town(says, load=0.8, pace=2.0).run(120).share < 0.95


def test_honest_reports_are_believed_at_any_load():
    for load, strangers in ((0.2, 0.0), (0.9, 0.0), (1.5, 0.0), (0.4, 0.5)):
        town = Town(honest, load=load, strangers=strangers).run(120)
        assert town.believed >= 0.95 * town.asked
        assert 0.95 <= town.share <= MOST


def test_a_frozen_page_and_an_empty_one_are_found_out():
    for says in (zero, frozen):
        town = Town(says, load=0.9).run(120)
        assert town.believed <= 0.2 * town.asked
