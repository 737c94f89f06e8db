"""Which panel looks at which rung."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.core.settings import RouteSettings, Settings, TaskSettings, TierSettings
from pointsman.core.verdict import Rates
from pointsman.core.verifying import CommandCheck, HttpCheck, Judged, Logprobs, Measured, WellFormed
from pointsman.testing.factories import a_pool, a_settings
from pointsman.verification.rungs import Means, Rungs, commands_of


async def posts(endpoint: EndpointSpec, suffix: str, body: bytes, *, until: float) -> bytes:
    return b""


def settings(route: tuple[Any, ...] = (), **tiers: Any) -> Settings:
    names = ("small", "medium", "large")
    made = a_settings(*(a_pool(name) for name in names), route=RouteSettings("auto", ladder=names, default_tier="large", verify=route))
    return msgspec.structs.replace(made, tiers={name: TierSettings(name, (name,), verify=tiers.get(name)) for name in names})


def means() -> Means:
    return Means(posts, Random(1))


def test_every_rung_but_the_last_is_looked_at():
    rungs = Rungs(settings((WellFormed(), Logprobs())), means())

    assert [rungs.of("auto", tier) is not None for tier in ("small", "medium", "large", "stranger")] == [True, True, False, False]
    assert repr(rungs.of("auto", "small")) == "<Panel [well_formed, logprobs]>"


def test_a_tiers_own_list_replaces_the_routes():
    rungs = Rungs(settings((WellFormed(),), small=(), large=(Judged(pool="small"),)), means())

    assert rungs.of("auto", "small") is None
    assert repr(rungs.of("auto", "large")) == "<Panel [model]>"


def test_a_verifier_that_asks_is_one_for_all_rungs_and_outlives_a_reload():
    shared, check = means(), HttpCheck("http://check.test")
    Rungs(settings((check,), small=(check,)), shared)
    before = shared.guards

    Rungs(settings((check,)), shared)
    assert len(before) == 1
    assert shared.guards == before
    Rungs(settings((HttpCheck("http://other.test"),)), shared)
    assert len(shared.guards) == 1
    assert shared.guards != before


def test_commands_are_found_wherever_they_stand():
    command = CommandCheck(("true",))

    assert commands_of(settings((command,), large=(WellFormed(),))) == (command,)
    assert commands_of(settings(small=(command,))) == (command,)
    assert commands_of(settings((WellFormed(),))) == ()


def measured_on_code(**verify):
    made = settings((WellFormed(), Logprobs(), HttpCheck("http://check.test")))
    tier = msgspec.structs.replace(made.tiers["small"], by_task={"code": TaskSettings(verify=verify)})
    return msgspec.structs.replace(made, tiers=made.tiers | {"small": tier})


def test_where_a_verifier_was_measured_by_kind_of_work_it_is_believed_by_it():
    shared = means()
    rungs = Rungs(measured_on_code(http=Measured(Rates(0.01, 0.01)), logprobs=Measured(Rates(0.4, 0.4), {"mean": 3.0, "bias": 1.0})), shared)
    general, on_code = rungs.of("auto", "small"), rungs.of("auto", "small", "code")

    assert general is not None
    assert on_code is not None
    assert (general.rates, on_code.rates) == (Rates(0.05, 0.05), Rates(0.01, 0.01))
    assert rungs.of("auto", "small", "text") is general
    assert rungs.of("auto", "medium", "code") is rungs.of("auto", "medium")
    assert len(shared.guards) == 1, "one limit and one breaker for all kinds of work"


def test_a_tier_that_nobody_looks_at_stays_so_on_every_kind_of_work():
    made = settings((), small=())
    tier = msgspec.structs.replace(made.tiers["small"], by_task={"code": TaskSettings(verify={"http": Measured(Rates(0.1, 0.1))})})
    rungs = Rungs(msgspec.structs.replace(made, tiers=made.tiers | {"small": tier}), means())

    assert rungs.of("auto", "small", "code") is None
