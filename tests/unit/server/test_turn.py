"""Whose turn it is to take a connection."""

from __future__ import annotations

import pytest

from pointsman.server.turn import UNLIMITED, Turn, new_board, slack


def seats(count: int) -> list[Turn]:
    board = new_board(memoryview(bytearray(8 * count)))
    return [Turn(board, seat) for seat in range(count)]


def test_alone_one_takes_all():
    one, _empty = seats(2)
    one.sit(5)
    assert one.room(5) == UNLIMITED


def test_who_has_as_few_as_anyone_takes_one_and_then_steps_back():
    one, two = seats(2)
    one.sit(0)
    two.sit(0)
    assert one.room(0) == 1
    one.sit(1)
    assert (one.room(1), two.room(0)) == (0, 2)


def test_with_many_a_share_of_them_may_be_ahead():
    one, two = seats(2)
    one.sit(400)
    two.sit(400)
    assert one.room(400) == slack(400) == 50


def test_who_leaves_is_not_waited_for():
    one, two = seats(2)
    one.sit(10)
    two.sit(0)
    assert one.room(10) < 0
    two.leave()
    assert one.room(10) == UNLIMITED


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("connections", [2, 4, 16, 256])
def test_whoever_wakes_first_each_time_nobody_gets_much_more(count, connections):
    """The kernel always wakes the same one: it takes what it may, the rest goes to those behind it."""
    turns, open_ = seats(count), [0] * count
    for turn in turns:
        turn.sit(0)
    waiting = connections
    while waiting:
        for seat, turn in enumerate(turns):
            taken = min(waiting, max(0, turn.room(open_[seat])))
            open_[seat] += taken
            waiting -= taken
            turn.sit(open_[seat])

    assert max(open_) - min(open_) <= slack(max(open_))
