from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from pointsman.gateway.gateway import Gateway
from pointsman.server.picture import Picture
from pointsman.testing.clock import ManualClock
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.ports import ListSink
from pointsman.testing.upstream import ScriptedUpstream
from pointsman.wiring import build_graph


class House:
    """A picture of one tier with two endpoints."""

    def __init__(self) -> None:
        pool = a_pool("small", endpoints=tuple(an_endpoint(f"small/{number}", f"http://gpu-{number}/v1") for number in range(2)))
        self.clock = ManualClock()
        self.gateway = Gateway(build_graph(a_settings(pool)), ScriptedUpstream(), ListSink(), self.clock, Random(1))
        self.pool = self.gateway.graph.fleet.pools["small"]
        self.unfit = ""
        self.picture = Picture(self.gateway, self.clock, lambda: [self.status])

    @property
    def status(self) -> dict[str, Any]:
        fitness = self.gateway.graph.fleet.fitness("small", self.clock.now())
        return {"tier": "small", "waiting": 0, "desired": None, "unfit": self.unfit or fitness.reason}

    def endpoint(self, number: int) -> dict[str, Any]:
        return self.picture.pool(self.pool)["endpoints"][number]  # type: ignore[no-any-return]


def test_every_tier_and_endpoint_says_since_when_it_is_what_it_is():
    house = House()
    house.picture.look()
    house.clock.advance(90.0)

    tier = house.picture.tier(house.status)
    assert (tier["state"], tier["for_s"], tier["opens_in_s"]) == ("fit", 90.0, None)
    assert (house.endpoint(0)["state"], house.endpoint(0)["for_s"]) == ("healthy", 90.0)


def test_a_tier_that_nobody_serves_says_since_when_until_when_and_why():
    house = House()
    house.picture.look()
    house.clock.advance(10.0)
    now = house.clock.now()
    house.gateway.departures.announce("small/0", now, 600.0, "new kernel")
    house.pool.drain("small/0")
    house.pool.mark("small/1", False, "connection refused", now)
    house.picture.look()
    house.clock.advance(2.0)

    tier = house.picture.tier(house.status)
    assert (tier["state"], tier["is_fit"], tier["for_s"]) == ("unavailable", False, 2.0)
    assert tier["detail"] == "no endpoint in service: 1 draining, 1 ejected"
    assert tier["opens_in_s"] == house.endpoint(1)["opens_in_s"] > 0
    ejected = house.endpoint(1)
    assert (ejected["state"], ejected["for_s"], ejected["cause"]) == ("ejected", 2.0, "connection refused")


def test_a_drained_endpoint_says_by_whom_since_when_and_when_it_is_gone():
    house = House()
    house.gateway.departures.announce("small/0", house.clock.now(), 600.0, "new kernel")
    house.pool.drain("small/0")
    house.clock.advance(60.0)

    endpoint = house.endpoint(0)
    assert (endpoint["cause"], endpoint["detail"]) == ("drained by the operator", "new kernel")
    assert (endpoint["for_s"], endpoint["leaves_in_s"]) == (60.0, 540.0)


def test_a_tier_that_another_process_finds_full_is_full_since_that_was_seen():
    house = House()
    house.picture.look()
    house.clock.advance(5.0)
    house.unfit = "waiting"
    house.picture.look()
    house.clock.advance(3.0)

    tier = house.picture.tier(house.status)
    assert (tier["state"], tier["is_fit"], tier["for_s"]) == ("waiting", False, 3.0)
    assert msgspec.json.encode(tier)
