"""While somebody who answers remains, nobody sees an error: crowds, shared pools, reloads, rules, pinned names."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from hashlib import sha256

import msgspec
import pytest

from pointsman.core.fleet import Capabilities
from pointsman.core.settings import Condition, KeySettings, RouteSettings, Rule, TierSettings
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter
from pointsman.testing.wire import WireServer

GOOD = "Paris is the capital of France."
KNOWN = Capabilities(context=1_000_000_000)
"""Of pools whose servers are counted connections of: nobody asks them for what is declared."""


def a_route(*tiers, **overrides):
    values = {"deadline_s": 10.0, "ttft_timeout_s": 3.0, "stall_timeout_s": 1.0, "answer_timeout_s": 3.0,
              "pipeline": (f"pinned:{tiers[0]}",)}
    return RouteSettings("auto", ladder=tiers, default_tier=tiers[0], **(values | overrides))


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("in_tiers", [False, True], ids=["endpoints", "tiers"])
@pytest.mark.parametrize("bad", [1, 2])
def test_a_crowd_at_a_cold_start_sees_only_success(client, bad, in_tiers, stream):
    async def story():
        async with AsyncExitStack() as stack:
            scripts = [*[days.server_error()] * bad, days.Answer(GOOD, first_token_after=0.2)]
            servers = [await stack.enter_async_context(ModelServer(day)) for day in scripts]
            pools = ([a_pool(f"t{i}", server.url) for i, server in enumerate(servers)] if in_tiers
                     else [a_pool("small", *(server.url for server in servers))])
            settings = a_settings(*pools, route=a_route(*(pool.name for pool in pools)))
            router = await stack.enter_async_context(RunningRouter(settings))
            c = await stack.enter_async_context(client())
            heard = await asyncio.gather(*(c.chat(router.url, stream=stream) for _ in range(30)))
            assert [(h.status, h.text) for h in heard] == [(200, GOOD)] * 30
            assert router.leases == 0
            assert all(sum(a.sent for a in r.attempts) <= 3 for r in router.records())

    asyncio.run(story())


def test_a_pool_of_which_everybody_fails_is_not_stormed(client):
    async def story():
        async with ModelServer(days.server_error()) as a, ModelServer(days.server_error()) as b:
            settings = a_settings(a_pool("small", a.url, b.url), route=a_route("small"))
            async with RunningRouter(settings) as router, client() as c:
                await asyncio.gather(*(c.chat(router.url) for _ in range(10)))
                before = len(a.requests) + len(b.requests)
                await asyncio.gather(*(c.chat(router.url) for _ in range(30)))
                assert len(a.requests) + len(b.requests) - before < 45

    asyncio.run(story())


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_two_tiers_of_one_pool_try_an_endpoint_once(client, stream):
    async def story():
        async with ModelServer(days.Hang()) as bad, ModelServer(days.Answer(GOOD)) as good:
            settings = a_settings(a_pool("p", bad.url, good.url), route=a_route("small", "large", ttft_timeout_s=0.3,
                                                                              answer_timeout_s=0.3))
            tiers = {name: TierSettings(name, ("p",)) for name in ("small", "large")}
            async with RunningRouter(msgspec.structs.replace(settings, tiers=tiers)) as router, client() as c:
                for _ in range(4):
                    assert (await c.chat(router.url, stream=stream)).text == GOOD
                assert all(len({a.endpoint for a in r.attempts}) == len(r.attempts) for r in router.records())

    asyncio.run(story())


def test_a_tier_of_two_pools_uses_the_second_when_the_first_cannot(client):
    async def story():
        async with ModelServer(days.Reset()) as bad, ModelServer(days.Answer(GOOD)) as good:
            settings = a_settings(a_pool("a", bad.url), a_pool("b", good.url), route=a_route("small"))
            settings = msgspec.structs.replace(settings, tiers={"small": TierSettings("small", ("a", "b"))})
            async with RunningRouter(settings) as router, client() as c:
                heard = await c.chat(router.url)
                assert (heard.text, heard.headers["x-route-tier-name"], heard.headers["x-route-model"]) == (
                    GOOD, "small", "b-model")

    asyncio.run(story())


@pytest.mark.parametrize("target", [{"pool": "special"}, {"model": "special-model"}, {"tier": "special"}])
@pytest.mark.parametrize("held", [True, False], ids=["in a tier", "in none"])
def test_a_rule_may_name_what_is_on_no_ladder(client, target, held):
    if "tier" in target and not held:
        pytest.skip("no such tier")

    async def story():
        async with ModelServer(days.Answer("special")) as special, ModelServer(days.Answer(GOOD)) as good:
            rule = Rule("r", Condition(keywords=("special",)), system="Be kind.", **target)
            route = a_route("small", pipeline=("rules", "pinned:small"), rules=(rule,))
            settings = a_settings(a_pool("small", good.url), a_pool("special", special.url), route=route)
            if not held:
                settings = msgspec.structs.replace(settings, tiers={"small": TierSettings("small", ("small",))})
            async with RunningRouter(settings) as router, client() as c:
                heard = await c.chat(router.url, "something special")
                assert (heard.status, heard.text) == (200, "special")
                assert b"Be kind." in special.requests[0].body
                await special.stop_listening()
                assert (await c.chat(router.url, "something special", stream=True)).text == GOOD
                page = (await c.get(f"{router.root}/metrics")).body.decode()
                assert 'tier="special"' in page

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["chat", "completions"])
def test_a_rules_prompt_reaches_each_kind(client, kind):
    async def story():
        rule = Rule("r", Condition(text=".*"), tier="small", system="Be kind.")
        async with ModelServer(days.Answer(GOOD)) as server:
            route = a_route("small", pipeline=("rules",), rules=(rule,))
            async with RunningRouter(a_settings(a_pool("small", server.url), route=route)) as router, client() as c:
                path, fields = (("chat/completions", {"messages": [{"role": "user", "content": "x"}]}) if kind == "chat"
                                else ("completions", {"prompt": "x"}))
                for stream in (False, True):
                    heard = await c.post(f"{router.url}/{path}", {"model": "auto", "stream": stream} | fields)
                    assert heard.status == 200
                sent = [json.loads(request.body) for request in server.requests]
                assert all("Be kind." in json.dumps(body) for body in sent)

    asyncio.run(story())


def test_keys_hold_for_every_way_to_say_a_route(client):
    async def story():
        key = KeySettings("app", sha256(b"k").digest(), "acme", ("auto",))
        async with ModelServer(days.Answer(GOOD)) as server:
            settings = a_settings(a_pool("small", server.url), route=a_route("small"), keys=(key,))
            other = msgspec.structs.replace(a_route("small"), name="secret")
            settings = msgspec.structs.replace(settings, routes=settings.routes | {"secret": other})
            async with RunningRouter(settings) as router, client() as c:
                async def ask(model):
                    body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
                    return await c.post(f"{router.url}/chat/completions", body, {"authorization": "Bearer k"})

                assert [(await ask(m)).status for m in ("auto", "auto:auto")] == [200, 200]
                for model in ("secret", "auto:secret", "small", "small-model"):
                    assert (await ask(model)).status in (403, 404)
                said = await ask("secre")
                assert (said.status, "secret" in said.json["error"]["message"]) == (404, False)

    asyncio.run(story())


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_a_reload_that_removes_the_endpoint_lets_its_request_end(client, stream):
    async def story():
        slow = days.Answer(GOOD, first_token_after=0.3, between=0.02)
        async with ModelServer(slow) as old, ModelServer(days.Answer("new")) as new:
            settings = a_settings(a_pool("small", old.url), route=a_route("small"))
            async with RunningRouter(settings) as router, client() as c:
                running = asyncio.create_task(c.chat(router.url, stream=stream))
                await old.wait_for(lambda: old.requests)
                before = router.service.gateway.graph
                router.next_settings = msgspec.structs.replace(
                    a_settings(a_pool("renamed", new.url), route=a_route("renamed")),
                    server=router.settings.server, admin=router.settings.admin, records=router.settings.records)
                await router.service.reload()
                assert (await c.chat(router.url, stream=stream)).text == "new"
                assert (await running).text == GOOD
                assert (before.fleet.in_flight, router.leases) == (0, 0)
                assert {r.routing_tier for r in router.records()} == {"small", "renamed"}

    asyncio.run(story())


def test_a_reload_that_keeps_an_endpoint_keeps_its_leases_and_health(client):
    async def story():
        async with ModelServer(days.Hang()) as server:
            settings = a_settings(a_pool("small", server.url), route=a_route("small"))
            async with RunningRouter(settings) as router, client() as c:
                running = asyncio.create_task(c.chat(router.url))
                await server.wait_for(lambda: server.requests)
                assert router.leases == 1
                await router.service.reload()
                assert router.leases == 1
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await server.wait_for(lambda: server.open_connections == 0)
                for _ in range(100):
                    if not router.leases:
                        break
                    await asyncio.sleep(0.01)
                assert router.leases == 0

    asyncio.run(story())


def test_hostile_names_stay_out_of_headers_and_labels(client):
    async def story():
        name = "évil\r\nx-injected: 1 \U0001f600"
        async with ModelServer(days.Answer(GOOD)) as server:
            endpoint = an_endpoint("small/0", server.url)
            pool = a_pool("small", endpoints=(endpoint,), model=name)
            rule = Rule("r", Condition(text=".*"), tier="small", reason=name)
            route = a_route("small", pipeline=("rules",), rules=(rule,))
            async with RunningRouter(a_settings(pool, route=route)) as router, client() as c:
                heard = await c.chat(router.url)
                assert heard.status == 200
                assert "x-injected" not in heard.headers
                assert heard.headers["x-route-model"].isascii()
                for i in range(30):
                    refused = await c.chat(router.url, model=f"model-{i}-{name}")
                    assert refused.status == 404
                    assert "x-injected" not in refused.headers
                page = (await c.get(f"{router.root}/metrics")).body.decode()
                assert "model-1" not in page
                assert all(r.status in (200, 404) for r in router.records())

    asyncio.run(story())


def test_ipv6_all_the_way(client):
    async def answer(seen, connection):
        connection.reply(200, b'{"choices":[{"index":0,"message":{"content":"six"},"finish_reason":"stop"}]}')

    async def story():
        server = WireServer(answer, host="::1")
        await server.listen()
        settings = a_settings(a_pool("small", f"http://[::1]:{server.port}/v1"), route=a_route("small"))
        settings = msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, host="::1"))
        async with RunningRouter(settings) as router, client() as c:
            assert (await c.chat(f"http://[::1]:{router.service.port}/v1")).text == "six"
        await server.aclose()

    asyncio.run(story())


def test_a_model_name_of_megabytes_is_refused_at_once(client):
    async def story():
        async with RunningRouter(a_settings(a_pool("small"), route=a_route("small"))) as router, client() as c:
            begun = asyncio.get_running_loop().time()
            refused = await c.chat(router.url, model="small" * 180_000)
            assert refused.status == 404
            assert len(refused.body) < 1000
            assert asyncio.get_running_loop().time() - begun < 0.5

    asyncio.run(story())


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("day", [days.Hang, days.AcceptOnly, days.NoFirstToken, lambda: days.SlowHeaders(0.1)],
                         ids=["hang", "accept only", "no first token", "slow headers"])
def test_the_deadline_ends_every_wait(client, day, stream):
    async def story():
        async with ModelServer(day()) as a, ModelServer(day()) as b:
            route = a_route("small", deadline_s=0.6, ttft_timeout_s=60.0, answer_timeout_s=60.0)
            async with RunningRouter(a_settings(a_pool("small", a.url, b.url, capabilities=KNOWN), route=route)) as router, client() as c:
                begun = asyncio.get_running_loop().time()
                heard = await c.chat(router.url, stream=stream)
                assert asyncio.get_running_loop().time() - begun < 0.9
                assert (heard.status, heard.error["code"]) == (504, "deadline_exceeded")
                assert router.leases == 0
                await a.wait_for(lambda: a.open_connections == 0)
                await b.wait_for(lambda: b.open_connections == 0)

    asyncio.run(story())


def test_a_client_that_leaves_in_the_middle_of_a_large_upload_frees_the_upstream():
    async def story():
        async with ModelServer(days.AcceptOnly()) as server:
            route = a_route("small", deadline_s=60.0, answer_timeout_s=60.0)
            async with RunningRouter(a_settings(a_pool("small", server.url, capabilities=KNOWN), route=route)) as router:
                _, asking = await asyncio.open_connection("127.0.0.1", router.service.port)
                body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "x" * 20_000_000}]}).encode()
                asking.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                             b"content-length: %d\r\n\r\n" % len(body) + body)
                await asking.drain()
                await server.wait_for(lambda: server.open_connections == 1)
                await asyncio.sleep(0.2)
                left = asyncio.get_running_loop().time()
                asking.transport.abort()
                await server.wait_for(lambda: server.open_connections == 0, 2.0)
                assert asyncio.get_running_loop().time() - left < 0.25
                for _ in range(100):
                    if not router.leases:
                        break
                    await asyncio.sleep(0.01)
                assert [r.outcome for r in router.records()] == ["cancelled"]

    asyncio.run(story())


def test_an_ejected_last_way_is_still_a_way(client):
    async def story():
        script = (*[days.server_error()] * 12, days.Answer(GOOD))
        async with (ModelServer(*script) as server, client() as c,
                    RunningRouter(a_settings(a_pool("small", server.url), route=a_route("small"))) as router):
            heard = [await c.chat(router.url) for _ in range(14)]
            assert heard[-1].status == 200
            assert router.leases == 0

    asyncio.run(story())


def test_the_cost_header_counts_the_failed_attempts_too(client):
    async def story():
        async with ModelServer(days.GarbageSse()) as bad, ModelServer(days.Answer(GOOD)) as good:
            settings = a_settings(a_pool("small", bad.url), a_pool("large", good.url), route=a_route("small", "large"))
            async with RunningRouter(settings) as router, client() as c:
                heard = await c.chat(router.url)
                (record,) = router.records()
                nano = sum(a.cost_nano_usd for a in record.attempts)
                assert record.cost_nano_usd == nano > record.attempts[1].cost_nano_usd > 0
                assert heard.headers["x-route-cost-usd"] == f"0.{nano:09d}"
                assert heard.headers["x-route-attempts"] == "2"

    asyncio.run(story())


def test_usage_and_cost_are_told_to_who_asked(client):
    async def story():
        answer = days.Answer(GOOD, usage_tokens=(100, 10), cached_tokens=64)
        async with (ModelServer(answer) as server, client() as c,
                    RunningRouter(a_settings(a_pool("small", server.url), route=a_route("small"))) as router):
            asked = await c.chat(router.url, stream=True, stream_options={"include_usage": True})
            unasked = await c.chat(router.url, stream=True)
            usage = asked.chunks[-1]["usage"]
            assert (usage["prompt_tokens"], usage["completion_tokens"]) == (100, 10)
            records = router.records()
            assert f"{usage['cost_usd']:.9f}" == f"{records[0].cost_nano_usd / 1e9:.9f}"
            assert not any("usage" in chunk for chunk in unasked.chunks)
            assert [r.usage.cached_tokens for r in records] == [64, 64]

    asyncio.run(story())
