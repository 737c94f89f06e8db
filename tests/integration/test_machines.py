"""`pointsman machines` before a router that runs: its wishes, its drains, and an operator's hook over HTTP."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pointsman.core.settings import ScaleSettings
from pointsman.machines.attendant import Attendant
from pointsman.machines.hook import HookFailed, HttpHook, Order
from pointsman.machines.rounds import AdminListener, NotTold, Rounds
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.json_service import JsonService, http
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter


def settings_of(*urls: str, **scale: object):
    pool = a_pool("small", endpoints=tuple(an_endpoint(f"small/{i}", url, slots=4) for i, url in enumerate(urls)))
    settings = a_settings(pool)
    tier = msgspec.structs.replace(settings.tiers["small"], scale=ScaleSettings(**scale))  # type: ignore[arg-type]
    return msgspec.structs.replace(settings, tiers={"small": tier})


def rounds_of(router: RunningRouter, service: JsonService, attendant: Attendant, now: list[float]) -> Rounds:
    hook = HttpHook(service.url, 5.0)
    return Rounds("small", AdminListener(router.admin, lambda: "admin-token"), attendant, hook, hook, drain_s=60.0, dry_run=False,
                  clock=lambda: now[0])


def test_a_machine_that_is_not_needed_is_drained_and_then_stopped_and_comes_back_when_it_is():
    async def story() -> None:
        async with ModelServer(days.Answer()) as first, ModelServer(days.Answer()) as second, JsonService(http(200, b"{}")) as service, \
                RunningRouter(settings_of(first.url, second.url)) as router:  # fmt: skip
            now = [0.0]
            rounds = rounds_of(router, service, Attendant(), now)
            router.service._meter.look()

            await rounds.go_round()
            pool = router.service.gateway.graph.fleet.pools["small"]
            assert [endpoint.vitals.is_draining for endpoint in pool.endpoints] == [True, False]
            assert service.posted == []
            assert router.service.scale()["tiers"]["small"]["leaving"] == 0  # given back, not taken away

            await rounds.go_round()
            (posted,) = service.posted
            assert (posted.body["action"], posted.body["endpoint"], posted.body["tier"]) == ("stop", "small/0", "small")
            await rounds.go_round()
            assert len(service.posted) == 1

            wanted = rounds_of(router, service, Attendant(floor=2), now)
            await wanted.go_round()
            assert [endpoint.vitals.is_draining for endpoint in pool.endpoints] == [False, False]

    asyncio.run(story())


def test_what_is_not_there_is_started_by_the_hook():
    async def story() -> None:
        async with ModelServer(days.Answer()) as first, JsonService(http(200, b"{}")) as service, \
                RunningRouter(settings_of(first.url, "http://127.0.0.1:1/v1", min=2)) as router:  # fmt: skip
            pool = router.service.gateway.graph.fleet.pools["small"]
            pool.mark("small/1", False, "gone", router.service._clock.now())
            router.service._meter.look()
            await rounds_of(router, service, Attendant(), [0.0]).go_round()

            assert [(posted.body["action"], posted.body["endpoint"], posted.body["url"]) for posted in service.posted] == [
                ("start", "small/1", "http://127.0.0.1:1/v1")]

    asyncio.run(story())


def test_a_service_that_refuses_and_a_router_that_does_are_told_in_their_own_words():
    async def story() -> None:
        async with JsonService(http(409, b"no quota")) as service, ModelServer(days.Answer()) as engine, \
                RunningRouter(settings_of(engine.url)) as router:  # fmt: skip
            with pytest.raises(HookFailed, match="said 409: no quota"):
                await asyncio.to_thread(HttpHook(service.url, 5.0).run, Order("start", "small", "small/0", "", ""))
            with pytest.raises(NotTold, match="said 401"):
                await asyncio.to_thread(AdminListener(router.admin, lambda: "another").ask, "/state")
            with pytest.raises(NotTold, match="said 404"):
                await asyncio.to_thread(AdminListener(router.admin, lambda: "admin-token").ask, "/scale/large")

    asyncio.run(story())
