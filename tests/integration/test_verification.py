"""Verifiers of the configuration over real sockets: judges, services and commands, well and unwell."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import aiohttp
import msgspec
import pytest

from pointsman.core.price import TokenPrice
from pointsman.core.settings import CascadeSettings, RouteSettings
from pointsman.core.verifying import Agreement, CommandCheck, Consulting, HttpCheck, Judged, WellFormed
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.json_service import JsonService, http
from pointsman.testing.model_server import ModelServer
from pointsman.testing.scene import Scene
from pointsman.verification.sandbox import cage

LARGE = days.Answer("The large one knows better.", model="m")
RIGHT = days.Answer("```python\ndef add(a, b):\n    return a + b\n```", model="m")
WRONG = days.Answer("```python\ndef add(a, b):\n    return a - b\n```", model="m")
PLAIN = days.Answer("42", model="m")
QUICK = Consulting(timeout_s=0.3)


class Verified(Scene):
    """A router in front of a small, a large and a judging engine; `verify` looks at the small one's answers."""

    def __init__(self, client, verify, small=PLAIN, judge=PLAIN):
        self._verify = verify
        self.small, self.large, self.judge = ModelServer(small), ModelServer(LARGE), ModelServer(judge)
        super().__init__(client, self.small, self.large, self.judge)

    def settings(self):
        pools = [a_pool(name, endpoints=(an_endpoint(f"{name}/0", server.url, price=TokenPrice(price, price)),))
                 for name, server, price in (("small", self.small, 0.1), ("large", self.large, 1.0), ("judge", self.judge, 0.1))]
        route = RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",),
                              cascade=CascadeSettings(mode="threshold"), verify=tuple(self._verify))
        return a_settings(*pools, route=route)

    async def heard(self, **fields):
        heard = await self.client.chat(self.router.url, **fields)
        await self.router.at_rest()
        return heard, self.router.records()[-1]

    async def get(self, path):
        async with aiohttp.ClientSession() as session, session.get(self.router.root + path) as response:
            return await response.text()


@pytest.mark.parametrize(("score", "tier"), [(b"0.9", "small"), (b"0.1", "large")])
@pytest.mark.parametrize("stream", [False, True])
def test_an_operators_service_decides(client, score, tier, stream):
    async def story():
        async with JsonService(http(200, b'{"score":%b,"reason":"so it is"}' % score)) as service:
            async with Verified(client, [WellFormed(), HttpCheck(service.url, token="t0k")]) as scene:
                heard, record = await scene.heard(stream=stream)
                assert heard.status == 200
                assert record.routing_tier == tier
                assert [(found.verifier, found.reason) for found in record.checks[0].by] == [("well_formed", "well formed"), ("http", "so it is")]
                (head, body), = service.posted
                assert b"Authorization: Bearer t0k" in head
                assert body["answer"]["text"] == "42"
                page = await scene.get("/metrics")
                result = "passed" if tier == "small" else "failed"
                assert f'pointsman_verifier_results_total{{result="{result}",verifier="http"}} 1.0' in page

    asyncio.run(story())


@pytest.mark.parametrize(("said", "fault"), [
    (None, "slow"), (b"", "down"), (b"\x00\x01garbage\r\n\r\n", "garbage"), (http(500, b"{}"), "down"), (http(404, b"{}"), "down"),
    (http(200, b"<html>"), "garbage"), (http(200, b'{"score":9}'), "garbage"), (http(200, b"")[:20], "slow"), (http(302, b""), "down")])
def test_a_service_in_trouble_fails_no_request(client, said, fault):
    async def story():
        async with JsonService(said) as service, Verified(client, [HttpCheck(service.url, bound=QUICK)]) as scene:
            heard, record = await scene.heard()
            assert heard.status == 200
            assert record.routing_tier == "small"
            found = record.checks[0].by[0].fault
            assert found == fault or (fault == "slow" and found == "down")
            assert 'verifier="http"} 1.0' in await scene.get("/metrics")

    asyncio.run(story())


def test_a_service_that_is_not_there_is_left_alone_after_a_while(client):
    async def story():
        async with Verified(client, [HttpCheck("http://127.0.0.1:9/check", bound=QUICK)]) as scene:
            faults = []
            for _ in range(7):
                heard, record = await scene.heard()
                assert heard.status == 200
                faults.append(record.checks[0].by[0].fault)
            assert faults == ["down"] * 5 + ["resting"] * 2

    asyncio.run(story())


@pytest.mark.parametrize(("word", "tier"), [("A", "small"), ("B", "large"), ("Whatever you say.", "small")])
def test_another_model_judges_and_is_on_the_bill(client, word, tier):
    async def story():
        judged = [Judged(pool="judge", form="word")]
        async with Verified(client, judged, judge=days.Answer(word, model="m")) as scene:
            heard, record = await scene.heard()
            assert heard.status == 200
            assert record.routing_tier == tier
            asked = json.loads(scene.judge.requests[0].body)
            assert "<<answer" in asked["messages"][1]["content"]
            assert asked["model"] == "test-model"
            check = record.checks[0]
            assert check.cost_nano_usd
            assert record.cost_nano_usd == sum(attempt.cost_nano_usd for attempt in record.attempts) + check.cost_nano_usd
            assert scene.router.leases == 0

    asyncio.run(story())


@pytest.mark.parametrize("judge", [days.Hang(), days.Status(500), days.Status(429)])
def test_a_judge_in_trouble_fails_no_request(client, judge):
    async def story():
        async with Verified(client, [Judged(pool="judge", bound=QUICK)], judge=judge) as scene:
            heard, record = await scene.heard()
            assert (heard.status, record.routing_tier) == (200, "small")
            assert record.checks[0].by[0].fault in ("slow", "down")
            assert scene.router.leases == 0

    asyncio.run(story())


def test_further_samples_are_asked_of_the_pool_that_answered(client):
    async def story():
        async with Verified(client, [Agreement(samples=2)]) as scene:
            heard, record = await scene.heard()
            assert (heard.status, record.routing_tier) == (200, "small")
            assert len(scene.small.requests) == 3
            assert json.loads(scene.small.requests[1].body)["temperature"] == 0.7
            assert record.checks[0].by[0].reason == "2 of 2 further samples agree"

    asyncio.run(story())


sandboxed = pytest.mark.skipif(sys.platform != "linux" or bool(cage.can_part(os.geteuid(), os.getegid())), reason="no namespaces here")


def command(tmp_path, **more):
    (tmp_path / "test_it.py").write_text("import unittest, answer\nclass T(unittest.TestCase):\n  def test(self): self.assertEqual(answer.add(1, 2), 3)\n")
    for directory in (tmp_path, *tmp_path.parents):
        if directory.is_relative_to(tempfile.gettempdir()) and directory != Path(tempfile.gettempdir()):
            directory.chmod(0o755)  # started as root the helper is nobody
    return CommandCheck(run=("python3", "-m", "unittest", "-q"), beside=str(tmp_path), **({"bound": Consulting(timeout_s=120.0, max_in_flight=2)} | more))


@sandboxed
@pytest.mark.parametrize(("day", "tier"), [(RIGHT, "small"), (WRONG, "large")])
def test_the_tests_decide(client, tmp_path, day, tier):
    async def story():
        async with Verified(client, [command(tmp_path)], small=day) as scene:
            heard, record = await scene.heard()
            assert (heard.status, record.routing_tier) == (200, tier)
            assert record.checks[0].by[0].reason == ("the command accepts it" if tier == "small" else "the command ends with 1")
            ready = json.loads(await scene.get("/health/readiness"))
            assert ready["warnings"] == []

    asyncio.run(story())


@sandboxed
def test_a_helper_that_dies_in_the_middle_fails_no_request(client, tmp_path):
    async def story():
        async with Verified(client, [command(tmp_path)], small=days.Answer("```python\nimport time; time.sleep(60)\n```", model="m")) as scene:
            keeper = scene.router.service._verifying.keeper
            asking = asyncio.create_task(scene.heard())
            while not keeper._waiting:
                await asyncio.sleep(0.005)
            os.kill(keeper.pid, 9)
            heard, record = await asking
            assert (heard.status, record.routing_tier) == (200, "small")
            assert record.checks[0].by[0].fault == "crashed"

    asyncio.run(story())


@sandboxed
def test_a_command_that_a_reload_brings_gets_its_helper(client, tmp_path):
    async def story():
        async with Verified(client, [WellFormed()], small=WRONG) as scene:
            keeper = scene.router.service._verifying.keeper
            assert (await scene.heard())[1].routing_tier == "small"
            assert keeper.pid is None
            route = msgspec.structs.replace(scene.router.settings.routes["auto"], verify=(command(tmp_path),))
            scene.router.next_settings = msgspec.structs.replace(scene.router.settings, routes={"auto": route})
            await scene.router.service.reload()
            await keeper.ready()
            assert (await scene.heard())[1].routing_tier == "large"

    asyncio.run(story())


def test_without_isolation_a_command_abstains_and_readiness_says_so(client, tmp_path, monkeypatch):
    monkeypatch.setattr("pointsman.verification.sandbox.keeper._CODE", (
        "import sys; from pointsman.verification.sandbox import cage, warden; cage.can_part = lambda *a: 'taken away'; "
        "warden.main(int(sys.argv[1]), sys.argv[2])"))

    async def story():
        async with Verified(client, [command(tmp_path), command(tmp_path, name="loose", accepts_no_isolation=True)], small=RIGHT) as scene:
            _, record = await scene.heard()
            assert [(found.verifier, found.score, found.fault) for found in record.checks[0].by] == [
                ("command", None, "unavailable"), ("loose", 1.0, "")]
            ready = json.loads(await scene.get("/health/readiness"))
            assert ready["warnings"] == ["command check 'loose' runs without isolation (taken away)",
                                         "command check 'command' abstains: there is no isolation here (taken away)"]

    asyncio.run(story())
