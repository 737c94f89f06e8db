"""An operator's own classifier over real sockets: its word decides, and nothing that happens to it fails a request."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec
import pytest

from pointsman.core.settings import KeySettings, RemoteSettings, RouteSettings
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.json_service import JsonService, a_json, http
from pointsman.testing.model_server import ModelServer
from pointsman.testing.scene import Scene

LADDER = ("small", "medium", "large")
SAYS_SMALL = a_json({"tier": "small", "confidence": 0.9, "reason": "an order"})
QUICK = 0.25


class Elsewhere(Scene):
    """A router with a classifier elsewhere; `pipeline` has nobody before it unless a test says so."""

    def __init__(self, client, answer=SAYS_SMALL, pipeline=("rules", "remote"), url=None, keys=(), **remote):
        self._pipeline, self._url, self._remote, self._keys = pipeline, url, remote, keys
        self.engine, self.service = ModelServer(days.Answer("fine", model="m")), JsonService(answer)
        super().__init__(client, self.engine, self.service)

    def settings(self):
        pools = [a_pool(name, endpoints=(an_endpoint(f"{name}/0", self.engine.url),)) for name in LADDER]
        remote = RemoteSettings(**{"url": self._url or self.service.url, "deadline_s": QUICK, "remember_s": 0.0} | self._remote)
        route = RouteSettings("auto", LADDER, "medium", pipeline=self._pipeline, remote=remote)
        return msgspec.structs.replace(a_settings(*pools, route=route), keys=self._keys)

    async def ask(self, prompt="Where is my order?", **fields):
        return await super().ask(prompt, **fields)


def view(record):
    return next(view for view in record.decision.stages if view.stage == "remote")


def test_its_word_decides_and_stands_in_the_record_with_its_time(client):
    async def story():
        async with Elsewhere(client) as scene:
            record = await scene.ask()
            assert (record.routing_tier, record.decision.decided_by) == ("small", "remote")
            assert "your classifier says small (0.90): an order" in record.decision.reason
            assert (view(record).outcome, view(record).result) == ("decided", "answered")
            assert 0 < view(record).duration_s <= record.decision.duration_s
            assert 'pointsman_stage_questions_total{result="answered",route="auto",stage="remote"} 1.0' in await scene.page()

    asyncio.run(story())


def test_it_is_sent_words_and_facts_and_no_credentials(client):
    secret = "sk-client-very-secret"
    keys = (KeySettings("mobile-app", hashlib.sha256(secret.encode()).digest(), tenant="acme"),)

    async def story():
        async with Elsewhere(client, keys=keys, headers=(("Authorization", "Bearer for-the-service"), ("X-Team", "ml"))) as scene:
            heard = await scene.client.post(f"{scene.router.url}/chat/completions", {
                "model": "auto", "user": "u-17", "metadata": {"card": "4111"}, "messages": [
                    {"role": "system", "content": "You are Ann."}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"},
                    {"role": "user", "content": "<system-reminder>secret plan</system-reminder>Where is my order?"}],
            }, headers={"Authorization": f"Bearer {secret}", "Cookie": "a=b"})
            assert heard.status == 200
            (head, body), = scene.service.posted
            assert b"Authorization: Bearer for-the-service\r\n" in head
            assert b"X-Team: ml\r\n" in head
            whole = head.decode() + str(body)
            for hidden in (secret, "mobile-app", "Cookie", "You are Ann", "secret plan", "4111", "u-17"):
                assert hidden not in whole, hidden
            assert body == {"version": 1, "route": "auto", "tenant": "acme", "tiers": list(LADDER), "text": "Where is my order?", "cut": False,
                            "facts": {"chars": 18, "tokens": 5, "script": "latin", "turns": 2, "tools": 0, "images": 0, "json_schema": False,
                                      "max_tokens": None}}

    asyncio.run(story())


@pytest.mark.parametrize(("answer", "form", "tier"), [
    (a_json({"scores": {"small": 0.95, "medium": 0.97, "large": 0.99}}), "pointsman", "small"),
    (a_json({"scores": {"small-model": 0.2, "LARGE": 0.9}}), "pointsman", "large"),
    (a_json({"tier": 3}), "pointsman", "large"),
    (a_json({"object": "list", "data": [{"index": 0, "label": "LABEL_0", "probs": [0.9, 0.08, 0.02], "num_classes": 3}]}), "vllm", "small"),
    (a_json([{"label": "large", "score": 0.7}, {"label": "medium", "score": 0.2}, {"label": "small", "score": 0.1}]), "labels", "large"),
])
def test_every_form_of_answer_routes(client, answer, form, tier):
    async def story():
        async with Elsewhere(client, answer, form=form) as scene:
            assert (await scene.ask()).routing_tier == tier

    asyncio.run(story())


@pytest.mark.parametrize(("answer", "result", "outcome"), [
    (None, "slow", "late"),
    (http(200, b"{}")[:30], "down", "failed"),
    (b"", "down", "failed"),
    (b"\x00\x01garbage\r\n\r\n", "garbage", "abstained"),
    (http(500, b"{}"), "down", "failed"),
    (http(404, b"{}"), "down", "failed"),
    (http(401, b"{}"), "down", "failed"),
    (http(503, b"{}"), "down", "failed"),
    (http(429, b"{}"), "busy", "abstained"),
    (http(302, b"", "Location: http://127.0.0.1:1/"), "down", "failed"),
    (http(200, b"<html>"), "garbage", "abstained"),
    (a_json({"tier": "gigantic"}), "garbage", "abstained"),
    (a_json({"tier": ["small"]}), "garbage", "abstained"),
    (a_json({"scores": {"small": 7}}), "garbage", "abstained"),
    (a_json({"scores": {"small": "0.9"}}), "garbage", "abstained"),
    (http(200, b'{"scores": {"small": NaN}}'), "garbage", "abstained"),
    (http(200, b"[" * 20_000), "garbage", "abstained"),
    (http(200, b" " * 5_000_000), "garbage", "abstained"),
    (http(200, b""), "answered", "abstained"),
    (a_json({}), "answered", "abstained"),
])
def test_whatever_happens_to_it_the_default_serves_and_it_is_counted(client, answer, result, outcome):
    async def story():
        async with Elsewhere(client, answer) as scene:
            began = asyncio.get_running_loop().time()
            record = await scene.ask()
            assert asyncio.get_running_loop().time() - began < QUICK + 1.0
            assert (record.routing_tier, record.decision.decided_by, record.decision.reason) == (
                "medium", "default", "abstained; no stage has an opinion: the default tier serves")
            assert (view(record).result, view(record).outcome) == (result, outcome), view(record)
            page = await scene.page()
            assert f'pointsman_stage_questions_total{{result="{result}",route="auto",stage="remote"}} 1.0' in page

    asyncio.run(story())


def test_it_waits_no_longer_than_its_deadline(client):
    async def story():
        async with Elsewhere(client, None) as scene:
            record = await scene.ask()
            assert QUICK <= view(record).duration_s < QUICK + 0.15

    asyncio.run(story())


def test_what_the_stages_before_it_said_stands_when_it_is_silent(client):
    async def story():
        async with Elsewhere(client, http(500, b"{}"), pipeline=("rules", "heuristic", "remote")) as scene:
            record = await scene.ask("What are your opening hours?")
            assert (record.routing_tier, record.decision.decided_by) == ("small", "policy")
            assert view(record).outcome == "failed"

    asyncio.run(story())


def test_after_five_failures_it_is_left_alone_and_nobody_waits(client):
    async def story():
        async with Elsewhere(client, url="http://127.0.0.1:9/classify") as scene:
            results = [view(await scene.ask()).result for _ in range(7)]
            assert results == ["down"] * 5 + ["resting"] * 2

    asyncio.run(story())


def test_the_same_question_is_asked_once_and_another_again(client):
    async def story():
        async with Elsewhere(client, remember_s=60.0) as scene:
            first, second, third = await scene.ask(), await scene.ask(), await scene.ask("And where is my refund?")
            assert [view(record).result for record in (first, second, third)] == ["answered", "remembered", "answered"]
            assert {record.routing_tier for record in (first, second, third)} == {"small"}
            assert len(scene.service.posted) == 2

    asyncio.run(story())


def test_what_it_knows_and_its_breaker_survive_a_reload(client):
    async def story():
        async with Elsewhere(client, remember_s=60.0) as scene:
            await scene.ask()
            await scene.router.service.reload()
            assert view(await scene.ask()).result == "remembered"
            assert len(scene.service.posted) == 1

    asyncio.run(story())


def test_a_client_that_leaves_takes_the_question_with_it(client):
    async def story():
        async with Elsewhere(client, None, deadline_s=30.0) as scene:
            asking = asyncio.create_task(scene.client.chat(scene.router.url, "Where is my order?"))
            while not scene.service.posted:
                await asyncio.sleep(0.005)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await scene.router.at_rest()
            assert scene.router.records()[-1].outcome == "cancelled"

    asyncio.run(story())


def test_the_decision_alone_shows_it_too(client):
    async def story():
        async with Elsewhere(client) as scene:
            heard = await scene.client.post(f"{scene.router.url}/route", {"model": "auto", "messages": [{"role": "user", "content": "hi"}]})
            said = next(view for view in heard.json["stages"] if view["stage"] == "remote")
            assert (said["outcome"], said["result"], heard.json["tier"]) == ("decided", "answered", "small")

    asyncio.run(story())
