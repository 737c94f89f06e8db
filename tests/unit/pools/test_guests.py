"""All who wait. That the next one is the right one is a property: `tests/properties/test_guests.py`."""

from __future__ import annotations

from math import inf

from pointsman.core.request import Message
from pointsman.pools.balancers.beginnings import read
from pointsman.pools.guest import MOST_S, Guest
from pointsman.pools.guests import Guests
from pointsman.pools.shares import Standing
from pointsman.testing.factories import a_request

ALONE = Standing({}, 1, 0.0, is_one=True)


def a_guest(tokens: int = 1_000, *, at: float = 0.0, until: float = inf, tenant: str = "a", text: str = "word ") -> Guest:
    begun = read(a_request(messages=(Message("user", text * 800),)))
    return Guest(at, tokens, begun, {}, lambda: None, lambda guest, now: None, until=until, tenant=tenant)


def waiting(*crowd: Guest) -> Guests:
    guests = Guests()
    for guest in crowd:
        guests.add(guest)
    return guests


def test_who_is_removed_waits_no_more_and_only_once():
    one, other = a_guest(), a_guest()
    guests = waiting(one, other)
    assert (guests.remove(one), guests.remove(one), list(guests)) == (True, False, [other])


def test_who_is_late_is_named_once_and_who_has_left_is_not():
    soon, left, later = a_guest(until=1.0), a_guest(until=1.5), a_guest(until=3.0)
    guests = waiting(later, soon, left)
    guests.remove(left)
    assert list(guests.late(2.0)) == [soon]
    assert list(guests.late(2.0)) == []


def test_who_has_waited_for_long_holds_on_before_all_of_its_tenant():
    old, new = a_guest(10_000), a_guest(1, at=MOST_S)
    guests = waiting(old, new)
    for guest in guests.old(MOST_S):
        guests.hold_on(guest)
    assert (list(guests), guests.oldest(), len(guests), old in guests) == ([old, new], old, 2, True)
    rank, chosen = guests.next("p/0", 0.0002, MOST_S, {}, ALONE, inf)
    assert (chosen, rank <= MOST_S) == (old, True)


def test_the_next_one_is_below_what_was_found_elsewhere_or_nobody():
    guest = a_guest(1_000)
    guests = waiting(guest)
    rank, _ = guests.next("p/0", 0.0002, 0.0, {}, ALONE, inf)
    assert guests.next("p/0", 0.0002, 0.0, {}, ALONE, rank) is None


def test_those_that_begin_as_one_that_has_gone_are_told():
    alike, other = a_guest(), a_guest(text="else ")
    guests = waiting(alike, other)
    guests.tell({number for number, _ in alike.begun.parts}, "p/1")
    assert (alike.home, other.home) == ("p/1", "")
    assert (guests.remove(alike), guests.remove(other)) == (True, True)
    assert repr(guests) == "<Guests [0 waiting, 0 lines]>"


def test_of_a_crowd_of_equals_only_the_oldest_are_asked():
    asked = []

    class Counted(Guest):
        def rank(self, *arguments):
            asked.append(self)
            return super().rank(*arguments)

    guests = Guests()
    for number in range(2_000):
        guests.add(Counted(number * 0.01, 1_000 + number % 7, read(a_request()), {}, lambda: None, lambda guest, now: None, until=inf))
    found = guests.next("p/0", 0.0002, 20.0, {}, ALONE, inf)
    assert found is not None
    assert len(asked) < 250  # as many as come while one of them is read that is as short as its line allows
