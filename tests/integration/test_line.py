"""The line of a full tier, over real sockets: who is let in, when, who is turned away, and what they are told."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import aiohttp
import msgspec
import pytest

from pointsman.core.fleet import LoadReport
from pointsman.core.settings import KeySettings, QueueSettings, RouteSettings, SlaSettings, TierSettings
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter


class Held(days.Day):
    """Answers once it is let go."""

    def __init__(self, text: str = "small") -> None:
        self.go, self._answer = asyncio.Event(), days.Answer(text)

    async def serve(self, exchange: days.Exchange) -> None:
        await self.go.wait()
        await self._answer.serve(exchange)


def settings(small: str, large: str | None = None, *, slots: int | None = 1, keys: tuple[KeySettings, ...] = (),
             route: dict[str, Any] | None = None, **tier: Any):
    """Tier `small` of few slots, and `large` above it when there is one."""
    pools = [a_pool("small", endpoints=(an_endpoint("small/0", small, slots=slots),))]
    if large is not None:
        pools.append(a_pool("large", endpoints=(an_endpoint("large/0", large, slots=slots),)))
    names = tuple(pool.name for pool in pools)
    auto = RouteSettings("auto", **({"ladder": names, "default_tier": "small", "pipeline": ("pinned:small",)} | (route or {})))
    made = a_settings(*pools, route=auto)
    tiers = made.tiers | {"small": TierSettings("small", ("small",), **({"queue": QueueSettings(max_wait_s=10.0)} | tier))}
    return msgspec.structs.replace(made, tiers=tiers, keys=keys)


def key(name: str, **fields: Any) -> KeySettings:
    return KeySettings(name, sha256(name.encode()).digest(), **fields)


async def holds(what: Callable[[], object], seconds: float = 5.0) -> None:
    """Returns as soon as it holds."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.002)


def waiting(router: RunningRouter, tier: str = "small") -> int:
    return router.service.gateway.admission.waiting(tier)


def is_clean(router: RunningRouter) -> bool:
    """Nobody waits, nothing is held, nobody is on the way in."""
    admission = router.service.gateway.admission
    return (router.leases, router.service.in_flight, waiting(router), sum(admission._entering.values()),
            sum(admission._awaited.values())) == (0, 0, 0, 0, 0)


async def ask(client, router: RunningRouter, name: str, *, stream: bool = False, **headers: str):
    body = {"model": "auto", "messages": [{"role": "user", "content": name}], "stream": stream}
    return await client.post(f"{router.url}/chat/completions", body, {k.replace("_", "-"): v for k, v in headers.items()})


def order(server: ModelServer) -> list[str]:
    return [msgspec.json.decode(seen.body)["messages"][0]["content"] for seen in server.requests]


def test_who_climbs_is_counted_recorded_and_told(client):
    async def story():
        async with ModelServer(Held()) as small, ModelServer(days.Answer("large")) as large:
            async with RunningRouter(settings(small.url, large.url)) as router, client() as c:
                first = asyncio.create_task(ask(c, router, "first"))
                await small.wait_for(lambda: small.requests)
                # One in twenty of those who find no slot stays as a probe, and one in two seconds at least.
                heard = [await ask(c, router, f"{i}") for i in range(1)]
                probes = [asyncio.create_task(ask(c, router, f"p{i}")) for i in range(8)]
                await holds(lambda: sum(task.done() for task in probes) >= 6)
                heard += [task.result() for task in probes if task.done()]
                climbed = next(answer for answer in heard if answer.headers["x-route-tier-name"] == "large")
                assert climbed.headers["x-route-tier"] == "2"
                assert "small -> large: saturated" in climbed.headers["x-route-reason"]
                assert climbed.headers["x-route-attempts"] == "1"
                small.days[0].go.set()
                await asyncio.gather(first, *probes)
                records = [record for record in router.records() if record.routing_tier == "large"]
                assert {(r.original_tier, r.escalations[0].from_tier, r.escalations[0].to_tier, r.escalations[0].reason)
                        for r in records} == {("small", "small", "large", "saturated")}
                page = (await c.get(f"{router.root}/metrics")).body.decode()
                (line,) = [line for line in page.splitlines()
                           if line.startswith("llm_router_requests_total{") and 'escalated="true"' in line]
                assert 'original_tier="small"' in line
                assert 'routing_tier="large"' in line
                assert float(line.rpartition(" ")[2]) == len(records)
                await holds(lambda: is_clean(router))

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_the_last_tier_drains_its_line_by_priority_and_in_turn_between_tenants(client, stream):
    keys = (key("hog"), key("other"), key("boss", priority="high"))

    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer()) as small:
            async with RunningRouter(settings(small.url, keys=keys, queue=QueueSettings(size=20, max_wait_s=10.0))) as router, \
                    client() as c:
                tasks = [asyncio.create_task(ask(c, router, "running", x_api_key="hog"))]
                await small.wait_for(lambda: small.requests)
                arrivals = [*((f"h{i}", "hog", "normal") for i in range(4)), ("o0", "other", "normal"), ("o1", "other", "normal"),
                            ("low", "other", "low"), ("b0", "boss", "high")]
                for at, (name, who, priority) in enumerate(arrivals, 1):
                    tasks.append(asyncio.create_task(ask(c, router, name, stream=stream, x_api_key=who, x_priority=priority)))
                    await holds(lambda at=at: waiting(router) == at)
                blocking.go.set()
                heard = await asyncio.gather(*tasks)
                assert {answer.status for answer in heard} == {200}
                assert order(small) == ["running", "b0", "h0", "o0", "h1", "o1", "h2", "h3", "low"]
                queued = [record.queued_s for record in router.records()]
                assert sum(seconds is not None and seconds > 0 for seconds in queued) == len(arrivals)
                await holds(lambda: is_clean(router))

    asyncio.run(story())


def test_a_key_cannot_ask_for_a_better_place_than_its_own(client):
    keys = (key("guest", priority="low"), key("staff"))

    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer()) as small:
            async with RunningRouter(settings(small.url, keys=keys, queue=QueueSettings(size=9, max_wait_s=10.0))) as router, \
                    client() as c:
                tasks = [asyncio.create_task(ask(c, router, "running", x_api_key="staff"))]
                await small.wait_for(lambda: small.requests)
                for at, (name, who) in enumerate((("guest", "guest"), ("staff", "staff")), 1):
                    tasks.append(asyncio.create_task(ask(c, router, name, x_api_key=who, x_priority="high")))
                    await holds(lambda at=at: waiting(router) == at)
                blocking.go.set()
                await asyncio.gather(*tasks)
                assert order(small) == ["running", "staff", "guest"]

    asyncio.run(story())


def test_a_full_line_says_when_to_come_back_from_the_pace_of_the_answers(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking) as small:
            async with RunningRouter(settings(small.url, queue=QueueSettings(size=1, max_wait_s=60.0))) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                fleet = router.service.gateway.graph.fleet
                fleet.pools["small"].endpoints[0].vitals.completed(8.0)  # what the last answers took
                second = asyncio.create_task(ask(c, router, "waiting"))
                await holds(lambda: waiting(router) == 1)
                heard = await ask(c, router, "one too many")
                assert (heard.status, heard.error["code"]) == (503, "overloaded")
                assert heard.headers["retry-after"] == "16", "one runs, one waits, 8 s each"
                assert "add capacity" in heard.error["message"]
                blocking.go.set()
                assert [answer.status for answer in await asyncio.gather(running, second)] == [200, 200]
                shed = next(record for record in router.records() if record.status == 503)
                assert (shed.outcome, shed.error, shed.attempts, shed.routing_tier) == ("rejected", "overloaded", (), "small")
                assert router.service.state()["queue"] == {"small": {"waiting": 0, "shed": 1}}
                await holds(lambda: is_clean(router))

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_while_it_waits_frees_its_place_at_once(client, stream):
    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer()) as small:
            async with RunningRouter(settings(small.url, queue=QueueSettings(size=1, max_wait_s=30.0))) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                gone = asyncio.create_task(ask(c, router, "gone", stream=stream))
                await holds(lambda: waiting(router) == 1)
                began = asyncio.get_running_loop().time()
                gone.cancel()
                await holds(lambda: waiting(router) == 0)
                assert asyncio.get_running_loop().time() - began < 0.25
                third = asyncio.create_task(ask(c, router, "third"))  # there is one place in line
                await holds(lambda: waiting(router) == 1)
                blocking.go.set()
                assert [answer.status for answer in await asyncio.gather(running, third)] == [200, 200]
                assert order(small) == ["running", "third"]
                await holds(lambda: is_clean(router))
                (record,) = [record for record in router.records() if record.outcome != "answered"]
                assert (record.outcome, record.status, record.attempts) == ("cancelled", 499, ())
                assert record.queued_s is not None

    asyncio.run(story())


def test_a_stream_that_waits_long_is_kept_alive_and_then_answered(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer("after all")) as small:
            async with RunningRouter(settings(small.url, route={"open_after_s": 0.05})) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                streamed = asyncio.create_task(ask(c, router, "patient", stream=True))
                await holds(lambda: waiting(router) == 1)
                await asyncio.sleep(0.12)
                blocking.go.set()
                heard = await streamed
                assert heard.status == 200
                assert heard.headers["x-route-tier"] == "pending"
                assert heard.body.startswith(b": keep-alive")
                assert (heard.text, heard.is_done) == ("after all", True)
                await running
                await holds(lambda: is_clean(router))

    asyncio.run(story())


def test_a_stream_that_waits_in_vain_ends_in_one_error(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking) as small:
            line = QueueSettings(max_wait_s=0.12)
            async with RunningRouter(settings(small.url, queue=line, route={"open_after_s": 0.03})) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                heard = await ask(c, router, "in vain", stream=True)
                assert heard.status == 200
                assert len(heard.chunks) == 1
                assert heard.chunks[0]["choices"][0]["finish_reason"] == "error"
                assert heard.error["code"] == "overloaded"
                assert not heard.is_done
                frames = heard.body.decode().strip().split("\n\n")
                assert frames[-1].startswith("data: {"), "nothing follows the error"
                blocking.go.set()
                await running
                await holds(lambda: is_clean(router))
                record = next(record for record in router.records() if record.error)
                assert (record.outcome, record.error) == ("rejected", "overloaded")

    asyncio.run(story())


def test_the_deadline_ends_a_wait_and_says_so(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking) as small:
            async with RunningRouter(settings(small.url)) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                heard = await ask(c, router, "late", x_litellm_timeout="0.1")
                assert (heard.status, heard.error["code"]) == (504, "deadline_exceeded")
                assert "waiting for a place on tier 'small'" in heard.error["message"]
                blocking.go.set()
                await running
                await holds(lambda: is_clean(router))

    asyncio.run(story())


def test_a_clients_own_promise_bounds_its_wait_and_chooses_its_tier(client):
    async def story():
        slow = days.Answer("small", first_token_after=0.04)
        async with ModelServer(slow) as small, ModelServer(days.Answer("large")) as large:
            async with RunningRouter(settings(small.url, large.url, slots=64)) as router, client() as c:
                await asyncio.gather(*(ask(c, router, f"{i}", stream=True) for i in range(5)))
                told = [(await ask(c, router, "x", stream=True, x_ttft_slo_ms=ms)).text for ms in ("20", "5000")]
                assert told == ["large", "small"]
                assert [(r.escalations[0].reason if r.escalations else None) for r in router.records()[-2:]] == ["sla", None]
                for bad in ("soon", "-1", "0", "nan", "inf"):
                    heard = await ask(c, router, "x", x_ttft_slo_ms=bad)
                    assert (heard.status, heard.error["param"]) == (400, "x-ttft-slo-ms"), bad
                heard = await ask(c, router, "x", x_priority="urgent")
                assert (heard.status, heard.error["param"]) == (400, "x-priority")

    asyncio.run(story())


def test_a_clients_own_promise_is_how_long_it_waits(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking) as small:
            async with RunningRouter(settings(small.url)) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                heard = await ask(c, router, "hurried", x_ttft_slo_ms="50")
                assert (heard.status, heard.error["code"]) == (503, "overloaded")
                blocking.go.set()
                await running

    asyncio.run(story())


def test_those_who_wait_go_on_after_a_reload_that_gives_the_tier_more_slots(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer()) as small:
            async with RunningRouter(settings(small.url)) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                patient = asyncio.create_task(ask(c, router, "patient"))
                await holds(lambda: waiting(router) == 1)
                router.next_settings = msgspec.structs.replace(router.settings, pools={
                    "small": a_pool("small", endpoints=(an_endpoint("small/0", small.url, slots=2),))})
                await router.service.reload()
                assert (await patient).status == 200
                blocking.go.set()
                assert (await running).status == 200
                await holds(lambda: is_clean(router))

    asyncio.run(story())


def test_a_reload_that_takes_the_tier_away_leaves_nobody_waiting(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer()) as small:
            async with RunningRouter(settings(small.url)) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                patient = asyncio.create_task(ask(c, router, "patient"))
                await holds(lambda: waiting(router) == 1)
                other = a_settings(a_pool("other", small.url))
                router.next_settings = msgspec.structs.replace(
                    router.settings, pools=other.pools, tiers=other.tiers, routes=other.routes)
                await router.service.reload()
                assert (await patient).status == 200, "it ends on the graph that it began with"
                blocking.go.set()
                assert (await running).status == 200
                await holds(lambda: router.service.in_flight == 0 and waiting(router) == 0)

    asyncio.run(story())


def test_a_drain_lets_those_who_wait_be_answered_and_takes_nobody_new(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer()) as small:
            async with RunningRouter(settings(small.url)) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                patient = asyncio.create_task(ask(c, router, "patient"))
                await holds(lambda: waiting(router) == 1)
                router.service.drain()
                late = await ask(c, router, "late")
                assert (late.status, late.error["code"]) == (503, "draining")
                blocking.go.set()
                assert [answer.status for answer in await asyncio.gather(running, patient)] == [200, 200]

    asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_ends_a_wait_with_an_answer_and_a_record(client, stream):
    async def story():
        async with ModelServer(Held()) as small:
            async with RunningRouter(settings(small.url)) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                patient = asyncio.create_task(ask(c, router, "patient", stream=stream))
                await holds(lambda: waiting(router) == 1)
                await router.service.aclose(at_once=True)
                heard = await asyncio.gather(running, patient)
                assert [(answer.status, answer.error["code"]) for answer in heard] == [(503, "router_stopped")] * 2
                assert is_clean(router)
                assert [record.error for record in router.records()] == ["router_stopped"] * 2

    asyncio.run(story())


def test_a_queue_that_the_engine_reports_holds_requests_back_until_it_has_cleared(client):
    async def story():
        async with ModelServer(days.Answer("small")) as small:
            async with RunningRouter(settings(small.url, slots=None)) as router, client() as c:
                pool = router.service.gateway.graph.fleet.pools["small"]
                loop = asyncio.get_running_loop()
                assert (await ask(c, router, "calm")).status == 200
                pool.observe("small/0", LoadReport(7, 9, 0.5, at=loop.time()))
                tasks = [asyncio.create_task(ask(c, router, f"{i}")) for i in range(8)]
                # The first finds it full and stays as its probe.
                await holds(lambda: waiting(router) + sum(task.done() for task in tasks) == len(tasks))
                assert waiting(router) >= 6
                pool.observe("small/0", LoadReport(0, 0, 0.1, at=loop.time()))
                assert {answer.status for answer in await asyncio.gather(*tasks)} == {200}
                await holds(lambda: is_clean(router))

    asyncio.run(story())


def test_a_dead_first_tier_does_not_flood_the_full_one_above_it(client):
    async def story():
        blocking = Held("large")
        async with ModelServer(days.Refuse()) as small, ModelServer(blocking, days.Answer("large")) as large:
            async with RunningRouter(settings(small.url, large.url)) as router, client() as c:
                pools, loop = router.service.gateway.graph.fleet.pools, asyncio.get_running_loop()
                pools["small"].mark("small/0", False, "refused", loop.time())
                running = asyncio.create_task(ask(c, router, "running"))
                await large.wait_for(lambda: large.requests)
                tasks = [asyncio.create_task(ask(c, router, f"{i}")) for i in range(2)]
                await holds(lambda: waiting(router) == 2)
                assert len(large.requests) == 1
                blocking.go.set()
                heard = await asyncio.gather(running, *tasks)
                assert {(answer.status, answer.text) for answer in heard} == {(200, "large")}
                assert {record.escalations[0].reason for record in router.records()} == {"failed"}
                await holds(lambda: is_clean(router))

    asyncio.run(story())


def test_those_who_wait_do_not_wait_for_endpoints_that_have_gone_out_of_service(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer()) as small:
            async with RunningRouter(settings(small.url)) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                patient = asyncio.create_task(ask(c, router, "patient"))
                await holds(lambda: waiting(router) == 1)
                loop = asyncio.get_running_loop()
                router.service.gateway.graph.fleet.pools["small"].mark("small/0", False, "refused", loop.time())
                assert (await patient).status == 200, "out of service, it is asked all the same: nobody else could answer"
                blocking.go.set()
                await running

    asyncio.run(story())


def test_a_model_named_itself_waits_where_its_tier_does_and_one_that_is_on_no_tier_never(client):
    async def story():
        blocking, free = Held(), Held()
        async with ModelServer(blocking, days.Answer()) as small, ModelServer(free) as lone:
            made = settings(small.url)
            pools = made.pools | {"lone": a_pool("lone", endpoints=(an_endpoint("lone/0", lone.url, slots=1),))}
            async with RunningRouter(msgspec.structs.replace(made, pools=pools)) as router, client() as c:
                tasks = [asyncio.create_task(c.chat(router.url, model=f"{name}-model")) for name in ("small", "lone")]
                await holds(lambda: small.requests and lone.requests)
                tasks += [asyncio.create_task(c.chat(router.url, model=f"{name}-model")) for name in ("small", "lone")]
                await holds(lambda: waiting(router) == 1 and len(lone.requests) == 2)
                assert len(small.requests) == 1
                blocking.go.set()
                free.go.set()
                assert {answer.status for answer in await asyncio.gather(*tasks)} == {200}

    asyncio.run(story())


def test_streams_hold_their_slot_until_their_last_byte(client):
    async def story():
        stream = days.Paused("small", said=1)
        async with ModelServer(stream, days.Answer("next")) as small:
            async with RunningRouter(settings(small.url, sla=SlaSettings(None, 5.0))) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running", stream=True))
                await small.wait_for(lambda: small.requests)
                patient = asyncio.create_task(ask(c, router, "patient"))
                await holds(lambda: waiting(router) == 1)
                stream.go.set()
                assert (await running).is_done
                assert (await patient).text == "next"
                await holds(lambda: is_clean(router))

    asyncio.run(story())


def test_a_client_that_hangs_up_at_the_moment_of_its_turn_leaves_the_place_to_the_next(client):
    async def story():
        blocking = Held()
        async with ModelServer(blocking, days.Answer()) as small:
            async with RunningRouter(settings(small.url, queue=QueueSettings(size=30, max_wait_s=10.0))) as router, client() as c:
                running = asyncio.create_task(ask(c, router, "running"))
                await small.wait_for(lambda: small.requests)
                leaving = [asyncio.create_task(ask(c, router, f"{i}")) for i in range(10)]
                staying = [asyncio.create_task(ask(c, router, f"s{i}")) for i in range(10)]
                await holds(lambda: waiting(router) == 20)
                blocking.go.set()
                for task in leaving:
                    task.cancel()
                    await asyncio.sleep(0.001)
                assert {answer.status for answer in await asyncio.gather(running, *staying)} == {200}
                await asyncio.gather(*leaving, return_exceptions=True)
                await holds(lambda: is_clean(router))
                assert len(router.records()) == 21

    asyncio.run(story())


@pytest.mark.parametrize("path", ["plain", "chunked"])
def test_whatever_way_the_request_came_in_its_leaving_is_noticed(path):
    """A body in one piece is served beside the parser, one in chunks by it: both must see the client go."""
    async def story():
        async with ModelServer(Held()) as small:
            async with RunningRouter(settings(small.url, queue=QueueSettings(max_wait_s=30.0))) as router:
                async with aiohttp.ClientSession() as session:
                    async def body():
                        yield b'{"model":"auto","messages":[{"role":"user","content":"x"}]}'

                    def post():
                        return session.post(f"{router.url}/chat/completions", headers={"content-type": "application/json"},
                                            data=body() if path == "chunked" else
                                            b'{"model":"auto","messages":[{"role":"user","content":"x"}]}')

                    tasks = [asyncio.create_task(post().__aenter__())]
                    await small.wait_for(lambda: small.requests)
                    tasks.append(asyncio.create_task(post().__aenter__()))
                    await holds(lambda: waiting(router) == 1)
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    await holds(lambda: is_clean(router), 0.5)
                assert {record.outcome for record in router.records()} == {"cancelled"}

    asyncio.run(story())


WORKERS = """
server: {{port: 0, workers: 2}}
admin: {{port: 0, token: "file:token"}}
records: {{path: records/records.db}}
tiers:
  small:
    model: small-model
    queue: {{size: 40, max_wait: 20s}}
    endpoints: [{{url: "{url}", slots: 2, poll: off, usd_per_million: {{input: 1, output: 2}}}}]
"""


class Counting(days.Day):
    """Answers after a moment, and counts how many it has at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def serve(self, exchange: days.Exchange) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await days.Answer("small", first_token_after=0.02).serve(exchange)
        finally:
            self.now -= 1


def test_two_workers_have_a_line_each_and_share_the_slots(client, tmp_path):
    async def story():
        engine = Counting()
        async with ModelServer(engine) as small:
            (tmp_path / "token").write_text("admin-token-of-the-test")
            (tmp_path / "router.yaml").write_text(WORKERS.format(url=small.url))
            router = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pointsman", "serve", "-c", "router.yaml", "--no-watch", "--no-log-requests", cwd=tmp_path,
                stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, env=os.environ | {"COLUMNS": "500", "NO_COLOR": "1"})
            try:
                async with asyncio.timeout(120):
                    while (found := re.search(rb"serving on (\S+)/v1", line := await router.stderr.readline())) is None:
                        assert line, "it ended"
                root = found[1].decode()
                async with client() as c:
                    heard = await asyncio.gather(*(c.chat(f"{root}/v1", model="small") for _ in range(40)))
                    assert {answer.status for answer in heard} == {200}
                    assert engine.most <= 4, "two slots, and one that each worker may begin in the same moment"
                    waited = 0.0
                    async with asyncio.timeout(60):
                        while not waited:
                            page = (await c.get(f"{root}/metrics")).body.decode()
                            waited = sum(float(line.rpartition(" ")[2]) for line in page.splitlines()
                                         if line.startswith("pointsman_queue_seconds_count"))
                            await asyncio.sleep(0.02)
                    assert waited > 10
            finally:
                router.terminate()
                await router.communicate()

    asyncio.run(story())
