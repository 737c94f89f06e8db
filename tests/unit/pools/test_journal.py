"""What processes tell each other about what they sent where."""

from __future__ import annotations

import pytest

from pointsman.pools.journal import CELLS, ENTRIES, Journal


@pytest.fixture
def board() -> memoryview:
    return memoryview(bytearray(3 * CELLS * 8)).cast("q")


def test_each_hears_what_the_others_wrote_once_and_never_itself(board):
    one, two, three = (Journal(board, seat) for seat in range(3))
    one.write(4, [7, 0xFFFFFFFF])
    two.write(5, [9])

    assert sorted(three.news()) == [(4, 7), (4, 0xFFFFFFFF), (5, 9)]
    assert list(three.news()) == []
    assert list(one.news()) == [(5, 9)]
    one.write(6, [1])
    assert list(three.news()) == [(6, 1)]


def test_who_slept_through_half_a_ring_hears_the_latest_half(board):
    one, two = Journal(board, 0), Journal(board, 1)
    one.write(0, range(ENTRIES + 100))
    heard = [number for _, number in two.news()]

    assert heard == list(range(ENTRIES // 2 + 100, ENTRIES + 100))
    one.write(0, [5])
    assert list(two.news()) == [(0, 5)]


def test_who_takes_over_a_seat_goes_on_writing_there(board):
    one, two = Journal(board, 0), Journal(board, 1)
    one.write(0, [1, 2])
    assert len(list(two.news())) == 2
    Journal(board, 0).write(0, [3])
    assert list(two.news()) == [(0, 3)]
