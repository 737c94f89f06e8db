"""Which beginnings an endpoint really has."""

from __future__ import annotations

from pointsman.core.cache_event import Cleared, Missed, Removed, Stored
from pointsman.pools.balancers.held import Held

TOKENS = tuple(range(100, 112))
"""Three blocks of four."""
PARTS = [(1, 10), (2, 20), (3, 30)]
"""Beginnings that end after a third, two thirds, and all of the text."""


def held(*events) -> Held:
    found = Held()
    for event in events:
        found.hear(event)
    return found


def test_blocks_that_follow_each_other_are_a_chain_and_it_ends_where_one_is_missing():
    cache = held(Stored((b"a", b"b"), None, TOKENS[:8], 4), Stored((b"c",), b"b", TOKENS[8:], 4))
    assert cache.chain(TOKENS) == [b"a", b"b", b"c"]
    assert cache.chain((*TOKENS[:8], 1, 2, 3, 4)) == [b"a", b"b"]
    assert cache.chain(TOKENS[4:]) == []
    cache.hear(Removed((b"b",)))
    assert cache.chain(TOKENS) == [b"a"]


def test_a_beginning_is_held_as_far_as_its_blocks_are_and_goes_with_its_last_one():
    cache = held(Stored((1, 2), None, TOKENS[:8], 4))
    assert cache.tie(PARTS, TOKENS) == ([2, 1], [3])
    assert cache.hear(Removed((2,))) == [2]
    assert cache.hear(Removed((2, 1))) == [1]
    assert cache.tie(PARTS, TOKENS) == ([], [3, 2, 1])


def test_less_than_a_block_is_neither_held_nor_absent():
    assert held(Stored((1,), None, TOKENS[:4], 4)).tie([(8, 2), (9, 30)], TOKENS) == ([], [9])
    assert Held().tie(PARTS, TOKENS) == ([], [])
    assert held(Stored((1,), None, TOKENS[:4], 4)).tie([], TOKENS) == ([], [])


def test_emptied_is_known_to_be_empty_and_missed_is_not_known_at_all():
    cache = held(Cleared())
    assert cache.is_whole
    cache.hear(Stored((1,), None, TOKENS[:4], 4))
    cache.tie(PARTS, TOKENS)
    assert cache.hear(Missed()) is None
    assert (len(cache), cache.is_whole) == (0, False)
    assert cache.hear(Removed((1,))) == []


def test_an_event_that_does_not_add_up_is_no_chain():
    cache = held(Cleared(), Stored((1, 2), None, TOKENS[:6], 4), Stored((3,), None, (), 0))
    assert cache.chain(TOKENS) == [1]
    assert not cache.is_whole
