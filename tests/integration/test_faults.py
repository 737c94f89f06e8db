"""The failure ladder over real sockets: every bad day x streamed or plain x an endpoint, a tier or nobody beside it.

While somebody who answers remains, the client sees only success; otherwise one clear error, in time, and nothing is
left behind: no lease, no socket, and exactly one record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from pointsman.core.settings import RouteSettings
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

GOOD = "Paris is the capital of France."

# name -> (bad day, is the fault before anything was committed on a stream)
BEFORE: dict[str, Callable[[], days.Day]] = {
    "refused": days.Refuse,
    "accept then hang": days.Hang,
    "accept only": days.AcceptOnly,
    "close at once": days.CloseAtOnce,
    "reset": days.Reset,
    "slow headers": lambda: days.SlowHeaders(0.2),
    "no first token": days.NoFirstToken,
    "garbage sse": days.GarbageSse,
    "429": days.rate_limited,
    "429 retry after": lambda: days.rate_limited("7"),
    "500": days.server_error,
    "502 html": days.bad_gateway,
    "503 queue full": days.queue_full,
    "529": days.overloaded,
    "401 of ours": days.unauthorized,
    "404 of ours": days.not_found,
    "200 with an error": days.ErrorIn200,
    "wrong content type": days.WrongContentType,
    "error in band": lambda: days.InBandError(0),
    "empty body": days.EmptyBody,
}
DURING: dict[str, Callable[[], days.Day]] = {
    "stall": lambda: days.StallAfter(3),
    "cut fin": lambda: days.CutAfter(3, "fin"),
    "cut rst": lambda: days.CutAfter(3, "rst"),
    "cut chunk": lambda: days.CutAfter(3, "chunked-truncated"),
    "error in band": lambda: days.InBandError(3),
    "no finish, done": lambda: days.EndWithoutFinish(done=True),
    "no finish, no done": lambda: days.EndWithoutFinish(done=False),
}


def a_route(*tiers: str) -> RouteSettings:
    return RouteSettings("auto", ladder=tiers, default_tier=tiers[0], pipeline=(f"pinned:{tiers[0]}",), deadline_s=4.0,
                         ttft_timeout_s=0.4, stall_timeout_s=0.3, answer_timeout_s=0.4)


def settings_for(alternative: str, bad: ModelServer, good: ModelServer):
    if alternative == "endpoint":
        return a_settings(a_pool("small", bad.url, good.url), route=a_route("small"))
    if alternative == "tier":
        return a_settings(a_pool("small", bad.url), a_pool("large", good.url), route=a_route("small", "large"))
    return a_settings(a_pool("small", bad.url), route=a_route("small"))


async def settled(router: RunningRouter, *servers: ModelServer) -> None:
    """Nothing is left behind."""
    for _ in range(200):
        if router.leases == 0 and router.service.gateway.in_flight == 0:
            break
        await asyncio.sleep(0.01)
    assert router.leases == 0
    assert router.service.gateway.in_flight == 0


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("alternative", ["endpoint", "tier"])
@pytest.mark.parametrize("fault", BEFORE)
def test_a_fault_before_the_commit_is_hidden_by_who_answers(client, fault, alternative, stream):
    async def story():
        async with ModelServer(BEFORE[fault]()) as bad, ModelServer(days.Answer(GOOD)) as good:
            async with RunningRouter(settings_for(alternative, bad, good)) as router, client() as c:
                for _ in range(6):
                    heard = await c.chat(router.url, stream=stream)
                    assert (heard.status, heard.text, heard.error) == (200, GOOD, None) if stream else \
                        (heard.status, heard.text) == (200, GOOD)
                    assert not stream or heard.is_done
                await settled(router)
                records = router.records()
                assert [r.outcome for r in records] == ["answered"] * 6
                assert all(r.attempts[-1].outcome == "answered" for r in records)
                if alternative == "tier":
                    assert {r.routing_tier for r in records} == {"large"}
                    assert records[0].original_tier == "small"

    asyncio.run(story())


@pytest.mark.parametrize("alternative", ["endpoint", "tier"])
@pytest.mark.parametrize("fault", DURING)
def test_a_plain_reply_that_breaks_midway_is_hidden(client, fault, alternative):
    async def story():
        async with ModelServer(DURING[fault]()) as bad, ModelServer(days.Answer(GOOD)) as good:
            async with RunningRouter(settings_for(alternative, bad, good)) as router, client() as c:
                for _ in range(4):
                    heard = await c.chat(router.url)
                    assert (heard.status, heard.text) == (200, GOOD)
                await settled(router)

    asyncio.run(story())


@pytest.mark.parametrize("fault", DURING)
def test_a_stream_that_breaks_after_the_commit_ends_in_exactly_one_error_frame(client, fault):
    async def story():
        async with ModelServer(DURING[fault]()) as bad, ModelServer(days.Answer(GOOD)) as good:
            async with RunningRouter(settings_for("tier", bad, good)) as router, client() as c:
                heard = await c.chat(router.url, stream=True)
                assert heard.status == 200
                assert not heard.is_done
                assert sum("error" in chunk for chunk in heard.chunks) == 1
                assert heard.chunks[-1]["choices"][0]["finish_reason"] == "error"
                assert set(heard.error) >= {"message", "type", "code", "record_id"}
                assert len({chunk["id"] for chunk in heard.chunks}) == 1
                assert not good.requests
                await settled(router)
                (record,) = router.records()
                assert (record.outcome, len(record.attempts), record.id) == ("failed", 1, heard.error["record_id"])

    asyncio.run(story())


STATUS_ALONE = {
    "refused": 503, "accept then hang": 504, "accept only": 504, "close at once": 502, "reset": 502, "slow headers": 504,
    "no first token": 504, "garbage sse": 502, "429": 429, "429 retry after": 429, "500": 502, "502 html": 502,
    "503 queue full": 503, "529": 503, "401 of ours": 502, "404 of ours": 502, "200 with an error": 502,
    "wrong content type": 502, "error in band": 502, "empty body": 502,
}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("fault", BEFORE)
def test_alone_a_fault_is_one_clear_error_in_time(client, fault, stream):
    async def story():
        async with ModelServer(BEFORE[fault]()) as bad, ModelServer() as good:
            async with RunningRouter(settings_for("none", bad, good)) as router, client() as c:
                loop = asyncio.get_running_loop()
                begun = loop.time()
                heard = await c.chat(router.url, stream=stream)
                assert loop.time() - begun < 5.0
                if fault == "no first token" and not stream:
                    assert heard.status in (502, 504)
                else:
                    assert heard.status == STATUS_ALONE[fault]
                assert heard.headers["content-type"] == "application/json"
                assert set(heard.error) >= {"message", "type", "code"}
                assert "<html" not in heard.error["message"].lower()
                if heard.status in (429, 503):
                    assert int(heard.headers["retry-after"]) >= 1
                if fault == "429 retry after":
                    assert heard.headers["retry-after"] == "7"
                await settled(router)
                (record,) = router.records()
                assert record.status == heard.status
                assert record.outcome in ("failed", "rejected")

    asyncio.run(story())


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize(("day", "status"), [(days.bad_request, 400), (days.too_large, 413), (days.unprocessable, 422)])
def test_a_fault_of_the_request_keeps_status_and_error_and_is_tried_once(client, day, status, stream):
    async def story():
        async with ModelServer(day()) as bad, ModelServer(days.Answer(GOOD)) as good:
            async with RunningRouter(settings_for("tier", bad, good)) as router, client() as c:
                heard = await c.chat(router.url, stream=stream)
                assert heard.status == status
                assert isinstance(heard.error["message"], str)
                assert heard.headers["x-should-retry"] == "false"
                assert (len(bad.requests), len(good.requests)) == (1, 0)
                for _ in range(10):
                    await c.chat(router.url, stream=stream)
                assert router.service.gateway.graph.fleet.pools["small"].is_fit(asyncio.get_running_loop().time())

    asyncio.run(story())


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_every_endpoint_down_is_a_503_at_once_and_over_when_one_is_back(client, stream):
    async def story():
        async with ModelServer(days.Answer(GOOD)) as a, ModelServer(days.Answer(GOOD)) as b:
            settings = a_settings(a_pool("small", a.url), a_pool("large", b.url), route=a_route("small", "large"))
            async with RunningRouter(settings) as router, client() as c:
                await a.stop_listening()
                await b.stop_listening()
                for _ in range(8):
                    assert (await c.chat(router.url, stream=stream)).status == 503
                await b.start_listening()
                heard = await c.chat(router.url, stream=stream)
                assert (heard.status, heard.text) == (200, GOOD)
                await settled(router)

    asyncio.run(story())


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])
def test_a_restart_between_requests_goes_unnoticed(client, stream):
    async def story():
        async with ModelServer(days.Answer(GOOD)) as only, ModelServer() as other:
            async with RunningRouter(settings_for("none", only, other)) as router, client() as c:
                for _ in range(5):
                    assert (await c.chat(router.url, stream=stream)).text == GOOD
                    await only.restart()

    asyncio.run(story())


@pytest.mark.parametrize("phase", ["headers", "first token", "stream", "plain"])
def test_a_client_that_leaves_frees_the_upstream_within_250_ms(client, phase):
    day: dict[str, days.Day] = {
        "headers": days.Hang(), "first token": days.NoFirstToken(), "stream": days.StallAfter(3), "plain": days.Hang(),
    }

    async def story():
        async with ModelServer(day[phase]) as bad, ModelServer():
            route = msgspec.structs.replace(a_route("small"), ttft_timeout_s=30.0, stall_timeout_s=30.0,
                                            answer_timeout_s=30.0, deadline_s=60.0)
            settings = a_settings(a_pool("small", bad.url), route=route)
            async with RunningRouter(settings) as router, client() as c:
                asking = asyncio.create_task(c.chat(router.url, stream=phase != "plain"))
                await bad.wait_for(lambda: bad.requests)
                await asyncio.sleep(0.1)
                loop = asyncio.get_running_loop()
                asking.cancel()
                left = loop.time()
                await asyncio.gather(asking, return_exceptions=True)
                await bad.wait_for(lambda: bad.open_connections == 0, 2.0)
                assert loop.time() - left < 0.25
                await settled(router)
                (record,) = router.records()
                assert (record.outcome, record.status) == ("cancelled", 499)

    asyncio.run(story())


def test_the_commit_waits_and_keep_alives_open_the_response(client):
    """Nothing committed within open_after: 200 and comments, attempts stay free until content comes."""

    async def story():
        async with ModelServer(days.NoFirstToken()) as bad, ModelServer(days.Answer(GOOD)) as good:
            route = msgspec.structs.replace(a_route("small", "large"), open_after_s=0.1, ttft_timeout_s=0.35)
            settings = a_settings(a_pool("small", bad.url), a_pool("large", good.url), route=route)
            async with RunningRouter(settings) as router, client() as c:
                heard = await c.chat(router.url, stream=True)
                assert heard.status == 200
                assert heard.headers["x-route-tier"] == "pending"
                assert heard.body.startswith(b": keep-alive\n\n")
                assert (heard.text, heard.is_done) == (GOOD, True)

    asyncio.run(story())


def test_an_early_opened_stream_that_finds_nobody_ends_in_an_error_frame(client):
    async def story():
        async with ModelServer(days.NoFirstToken()) as bad, ModelServer():
            route = msgspec.structs.replace(a_route("small"), open_after_s=0.1)
            async with RunningRouter(a_settings(a_pool("small", bad.url), route=route)) as router, client() as c:
                heard = await c.chat(router.url, stream=True)
                assert heard.status == 200
                assert heard.error["code"] == "upstream_first_token_timeout"
                assert not heard.is_done
                (record,) = router.records()
                assert (record.outcome, record.status) == ("failed", 200)

    asyncio.run(story())


def test_split_utf8_arrives_whole(client):
    async def story():
        async with ModelServer(days.SplitUtf8()) as server, ModelServer() as other:
            async with RunningRouter(settings_for("none", server, other)) as router, client() as c:
                streamed, plain = await c.chat(router.url, stream=True), await c.chat(router.url)
                assert streamed.text == plain.text
                assert not streamed.text.isascii()

    asyncio.run(story())


def test_a_client_that_never_reads_is_cut_at_the_deadline_and_frees_everything(client):
    async def story():
        long = days.Answer(chunks=["word " * 200] * 5_000)
        async with ModelServer(long) as server, ModelServer():
            route = msgspec.structs.replace(a_route("small"), deadline_s=1.0)
            async with RunningRouter(a_settings(a_pool("small", server.url), route=route)) as router:
                _reader, writer = await asyncio.open_connection("127.0.0.1", router.service.port, limit=1)
                body = b'{"model":"auto","stream":true,"messages":[{"role":"user","content":"x"}]}'
                writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                             b"content-length: %d\r\n\r\n%s" % (len(body), body))
                await server.wait_for(lambda: server.requests)
                await server.wait_for(lambda: server.open_connections == 0, 5.0)
                await settled(router)
                (record,) = router.records()
                assert (record.outcome, record.error) == ("failed", "deadline_exceeded")
                writer.close()

    asyncio.run(story())
