"""When a tier is full, and how much of its traffic it keeps meanwhile."""

from __future__ import annotations

from random import Random

import pytest

from pointsman.core.settings import SaturationSettings
from pointsman.pools.saturation import Breach, Saturation

WAITING = Breach("waiting", "waiting 7 >= 5 on small/0")
SLOTS = Breach("in_flight", "in flight 4 >= 4 slots on small/0")


def diverting(breach: Breach = WAITING, now: float = 1000.0) -> Saturation:
    saturation = Saturation(SaturationSettings())
    assert saturation.breached(breach, now)
    return saturation


def calm(saturation: Saturation, start: float, seconds: float) -> float | None:
    """Looks every half second; the time when it left."""
    for tick in range(1, int(seconds * 2) + 1):
        if saturation.step(start + tick / 2, None, calm=True):
            return start + tick / 2
    return None


def kept(saturation: Saturation, now: float, times: int = 2000, **how) -> float:
    saturation.stays(now, Random(0), has_slot=True)
    rng = Random(7)
    return sum(saturation.stays(now, rng, **({"has_slot": True} | how)) for _ in range(times)) / times


def test_a_breach_diverts_at_once_and_says_why():
    saturation = diverting()
    assert saturation.is_diverting
    assert (saturation.breach, saturation.since) == (WAITING, 1000.0)
    assert repr(saturation) == "<Saturation [diverting: waiting 7 >= 5 on small/0 | keeps 5%]>"


def test_fifteen_calm_seconds_end_it():
    saturation = diverting()
    assert calm(saturation, 1000.0, 14.5) is None
    assert saturation.step(1015.0, None, calm=True)
    assert (saturation.is_diverting, saturation.breach, saturation.share) == (False, None, 1.0)
    assert repr(saturation) == "<Saturation [fit]>"


def test_one_look_that_is_not_calm_starts_the_seconds_again():
    saturation = diverting()
    calm(saturation, 1000.0, 10.0)
    saturation.step(1010.5, None, calm=False)
    assert calm(saturation, 1010.5, 30.0) == 1025.5


def test_unsettled_times_hold_it_back():
    saturation = diverting()
    calm(saturation, 1000.0, 14.5)
    assert not saturation.step(1015.0, None, calm=True, settled=False)
    assert saturation.step(1015.5, None, calm=True)


def test_a_pause_in_looking_is_no_calm():
    saturation = diverting()
    assert not saturation.step(1100.0, None, calm=True)
    assert saturation.is_diverting


def test_one_in_twenty_stays_at_first():
    assert kept(diverting(), 1000.5) == pytest.approx(0.05, abs=0.015)


def test_one_request_in_two_seconds_stays_whatever_the_share():
    saturation = Saturation(SaturationSettings(probe_share=0.0))
    saturation.breached(WAITING, 1000.0)
    stayed = [t / 10 for t in range(100) if saturation.stays(1000.0 + t / 10, Random(1), has_slot=True)]
    assert stayed == [2.0, 4.0, 6.0, 8.0]


def test_calm_lets_the_share_grow_back_to_everything():
    saturation = diverting()
    shares = []
    for tick in range(1, 30):
        saturation.step(1000.0 + tick / 2, None, calm=True)
        shares.append(saturation.share)
    assert shares == sorted(shares)
    assert saturation.share == pytest.approx(0.97, abs=0.01)
    assert kept(saturation, 1014.9) == pytest.approx(0.97, abs=0.02)


def test_between_calm_and_breach_the_share_rests():
    saturation = diverting()
    calm(saturation, 1000.0, 6.0)
    share = saturation.share
    for tick in range(20):
        saturation.step(1006.0 + tick, None, calm=False)
    assert saturation.share == share > 0.4


def test_a_breach_halves_the_share_once_in_two_seconds_and_never_below_the_probes():
    saturation = diverting()
    calm(saturation, 1000.0, 12.0)
    share = saturation.share
    for tenth in range(11):
        saturation.step(1012.0 + tenth / 10, WAITING, calm=False)
    assert saturation.share == share / 2
    for tick in range(1, 30):
        saturation.step(1013.0 + tick, WAITING, calm=False)
    assert saturation.share == 0.05


def test_full_by_slots_alone_keeps_whoever_finds_one_free_and_probes_of_the_others():
    saturation = diverting(SLOTS)
    assert kept(saturation, 1000.5) == 1.0
    assert kept(saturation, 1000.5, has_slot=False) == pytest.approx(0.05, abs=0.015)
    for tick in range(20):
        saturation.step(1001.0 + tick, SLOTS, calm=False)
    assert kept(saturation, 1020.5) == 1.0


def test_full_by_slots_and_then_by_what_the_engine_says_begins_with_the_probes():
    saturation = diverting(SLOTS)
    saturation.step(1001.0, WAITING, calm=False)
    assert (saturation.share, saturation.breach) == (0.05, WAITING)


def test_the_third_change_within_a_minute_waits():
    saturation = diverting()
    assert calm(saturation, 1000.0, 20.0) == 1015.0
    assert not saturation.breached(WAITING, 1059.9)
    assert not saturation.is_diverting
    assert saturation.breached(WAITING, 1060.0)
    assert calm(saturation, 1060.0, 30.0) == 1075.0, "60 s after the change before the last"
