"""What one machine's agent says, and in which order."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from pointsman.spot.agent import Agent
from pointsman.spot.notice import Notice, Unavailable
from pointsman.spot.teller import Heard, Refused, Unheard


class SlowTeller:
    """Its `back` is on its way until `go` is set."""

    router = "http://10.0.0.1:4001"

    def __init__(self, *, lost: bool = False) -> None:
        self.heard: list[str] = []
        self.asked, self.go, self._lost = threading.Event(), threading.Event(), lost

    def back(self) -> Heard:
        self.asked.set()
        assert self.go.wait(30)
        self.heard.append("back")
        if self._lost:
            raise Unheard("it went away")
        return Heard()

    def leaving(self, lead_s: float | None, reason: str) -> Heard:
        self.heard.append("leaving")
        return Heard()


@pytest.mark.parametrize("lost", [False, True])
def test_a_notice_is_heard_after_the_arrival_that_was_still_on_its_way(lost):
    async def story() -> list[str]:
        teller = SlowTeller(lost=lost)
        agent = Agent([teller], [], wall=lambda: 0.0)  # type: ignore[list-item]
        arriving = asyncio.ensure_future(agent.arrive())
        await asyncio.to_thread(teller.asked.wait)
        arriving.cancel()
        leaving = asyncio.ensure_future(agent.leave(Notice("SIGTERM", lead_s=20)))
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)  # a thread is free: a notice that did not wait its turn would be heard by now
        await asyncio.to_thread(teller.go.set)

        assert await leaving
        assert arriving.cancelled()
        return teller.heard

    assert asyncio.run(story()) == ["back", "leaving"]


# ---------------------------------------------------------------------------------------------------------
# Time is the test's: sleeping moves it.


class Time:
    def __init__(self) -> None:
        self.now, self.slept = 1_000.0, list[float]()

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Router:
    """Answers in turn what it was given, the last again and again."""

    def __init__(self, *says: Heard | Exception, name: str = "http://10.0.0.1:4001") -> None:
        self.router, self._says = name, list(says)
        self.heard: list[tuple[str, float | None]] = []

    def _answer(self) -> Heard:
        said = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if isinstance(said, Exception):
            raise said
        return said

    def back(self) -> Heard:
        self.heard.append(("back", None))
        return self._answer()

    def leaving(self, lead_s: float | None, reason: str) -> Heard:
        self.heard.append((reason, lead_s))
        return self._answer()


class Place:
    """A source that says one thing after the other, the last again and again."""

    def __init__(self, *says: Notice | Exception | None, name: str = "file", every_s: float = 1.0) -> None:
        self.name, self.every_s, self._says, self.looked = name, every_s, list(says), 0

    def is_here(self) -> bool:
        return True

    def look(self) -> Notice | None:
        self.looked += 1
        said = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if isinstance(said, Exception):
            raise said
        return said


def an_agent(time: Time, *routers: Router, places: tuple[Place, ...] = ()) -> Agent:
    return Agent(routers, places, wall=time.wall, sleep=time.sleep)  # type: ignore[arg-type]


OUTBID = Notice("outbid", lead_s=30.0)


def test_an_arrival_is_told_to_every_router_until_it_was_heard():
    time, deaf, quick = Time(), Router(Unheard("busy"), Unheard("busy"), Heard()), Router(Heard())
    asyncio.run(an_agent(time, deaf, quick).arrive())
    assert (len(deaf.heard), len(quick.heard)) == (3, 1)
    assert time.slept == [0.1, 0.2]


def test_an_arrival_that_nobody_hears_is_given_up_after_a_minute():
    time, deaf = Time(), Router(Unheard("nobody there"))
    asyncio.run(an_agent(time, deaf).arrive())
    assert time.now <= 1_060.0
    assert len(deaf.heard) > 20


def test_an_arrival_that_is_refused_is_not_said_again():
    time, stranger = Time(), Router(Refused("401"))
    asyncio.run(an_agent(time, stranger).arrive())
    assert (len(stranger.heard), time.slept) == (1, [])


def test_an_arrival_at_an_endpoint_that_the_operator_has_drained_says_so(caplog):
    asyncio.run(an_agent(Time(), Router(Heard()), Router(Heard(draining=True))).arrive())
    assert [record.getMessage() for record in caplog.records] == [
        "http://10.0.0.1:4001: the operator has drained this endpoint; it stays out of service until the operator puts it back"]


def test_it_stays_until_nothing_runs_here_any_more_and_says_each_time_what_is_left():
    time, router = Time(), Router(Heard(in_flight=2), Heard(in_flight=1), Heard(in_flight=0))
    assert asyncio.run(an_agent(time, router).leave(OUTBID))
    assert router.heard == [("outbid", 30.0), ("outbid", 29.0), ("outbid", 28.0)]


def test_when_the_time_is_over_it_goes_though_something_still_runs():
    time, router = Time(), Router(Heard(in_flight=1))
    assert asyncio.run(an_agent(time, router).leave(OUTBID)), "it was heard"
    assert time.now == 1_030.0


def test_a_router_that_did_not_hear_is_told():
    time, deaf, quick = Time(), Router(Unheard("nobody there")), Router(Heard())
    assert not asyncio.run(an_agent(time, quick, deaf).leave(OUTBID))
    assert time.now <= 1_030.0
    assert len(quick.heard) == 1


def test_a_router_that_heard_it_once_and_then_went_away_has_heard_it():
    time, router = Time(), Router(Heard(in_flight=1), Refused("another router sits there now"))
    assert asyncio.run(an_agent(time, router).leave(OUTBID))
    assert len(router.heard) == 2


def test_without_a_time_it_waits_for_an_hour_at_most_and_says_no_deadline():
    time, router = Time(), Router(Heard(in_flight=1))
    asyncio.run(an_agent(time, router).leave(Notice("hook file")))
    assert time.now == 4_600.0
    assert set(router.heard) == {("hook file", None)}


@pytest.mark.parametrize(("notice", "ends_at"), [
    (Notice("aws", at=datetime.fromtimestamp(1_120, UTC), lead_s=5.0), 1_120.0), (OUTBID, 1_030.0), (Notice("hook file"), None)])
def test_the_time_that_a_notice_names_goes_before_the_one_that_a_cloud_usually_leaves(notice, ends_at):
    assert an_agent(Time()).ends_at(notice) == ends_at


def test_a_notice_for_a_time_that_is_over_is_told_to_nobody_and_nobody_is_said_to_have_heard():
    time, router = Time(), Router(Heard())
    assert not asyncio.run(an_agent(time, router).leave(Notice("late", at=datetime.fromtimestamp(900, UTC))))
    assert router.heard == []


def test_the_first_notice_wins_wherever_it_appears():
    silent, late = Place(None), Place(None, None, OUTBID, name="aws")
    assert asyncio.run(an_agent(Time(), places=(silent, late)).watch()) == OUTBID
    assert late.looked == 3


def test_a_place_that_does_not_answer_is_complained_about_once_and_delays_nobody(caplog):
    broken = Place(Unavailable("said 500"), Unavailable("said 500"), Unavailable("said 403"), Unavailable("said 403"), name="aws")
    other = Place(None, None, None, None, None, OUTBID)
    assert asyncio.run(an_agent(Time(), places=(broken, other)).watch()) == OUTBID
    complaints = [record.getMessage() for record in caplog.records]
    assert len(complaints) == len(set(complaints)) <= 2


def test_a_place_that_comes_back_may_still_give_notice():
    place = Place(Unavailable("said 500"), None, OUTBID)
    assert asyncio.run(an_agent(Time(), places=(place,)).watch()) == OUTBID
