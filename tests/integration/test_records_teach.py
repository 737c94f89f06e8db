"""Records of conversations as labels: what is learned from is the turn that was classified, and nothing that stood around it."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("pyarrow")

from pointsman.core.settings import CascadeSettings, RouteSettings
from pointsman.core.verifying import HttpCheck
from pointsman.learn.dataset import read_dataset
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.json_service import JsonService, a_json
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter


def test_a_conversations_last_question_is_what_training_reads(client):
    async def story():
        async with ModelServer(days.Answer("fine", model="m")) as engine, JsonService(a_json({"score": 0.9})) as service, client() as c:
            pools = [a_pool(name, endpoints=(an_endpoint(f"{name}/0", engine.url),)) for name in ("small", "large")]
            route = RouteSettings("auto", ("small", "large"), "large", pipeline=("pinned:small",), cascade=CascadeSettings(mode="threshold"),
                                  verify=(HttpCheck(service.url),))
            async with RunningRouter(a_settings(*pools, route=route), content="all") as router:
                for number in range(3):
                    heard = await c.post(f"{router.url}/chat/completions", {"model": "auto", "messages": [
                        {"role": "system", "content": "You are Ann. " * 50}, {"role": "user", "content": "hi"},
                        {"role": "assistant", "content": "hello"},
                        {"role": "user", "content": f"<system-reminder>be quick</system-reminder>Where is order {number}?"}]}, {})
                    assert heard.status == 200, heard.body
                await router.at_rest()
                router.records()
                return read_dataset(router.records_path)

    found = asyncio.run(story())
    assert sorted(found.table.prompts) == [f"<system-reminder>be quick</system-reminder>Where is order {n}?" for n in range(3)]
    assert found.table.models == ("small",)
    assert not any("older version" in note for note in found.notes)
