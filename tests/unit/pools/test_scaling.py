from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.schedule import parse_hours
from pointsman.core.settings import ScaleSettings, ScheduleHint
from pointsman.pools.scaling import Demand, Scaler, Wish

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday


def a_demand(running: int = 0, *, waiting: int = 0, ready: int = 1, slots: int | None = 10, **more: Any) -> Demand:
    return Demand(running, waiting, tuple(f"small/{i}" for i in range(ready)), slots, **more)


def steady(scaler: Scaler, demand: Demand, *, seconds: float, start: float = 0.0, wall: datetime = NOON) -> Wish:
    """The wish after the same demand for so long, looked at every 5 s."""
    wish, now = scaler.look(demand, start, wall), start
    while now < start + seconds:
        now += 5.0
        wish = scaler.look(demand, now, wall)
    return wish


def a_scaler(**settings: Any) -> Scaler:
    return Scaler(ScaleSettings(**settings))


def test_machines_are_used_to_their_share():
    wish = a_scaler(target_use=0.5).look(a_demand(20, ready=4), 0.0, NOON)

    assert (wish.desired, wish.reason) == (4, "load")


def test_who_waits_counts_as_load():
    assert a_scaler().look(a_demand(10, waiting=11, ready=2), 0.0, NOON).desired == 3


def test_waves_are_what_the_free_share_is_for():
    scaler = a_scaler(down_after_s=1.0)
    wishes = {steady(scaler, a_demand(50 + wave, ready=8), seconds=0, start=600.0 + 5 * i).desired
              for i, wave in enumerate([0, 15, -15] * 20)}

    assert wishes <= {7, 8, 9}


def test_who_waits_in_line_counts_at_once():
    scaler = a_scaler()
    steady(scaler, a_demand(10, ready=2), seconds=300)

    slow = scaler.look(a_demand(20, waiting=30, ready=2, answers_per_s=0.1), 305.0, NOON)

    assert slow.desired == 5


def test_a_line_that_is_gone_in_a_minute_is_no_load_for_ever():
    scaler = a_scaler()
    steady(scaler, a_demand(20, ready=2, answers_per_s=2.0), seconds=300)

    quick = scaler.look(a_demand(20, waiting=30, ready=2, answers_per_s=2.0), 305.0, NOON)

    assert quick.desired == 3  # answers take 10 s: 30 who wait are 5 slots for a minute


def test_a_rising_load_is_met_before_it_comes():
    scaler = a_scaler(boot_s=180.0)
    for i in range(60):
        wish = scaler.look(a_demand(20 + i, ready=12), i * 5.0, NOON)

    assert wish.expected > wish.load * 1.2
    assert wish.desired is not None
    assert wish.desired > 12
    assert wish.reason == "load expected when a new machine serves"


def test_a_spike_is_no_trend():
    scaler = a_scaler()
    steady(scaler, a_demand(10, ready=2), seconds=300)
    wish = scaler.look(a_demand(100, ready=2), 305.0, NOON)

    assert wish.expected <= 200


def test_a_broken_promise_asks_for_more_than_the_load_does():
    wish = a_scaler().look(a_demand(20, ready=10, is_breaching=True), 0.0, NOON)

    assert (wish.desired, wish.reason) == (12, "promise broken")


def test_demand_that_was_turned_away_is_demand():
    full = a_demand(40, ready=4, answers_per_s=5.0)  # answers take 8 s
    assert steady(a_scaler(target_use=1.0), full, seconds=120).desired == 4

    wish = steady(a_scaler(target_use=1.0), a_demand(40, ready=4, answers_per_s=5.0, refused_per_s=2.5), seconds=120)
    assert (wish.load, wish.desired, wish.reason) == (60.0, 6, "load")


def test_the_first_that_is_turned_away_asks_for_one_machine_at_once():
    scaler = a_scaler(target_use=1.0)
    assert steady(scaler, a_demand(30, ready=4, answers_per_s=5.0), seconds=120).desired == 3

    wish = scaler.look(a_demand(30, ready=4, answers_per_s=5.0, refused_per_s=0.2), 125.0, NOON)
    assert (wish.desired, wish.reason) == (5, "requests are turned away")
    # And not for one more at each look until it serves.
    assert steady(scaler, a_demand(30, ready=4, answers_per_s=5.0, refused_per_s=0.2), seconds=60, start=130.0).desired == 5


def test_clients_that_come_back_at_once_do_not_ask_for_machines_without_end():
    wish = steady(a_scaler(target_use=1.0), a_demand(40, ready=4, answers_per_s=5.0, refused_per_s=500.0), seconds=120)
    assert (wish.load, wish.desired) == (80.0, 8)


def test_turned_away_from_a_tier_without_machines_brings_the_first():
    scaler = a_scaler(min=0, down_after_s=10.0)
    assert steady(scaler, a_demand(ready=0), seconds=60).desired == 0
    assert scaler.look(a_demand(ready=0, refused_per_s=0.2), 65.0, NOON).desired == 1


def test_never_more_than_the_most_whoever_is_turned_away():
    wish = a_scaler(max=4).look(a_demand(20, ready=4, answers_per_s=5.0, refused_per_s=1.0), 0.0, NOON)
    assert (wish.desired, wish.reason) == (4, "requests are turned away; held at `max`")


def test_going_down_takes_time():
    scaler = a_scaler(down_after_s=300.0)
    steady(scaler, a_demand(70, ready=10), seconds=60)

    soon = steady(scaler, a_demand(7, ready=10), seconds=200, start=65)
    late = steady(scaler, a_demand(7, ready=10), seconds=400, start=270)

    assert (soon.desired, soon.reason) == (10, "wanted within the last 300 s")
    assert late.desired == 1


def test_a_machine_that_is_paid_for_until_the_hour_is_full_stays_until_then():
    scaler = a_scaler(billing_s=3600.0, down_after_s=60.0)
    steady(scaler, a_demand(70, ready=10), seconds=60)

    early = steady(scaler, a_demand(7, ready=10), seconds=600, start=65)
    at_the_end = steady(scaler, a_demand(7, ready=10), seconds=2915, start=670)

    assert (early.desired, early.reason) == (10, "paid for anyway")
    assert at_the_end.desired == 1


def test_a_minimum_that_is_paid_in_any_case_is_used():
    scaler = a_scaler(min_billing_s=900.0, down_after_s=60.0)
    steady(scaler, a_demand(70, ready=10), seconds=60)

    assert steady(scaler, a_demand(0, ready=10), seconds=600, start=65).desired == 10
    assert steady(scaler, a_demand(0, ready=10), seconds=400, start=670).desired == 1


def test_the_schedule_is_a_floor_in_its_own_time_zone():
    hint = ScheduleHint("mon-fri 08:00-20:00", parse_hours("mon-fri 08:00-20:00"), 4)
    scaler = a_scaler(schedule=(hint,), timezone="America/New_York", down_after_s=1.0)

    before = scaler.look(a_demand(), 0.0, NOON)  # 7 in the morning in New York
    within = scaler.look(a_demand(), 10.0, NOON.replace(hour=15))

    assert (before.desired, within.desired, within.reason) == (1, 4, "schedule mon-fri 08:00-20:00")


def test_a_tier_may_go_to_nothing_and_the_first_who_waits_brings_it_back():
    scaler = a_scaler(min=0, down_after_s=1.0)

    assert scaler.look(a_demand(ready=0), 0.0, NOON).desired == 0
    wish = scaler.look(a_demand(waiting=1, ready=0), 5.0, NOON)
    assert wish.desired == 1


def test_never_more_than_the_most():
    wish = a_scaler(max=3).look(a_demand(1000), 0.0, NOON)

    assert wish.desired == 3
    assert "held at `max`" in wish.reason


def test_unknown_slots_give_no_number():
    assert a_scaler().look(a_demand(5, slots=None), 0.0, NOON).desired is None


def test_one_that_is_being_taken_away_has_one_in_its_place_until_it_is_gone():
    scaler = a_scaler(min=1, max=3)
    wish = scaler.look(a_demand(5, ready=0, leaving=1), 0.0, NOON)
    assert (wish.desired, wish.leaving, wish.reason) == (2, 1, "floor; 1 being taken away")
    assert scaler.look(a_demand(5, ready=1), 30.0, NOON).desired == 1
    assert scaler.look(a_demand(20, ready=1, leaving=2), 31.0, NOON).desired == 3


def test_so_many_should_not_be_spot():
    wish = a_scaler(on_demand=2).look(a_demand(35, ready=5), 0.0, NOON)

    assert (wish.desired, wish.on_demand) == (5, 2)
    assert a_scaler(min=0, on_demand=2).look(a_demand(), 0.0, NOON).desired == 2


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 200), st.integers(0, 40), st.booleans()), min_size=1, max_size=60))
def test_whatever_comes_the_wish_is_within_its_bounds_and_enough_for_now(story):
    scaler = a_scaler(min=1, max=50, down_after_s=60.0)
    for i, (running, waiting, ready, is_breaching) in enumerate(story):
        wish = scaler.look(a_demand(running, waiting=waiting, ready=ready, is_breaching=is_breaching), i * 5.0, NOON)
        assert wish.desired is not None
        assert 1 <= wish.desired <= 50
        assert wish.desired == 50 or wish.desired * 10 * 0.7 >= wish.load - 0.01
        assert wish.desired == 50 or not waiting or wish.desired * 10 >= running + waiting - 0.01
