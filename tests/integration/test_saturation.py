"""A tier that is full sends its requests to the one above, and takes them back."""

from __future__ import annotations

import asyncio

import msgspec

from pointsman.core.fleet import LoadReport
from pointsman.core.settings import RouteSettings, SaturationSettings, SlaSettings, TierSettings
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter


def two_tiers(small: str, large: str, *, slots: int | None = 256, **tier):
    pools = (a_pool("small", endpoints=(an_endpoint("small/0", small, slots=slots),)),
             a_pool("large", endpoints=(an_endpoint("large/0", large),)))
    route = RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",))
    settings = a_settings(*pools, route=route)
    tiers = settings.tiers | {"small": TierSettings("small", ("small",), **tier)}
    return msgspec.structs.replace(settings, tiers=tiers)


def told(router) -> list[tuple[str, str | None]]:
    """Tier and first escalation's reason of each record."""
    return [(record.routing_tier, record.escalations[0].reason if record.escalations else None)
            for record in router.records()]


def test_who_finds_no_slot_free_is_answered_by_the_tier_above_and_nobody_sees_an_error(client):
    async def story():
        async with ModelServer(days.Answer("small", first_token_after=0.4)) as small, ModelServer(days.Answer("large")) as large:
            async with RunningRouter(two_tiers(small.url, large.url, slots=2)) as router, client() as c:
                first = [asyncio.create_task(c.chat(router.url)) for _ in range(2)]
                await small.wait_for(lambda: len(small.requests) == 2)
                heard = await asyncio.gather(*(c.chat(router.url) for _ in range(20)), *first)
                assert {answer.status for answer in heard} == {200}
                state = router.service.state()["tiers"]["small"]
                assert (state["is_fit"], state["reason"]) == (False, "in_flight")
                assert (await c.chat(router.url)).text == "small", "a slot is free again"
                climbed = [reason for tier, reason in told(router) if tier == "large"]
                assert 15 <= len(climbed) <= 20
                assert set(climbed) == {"saturated"}
                assert router.leases == 0

    asyncio.run(story())


def test_a_reported_queue_diverts_and_fifteen_calm_seconds_end_it(client):
    async def story():
        async with ModelServer(days.Answer("small")) as small, ModelServer(days.Answer("large")) as large:
            settings = two_tiers(small.url, large.url, saturation=SaturationSettings(probe_share=0.0))
            async with RunningRouter(settings) as router, client() as c:
                fleet = router.service.gateway.graph.fleet
                now = asyncio.get_running_loop().time()
                assert (await c.chat(router.url)).text == "small"
                fleet.pools["small"].observe("small/0", LoadReport(7, 9, 0.5, at=now))
                assert (await c.chat(router.url)).text == "large"
                for later in range(1, 18):
                    fleet.pools["small"].observe("small/0", LoadReport(0, 1, 0.1, at=now + later))
                assert (await c.chat(router.url)).text == "small"
                assert told(router) == [("small", None), ("large", "saturated"), ("small", None)]

    asyncio.run(story())


def test_slow_first_tokens_break_the_promise_and_the_tier_above_answers(client):
    async def story():
        slow = days.Answer("small", first_token_after=0.05)
        async with ModelServer(slow) as small, ModelServer(days.Answer("large")) as large:
            settings = two_tiers(small.url, large.url, sla=SlaSettings(None, 0.02),
                                 saturation=SaturationSettings(probe_share=0.0))
            async with RunningRouter(settings) as router, client() as c:
                await asyncio.gather(*(c.chat(router.url, stream=True) for _ in range(20)))
                assert (await c.chat(router.url, stream=True)).text == "large"
                assert told(router)[-1] == ("large", "sla")

    asyncio.run(story())
