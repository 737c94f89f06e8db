from __future__ import annotations

from typing import Any

import pytest

from pointsman.core.clock import SystemClock
from pointsman.gateway.departures import Departures
from pointsman.pools.fleet import Fleet
from pointsman.server.drained import Drained
from pointsman.testing.factories import a_pool, a_settings, an_endpoint


class Clock(SystemClock):
    """Two hands that are moved apart: a machine that starts again has another monotonic time."""

    def __init__(self, now: float, wall: float) -> None:
        self.hands = now, wall

    def now(self) -> float:  # type: ignore[override]  # a method where the real one is a function
        return self.hands[0]

    def wall(self) -> float:  # type: ignore[override]
        return self.hands[1]


def a_fleet(*urls: str) -> Fleet:
    pool = a_pool("small", endpoints=tuple(an_endpoint(f"small/{number}", url) for number, url in enumerate(urls)))
    return Fleet(a_settings(pool))


def drained(tmp_path: Any, clock: Clock) -> tuple[Drained, Departures]:
    departures = Departures()
    return Drained(tmp_path / "records.db", departures, clock), departures


@pytest.fixture
def told(tmp_path):
    """The operator has drained `http://a/v1` for ten minutes, at 1,000 s of that machine's time."""
    clock, fleet = Clock(1000.0, 50_000.0), a_fleet("http://a/v1", "http://b/v1")
    book, departures = drained(tmp_path, clock)
    departures.announce("small/0", clock.now(), 600.0, "new kernel")
    assert book.keep(fleet.pools["small"], "small/0")
    return tmp_path


@pytest.mark.parametrize(("wall", "since_s", "left_s"), [(50_060.0, 60.0, 540.0), (51_000.0, 1000.0, -400.0), (40_000.0, 0.0, 600.0)],
                         ids=["within its time", "past its time", "the clock was set back"])
def test_a_drain_goes_on_where_it_was(told, wall, since_s, left_s):
    clock, fleet = Clock(7.0, wall), a_fleet("http://a/v1", "http://b/v1")
    book, departures = drained(told, clock)
    book.resume(fleet)

    assert [endpoint.vitals.is_draining for endpoint in fleet.pools["small"].endpoints] == [True, False]
    leaving = departures.status(clock.now())["leaving"]["small/0"]
    assert leaving == {"reason": "new kernel", "for_s": since_s, "leaves_in_s": left_s, "asked_by": ["operator"]}
    assert departures.announced == 0


def test_what_the_operator_puts_back_is_forgotten(told):
    fleet = a_fleet("http://a/v1", "http://b/v1")
    book, _ = drained(told, Clock(7.0, 50_060.0))
    book.put_back(fleet.pools["small"], "small/0")

    again, departures = drained(told, Clock(7.0, 50_060.0))
    again.resume(fleet)
    assert not departures.notices


def test_it_is_the_server_that_was_drained_and_not_its_place(told, caplog):
    fleet = a_fleet("http://new/v1", "http://a/v1")
    book, departures = drained(told, Clock(7.0, 50_060.0))
    book.resume(fleet)
    assert list(departures.notices) == ["small/1"]

    gone, departures = drained(told, Clock(7.0, 50_060.0))
    gone.resume(a_fleet("http://new/v1"))
    assert not departures.notices
    assert "the drain is forgotten" in caplog.text


def test_an_agents_word_alone_is_not_kept(tmp_path):
    fleet, clock = a_fleet("http://a/v1"), Clock(1.0, 1.0)
    book, departures = drained(tmp_path, clock)
    departures.announce("small/0", 1.0, 30.0, "aws spot terminate", "agent")

    assert not book.keep(fleet.pools["small"], "small/0")
