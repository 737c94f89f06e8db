from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pointsman.core.settings import QueueSettings
from pointsman.errors import Shed
from pointsman.gateway.admission import Admission
from pointsman.testing.clock import ManualClock


@dataclass
class House:
    """The fleet as admission sees it: how many may still enter each tier."""

    free: dict[str, int] = field(default_factory=dict)
    rate: float | None = None
    slots_: int | None = 4
    gone: set[str] = field(default_factory=set)
    starting: set[str] = field(default_factory=set)
    held: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """So many times another process will be quicker."""

    def has_room(self, tier: str, now: float, entering: int = 0) -> bool:
        return self.free.get(tier, 0) > entering

    def hold(self, tier: str, now: float) -> Callable[[], None] | None:
        if self.lost:
            self.lost -= 1
            return None
        self.held[tier] += 1
        return lambda: self.held.subtract([tier])

    def is_served(self, tier: str, now: float) -> bool:
        return tier not in self.gone

    def is_starting(self, tier: str, now: float) -> bool:
        return tier in self.starting

    def slots(self, tier: str, now: float) -> int | None:
        return self.slots_

    def drain_rate(self, tier: str, now: float) -> float | None:
        return self.rate


def an_admission(house: House) -> Admission:
    return Admission(house, ManualClock())


ANY = QueueSettings()


async def waits(admission: Admission, *tiers: str, tenant: str = "", priority: int = 1, max_wait_s: float = 60.0,
                settings: QueueSettings = ANY) -> str:
    places = tiers or ("small",)
    return await admission.wait(places[0], places, settings, tenant=tenant, priority=priority, size=1, max_wait_s=max_wait_s)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_waits_is_let_in_when_a_slot_is_given_back():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        waiting = asyncio.create_task(waits(admission))
        await settle()
        assert admission.waiting("small") == 1

        house.free["small"] = 1
        admission.wake()

        assert await waiting == "small"
        assert admission.waiting("small") == 0

    asyncio.run(story())


def test_one_slot_lets_one_in_until_its_lease_is_taken():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        first, second = asyncio.create_task(waits(admission)), asyncio.create_task(waits(admission))
        await settle()
        house.free["small"] = 1

        admission.wake()
        await settle()
        assert (first.done(), second.done()) == (True, False)
        assert admission.must_wait("small", 0.0)
        second.cancel()
        await settle()
        assert not admission.is_awaited("small")
        assert admission.is_contested("small"), "newcomers have to ask whether there is room for them, too"
        second = asyncio.create_task(waits(admission))
        await settle()

        house.free["small"] = 1  # the first holds its lease, and another slot has come free
        admission.entered("small")
        admission.wake()
        assert await second == "small"

    asyncio.run(story())


def test_whoever_waits_on_elsewhere_is_hidden_from_other_processes_and_still_counted_here():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        waiting = [asyncio.create_task(waits(admission)) for _ in range(2)]
        await settle()
        house.free["small"] = 2
        admission.wake()
        await asyncio.gather(*waiting)

        admission.unhold("small")
        assert (house.held["small"], admission.must_wait("small", 0.0)) == (1, True)
        admission.entered("small", is_seen=False)
        assert (house.held["small"], admission.must_wait("small", 0.0)) == (1, False)
        admission.forgo("small")
        assert (house.held["small"], admission.is_contested("small")) == (0, False)

    asyncio.run(story())


def test_whoever_is_let_in_is_seen_by_other_processes_until_the_lease_is_taken_or_forgone():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        waiting = [asyncio.create_task(waits(admission)) for _ in range(2)]
        await settle()
        house.free["small"] = 2
        admission.wake()
        await asyncio.gather(*waiting)
        assert house.held["small"] == 2

        admission.entered("small")
        assert house.held["small"] == 1
        admission.forgo("small")
        assert house.held["small"] == 0

    asyncio.run(story())


def test_where_another_process_was_quicker_who_waits_goes_on_waiting_and_soon_looks_again():
    async def story() -> None:
        house = House(lost=2)
        admission = an_admission(house)
        first, second = asyncio.create_task(waits(admission)), asyncio.create_task(waits(admission))
        await settle()
        house.free["small"] = 1
        admission.wake()
        await settle()
        assert (first.done(), admission.waiting("small"), house.held["small"]) == (False, 2, 0)

        assert await asyncio.wait_for(first, 0.2) == "small", "the usual look comes after a quarter of a second"
        assert not second.done()
        second.cancel()

    asyncio.run(story())


def test_a_tier_above_with_room_takes_who_waits_below():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        waiting = asyncio.create_task(waits(admission, "small", "large"))
        await settle()
        house.free["large"] = 1
        admission.wake()

        assert await waiting == "large"

    asyncio.run(story())


def test_newcomers_do_not_overtake():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        waiting = asyncio.create_task(waits(admission))
        await settle()
        house.free["small"] = 1

        assert admission.must_wait("small", 0.0)
        waiting.cancel()
        await settle()
        assert not admission.must_wait("small", 0.0)

    asyncio.run(story())


def test_a_full_line_turns_away_with_a_time_to_come_back():
    async def story() -> None:
        admission = an_admission(House(rate=2.0, slots_=1))
        waiting = [asyncio.create_task(waits(admission)) for _ in range(2)]
        await settle()

        with pytest.raises(Shed) as shed:
            await waits(admission)

        assert shed.value.retry_after_s == 2.0  # three in line at two a second, rounded up
        assert shed.value.client_status == 503
        assert admission.status() == {"small": {"waiting": 2, "shed": 1}}
        for task in waiting:
            task.cancel()

    asyncio.run(story())


def test_who_would_not_make_it_is_turned_away_before_it_waits():
    async def story() -> None:
        admission = an_admission(House(rate=0.5))
        waiting = asyncio.create_task(waits(admission))
        await settle()

        with pytest.raises(Shed, match="1 ahead need longer than the 3 s"):
            await waits(admission, max_wait_s=3.0)

        assert admission.waiting("small") == 1
        waiting.cancel()

    asyncio.run(story())


def test_a_line_of_size_zero_is_no_line():
    async def story() -> None:
        with pytest.raises(Shed):
            await waits(an_admission(House()), settings=QueueSettings(size=0))

    asyncio.run(story())


def test_waiting_ends_with_its_time():
    async def story() -> None:
        admission = an_admission(House())

        with pytest.raises(Shed, match="nothing became free"):
            await waits(admission, max_wait_s=0.01)

        assert admission.waiting("small") == 0

    asyncio.run(story())


def test_a_full_line_makes_way_for_a_better_priority():
    async def story() -> None:
        house = House(slots_=1)
        admission = an_admission(house)
        low = [asyncio.create_task(waits(admission, priority=2)) for _ in range(2)]
        await settle()
        high = asyncio.create_task(waits(admission, priority=0))
        await settle()

        assert isinstance(low[1].exception(), Shed)
        house.free["small"] = 1
        admission.wake()
        assert await high == "small"
        low[0].cancel()

    asyncio.run(story())


def test_a_place_that_came_when_its_client_had_left_goes_to_the_next():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        gone, next_one = asyncio.create_task(waits(admission)), asyncio.create_task(waits(admission))
        await settle()
        house.free["small"] = 1
        admission.wake()
        asyncio.get_running_loop().call_soon(gone.cancel)  # after the place was given, before it was taken
        await settle()

        admission.wake()

        assert gone.cancelled()
        assert await next_one == "small"

    asyncio.run(story())


def test_a_crowd_in_a_lower_line_does_not_keep_a_tier_from_those_who_can_go_nowhere_else():
    async def story() -> None:
        house = House()
        clock = ManualClock()
        admission = Admission(house, clock)
        below = [asyncio.create_task(waits(admission, "small", "large")) for _ in range(2)]
        await settle()
        clock.advance(0.1)
        above = asyncio.create_task(waits(admission, "large"))
        await settle()
        clock.advance(0.1)
        late = asyncio.create_task(waits(admission, "small", "large"))
        await settle()

        house.free["large"] = 3
        admission.wake()
        await settle()

        assert [task.done() for task in (*below, above, late)] == [True, True, True, False]
        late.cancel()

    asyncio.run(story())


def test_who_was_pinned_holds_up_nobody_who_may_go_on_above():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        pinned = asyncio.create_task(waits(admission, "small"))
        free = asyncio.create_task(waits(admission, "small", "large"))
        await settle()
        house.free["large"] = 1
        admission.wake()

        assert await free == "large"
        assert not pinned.done()
        pinned.cancel()

    asyncio.run(story())


def test_where_somebody_waits_a_newcomer_does_not_take_the_place_that_has_just_come_free():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        assert not admission.is_awaited("small")
        waiting = asyncio.create_task(waits(admission, "small", "large"))
        await settle()

        assert admission.is_awaited("small")
        assert admission.is_awaited("large")
        waiting.cancel()
        await settle()
        assert not admission.is_awaited("large")

    asyncio.run(story())


def test_nobody_waits_for_what_is_out_of_service():
    async def story() -> None:
        house = House(gone={"small"})
        admission = an_admission(house)
        pinned, free = asyncio.create_task(waits(admission)), asyncio.create_task(waits(admission, "small", "large"))

        assert await pinned == "small"
        await settle()
        assert not free.done(), "the tier above is only full"
        house.gone.add("large")
        admission.wake()
        assert await free == "small"

    asyncio.run(story())


def test_a_tier_whose_machines_come_when_somebody_waits_is_waited_for():
    async def story() -> None:
        house = House(gone={"small"}, starting={"small"}, slots_=0)
        admission = an_admission(house)
        waiting = asyncio.create_task(waits(admission))
        await settle()
        assert admission.waiting("small") == 1

        house.gone, house.starting, house.free = set(), set(), {"small": 1}
        admission.wake()
        assert await waiting == "small"

    asyncio.run(story())


def test_a_high_priority_is_not_turned_away_for_a_crowd_that_would_come_after_it():
    async def story() -> None:
        house = House(rate=1.0, slots_=20)
        admission = an_admission(house)
        crowd = [asyncio.create_task(waits(admission, priority=2)) for _ in range(10)]
        await settle()

        with pytest.raises(Shed, match="10 ahead"):
            await waits(admission, priority=2, max_wait_s=5.0)
        high = asyncio.create_task(waits(admission, priority=0, max_wait_s=5.0))
        await settle()
        house.free["small"] = 1
        admission.wake()

        assert await high == "small"
        for task in crowd:
            task.cancel()

    asyncio.run(story())


def test_a_tenant_that_fills_the_line_makes_way_for_one_that_has_asked_for_nothing():
    async def story() -> None:
        admission = an_admission(House(slots_=2))
        hog = [asyncio.create_task(waits(admission, tenant="hog")) for _ in range(4)]
        await settle()
        with pytest.raises(Shed, match="4 wait already"):
            await waits(admission, tenant="hog")
        other = asyncio.create_task(waits(admission, tenant="other"))
        await settle()

        assert isinstance(hog[3].exception(), Shed)
        assert admission.waiting("small") == 4
        for task in (*hog, other):
            task.cancel()

    asyncio.run(story())


def test_those_turned_away_together_are_not_told_to_come_back_together():
    async def story() -> None:
        admission = an_admission(House(rate=2.0))
        times = []
        for _ in range(6):
            with pytest.raises(Shed) as shed:
                await waits(admission, settings=QueueSettings(size=0))
            times.append(shed.value.retry_after_s)

        assert times == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]

    asyncio.run(story())


def test_a_place_that_nobody_took_is_offered_at_once():
    async def story() -> None:
        house = House()
        admission = an_admission(house)
        first, second = asyncio.create_task(waits(admission)), asyncio.create_task(waits(admission))
        await settle()
        house.free["small"] = 1
        admission.wake()
        assert await first == "small"

        admission.forgo("small")

        async with asyncio.timeout(0.1):  # long before the lines are looked at by themselves
            assert await second == "small"

    asyncio.run(story())


def test_a_slow_pace_turns_nobody_away_from_a_place_that_is_free():
    """Few answers that took long give back few places; those that nobody holds need not be given back."""
    async def story() -> None:
        admission = an_admission(House({"large": 1}, rate=0.1))

        assert await waits(admission, "small", "large", max_wait_s=1.0) == "large"
        with pytest.raises(Shed, match="0 ahead"):
            await waits(admission, "small", "large", max_wait_s=1.0)

    asyncio.run(story())
