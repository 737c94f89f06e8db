"""Who asks: what verifiers found of a caller's own answers moves that caller's scores, and nobody else's."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec
import pytest

from pointsman.classify.priors import SUPPORT
from pointsman.core.settings import CascadeSettings, KeySettings, RouteSettings
from pointsman.core.verifying import HttpCheck
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.json_service import JsonService, a_json
from pointsman.testing.model_server import ModelServer
from pointsman.testing.scene import Scene

BODY = {"model": "auto", "messages": [{"role": "user", "content": "What are your opening hours?"}]}
KEYS = tuple(KeySettings(name, hashlib.sha256(name.encode()).digest(), tenant=tenant)
             for name, tenant in (("ann", "acme"), ("bob", "acme"), ("eve", "other")))


class Priors(Scene):
    """Answers of the small tier are looked at by a service that always says `score`."""

    def __init__(self, client, score, priors="learn", keys=KEYS):
        self._priors, self._keys = priors, keys
        self.engine, self.service = ModelServer(days.Answer("fine", model="m")), JsonService(a_json({"score": score}))
        super().__init__(client, self.engine, self.service)

    def settings(self):
        pools = [a_pool(name, endpoints=(an_endpoint(f"{name}/0", self.engine.url),)) for name in ("small", "large")]
        route = RouteSettings("auto", ("small", "large"), "large", quality=0.7, priors=self._priors,
                              cascade=CascadeSettings(mode="threshold", threshold=0.0), verify=(HttpCheck(self.service.url),))
        return msgspec.structs.replace(a_settings(*pools, route=route), keys=self._keys)

    async def learn(self, key, times=2 * SUPPORT):
        for _ in range(times):
            heard = await self.client.post(f"{self.router.url}/chat/completions", BODY, headers(key))
            assert heard.status == 200, heard.body
        await self.router.at_rest()

    async def decided(self, key):
        heard = await self.client.post(f"{self.router.url}/route", BODY, headers(key))
        assert heard.status == 200, heard.body
        return heard.json

    async def small(self, key):
        return next(one["p"] for one in (await self.decided(key))["candidates"] if one["tier"] == "small")


def headers(key):
    return {"Authorization": f"Bearer {key}"} if key else {}


def test_who_is_badly_served_by_the_small_tier_goes_up_and_others_do_not(client):
    async def story():
        async with Priors(client, 0.05) as scene:
            before = await scene.decided("ann")
            assert before["tier"] == "small"
            await scene.learn("ann")
            after = await scene.decided("ann")
            assert after["tier"] == "large"
            assert "the caller's own outcomes move small by -" in after["reason"]
            # Once it has moved, nobody looks at answers of the small tier any more. The colleague leans the same way, the stranger does not.
            assert await scene.small("ann") <= await scene.small("bob") < await scene.small("eve")
            assert (await scene.decided("eve"))["tier"] == "small"
            state = await scene.client.get(f"{scene.router.admin}/state", {"authorization": "Bearer admin-token"})
            assert state.json["routes"]["auto"]["priors"]["heard"] == SUPPORT
            return await scene.router.service.reload(), await scene.decided("ann")

    reloaded, after = asyncio.run(story())
    assert reloaded["reloaded"]
    assert after["tier"] == "large"


def test_who_is_well_served_earns_trust_in_the_small_tier(client):
    async def story():
        async with Priors(client, 0.95) as scene:
            before = await scene.small("ann")
            await scene.learn("ann")
            return before, await scene.small("ann"), await scene.small("eve")

    before, after, stranger = asyncio.run(story())
    assert after > before == stranger


@pytest.mark.parametrize(("priors", "keys"), [("off", KEYS), ("learn", ())])
def test_nothing_is_learned_where_it_is_off_or_nobody_can_be_told_apart(client, priors, keys):
    async def story():
        async with Priors(client, 0.05, priors, keys) as scene:
            key = "ann" if keys else ""
            before = await scene.small(key)
            await scene.learn(key, SUPPORT + 2)
            return before, await scene.small(key)

    before, after = asyncio.run(story())
    assert before == after


def test_a_verifier_that_says_nothing_teaches_nothing(client):
    async def story():
        async with Priors(client, None) as scene:
            before = await scene.small("ann")
            await scene.learn("ann", SUPPORT + 2)
            return before, await scene.small("ann"), len(scene.service.posted)

    before, after, looked = asyncio.run(story())
    assert (before, looked) == (after, SUPPORT + 2)
