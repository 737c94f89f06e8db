"""In-flight counts that all processes see."""

from __future__ import annotations

from pointsman.pools.endpoint import Endpoint, Vitals
from pointsman.pools.shared_count import SharedCount
from pointsman.testing.factories import an_endpoint

SEATS, WIDTH = 3, 4


def board() -> memoryview:
    return memoryview(bytearray(SEATS * WIDTH * 8)).cast("q")


def test_what_one_takes_the_others_see_at_once():
    cells = board()
    here, there, third = (Vitals() for _ in range(SEATS))
    for seat, vitals in enumerate((here, there, third)):
        vitals.share(SharedCount.at(cells, 2, seat, SEATS))
    here.take(object(), 10, 1.0)
    here.take(object(), 10, 1.0)
    there.take(object(), 10, 1.0)

    assert (here.busy, there.busy, third.busy) == (3, 3, 3)
    assert third.in_flight == 0
    here.give_back(10)
    assert third.busy == 2


def test_who_begins_to_share_shows_what_it_has_already():
    cells, late = board(), Vitals()
    late.take(object(), 10, 1.0)
    late.share(SharedCount.at(cells, 0, 1, SEATS))

    assert SharedCount.at(cells, 0, 0, SEATS).elsewhere() == 1


def test_endpoints_do_not_see_each_others_counts():
    cells = board()
    SharedCount.at(cells, 1, 0, SEATS).set(7)

    assert SharedCount.at(cells, 0, 1, SEATS).elsewhere() == SharedCount.at(cells, 2, 1, SEATS).elsewhere() == 0
    assert SharedCount.at(cells, 1, 1, SEATS).elsewhere() == 7


def test_prompts_that_are_awaited_are_seen_beside_the_attempts():
    cells, here, there = board(), Vitals(), Vitals()
    for seat, vitals in enumerate((here, there)):
        vitals.share(SharedCount.at(cells, 1, seat, SEATS))
    here.await_(70_000)
    here.take(object(), 70_100, 1.0)
    there.await_(5)

    assert (here.awaited, there.awaited) == (70_005, 70_005)
    assert (here.busy, there.busy) == (1, 1)
    here.give_back(70_100)
    assert (there.busy, there.awaited) == (0, 70_005)
    here.await_(-70_000)
    assert there.awaited == 5


def test_what_was_told_counts_only_where_nothing_is_shared():
    endpoint = Endpoint(an_endpoint())
    endpoint.vitals.elsewhere = 5
    assert endpoint.view(1.0).in_flight == 5
    endpoint.vitals.share(SharedCount.at(board(), 0, 0, SEATS))
    assert endpoint.view(1.0).in_flight == 0
