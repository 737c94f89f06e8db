"""Looking again and again, and doing what is to be done."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from pointsman.machines.attendant import Attendant
from pointsman.machines.hook import HookFailed, Order
from pointsman.machines.rounds import NotTold, Rounds
from pointsman.machines.yard import REASON


class Router:
    """An admin listener with two machines, of which the second does not answer."""

    def __init__(self, desired: int | None = 2) -> None:
        self.desired, self.asked, self.is_away = desired, list[tuple[str, str, Any]](), False

    def ask(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> dict[str, Any]:
        if self.is_away:
            raise NotTold("refused")
        self.asked.append((method, path, body))
        if path == "/state":
            return {"tiers": {"small": {"pools": ["small"]}}, "departures": {"leaving": {}},
                    "watched": {"small/0": {"readiness": "ready"}, "small/1": {"readiness": "gone"}},
                    "pools": {"small": {"endpoints": [endpoint("small/0", "healthy"), endpoint("small/1", "ejected")]}}}
        return {"desired": self.desired, "leaving": 0, "on_demand": 0, "reason": "load"}

    @property
    def told(self) -> list[tuple[str, str, Any]]:
        return [one for one in self.asked if one[0] != "GET"]


def endpoint(id_: str, state: str) -> dict[str, Any]:
    return {"id": id_, "url": f"http://{id_}", "state": state, "is_spot": False, "is_ours": True, "usd_per_hour": None, "in_flight": 0, "in_flight_elsewhere": 0}


class Hooked:
    def __init__(self, *, fails: bool = False) -> None:
        self.orders, self.fails = list[Order](), fails

    def run(self, order: Order) -> None:
        self.orders.append(order)
        if self.fails:
            raise HookFailed("no quota")


def rounds(router: Router, start: Hooked, stop: Hooked, *, dry_run: bool = False) -> Rounds:
    return Rounds("small", router, Attendant(), start, stop, drain_s=600.0, dry_run=dry_run, clock=lambda: 0.0)  # type: ignore[arg-type]


def test_a_machine_that_is_wanted_is_started_by_the_hook():
    router, start, stop = Router(2), Hooked(), Hooked()
    asyncio.run(rounds(router, start, stop).go_round())

    assert [(order.action, order.tier, order.endpoint, order.url) for order in start.orders] == [("start", "small", "small/1", "http://small/1")]
    assert (stop.orders, router.told) == ([], [])


def test_a_machine_too_many_is_drained_by_the_router_before_any_hook():
    router, start, stop = Router(0), Hooked(), Hooked()
    asyncio.run(rounds(router, start, stop).go_round())

    assert router.told == [("POST", "/endpoints/small/0/drain", {"deadline": 600.0, "reason": REASON})]
    assert (start.orders, stop.orders) == ([], [])


def test_a_dry_run_does_nothing_and_says_what_it_would_once(caplog):
    router, start, stop = Router(2), Hooked(), Hooked()
    dry = rounds(router, start, stop, dry_run=True)

    async def twice() -> None:
        await dry.go_round()
        await dry.go_round()

    with caplog.at_level(logging.INFO):
        asyncio.run(twice())
    assert (start.orders, stop.orders, router.told) == ([], [], [])
    assert [record.getMessage() for record in caplog.records][1:] == ["would start small/1 (2 wanted: load)"]


def test_a_hook_that_fails_is_counted_and_ends_nothing():
    start = Hooked(fails=True)
    going = rounds(Router(2), start, Hooked())
    asyncio.run(going.go_round())

    assert (going.carried_out, going.failed, len(start.orders)) == (0, 1, 1)
    assert repr(going) == "<Rounds of small [0 carried out, 1 failed]>"


def test_a_router_that_is_away_or_has_no_such_tier_wishes_nothing(caplog):
    router, start = Router(2), Hooked()
    going = rounds(router, start, Hooked())
    router.is_away = True
    asyncio.run(going.go_round())
    router.is_away, router.desired = False, None
    asyncio.run(going.go_round())

    assert start.orders == []
    assert "nothing is started or stopped: refused" in caplog.text


def test_the_first_look_is_told_also_when_there_is_nothing_to_do(caplog):
    watching = rounds(Router(1), Hooked(), Hooked())

    async def twice() -> None:
        await watching.go_round()
        await watching.go_round()

    with caplog.at_level(logging.INFO):
        asyncio.run(twice())

    assert [record.getMessage() for record in caplog.records] == ["tier small: 1 of 2 machines are there, 1 wanted: load"]
