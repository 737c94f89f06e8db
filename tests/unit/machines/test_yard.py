"""A tier's machines, as the router's admin listener tells of them."""

from __future__ import annotations

import pytest

from pointsman.machines.yard import REASON, Phase, yard_of


def an_endpoint(**overrides) -> dict:
    return {"id": "p/0", "url": "http://a/v1", "is_spot": False, "is_ours": True, "usd_per_hour": 1.43, "state": "healthy", "in_flight": 1, "in_flight_elsewhere": 2} | overrides


def read(endpoint: dict, readiness: str = "ready", notice: dict | None = None):
    state = {"tiers": {"small": {"pools": ["p"]}}, "pools": {"p": {"endpoints": [endpoint]}},
             "watched": {"p/0": {"readiness": readiness}}, "departures": {"leaving": {} if notice is None else {"p/0": notice}}}
    yard = yard_of("small", state, {"desired": 3, "leaving": 1, "on_demand": 1, "reason": "load"})
    assert (yard.desired, yard.on_demand, yard.reason) == (2, 1, "load")
    return yard.machines[0]


OURS, OPERATORS, TAKEN = {"reason": REASON, "leaves_in_s": 9.0}, {"reason": "kernel", "leaves_in_s": -9.0}, {"reason": "aws", "leaves_in_s": -9.0}


@pytest.mark.parametrize(("endpoint", "readiness", "notice", "phase"), [
    ({}, "ready", None, Phase.THERE),
    ({}, "unknown", None, Phase.THERE),
    ({"state": "ejected"}, "sick", None, Phase.THERE),
    ({"state": "ejected"}, "gone", None, Phase.ABSENT),
    ({"state": "ejected"}, "unknown", None, Phase.ABSENT),
    ({"state": "draining"}, "ready", OURS, Phase.LEAVING),
    ({"state": "draining"}, "gone", OURS, Phase.PARKED),
    ({"state": "draining"}, "ready", OPERATORS, Phase.FOREIGN),
    ({"state": "draining"}, "gone", OPERATORS, Phase.FOREIGN),
    ({"state": "draining", "is_spot": True}, "gone", TAKEN, Phase.ABSENT),
    ({"state": "draining", "is_spot": True}, "ready", TAKEN, Phase.FOREIGN),
    ({"state": "draining", "is_spot": True}, "gone", TAKEN | {"leaves_in_s": 5.0}, Phase.FOREIGN),
])
def test_where_a_machine_is(endpoint, readiness, notice, phase):
    assert read(an_endpoint(**endpoint), readiness, notice).phase is phase


def test_what_runs_there_is_of_all_processes_of_the_router():
    assert read(an_endpoint()).in_flight == 3


def test_a_machine_has_its_price():
    assert read(an_endpoint()).usd_per_hour == 1.43


def test_who_sells_tokens_is_no_machine():
    state = {"tiers": {"small": {"pools": ["p"]}}, "pools": {"p": {"endpoints": [an_endpoint(), an_endpoint(id="p/1", is_ours=False, usd_per_hour=None)]}},
             "watched": {}, "departures": {"leaving": {}}}

    yard = yard_of("small", state, {"desired": 1, "leaving": 0, "on_demand": 0, "reason": "load"})

    assert [machine.endpoint for machine in yard.machines] == ["p/0"]
