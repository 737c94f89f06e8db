"""One who waits, and its place in the order."""

from __future__ import annotations

from math import inf

import pytest

from pointsman.core.request import Message
from pointsman.pools.balancers.beginnings import read
from pointsman.pools.guest import AWAY, LATE_WEIGHS_S, MOST_S, OVERTAKEN, STAYS, Guest
from pointsman.testing.factories import a_request

TOKEN_S = 0.0002


def a_guest(tokens: int = 1_000, *, at: float = 0.0, known: dict[str, int] | None = None, text: str = "word " * 800) -> Guest:
    begun = read(a_request(messages=(Message("user", text),)))
    return Guest(at, tokens, begun, known or {}, lambda: None, lambda guest, now: None, until=inf)


def test_its_home_is_the_endpoint_that_has_most_of_it():
    guest = a_guest(known={"p/0": 300, "p/1": 700, "p/2": 100})
    assert (guest.home, guest.least, guest.second) == ("p/1", 300, 300)
    assert (a_guest().home, a_guest().least, a_guest().second) == ("", 1_000, 0)


def test_its_place_is_when_it_came_and_what_it_has_to_read():
    assert a_guest(at=5.0).rank("p/0", TOKEN_S, 5.0, {}) == pytest.approx(5.0 + OVERTAKEN * 1_000 * TOKEN_S)


def test_away_from_home_what_is_read_twice_weighs_more_and_at_home_only_what_is_left():
    guest, homes = a_guest(known={"p/1": 900}), {}
    assert guest.rank("p/1", TOKEN_S, 0.0, homes) == pytest.approx(OVERTAKEN * 100 * TOKEN_S)
    assert guest.rank("p/0", TOKEN_S, 0.0, homes) == pytest.approx(min(MOST_S, (OVERTAKEN * 1_000 + AWAY * 900) * TOKEN_S))


def test_it_stays_for_a_home_in_service_as_long_as_that_is_worth_it():
    guest, homes = a_guest(known={"p/1": 500}), {"p/0": (TOKEN_S, 0.0), "p/1": (TOKEN_S, 0.5)}
    worth_s = STAYS * 500 * TOKEN_S
    assert guest.rank("p/0", TOKEN_S, worth_s - 0.6, homes) == inf
    assert guest.rank("p/0", TOKEN_S, worth_s - 0.4, homes) < inf  # what home has to read counts as waited


def test_who_is_late_gives_way():
    assert a_guest().rank("p/0", TOKEN_S, 1.5, {}) - a_guest().rank("p/0", TOKEN_S, 1.3, {}) == pytest.approx(LATE_WEIGHS_S)


def test_it_learns_where_a_prompt_went_that_begins_alike():
    guest, other = a_guest(), a_guest(text="word " * 800 + "and on")
    guest.learn("p/2", {number for number, _ in other.begun.parts})
    assert guest.home == "p/2"
    assert guest.least < 1_000
    guest.learn("p/0", {guest.begun.parts[0][0]})  # less than it has there
    assert guest.home == "p/2"
