"""The poll loop, in time that the test moves."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from random import Random

import msgspec

from pointsman.core.fleet import EndpointSpec, LoadReport, Readiness, Sighting
from pointsman.core.price import TokenPrice
from pointsman.core.settings import PollingSettings, Settings
from pointsman.errors import AnswerTimeout, ConnectFailed, CredentialRefused, UpstreamError, UpstreamFailed
from pointsman.gateway.monitor import Monitor, readiness_of
from pointsman.gateway.traffic import Answers
from pointsman.testing.factories import a_pool, a_settings, an_endpoint

BUSY = LoadReport(waiting=2, running=8, kv_usage=0.5, at=0.0, models=("m",), engine="vllm", progress=None)
IDLE = msgspec.structs.replace(BUSY, waiting=0, running=0, kv_usage=0.0)
REFUSED = ConnectFailed("refused", sent=False)

Answer = LoadReport | UpstreamError | Callable[[], LoadReport]


class Time:
    """A clock, and a `sleep` that ends when the test has moved it there."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), future))
        await future

    async def move(self, seconds: float) -> None:
        end = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self._now = end

    async def _settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


class ScriptedReader:
    """Answers per endpoint, the last one again and again."""

    def __init__(self, time: Time, **answers: list[Answer]) -> None:
        self._time, self._answers = time, answers
        self.asked: list[tuple[str, float]] = []
        self.most_at_once = self._at_once = 0
        self.hangs: set[str] = set()

    async def read(self, endpoint: EndpointSpec, until: float) -> LoadReport:
        self.asked.append((endpoint.id, round(self._time.now() - 1000.0, 3)))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if endpoint.id in self.hangs:
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(0)
            script = self._answers[endpoint.pool]
            answer = script.pop(0) if len(script) > 1 else script[0]
            if isinstance(answer, UpstreamError):
                raise answer
            report = answer() if callable(answer) else answer
            return msgspec.structs.replace(report, at=self._time.now())
        finally:
            self._at_once -= 1

    async def aclose(self) -> None:
        return None

    def times(self, endpoint: str = "p/0") -> list[float]:
        return [at for id_, at in self.asked if id_ == endpoint]


class Story:
    """A monitor over one pool `p` (or `settings`), and what it told."""

    def __init__(self, *answers: Answer, settings: Settings | None = None, **pools: list[Answer]) -> None:
        self.time = Time()
        self.reader = ScriptedReader(self.time, **({"p": list(answers)} | pools))
        self.settings = settings or settings_of(an_endpoint("p/0", model="m"))
        self.told: list[Sighting] = []
        self.counted: list[tuple[str, ...]] = []
        self.learned: list[tuple[str, int]] = []
        self.in_flight: dict[str, int] = {}
        self.answers: dict[str, Answers] = {}
        self.monitor = Monitor(
            self.reader, self.told.append, clock=self.time, rng=Random(1), sleep=self.time.sleep,
            in_flight=lambda id_: self.in_flight.get(id_, 0), answers=lambda id_: self.answers.get(id_, Answers()),
            learned=lambda endpoint, tokens: self.learned.append((endpoint.id, tokens)),
            count=lambda *row: self.counted.append(row))

    def run(self, play: Callable[["Story"], object] | float) -> "Story":
        """Moves time by some seconds, or plays a coroutine function, with the loop running."""
        async def story() -> None:
            self.monitor.watch(self.settings)
            running = asyncio.get_running_loop().create_task(self.monitor.run())
            try:
                if isinstance(play, int | float):
                    await self.time.move(play)
                else:
                    await play(self)  # type: ignore[misc]
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]

        asyncio.run(story())
        return self

    @property
    def readiness(self) -> list[Readiness]:
        return [sighting.readiness for sighting in self.told]


def settings_of(*endpoints: EndpointSpec, **polling: float) -> Settings:
    names = dict.fromkeys(endpoint.pool for endpoint in endpoints)
    pools = [a_pool(name, endpoints=tuple(e for e in endpoints if e.pool == name)) for name in names]
    return a_settings(*pools, polling=PollingSettings(**polling))


# ---------------------------------------------------------------------------------------------------------
# When


def test_a_busy_endpoint_is_asked_every_two_seconds_give_or_take_a_tenth():
    times = Story(BUSY).run(60).reader.times()

    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert times[0] == 0.0
    assert all(1.75 <= gap <= 2.25 for gap in gaps)
    assert len(set(gaps)) > 5


def test_an_idle_endpoint_is_asked_less_often_and_its_report_never_goes_stale():
    times = Story(IDLE).run(60).reader.times()

    gaps = [b - a for a, b in itertools.pairwise(times)][2:]
    assert all(3.5 <= gap <= 4.5 for gap in gaps)
    assert max(gaps) + 1.0 < 6.0


def test_an_idle_endpoint_that_gets_traffic_is_asked_soon():
    async def play(story: Story) -> None:
        await story.time.move(20)
        story.reader.asked.clear()
        story.in_flight["p/0"] = 3
        await story.time.move(1.1)
        assert story.reader.asked

    Story(IDLE).run(play)


def test_the_setting_says_how_often():
    story = Story(BUSY, settings=settings_of(an_endpoint("p/0", model="m"), every_s=10.0, timeout_s=1.0, stale_after_s=30.0))

    assert len(story.run(60).reader.times()) in (6, 7)


def test_a_hanging_endpoint_holds_nobody_up():
    story = Story(BUSY, settings=settings_of(*(an_endpoint(f"p/{i}", model="m") for i in range(3))))
    story.reader.hangs = {"p/1"}
    story.run(20)

    assert len(story.reader.times("p/0")) >= 9
    assert len(story.reader.times("p/1")) == 1


def test_a_hundred_endpoints_are_not_asked_all_at_once():
    story = Story(BUSY, settings=settings_of(*(an_endpoint(f"p/{i}", model="m") for i in range(100)))).run(1)

    assert story.reader.most_at_once == 32
    assert len({id_ for id_, _ in story.reader.asked}) == 100


def test_an_endpoint_of_no_known_engine_is_asked_for_its_models_only_now_and_then():
    stranger = LoadReport(None, None, None, at=0.0, models=("m",))

    assert len(Story(stranger).run(60).reader.times()) in (6, 7)


# ---------------------------------------------------------------------------------------------------------
# Who


def test_whoever_sells_tokens_is_not_polled_but_asked_for_an_undeclared_context_until_it_tells():
    sold = an_endpoint("p/0", model="m", price=TokenPrice(1.0, 2.0))
    says = LoadReport(None, None, None, at=0.0, models=("m",))
    story = Story(says, says, msgspec.structs.replace(says, context=8192), settings=settings_of(sold)).run(600)

    assert len(story.reader.times()) == 3
    assert story.learned == [("p/0", 8192)]
    assert story.told == []


def test_poll_on_and_off_overrule():
    on = an_endpoint("p/0", model="m", price=TokenPrice(1.0, 2.0), poll="on")
    off = an_endpoint("p/1", model="m", poll="off")
    theirs = an_endpoint("p/2", model="m", price=None, provider="together")

    assert [endpoint.is_polled for endpoint in (on, off, theirs)] == [True, False, False]


def test_a_reload_keeps_what_is_known_and_asks_newcomers_at_once():
    async def play(story: Story) -> None:
        await story.time.move(3)
        story.reader.asked.clear()
        story.monitor.watch(settings_of(*(an_endpoint(f"p/{i}", f"http://10.0.0.{i}/v1", model="m") for i in (0, 1))))
        await story.time.move(1.01)

    first = settings_of(an_endpoint("p/0", "http://10.0.0.0/v1", model="m"))
    story = Story(BUSY, settings=first).run(play)
    assert len(story.reader.times("p/1")) == 1
    assert story.monitor.status()["p/0"]["readiness"] == "ready"


def test_an_endpoint_that_a_reload_took_out_is_not_told_of():
    async def play(story: Story) -> None:
        await story.time.move(3)
        story.monitor.watch(settings_of(an_endpoint("q/0", model="m")))
        story.told.clear()
        await story.time.move(10)

    assert {sighting.endpoint for sighting in Story(BUSY, q=[BUSY]).run(play).told} == {"q/0"}


# ---------------------------------------------------------------------------------------------------------
# What it tells


def test_a_report_is_told_as_it_came():
    told = Story(BUSY).run(1).told

    assert (told[0].report.waiting, told[0].report.running, told[0].readiness) == (2, 8, Readiness.READY)


def test_a_poll_that_failed_tells_unknown_and_is_counted():
    story = Story(BUSY, AnswerTimeout("too slow"), BUSY).run(5)

    assert [sighting.report is None for sighting in story.told] == [False, True, False]
    assert story.readiness == [Readiness.READY, Readiness.UNKNOWN, Readiness.READY]
    assert [sighting.is_back for sighting in story.told] == [False, False, True]
    assert story.counted == [("pointsman_poll_failures_total", "p/0", "upstream_answer_timeout")]


def test_three_refused_connections_within_a_second_are_nobody():
    story = Story(BUSY, REFUSED).run(3)

    assert story.readiness[:4] == [Readiness.READY, Readiness.UNKNOWN, Readiness.UNKNOWN, Readiness.GONE]
    refused = story.reader.times()[1:4]
    assert refused[-1] - refused[0] < 1.0


def test_a_restart_between_two_refusals_is_no_death():
    story = Story(BUSY, REFUSED, REFUSED, BUSY, REFUSED, REFUSED, BUSY).run(12)

    assert Readiness.GONE not in story.readiness


def test_who_is_back_is_ready_within_a_round():
    async def play(story: Story) -> None:
        await story.time.move(10)
        assert story.readiness[-1] is Readiness.GONE
        story.reader._answers["p"] = [BUSY]
        await story.time.move(2.5)

    story = Story(REFUSED).run(play)
    assert story.readiness[-1] is Readiness.READY
    assert next(sighting for sighting in story.told if sighting.report).is_back


def test_an_engine_that_says_it_cannot_is_sick_at_its_second_word():
    story = Story(BUSY, UpstreamFailed("503"), UpstreamFailed("503"), BUSY).run(6)

    assert story.readiness == [Readiness.READY, Readiness.UNKNOWN, Readiness.SICK, Readiness.READY]


def test_a_refused_credential_says_nothing_about_the_engine():
    assert set(Story(CredentialRefused("401")).run(6).readiness) == {Readiness.UNKNOWN}


def test_a_frozen_report_loses_its_figures_and_is_counted():
    async def play(story: Story) -> None:
        for answered in range(10):
            story.answers["p/0"] = Answers(answered)
            await story.time.move(2)

    story = Story(msgspec.structs.replace(BUSY, progress=7.0)).run(play)
    last = story.told[-1].report
    assert (last.waiting, last.running, last.doubt, last.engine) == (None, None, "frozen", "vllm")
    assert story.readiness[-1] is Readiness.READY
    assert ("pointsman_reports_disbelieved_total", "p/0", "frozen") in story.counted


def test_first_tokens_are_compared_with_those_of_the_siblings():
    async def play(story: Story) -> None:
        for n in range(1, 12):
            for endpoint, ttft_s in (("p/0", 8.0), ("p/1", 0.5), ("p/2", 0.6)):
                story.answers[endpoint] = Answers(10 * n, 10 * n * ttft_s, 10 * n)
            story.in_flight = dict.fromkeys(("p/0", "p/1", "p/2"), 2)
            await story.time.move(2)

    settings = settings_of(*(an_endpoint(f"p/{i}", f"http://10.0.0.{i}/v1", model="m") for i in range(3)))
    story = Story(IDLE, settings=settings).run(play)
    assert {sighting.endpoint for sighting in story.told if sighting.report.doubt == "contradicted"} == {"p/0"}


def test_a_context_length_is_passed_on():
    assert Story(msgspec.structs.replace(BUSY, context=4096)).run(1).learned == [("p/0", 4096)]


# ---------------------------------------------------------------------------------------------------------
# Ready


def ready(**said: object) -> Readiness:
    return readiness_of(an_endpoint("p/0", model="m"), msgspec.structs.replace(BUSY, **said))[0]


def test_ready_is_awake_and_listed_and_what_is_not_said_counts_as_yes():
    assert ready() is Readiness.READY
    assert ready(models=None, is_awake=None) is Readiness.READY
    assert ready(is_awake=False) is Readiness.ASLEEP
    assert ready(models=("other",)) is Readiness.UNLISTED
    assert ready(models=()) is Readiness.UNLISTED


def test_an_engine_that_answers_whatever_it_is_asked_for_need_not_list_it():
    assert ready(engine="llamacpp", models=("other",)) is Readiness.READY
    assert ready(engine="", models=("other",)) is Readiness.READY
