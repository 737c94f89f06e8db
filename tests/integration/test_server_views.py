"""The decision alone, what there is, and how it fares: `/v1/route`, `/classify`, models, health, metrics."""

from __future__ import annotations

import asyncio
import json

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from pointsman.config.load import load_text
from pointsman.core.decision import Decision
from pointsman.testing import days
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

CONFIG = """
tiers:
  small: {{model: small-model, capabilities: {{context: 1000}}, endpoints: [{{url: "{small}"}}]}}
  large: {{model: large-model, capabilities: {{context: 9000}}, endpoints: [{{url: "{large}"}}]}}
routes:
  auto:
    ladder: [small, large]
    default_tier: large
    pipeline: [rules, "pinned:small"]
    deadline: 3s
    ttft_timeout: 300ms
    answer_timeout: 300ms
    rules: [{{when: {{keywords: [prove]}}, tier: large, reason: proofs}}]
  cheap: {{ladder: [small], pipeline: ["pinned:small"]}}
"""
PROVE = {"model": "auto", "messages": [{"role": "user", "content": "Please prove it."}]}


def at(small, large):
    return RunningRouter(load_text(CONFIG.format(small=small.url, large=large.url)))


def test_a_decision_is_told_whole_and_nothing_is_asked(client):
    async def story():
        async with ModelServer() as small, ModelServer() as large, at(small, large) as router, client() as c:
            heard = await c.post(f"{router.url}/route", PROVE)
            decision = msgspec.json.decode(heard.body, type=Decision)
            assert (decision.tier, decision.rung, decision.decided_by, decision.reason) == ("large", 2, "rules", "proofs")
            assert [(v.stage, v.outcome) for v in decision.stages] == [("rules", "decided"), ("pinned:small", "skipped")]
            assert [(g.tier, g.fits) for g in decision.gate] == [("small", True), ("large", True)]
            assert (heard.headers["x-route-tier"], heard.headers["x-route-tier-name"]) == ("2", "large")
            named = await c.post(f"{router.url}/route", PROVE | {"model": "small-model"})
            assert (named.json["decided_by"], named.json["pool"]) == ("client", "small")
            missing = await c.post(f"{router.url}/route", PROVE | {"model": "smal"})
            assert missing.status == 404
            assert [(r.kind, r.status) for r in router.records()] == [("decide", 200), ("decide", 200), ("decide", 404)]
            assert not small.requests
            assert not large.requests

    asyncio.run(story())


def test_the_decision_alone_is_the_decision_taken(client):
    async def story():
        async with ModelServer() as small, ModelServer() as large, at(small, large) as router, client() as c:
            for text in ("hi", "prove it", "word " * 700):
                body = {"model": "auto", "messages": [{"role": "user", "content": text}]}
                told = await c.post(f"{router.url}/route", body)
                classified = await c.post(f"{router.root}/classify", body)
                served = await c.post(f"{router.url}/chat/completions", body)
                shown = [{n: h.headers[n] for n in ("x-route-tier", "x-route-tier-name", "x-route-reason", "x-route-decided-by")}
                         for h in (told, classified, served)]
                assert shown[0] == shown[1] == shown[2]
                assert (classified.status, classified.body) == (200, b"")

    asyncio.run(story())


def test_a_get_that_promises_a_body_and_sends_none_is_answered_at_once(client):
    """nginx's `auth_request`: the client's Content-Length and Content-Type, and never a byte of the body."""

    async def story():
        async with ModelServer() as small, ModelServer() as large, at(small, large) as router, client() as c:
            for method in (b"GET", b"HEAD"):
                reader, writer = await asyncio.open_connection("127.0.0.1", router.service.port)
                writer.write(method + b" /classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                                      b"Content-Length: 4711\r\nX-Original-URI: /v1/chat/completions\r\n\r\n")
                async with asyncio.timeout(1):
                    said = await reader.read()  # to the end: the connection is of no further use, and is closed
                writer.close()
                await writer.wait_closed()
                assert said.startswith(b"HTTP/1.1 200")
                assert b"x-route-tier: 2\r\n" in said
                assert b"x-route-tier-name: large\r\n" in said
            assert (await c.post(f"{router.root}/classify", PROVE)).headers["x-route-tier"] == "2"
            counted = samples(await c.get(f"{router.root}/metrics"), "pointsman_classify_no_body_total")
            assert counted == [({}, 2.0)]

    asyncio.run(story())


def test_models_are_listed_with_the_longest_context(client):
    async def story():
        async with ModelServer() as small, ModelServer() as large, at(small, large) as router, client() as c:
            listed = (await c.get(f"{router.url}/models")).json
            assert listed["object"] == "list"
            assert [(m["id"], m["kind"], m["context_length"], m["pools"]) for m in listed["data"]] == [
                ("auto", "route", 9000, ["small", "large"]), ("cheap", "route", 1000, ["small"]),
                ("small", "tier", 1000, ["small"]), ("large", "tier", 9000, ["large"]),
                ("small-model", "model", 1000, ["small"]), ("large-model", "model", 9000, ["large"])]
            for card in listed["data"]:
                assert (await c.get(f"{router.url}/models/{card['id']}")).json == card
            assert (await c.get(f"{router.url}/models/auto%3Aauto")).status in (200, 404)
            assert (await c.get(f"{router.url}/models/no%2Fsuch")).error["code"] == "model_not_found"

    asyncio.run(story())


def test_a_context_that_nobody_configured_is_asked_for(client):
    async def story():
        async with ModelServer(model="m", max_model_len=4242) as server, client() as c:
            text = f'tiers: {{only: {{model: m, endpoints: [{{url: "{server.url}"}}]}}}}'
            async with RunningRouter(load_text(text)) as router:
                await server.wait_for(lambda: server.probes)
                async with asyncio.timeout(5):
                    while (await c.get(f"{router.url}/models/auto")).json["context_length"] is None:
                        pass
                assert (await c.get(f"{router.url}/models/auto")).json["context_length"] == 4242

    asyncio.run(story())


def test_readiness_warns_of_a_route_whose_endpoints_are_all_out_of_service_and_whether_they_are_still_asked(client):
    async def story():
        async with ModelServer() as small, ModelServer() as large, at(small, large) as router, client() as c:
            async def warned():
                heard = await c.get(f"{router.root}/health/readiness")
                return heard.status, [warning for warning in heard.json["warnings"] if "'cheap'" in warning]

            pool, now = router.service.gateway.graph.fleet.pools["small"], asyncio.get_running_loop().time()
            assert await warned() == (200, [])
            pool.mark("small/0", False, "refused", now)
            status, (warning,) = await warned()
            assert status == 200
            assert "tried at those that are out of it" in warning
            assert (await c.chat(router.url, model="cheap")).status == 200, "the last way to answer is never closed"
            pool.drain("small/0")
            status, (warning,) = await warned()
            assert status == 200
            assert "none may be asked" in warning

    asyncio.run(story())


def test_readiness_says_which_pool_is_missing(client):
    async def story():
        async with ModelServer() as small, ModelServer() as large, at(small, large) as router, client() as c:
            async def ready():
                heard = await c.get(f"{router.root}/health/readiness")
                return heard.status, heard.json["status"], heard.json["missing_pools"], heard.json["routes_without_pool"]

            assert await ready() == (200, "ready", [], [])
            await small.stop_listening()
            for _ in range(8):
                assert (await c.chat(router.url)).status == 200
            assert await ready() == (200, "degraded", ["small"], ["cheap"])
            for path in ("liveness", "liveliness"):
                assert (await c.get(f"{router.root}/health/{path}")).status == 200
            router.service.drain()
            assert (await ready())[:2] == (503, "draining")
            assert (await c.chat(router.url)).error["code"] == "draining"
            assert (await c.get(f"{router.root}/health/liveness")).status == 200

    asyncio.run(story())


def samples(heard, name):
    assert heard.status == 200
    families = text_string_to_metric_families(heard.body.decode())
    return [(s.labels, s.value) for family in families for s in family.samples if s.name == name]


def test_metrics_parse_and_count_under_the_published_names(client):
    async def story():
        async with ModelServer() as small, ModelServer() as large, at(small, large) as router, client() as c:
            for stream in (False, True):
                await c.chat(router.url, stream=stream)
            await c.chat(router.url, "prove it")
            small.days = [days.server_error()]
            assert (await c.chat(router.url)).headers["x-route-tier"] == "2"
            await c.post(f"{router.url}/route", PROVE)
            for i in range(3):  # what a client makes up must not make series
                await c.chat(router.url, model=f"made-up-{i}")
            page = await c.get(f"{router.root}/metrics")
            assert page.headers["content-type"].startswith("text/plain")
            requests = {tuple(labels.values()): value for labels, value in samples(page, "llm_router_requests_total")
                        if labels["model_id"]}
            labels = samples(page, "llm_router_requests_total")[0][0]
            assert set(labels) == {"routing_tier", "escalated", "original_tier", "model_id"}
            assert requests == by_labels(labels, {
                ("small", "false", "", "small-model"): 2, ("large", "false", "", "large-model"): 1,
                ("large", "true", "small", "large-model"): 1})
            latency = samples(page, "llm_router_latency_ms_bucket")
            assert [labels["le"] for labels, _ in latency if labels["routing_tier"] == "large"] == [
                "50.0", "100.0", "200.0", "500.0", "1000.0", "2000.0", "5000.0", "+Inf"]
            assert b"made-up" not in page.body
            admin = await c.get(f"{router.admin}/metrics", {"authorization": "Bearer admin-token"})
            assert samples(admin, "llm_router_requests_total")

    asyncio.run(story())


def by_labels(example, rows):
    """Rows written in the published order of labels, in the order of the page."""
    order = ("routing_tier", "escalated", "original_tier", "model_id")
    return {tuple(row[order.index(name)] for name in example): float(value) for row, value in rows.items()}


def test_a_reload_swaps_the_graph_and_keeps_what_was_counted(client):
    async def story():
        async with ModelServer() as small, ModelServer() as large, at(small, large) as router, client() as c:
            await c.chat(router.url)
            text = CONFIG.format(small=large.url, large=large.url).replace("small-model", "renamed")
            router.next_settings = msgspec.structs.replace(
                load_text(text), server=router.settings.server, admin=router.settings.admin, records=router.settings.records)
            done = await c.post(f"{router.admin}/reload", {}, {"authorization": "Bearer admin-token"})
            assert done.json == {"reloaded": True, "generation": 2, "needs_restart": []}
            heard = await c.chat(router.url)
            assert heard.headers["x-route-model"] == "renamed"
            assert len(large.requests) == 1
            assert json.loads(large.requests[0].body)["model"] == "renamed"
            counted = samples(await c.get(f"{router.root}/metrics"), "llm_router_requests_total")
            assert sum(value for _, value in counted) == 2

    asyncio.run(story())
