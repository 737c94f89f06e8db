from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.price import NANO, GpuPrice
from pointsman.money.gpu import GAP_S, GpuLedger, Offer, Seen, hourly

H100 = GpuPrice("H100", 2.40, 1, 400.0)
BUSY, IDLE, OFF = Seen(True, True), Seen(True, False), Seen(False, False)


def looked(*looks: tuple[float, Seen]) -> GpuLedger:
    ledger = GpuLedger()
    for now, seen in looks:
        ledger.look(now, {"large/0": seen})
    return ledger


def test_an_hour_costs_what_an_hour_costs_and_half_of_it_was_work():
    ledger = looked(*((i * 5.0, BUSY if i < 360 else IDLE) for i in range(721)))
    bill = ledger.bill("large/0", H100, 720_000)

    assert (bill.running_s, bill.busy_s) == (3600.0, 1800.0)
    assert (bill.running_nano_usd, bill.busy_nano_usd, bill.idle_nano_usd) == (2_400_000_000, 1_200_000_000, 1_200_000_000)
    assert bill.achieved_usd_per_1k == pytest.approx(2.40 / 720)
    assert bill.nominal_usd_per_1k == pytest.approx(2.40 / 3600 / 400 * 1000)
    assert bill.achieved_usd_per_1k == pytest.approx(2 * bill.nominal_usd_per_1k)


def test_a_machine_that_is_off_costs_nothing():
    assert looked((0, OFF), (60, OFF)).bill("large/0", H100, 0).running_nano_usd == 0


def test_what_nobody_saw_is_not_billed_by_guess():
    assert looked((0, BUSY), (10_000, BUSY)).bill("large/0", H100, 0).running_s == GAP_S


def test_several_gpus_behind_one_endpoint_are_all_paid_for():
    assert looked((0, IDLE), (36, IDLE)).bill("large/0", GpuPrice("H100", 2.0, 4), 0).running_nano_usd == 80_000_000


def test_no_token_yet_and_no_throughput_published_are_unknown_and_not_zero():
    bill = looked((0, IDLE), (36, IDLE)).bill("large/0", GpuPrice("MI300X", 2.0), 0)

    assert (bill.achieved_usd_per_1k, bill.nominal_usd_per_1k) == (None, None)


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from([BUSY, IDLE, OFF])), max_size=50))
def test_busy_and_idle_are_the_whole(steps):
    ledger, now = GpuLedger(), 0.0
    for passed, seen in steps:
        now += passed
        ledger.look(now, {"large/0": seen})
    bill = ledger.bill("large/0", H100, 1)

    assert bill.busy_nano_usd + bill.idle_nano_usd == bill.running_nano_usd
    assert 0 <= bill.busy_s <= bill.running_s <= now + 1e-6
    assert bill.running_nano_usd <= now / 3600 * 2.4 * NANO + 1


SPOT, LASTING = Offer(0.5, True), Offer(1.5, False)


@pytest.mark.parametrize(("offers", "machines", "lasting", "expected"), [
    ((SPOT, LASTING), 0, 0, 0.0),
    ((SPOT, LASTING), 1, 0, 0.5),
    ((SPOT, LASTING), 2, 1, 2.0),
    ((SPOT, LASTING), 2, 2, 3.0),
    ((SPOT, LASTING), 4, 1, 3.0),
    ((Offer(2.0, True), LASTING), 2, 0, 3.5),
    ((LASTING, LASTING), 2, 0, 3.0),
    ((SPOT,), 1, 1, None),
    ((), 1, 0, None),
    ((), 0, 0, 0.0),
])
def test_wanted_machines_cost_what_the_cheapest_do_beside_those_that_must_last(offers, machines, lasting, expected):
    assert hourly(offers, machines, lasting) == expected
