"""Memory that processes share."""

from __future__ import annotations

from pointsman.server.turn import UNLIMITED
from pointsman.supervisor.boards import Boards


def test_connections_and_attempts_stand_apart():
    boards = Boards(2, columns=3)
    for seat in range(2):
        boards.turn(seat).sit(0)
        for column in range(3):
            boards.count(seat, column).set(seat * 10 + column)

    assert [boards.count(0, column).elsewhere() for column in range(3)] == [10, 11, 12]
    assert boards.turn(0).room(0) == 1
    assert repr(boards) == "<Boards of 2 seats [36 in flight]>"


def test_a_seat_that_is_cleared_has_nothing_and_nobody_elses_is_touched():
    boards = Boards(3, columns=2)
    for seat in range(3):
        boards.turn(seat).sit(seat)
        for column in range(2):
            boards.count(seat, column).set(5)
    boards.clear(1)

    assert [boards.count(0, column).elsewhere() for column in range(2)] == [5, 5]
    assert [boards.count(2, column).elsewhere() for column in range(2)] == [5, 5]
    boards.clear(2)
    assert boards.turn(0).room(99) == UNLIMITED


def test_what_is_sent_where_is_heard_by_every_reader_of_the_others():
    boards = Boards(2, columns=3)
    small, large = boards.journal(1), boards.journal(1)
    boards.journal(0).write(2, [77])
    boards.clear(0)

    assert list(small.news()) == list(large.news()) == [(2, 77)]
    assert repr(boards) == "<Boards of 2 seats [0 in flight]>"
