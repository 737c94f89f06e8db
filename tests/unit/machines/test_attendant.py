"""Which machines to start and stop."""

from __future__ import annotations

from pointsman.machines.attendant import FIRST_PAUSE_S, Attendant, Command
from pointsman.machines.yard import Machine, Phase, Yard


def a_machine(number: int, phase: Phase, **overrides) -> Machine:
    values = {"is_ready": phase in (Phase.THERE, Phase.LEAVING), "is_drained": phase in (Phase.LEAVING, Phase.PARKED, Phase.FOREIGN)}
    return Machine(f"small/{number}", phase, **(values | overrides))


def looks(attendant: Attendant, *machines: Machine, desired: int | None, now: float = 0.0, on_demand: int = 0) -> list[tuple[str, str]]:
    return [(command.action, command.endpoint)
            for command in attendant.look(Yard(machines, desired, on_demand, "load"), now)]


THERE, ABSENT, LEAVING, PARKED, FOREIGN = Phase.THERE, Phase.ABSENT, Phase.LEAVING, Phase.PARKED, Phase.FOREIGN


def test_what_is_wanted_is_left_as_it_is():
    assert looks(Attendant(), a_machine(0, THERE), a_machine(1, ABSENT), desired=1) == []


def test_a_machine_is_started_once_and_counts_while_it_boots():
    attendant = Attendant()
    assert looks(attendant, a_machine(0, THERE), a_machine(1, ABSENT), a_machine(2, ABSENT), desired=2) == [("start", "small/1")]
    attendant.done(Command("start", "small/1", ""), 0.0)
    assert looks(attendant, a_machine(0, THERE), a_machine(1, ABSENT), a_machine(2, ABSENT), desired=2, now=60.0) == []


def test_one_too_many_is_drained_first_and_stopped_when_nothing_runs_there():
    attendant = Attendant()
    assert looks(attendant, a_machine(0, THERE, in_flight=3), a_machine(1, THERE, in_flight=1), desired=1) == [("drain", "small/1")]
    leaving = a_machine(1, LEAVING, in_flight=1, leaves_in_s=300.0)
    assert looks(attendant, a_machine(0, THERE), leaving, desired=1) == []
    assert looks(attendant, a_machine(0, THERE), a_machine(1, LEAVING, leaves_in_s=290.0), desired=1) == [("stop", "small/1")]


def test_a_drain_that_takes_too_long_ends():
    late = a_machine(1, LEAVING, in_flight=1, leaves_in_s=-1.0)
    assert looks(Attendant(), a_machine(0, THERE), late, desired=1) == [("stop", "small/1")]


def test_what_was_stopped_is_not_stopped_again_and_comes_back_when_it_answers_after_a_start():
    attendant = Attendant()
    attendant.done(Command("stop", "small/1", ""), 0.0)
    assert looks(attendant, a_machine(0, THERE), a_machine(1, LEAVING), desired=1) == []
    assert looks(attendant, a_machine(0, THERE), a_machine(1, PARKED), desired=2) == [("start", "small/1")]
    attendant.done(Command("start", "small/1", ""), 10.0)
    assert looks(attendant, a_machine(0, THERE), a_machine(1, PARKED), desired=2, now=60.0) == []
    assert looks(attendant, a_machine(0, THERE), a_machine(1, LEAVING), desired=2, now=61.0) == [("return", "small/1")]


def test_whoever_is_leaving_is_taken_back_before_another_is_started():
    found = looks(Attendant(), a_machine(0, THERE), a_machine(1, LEAVING), a_machine(2, ABSENT), desired=3)
    assert found == [("return", "small/1"), ("start", "small/2")]


def test_nobody_goes_because_of_one_that_is_only_starting():
    attendant = Attendant()
    attendant.done(Command("start", "small/1", ""), 0.0)
    assert looks(attendant, a_machine(0, THERE), a_machine(1, ABSENT), desired=1, now=9.0) == []
    assert looks(attendant, a_machine(0, THERE), a_machine(1, THERE), desired=1, now=10.0) == []
    assert looks(attendant, a_machine(0, THERE, in_flight=1), a_machine(1, THERE), desired=1, now=11.0) == [("drain", "small/1")]


def test_the_dearest_go_first_and_as_many_that_are_not_spot_stay_as_are_wanted():
    cheap, dear = {"is_spot": True, "usd_per_hour": 0.5}, {"usd_per_hour": 1.5}
    machines = (a_machine(0, THERE, **dear), a_machine(1, THERE, **cheap, in_flight=9), a_machine(2, THERE, **dear, in_flight=1))
    assert looks(Attendant(), *machines, desired=2) == [("drain", "small/0")]
    assert looks(Attendant(), *machines, desired=1) == [("drain", "small/0"), ("drain", "small/2")]
    assert looks(Attendant(), *machines, desired=1, on_demand=1) == [("drain", "small/0"), ("drain", "small/1")]
    assert looks(Attendant(), *machines, desired=0, on_demand=2) == [("drain", "small/1")]


def test_who_does_not_answer_goes_before_any_other():
    sick = a_machine(1, THERE, is_ready=False, usd_per_hour=0.1)
    assert looks(Attendant(), a_machine(0, THERE, usd_per_hour=9.0), sick, desired=1) == [("drain", "small/1")]


def test_the_cheapest_is_started_and_an_unknown_price_is_the_highest():
    machines = (a_machine(0, ABSENT), a_machine(1, ABSENT, usd_per_hour=2.0), a_machine(2, ABSENT, usd_per_hour=1.0))
    assert looks(Attendant(), *machines, desired=3) == [("start", "small/2"), ("start", "small/1"), ("start", "small/0")]


def test_the_floor_of_lasting_machines_is_started_first_and_then_the_cheap_ones():
    machines = (a_machine(0, ABSENT, is_spot=True), a_machine(1, ABSENT), a_machine(2, ABSENT))
    assert looks(Attendant(), *machines, desired=2, on_demand=1) == [("start", "small/1"), ("start", "small/0")]


def test_floor_and_ceiling_bound_the_wish():
    assert looks(Attendant(floor=1), a_machine(0, ABSENT), desired=0) == [("start", "small/0")]
    assert looks(Attendant(ceiling=1), a_machine(0, THERE), a_machine(1, ABSENT), desired=5) == []


def test_a_router_that_cannot_say_wishes_nothing():
    assert looks(Attendant(floor=2), a_machine(0, THERE), a_machine(1, ABSENT), desired=None) == []


def test_what_somebody_else_has_drained_is_left_alone():
    assert looks(Attendant(), a_machine(0, FOREIGN), desired=1) == []


def test_a_machine_that_never_comes_is_stopped_and_another_is_tried():
    attendant = Attendant(boot_s=300.0)
    attendant.done(Command("start", "small/0", ""), 0.0)
    absent = (a_machine(0, ABSENT), a_machine(1, ABSENT))
    assert looks(attendant, *absent, desired=1, now=299.0) == []
    assert looks(attendant, *absent, desired=1, now=301.0) == [("stop", "small/0")]
    attendant.done(Command("stop", "small/0", ""), 301.0)
    assert looks(attendant, *absent, desired=1, now=302.0) == [("start", "small/1")]


def test_a_hook_that_fails_is_tried_again_later_and_another_machine_meanwhile():
    attendant, start = Attendant(), Command("start", "small/0", "")
    attendant.failed(start, 0.0)
    assert looks(attendant, a_machine(0, ABSENT), a_machine(1, ABSENT), desired=1, now=1.0) == [("start", "small/1")]
    assert looks(attendant, a_machine(0, ABSENT), desired=1, now=FIRST_PAUSE_S + 1) == [("start", "small/0")]
    attendant.failed(start, FIRST_PAUSE_S + 1)
    assert looks(attendant, a_machine(0, ABSENT), desired=1, now=2 * FIRST_PAUSE_S + 2) == []
