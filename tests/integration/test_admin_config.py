"""The configuration of a running router, from its admin listener: as it was read, without a secret."""

import asyncio
import json

import msgspec

from pointsman.config.difference import differences, plain
from pointsman.config.load import load_text
from pointsman.testing import days
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter

CONFIG = """
auth: {{keys: [{{name: app, key: "${{K}}"}}]}}
tiers:
  small: {{model: small-model, endpoints: [{{url: "{url}", api_key: "${{K}}", slots: {slots}}}]}}
"""
TOKEN = {"authorization": "Bearer admin-token"}


def settings(url, slots=4):
    return load_text(CONFIG.format(url=url, slots=slots), "router.yaml", {"K": "sk-secret-value"})


def test_it_is_what_was_read_and_a_reload_is_seen(client):
    async def story():
        async with ModelServer(days.Answer()) as engine, RunningRouter(settings(engine.url), polls=True) as router, client() as c:
            first = await c.get(f"{router.admin}/config", TOKEN)
            assert first.json["generation"] == 1
            assert differences(first.json["settings"], plain(router.settings)) == ()
            assert b"secret-value" not in first.body
            assert b"admin-token" not in first.body

            new = settings(engine.url, slots=8)
            router.next_settings = msgspec.structs.replace(router.settings, pools=new.pools)
            await c.post(f"{router.admin}/reload", b"", TOKEN)
            second = await c.get(f"{router.admin}/config", TOKEN)
            assert [str(d) for d in differences(first.json["settings"], second.json["settings"])] == ["tiers.small.endpoints[0].slots: 4 -> 8"]

    asyncio.run(story())


def test_what_needs_a_restart_is_shown_as_it_runs_and_told_at_every_reload(client):
    async def story():
        async with ModelServer() as engine, RunningRouter(settings(engine.url), polls=True) as router, client() as c:
            moved = msgspec.structs.replace(router.settings.server, port=4999)
            router.next_settings = msgspec.structs.replace(router.settings, server=moved)
            told = [(await c.post(f"{router.admin}/reload", b"", TOKEN)).json["needs_restart"] for _ in range(2)]
            assert told == [["server.port"], ["server.port"]]
            shown = await c.get(f"{router.admin}/config", TOKEN)
            (found,) = differences(shown.json["settings"], plain(router.next_settings))
            assert str(found) == "server.port: 0 -> 4999 (needs restart)"

    asyncio.run(story())


def test_it_takes_the_token(client):
    async def story():
        async with ModelServer() as engine, RunningRouter(settings(engine.url), polls=True) as router, client() as c:
            heard = await c.get(f"{router.admin}/config")
            assert heard.status == 401
            assert "settings" not in json.dumps(heard.json)

    asyncio.run(story())
