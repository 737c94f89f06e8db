from __future__ import annotations

import msgspec
import pytest

from pointsman.core.price import TokenPrice
from pointsman.core.settings import ScaleSettings, TierSettings
from pointsman.gateway.meter import Meter
from pointsman.pools.fleet import Fleet
from pointsman.testing.clock import ManualClock
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint


class House:
    """A meter over a fleet of two machines of ten slots each."""

    def __init__(self, **scale: object) -> None:
        pool = a_pool("small", endpoints=tuple(an_endpoint(f"small/{i}", slots=10) for i in range(2)))
        self.settings = msgspec.structs.replace(
            a_settings(pool), tiers={"small": TierSettings("small", ("small",), scale=ScaleSettings(**scale))})  # type: ignore[arg-type]
        self.fleet, self.clock = Fleet(self.settings), ManualClock()
        self.waiting, self.tokens = 0, 0
        self.meter = Meter(self.clock, settings=lambda: self.settings, fleet=lambda: self.fleet,
                           tokens=lambda endpoint: self.tokens, waiting=lambda tier: self.waiting)

    def lease(self, count: int) -> None:
        import random
        for _ in range(count):
            self.fleet.lease("small", a_request(), (), self.clock.now(), random.Random(1))


def test_it_tells_how_many_machines_a_tier_wants_and_why():
    house = House(target_use=0.5)
    house.lease(12)
    house.waiting = 9

    house.meter.look()

    tier = house.meter.scale()["tiers"]["small"]
    assert (tier["desired"], tier["ready"], tier["load"], tier["reason"]) == (5, 2, 21.0, "load")


def test_a_spot_machine_that_is_taken_away_wants_another_in_its_place():
    house = House(min=1)
    pool = a_pool("small", endpoints=(an_endpoint("small/0", slots=10, spot=True), an_endpoint("small/1", slots=10)))
    house.settings = msgspec.structs.replace(house.settings, pools={"small": pool})
    house.meter = Meter(house.clock, settings=lambda: house.settings, fleet=lambda: house.fleet, tokens=lambda endpoint: 0,
                        waiting=lambda tier: 0, taken=lambda: {"small/0", "small/1", "other/0"})
    house.meter.look()

    tier = house.meter.scale()["tiers"]["small"]
    assert (tier["desired"], tier["leaving"]) == (2, 1)


def test_what_was_turned_away_between_two_looks_raises_the_wish():
    house, refused = House(target_use=1.0), {"small": 7}
    house.meter = Meter(house.clock, settings=lambda: house.settings, fleet=lambda: house.fleet, tokens=lambda endpoint: 0,
                        waiting=lambda tier: 0, refused=refused.__getitem__)
    house.lease(20)
    house.meter.look()
    assert house.meter.wishes["small"].desired == 2  # what was turned away before the first look is history
    refused["small"] = 8
    house.clock.advance(5.0)
    house.meter.look()
    house.clock.advance(0.1)
    house.meter.look()  # another look in between does not forget it
    assert (house.meter.wishes["small"].desired, house.meter.wishes["small"].reason) == (3, "requests are turned away")
    house.clock.advance(5.0)
    house.meter.look()
    assert house.meter.wishes["small"].reason == "wanted within the last 300 s"


def test_machines_that_do_nothing_are_shown_with_their_price():
    house = House()
    house.lease(1)
    house.meter.look()

    assert house.meter.scale()["tiers"]["small"]["idle_usd_per_hour"] == 0.51


def test_what_is_wanted_has_its_price_and_none_where_one_is_unknown():
    house = House(min=3)
    house.meter.look()
    assert house.meter.scale()["tiers"]["small"]["usd_per_hour"] == pytest.approx(3 * 0.51)

    priceless = a_pool("small", endpoints=(an_endpoint("small/0", slots=10, price=None), an_endpoint("small/1", slots=10)))
    house.settings = msgspec.structs.replace(house.settings, pools={"small": priceless})
    assert house.meter.scale()["tiers"]["small"]["usd_per_hour"] is None


def test_the_bill_is_of_all_machines_that_run():
    house = House()
    house.meter.look()
    house.clock.advance(36)
    house.meter.look()

    bill = house.meter.bill()
    assert round(bill["running_usd"], 9) == round(2 * 0.51 / 100, 9)
    assert bill["idle_usd"] == bill["running_usd"]
    assert bill["usd_per_hour_now"] == 1.02
    assert [machine["endpoint"] for machine in bill["machines"]] == ["small/0", "small/1"]


def test_a_machine_that_was_drained_and_has_gone_costs_nothing_more():
    house = House()
    house.fleet.pools["small"].drain("small/1")
    house.meter.look()
    assert house.meter.bill()["usd_per_hour_now"] == 1.02  # it is leaving, and runs

    house.fleet.pools["small"].mark("small/1", False, "gone", house.clock.now())
    house.meter.look()
    bill = house.meter.bill()
    assert (bill["usd_per_hour_now"], bill["idle_usd_per_hour_now"]) == (0.51, 0.51)
    assert house.meter.scale()["tiers"]["small"]["idle_usd_per_hour"] == 0.51


def test_a_reload_with_other_settings_starts_the_tiers_history_anew():
    house = House(min=1)
    house.meter.look()
    house.settings = msgspec.structs.replace(
        house.settings, tiers={"small": TierSettings("small", ("small",), scale=ScaleSettings(min=7))})
    house.meter.look()

    assert house.meter.scale()["tiers"]["small"]["desired"] == 7


def test_a_provider_beside_our_machines_is_no_machine_and_hides_nothing():
    house = House(min=1)
    provider = an_endpoint("small/1", slots=None, price=TokenPrice(input=100, output=100), provider="example")
    pool = a_pool("small", endpoints=(an_endpoint("small/0", slots=10), provider))
    house.settings = msgspec.structs.replace(house.settings, pools={"small": pool})
    house.fleet = Fleet(house.settings)
    house.meter.look()

    tier = house.meter.scale()["tiers"]["small"]
    assert (tier["desired"], tier["ready"], tier["usd_per_hour"]) == (1, 1, pytest.approx(0.51))
