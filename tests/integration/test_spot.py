"""Spot machines: notices from three clouds, a file and nobody; the router that hears them; answers that go on elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import aiohttp
import msgspec
import pytest

from pointsman.core.settings import RouteSettings
from pointsman.spot.agent import Agent
from pointsman.spot.clouds import Aws, Azure, Gcp
from pointsman.spot.hook import HookFile
from pointsman.spot.notice import Notice, Unavailable
from pointsman.spot.teller import Teller
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.fault_proxy import FaultProxy, Toxics
from pointsman.testing.llamacpp import LlamaCpp
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

ASK = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Count from one to ten in words."}]}


@contextmanager
def metadata(answers: dict[str, Any]) -> Iterator[str]:
    """A metadata service: path -> body, (status, body) or a function of the request's headers. Paths without query."""
    class Service(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            found = answers.get(f"{self.command} {self.path.partition('?')[0]}", (404, ""))
            if callable(found):
                found = found(self.headers)
            status, body = found if isinstance(found, tuple) else (200, found)
            self.send_response(status)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = _answer  # noqa: N815  the names that http.server calls

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def aws(action: Any) -> dict[str, Any]:
    def guarded(headers: Any) -> Any:
        return action if headers.get("X-aws-ec2-metadata-token") == "t0ken" else (401, "")

    return {"PUT /latest/api/token": "t0ken", "GET /latest/meta-data/spot/instance-action": guarded}


def test_aws_says_when_the_machine_is_terminated():
    with metadata(aws('{"action": "terminate", "time": "2026-11-22T10:00:00Z"}')) as url:
        source = Aws(url)
        assert source.is_here()
        assert source.look() == Notice("aws spot terminate", at=datetime(2026, 11, 22, 10, tzinfo=UTC))


def test_aws_says_nothing_with_a_404_and_a_lost_token_is_renewed():
    with metadata(aws((404, ""))) as url:
        assert Aws(url).look() is None


@pytest.mark.parametrize("body", ["<html>", '{"action": "terminate"}', '{"action": 1, "time": "soon"}'])
def test_a_metadata_service_that_talks_nonsense_is_unavailable_and_no_notice(body):
    with metadata(aws(body)) as url, pytest.raises(Unavailable):
        Aws(url).look()


@pytest.mark.parametrize(("said", "expected"), [("TRUE", Notice("gcp preempted", lead_s=30.0)), ("FALSE", None)])
def test_gcp_says_true_or_false(said, expected):
    with metadata({"GET /computeMetadata/v1/instance/preempted": said}) as url:
        assert Gcp(url).is_here()
        assert Gcp(url).look() == expected


def azure(*events: dict[str, Any]) -> dict[str, Any]:
    return {"GET /metadata/scheduledevents": json.dumps({"DocumentIncarnation": 1, "Events": list(events)}),
            "GET /metadata/instance/compute/name": "gpu-7"}


def test_azure_says_which_machines_are_preempted_and_when():
    event = {"EventId": "e", "EventType": "Preempt", "Resources": ["gpu-7"], "NotBefore": "Sun, 22 Nov 2026 10:00:00 GMT"}
    with metadata(azure(event)) as url:
        notice = Azure(url).look()
        assert notice is not None
        assert (notice.reason, notice.at) == ("azure preempt", datetime(2026, 11, 22, 10, tzinfo=UTC))


@pytest.mark.parametrize("event", [
    {"EventType": "Preempt", "Resources": ["gpu-8"]}, {"EventType": "Freeze", "Resources": ["gpu-7"]},
])
def test_azure_events_for_others_and_pauses_are_no_notice(event):
    with metadata(azure(event)) as url:
        assert Azure(url).look() is None


def test_a_cloud_that_is_not_there_is_found_out_quickly():
    begun = time.monotonic()
    assert not any(source("http://127.0.0.1:9").is_here() for source in (Aws, Gcp, Azure))
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(("content", "expected"), [
    ("", Notice("hook file")), ('{"deadline": 60, "reason": "outbid"}', Notice("outbid", lead_s=60.0)),
    ("whatever", Notice("hook file (its content cannot be read)")),
    ('{"deadline": "2026-11-22T10:00:00Z"}', Notice("hook file", at=datetime(2026, 11, 22, 10, tzinfo=UTC))),
])
def test_a_file_that_appears_is_a_notice(tmp_path, content, expected):
    file = tmp_path / "leaving"
    assert HookFile(file).look() is None
    file.write_text(content)
    assert HookFile(file).look() == expected


def two_spot_endpoints(first: str, second: str, **spec: Any) -> Any:
    pool = a_pool("small", endpoints=(an_endpoint("small/0", first, engine="llamacpp", spot=True, **spec),
                                      an_endpoint("small/1", second, engine="llamacpp", spot=True, **spec)))
    return a_settings(pool, route=RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",)))


def test_a_notice_reaches_the_router_and_new_requests_go_elsewhere(client, tmp_path):
    async def story() -> None:
        async with (ModelServer(days.Answer()) as one, ModelServer(days.Answer()) as two,
                    RunningRouter(two_spot_endpoints(one.url, two.url)) as router, client() as c):
            file = tmp_path / "leaving"
            agent = Agent([Teller(router.admin, "small/0", "notice-key")], [HookFile(file)], wall=time.time)
            watching = asyncio.create_task(agent.watch())
            file.write_text('{"deadline": 30, "reason": "outbid"}')
            notice = await watching

            assert await agent.leave(notice)  # nothing runs there, so it may go at once
            for _ in range(6):
                answer = await c.post(f"{router.url}/chat/completions", ASK | {"stream": False})
                assert answer.headers["x-route-endpoint"] == "small/1" if "x-route-endpoint" in answer.headers else True
            assert [r.endpoint for r in router.records()] == ["small/1"] * 6
            state = (await c.get(f"{router.admin}/admin/state", {"authorization": "Bearer admin-token"})).json
            assert state["departures"]["leaving"]["small/0"]["reason"] == "outbid"
            assert state["pools"]["small"]["draining"] == 1

            await agent.arrive()
            assert router.service.state()["pools"]["small"]["draining"] == 0

    asyncio.run(story())


def test_an_agent_that_starts_does_not_take_back_what_the_operator_has_drained(client):
    operator = {"authorization": "Bearer admin-token"}

    async def story() -> None:
        async with (ModelServer(days.Answer()) as one, ModelServer(days.Answer()) as two,
                    RunningRouter(two_spot_endpoints(one.url, two.url)) as router, client() as c):
            drain = f"{router.admin}/admin/endpoints/small/0/drain"
            agent = Agent([Teller(router.admin, "small/0", "notice-key")], [], wall=time.time)
            assert (await c.post(drain, {"deadline": 600, "reason": "new kernel"}, operator)).status == 200
            assert await agent.leave(Notice("outbid", lead_s=30.0))

            await agent.arrive()  # the machine that comes next, or only its agent

            state = (await c.get(f"{router.admin}/admin/state", operator)).json
            assert state["pools"]["small"]["draining"] == 1
            leaving = state["departures"]["leaving"]["small/0"]
            assert (leaving["reason"], leaving["asked_by"]) == ("new kernel", ["operator"])
            assert leaving["leaves_in_s"] > 500.0  # the notice of half a minute is over
            for _ in range(4):
                assert (await c.post(f"{router.url}/chat/completions", ASK | {"stream": False})).status == 200
            assert {record.endpoint for record in router.records()} == {"small/1"}

            async with aiohttp.ClientSession() as session, session.delete(drain, headers=operator) as put_back:
                assert put_back.status == 200
            assert router.service.state()["pools"]["small"]["draining"] == 0

    asyncio.run(story())


def test_the_command_says_goodbye_for_its_machine_on_sigterm():
    async def story() -> None:
        async with (ModelServer(days.Answer()) as one, ModelServer(days.Answer()) as two,
                    RunningRouter(two_spot_endpoints(one.url, two.url)) as router):
            agent = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pointsman", "spot-agent", "--router", router.admin, "--endpoint", "small/1", "--cloud", "none",
                "--grace", "20", env=os.environ | {"POINTSMAN_NOTICE_KEY": "notice-key"}, stderr=asyncio.subprocess.PIPE)
            assert agent.stderr is not None
            assert b"watching SIGTERM" in await agent.stderr.readline()
            agent.terminate()

            assert await asyncio.wait_for(agent.wait(), 120) == 0
            leaving = router.service.state()["departures"]["leaving"]
            assert leaving["small/1"]["reason"] == "SIGTERM"

    asyncio.run(story())


def test_an_agent_with_the_wrong_key_is_told_so_and_gives_up():
    async def story() -> bool:
        async with ModelServer(days.Answer()) as one, RunningRouter(two_spot_endpoints(one.url, one.url)) as router:
            agent = Agent([Teller(router.admin, "small/0", "wrong")], [], wall=time.time)
            return await agent.leave(Notice("spot", lead_s=30.0))

    assert asyncio.run(story()) is False


def test_a_router_that_is_away_is_told_until_the_time_is_over():
    slept: list[float] = []
    now = [1000.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    agent = Agent([Teller("http://127.0.0.1:9", "small/0", "k")], [], wall=lambda: now[0], sleep=sleep)

    assert asyncio.run(agent.leave(Notice("spot", lead_s=10.0))) is False
    assert slept[:3] == [0.1, 0.2, 0.4]
    assert 1000.0 + 8 < now[0] <= 1010.0


def test_a_real_engines_answer_goes_on_at_another_one_when_its_machine_vanishes(client):
    """llama.cpp twice, once behind a line that is cut in the middle of the answer; greedy, so the whole can be compared."""
    async def story(url: str, port: int) -> None:
        async with FaultProxy(port, Toxics(reset=3000)) as cut, client() as c:
            asked = ASK | {"temperature": 0, "max_tokens": 40, "stream_options": {"include_usage": True}}
            settings = two_spot_endpoints(cut.url, url, slots=4)
            async with RunningRouter(settings) as router:
                whole = None
                for _ in range(8):  # whichever of the two is asked first
                    answer = await c.post(f"{router.url}/chat/completions", asked)
                    assert answer.error is None
                    assert answer.is_done
                    assert len({chunk["id"] for chunk in answer.chunks}) == 1
                    (usage,) = [chunk["usage"] for chunk in answer.chunks if chunk.get("usage")]
                    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
                    whole = whole or answer
                    if router.records()[-1].attempts[-1].reason == "continued":
                        break
                records = [r for r in router.records() if r.attempts[-1].reason == "continued"]
                assert records
                assert records[-1].usage is not None
                assert 30 <= records[-1].usage.output_tokens <= 41
                assert records[-1].outcome == "answered"
                assert router.leases == 0

    with LlamaCpp() as engine:
        port = int(engine.root.rpartition(":")[2])
        asyncio.run(story(engine.url, port))


def test_settings_of_a_spot_endpoint_survive_their_way_through_the_file():
    from pointsman.config.load import load_text
    text = "tiers:\n  small: {model: m, endpoints: [{url: 'http://127.0.0.1:1/v1', engine: vllm, spot: true}]}\n"
    (pool,) = load_text(text, "x.yaml", {}).pools.values()
    assert pool.endpoints[0].spot is True
    assert msgspec.structs.asdict(pool.endpoints[0])["engine"] == "vllm"
