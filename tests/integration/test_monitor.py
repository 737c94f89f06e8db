"""A whole router watching real sockets: what it sees changes where requests go, before a request has to find out."""

import asyncio
from collections.abc import Callable

import msgspec

from pointsman.core.price import TokenPrice
from pointsman.core.settings import PollingSettings, ScaleSettings, Settings
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

AWAKE = 'vllm:engine_sleep_state{engine="0",sleep_state="awake"} 1\n'
LOADED = AWAKE + ('vllm:num_requests_running{engine="0"} 3\nvllm:num_requests_waiting{engine="0"} 2\n'
                  'vllm:kv_cache_usage_perc{engine="0"} 0.75\n')


def settings_over(*servers: ModelServer, **fields: object) -> Settings:
    """One pool `p` over the servers, each serving what it lists unless `model` says otherwise; asked 20 times a second."""
    endpoints = tuple(an_endpoint(f"p/{i}", server.url, **({"model": server.model} | fields)) for i, server in enumerate(servers))
    polling = PollingSettings(every_s=0.05, timeout_s=2.0, stale_after_s=10.0)
    return a_settings(a_pool("p", endpoints=endpoints), polling=polling)


def router_over(*servers: ModelServer, **fields: object) -> RunningRouter:
    return RunningRouter(settings_over(*servers, **fields), polls=True)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def seen(router: RunningRouter, endpoint: int = 0) -> dict:
    return router.service.state()["pools"]["p"]["endpoints"][endpoint]


def test_an_engines_load_shows_in_the_metrics_and_in_the_state(client):
    async def story():
        async with ModelServer(metrics=LOADED) as server, router_over(server) as router, client() as c:
            await until(lambda: seen(router)["load"])
            page = (await c.get(f"{router.root}/metrics")).body.decode()

            assert (seen(router)["load"]["engine"], seen(router)["load"]["waiting"]) == ("vllm", 2)
            assert router.service.state()["watched"]["p/0"]["readiness"] == "ready"
            for line in ('pointsman_endpoint_waiting{endpoint="p/0",pool="p"} 2.0', 'pointsman_endpoint_running{endpoint="p/0",pool="p"} 3.0',
                         'pointsman_endpoint_kv_usage_ratio{endpoint="p/0",pool="p"} 0.75', "pointsman_endpoint_report_age_seconds{"):
                assert line in page

    asyncio.run(story())


def test_a_figure_that_nobody_tells_has_no_series(client):
    async def story():
        async with ModelServer(metrics=AWAKE) as server, router_over(server) as router, client() as c:
            await until(lambda: seen(router)["load"])
            page = (await c.get(f"{router.root}/metrics")).body.decode()

            assert "pointsman_endpoint_waiting{" not in page
            assert "pointsman_endpoint_report_age_seconds{" in page

    asyncio.run(story())


def test_a_dead_endpoint_is_out_of_service_before_any_request_and_back_afterwards(client):
    async def story():
        async with ModelServer(metrics=LOADED) as one, ModelServer(metrics=LOADED) as two:
            async with router_over(one, two) as router, client() as c:
                await until(lambda: seen(router, 0)["load"] and seen(router, 1)["load"])
                await one.stop_listening()
                await until(lambda: seen(router, 0)["state"] == "ejected")
                page = (await c.get(f"{router.root}/metrics")).body.decode()
                assert 'pointsman_poll_failures_total{endpoint="p/0",error="upstream_unreachable"}' in page
                for _ in range(20):
                    assert (await c.chat(router.url)).status == 200
                assert all(len(record.attempts) == 1 for record in router.records())

                await one.start_listening()
                async with asyncio.timeout(10):  # it starts slowly: a tenth of the usual share
                    while not one.requests:
                        assert (await c.chat(router.url)).status == 200
                assert seen(router, 0)["state"] == "healthy"

    asyncio.run(story())


def test_a_sleeping_engine_gets_no_requests(client):
    async def story():
        async with ModelServer(metrics=LOADED.replace("} 1\n", "} 0\n", 1)) as asleep, ModelServer(metrics=LOADED) as awake:
            async with router_over(asleep, awake) as router, client() as c:
                await until(lambda: seen(router, 0)["state"] == "ejected" and seen(router, 1)["load"])
                assert seen(router, 0)["cause"] == "asleep"
                for _ in range(10):
                    assert (await c.chat(router.url)).status == 200
                assert not asleep.requests

    asyncio.run(story())


def test_an_engine_that_serves_another_model_gets_no_requests(client):
    async def story():
        async with ModelServer(metrics=LOADED, model="other") as wrong, ModelServer(metrics=LOADED, model="m") as right:
            async with router_over(wrong, right, model="m") as router, client() as c:
                await until(lambda: seen(router, 0)["state"] == "ejected" and seen(router, 1)["load"])
                assert "does not list 'm'" in seen(router, 0)["cause"]
                for _ in range(10):
                    assert (await c.chat(router.url)).status == 200
                assert not wrong.requests

    asyncio.run(story())


def test_polls_and_requests_do_not_share_connections(client):
    async def story():
        async with ModelServer(metrics=LOADED) as server, router_over(server) as router, client() as c:
            await until(lambda: seen(router)["load"])
            for _ in range(5):
                assert (await c.chat(router.url)).status == 200

            asked = {probe.connection for probe in server.probes}
            assert not asked & {request.connection for request in server.requests}
            assert len(asked) == 1

    asyncio.run(story())


def test_who_sells_tokens_is_asked_for_the_list_of_models_and_nothing_else(client):
    async def story():
        async with ModelServer(metrics=LOADED) as server, router_over(server, price=TokenPrice(1.0, 2.0)) as router, client() as c:
            await server.wait_for(lambda: server.probes)
            for _ in range(5):
                assert (await c.chat(router.url)).status == 200

            assert [probe.path for probe in server.probes] == ["/v1/models"]
            assert seen(router)["load"] is None

    asyncio.run(story())


def test_a_reload_watches_the_newcomer(client):
    async def story():
        async with ModelServer(metrics=LOADED) as one, ModelServer(metrics=LOADED) as two, router_over(one) as router:
            await until(lambda: seen(router)["load"])
            router.next_settings = msgspec.structs.replace(router.settings, pools=settings_over(one, two).pools)
            await router.service.reload()
            await until(lambda: len(router.service.state()["pools"]["p"]["endpoints"]) == 2 and seen(router, 1)["load"])

    asyncio.run(story())


def test_nothing_is_left_open_when_the_router_is_gone():
    async def story():
        async with ModelServer(metrics=LOADED) as server:
            async with router_over(server) as router:
                await until(lambda: seen(router)["load"])
            await server.wait_for(lambda: server.open_connections == 0)

    asyncio.run(story())


def test_a_tier_that_went_to_nothing_keeps_its_requests_until_a_machine_has_come(client):
    """And asks for that machine: what an autoscaler reads says one."""
    async def story():
        async with ModelServer(metrics=LOADED) as machine, client() as c:
            settings = settings_over(machine, slots=4)
            tiers = {name: msgspec.structs.replace(tier, scale=ScaleSettings(min=0)) for name, tier in settings.tiers.items()}
            async with RunningRouter(msgspec.structs.replace(settings, tiers=tiers), polls=True) as router:
                await machine.stop_listening()
                await until(lambda: seen(router)["state"] == "ejected")
                asked = [asyncio.create_task(c.chat(router.url)) for _ in range(3)]
                (tier,) = settings.tiers
                await until(lambda: router.service.gateway.admission.waiting(tier) == 3)
                router.service._meter.look()
                told = (await c.get(f"{router.admin}/admin/scale/{tier}", {"authorization": "Bearer admin-token"})).json
                assert (told["desired"], told["ready"]) == (1, 0)

                await machine.start_listening()
                assert [answer.status for answer in await asyncio.gather(*asked)] == [200, 200, 200]
                assert [record.outcome for record in router.records()] == ["answered"] * 3

    asyncio.run(story())


def test_a_tier_that_is_not_there_is_no_number_for_an_autoscaler(client):
    async def story():
        async with ModelServer(metrics=LOADED) as one, router_over(one) as router, client() as c:
            answer = await c.get(f"{router.admin}/admin/scale/nobody", {"authorization": "Bearer admin-token"})
            assert (answer.status, answer.json["error"]["code"]) == (404, "tier_not_found")

    asyncio.run(story())
