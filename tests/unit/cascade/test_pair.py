"""The attempts of a request that run at once."""

from __future__ import annotations

from pointsman.cascade.events import Began, Cancel
from pointsman.cascade.pair import Pair
from pointsman.cascade.trail import Trail


def two_at_once(first_rung=0, second_rung=0):
    """Attempt 2 leads, attempt 1 is beside it."""
    trail = Trail()
    pair = Pair(trail)
    for rung, reason in ((first_rung, "chosen"), (second_rung, "hedge")):
        first = pair.attempt
        pair.lead(trail.add(rung, reason), rung)
    pair.other = first
    return pair, trail


def test_a_lone_attempt_parts_from_nobody():
    trail = Trail()
    pair = Pair(trail)
    pair.lead(trail.add(0, "chosen"), 0)
    assert pair.part() == ()
    assert trail.sent == 0


def test_the_one_beside_is_cancelled_and_counts_as_sent():
    pair, trail = two_at_once()
    assert pair.part() == (Cancel(1),)
    assert (pair.attempt, pair.other, trail.sent) == (2, None, 1)


def test_a_higher_rung_that_ran_in_vain_is_no_climb():
    pair, trail = two_at_once(0, 1)
    pair.swap()
    assert (pair.attempt, pair.rung, pair.other) == (1, 0, 2)
    pair.part()
    assert not trail.has_visited(1)


def test_a_lower_rung_that_ran_in_vain_was_visited_all_the_same():
    pair, trail = two_at_once(0, 1)
    pair.part()
    assert trail.has_visited(0)


def test_two_of_one_rung_are_not_on_two():
    assert not two_at_once(0, 0)[0].is_on_two_rungs
    assert two_at_once(0, 1)[0].is_on_two_rungs


def test_the_one_beside_goes_on_alone_with_what_it_has_done_meanwhile():
    pair, _ = two_at_once(0, 1)
    event = Began(1, 0.5)
    pair.put_off(event)
    assert pair.follow_other() == [event]
    assert (pair.attempt, pair.rung, pair.other) == (1, 0, None)
    assert pair.follow_other() == []


def test_a_second_one_is_due_when_its_time_has_come_but_for_the_slack():
    pair = Pair(Trail())
    assert not pair.is_due(9.0, 0.001)
    pair.due_at = 1.0
    assert not pair.is_due(0.9, 0.001)
    assert pair.is_due(0.9995, 0.001)
