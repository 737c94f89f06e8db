"""Hedged requests over real sockets: the slow endpoint is passed, its socket is closed, and both attempts are on record."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pointsman.core.price import TokenPrice
from pointsman.core.settings import HedgeSettings, RouteSettings, TierSettings
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter


def settings(*urls: str, after_s: float = 0.05, max_share: float = 1.0):
    endpoints = tuple(an_endpoint(f"small/{i}", url, price=TokenPrice(1.0, 2.0)) for i, url in enumerate(urls))
    route = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",))
    made = a_settings(a_pool("small", endpoints=endpoints, balancer="round_robin"), route=route)
    hedge = HedgeSettings(after_s=after_s, max_share=max_share)
    return msgspec.structs.replace(made, tiers={"small": TierSettings("small", ("small",), hedge=hedge)})


async def closed(server: ModelServer, seconds: float) -> bool:
    """Whether its last connection goes within that time."""
    try:
        await server.wait_for(lambda: server.open_connections == 0, seconds)
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("slow_day", [days.Hang(), days.NoFirstToken()], ids=["silent", "only headers"])
def test_the_second_one_answers_and_the_slow_ones_socket_is_closed_at_once(client, stream, slow_day):
    async def story():
        async with ModelServer(slow_day) as slow, ModelServer(days.Answer("quick")) as quick:
            async with RunningRouter(settings(slow.url, quick.url)) as router, client() as c:
                heard = await c.chat(router.url, stream=stream)
                assert (heard.status, heard.text) == (200, "quick")
                assert await closed(slow, 0.25)
                assert (len(slow.requests), len(quick.requests)) == (1, 1)
                assert heard.headers["x-route-attempts"] == "2"
                (record,) = router.records()
                assert [(a.endpoint, a.reason, a.outcome) for a in record.attempts] == [
                    ("small/0", "chosen", "cancelled"), ("small/1", "hedge", "answered")]
                first, second = record.attempts
                assert second.started_s - first.started_s >= 0.045
                assert first.cost_nano_usd > 0, "what the loser has read is paid for"
                assert record.cost_nano_usd == first.cost_nano_usd + second.cost_nano_usd
                assert record.cost_basis == "estimated"
                assert router.leases == 0

    asyncio.run(story())


def test_a_client_that_leaves_closes_both_sockets(client):
    async def story():
        async with ModelServer(days.Hang()) as one, ModelServer(days.Hang()) as other:
            async with RunningRouter(settings(one.url, other.url)) as router, client() as c:
                asking = asyncio.create_task(c.chat(router.url))
                await other.wait_for(lambda: other.requests)
                await one.wait_for(lambda: one.requests)
                asking.cancel()
                assert await closed(one, 0.25)
                assert await closed(other, 0.25)
                await router.at_rest()
                (record,) = router.records()
                assert (record.outcome, [a.outcome for a in record.attempts]) == ("cancelled", ["cancelled"] * 2)
                assert router.leases == 0

    asyncio.run(story())


def test_hedges_stay_within_their_share_of_the_attempts(client):
    async def story():
        slow = days.Answer("slow", first_token_after=0.06)
        async with ModelServer(slow) as one, ModelServer(slow) as other:
            router_settings = settings(one.url, other.url, after_s=0.01, max_share=0.1)
            async with RunningRouter(router_settings) as router, client() as c:
                heard = await asyncio.gather(*(c.chat(router.url) for _ in range(40)))
                assert {answer.status for answer in heard} == {200}
                hedged = sum(any(a.reason == "hedge" for a in record.attempts) for record in router.records())
                assert 1 <= hedged <= 5
                assert router.leases == 0

    asyncio.run(story())


def test_a_hedge_that_fails_does_not_end_the_first(client):
    async def story():
        async with ModelServer(days.Answer("slow", first_token_after=0.2)) as slow, ModelServer(days.server_error()) as bad:
            async with RunningRouter(settings(slow.url, bad.url)) as router, client() as c:
                heard = await c.chat(router.url)
                assert (heard.status, heard.text) == (200, "slow")
                (record,) = router.records()
                assert {(a.reason, a.outcome) for a in record.attempts} == {("chosen", "answered"), ("hedge", "failed")}

    asyncio.run(story())
