"""What work beside the event loop may use of a core."""

import pytest

from pointsman.gateway.spare import BUSY, IS_BUSY, LOOKS_S, SAVED_S, USED_UP, Spare, needed_s
from pointsman.testing.clock import ManualClock


class Loop:
    """A clock, and an event loop whose need of a core the test sets."""

    def __init__(self):
        self.clock, self.needed_s = ManualClock(), 7.0

    def runs(self, seconds, share):
        self.clock.advance(seconds)
        self.needed_s += seconds * share

    def spare(self, share=0.1):
        made = Spare(share, self.clock.now, lambda: self.needed_s)
        assert made.refusal() == ""
        return made


def test_what_is_used_up_comes_back_with_time():
    loop = Loop()
    spare = loop.spare(0.1)

    spare.spend(SAVED_S + 0.1)
    assert spare.refusal() == USED_UP
    loop.runs(2.0, 0.2)
    assert spare.refusal() == ""
    assert spare.saved_s == pytest.approx(0.1)


def test_an_idle_helper_saves_up_so_much_and_no_more():
    loop = Loop()
    spare = loop.spare(0.1)
    loop.runs(1000.0, 0.0)

    assert spare.refusal() == ""
    assert spare.saved_s == SAVED_S


def test_a_busy_loop_keeps_its_core_and_gives_back_what_it_does_not_need():
    loop = Loop()
    spare = loop.spare()

    loop.runs(LOOKS_S * 2, BUSY + 0.01)
    assert spare.refusal() == IS_BUSY
    loop.runs(LOOKS_S * 2, BUSY - 0.01)
    assert spare.refusal() == ""


def test_a_helper_with_a_core_of_its_own_may_use_it_all():
    loop = Loop()
    spare = loop.spare(1.0)

    for _ in range(10):
        loop.runs(LOOKS_S * 2, 0.2)
        spare.spend(LOOKS_S * 2)
        assert spare.refusal() == ""


def test_the_work_of_starting_up_is_not_taken_for_a_busy_loop():
    loop = Loop()
    spare = Spare(0.1, loop.clock.now, lambda: loop.needed_s)

    loop.runs(5.0, 1.0)
    assert spare.refusal() == ""


def test_it_looks_no_more_often_than_it_must():
    loop = Loop()
    looked = []
    spare = Spare(0.1, loop.clock.now, lambda: looked.append(1) or loop.needed_s)

    for _ in range(10):
        spare.refusal()
        loop.runs(LOOKS_S / 8, 0.5)

    assert len(looked) == 2


def works_until(it):
    """The system counts at its own ticks, of some milliseconds."""
    return any(sum(range(50_000)) and it() for _ in range(100_000))


def test_a_thread_that_works_needs_a_core():
    before = needed_s()

    assert works_until(lambda: needed_s() > before)


def test_where_the_system_does_not_tell_who_waits_what_ran_counts(monkeypatch):
    monkeypatch.setattr("pointsman.gateway.spare.SCHEDULED", "/nowhere/schedstat")
    before = needed_s()

    assert works_until(lambda: needed_s() > before)


def test_its_repr_tells_the_state():
    loop = Loop()
    spare = loop.spare(0.05)
    assert repr(spare) == "<Spare 0.05 of a core [0.50 s saved]>"

    loop.runs(1.0, 1.0)
    spare.refusal()
    assert repr(spare) == "<Spare 0.05 of a core [0.50 s saved, yielding]>"
