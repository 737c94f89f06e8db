"""Context lengths that nobody declared."""

import asyncio

from pointsman.core.fleet import Capabilities
from pointsman.testing.factories import a_pool, a_settings, an_endpoint
from pointsman.testing.model_server import ModelServer
from pointsman.upstream.contexts import Contexts


def pool_at(*urls: str, model: str = "m", **fields):
    return a_pool("p", endpoints=tuple(an_endpoint(f"p/{i}", url, model=model) for i, url in enumerate(urls)), **fields)


def test_the_smallest_context_of_the_endpoints_counts():
    async def story():
        async with ModelServer(model="m", max_model_len=8192) as a, ModelServer(model="m", max_model_len=4096) as b:
            settings, contexts = a_settings(pool_at(a.url, b.url)), Contexts()
            assert await contexts.ask(settings)
            assert contexts.filled(settings).pools["p"].capabilities.context == 4096
            assert not await contexts.ask(settings)
            assert len(a.probes) == 1  # who has said it is not asked again

    asyncio.run(story())


def test_what_is_declared_is_not_asked():
    async def story():
        async with ModelServer(model="m") as server:
            settings = a_settings(pool_at(server.url, capabilities=Capabilities(context=100)))
            assert not await Contexts().ask(settings)
            assert not server.probes

    asyncio.run(story())


def test_silence_stays_unknown():
    async def story():
        async with ModelServer(model="another") as server:
            settings, contexts = a_settings(pool_at(server.url, "http://127.0.0.1:9/v1")), Contexts()
            assert not await contexts.ask(settings)
            assert contexts.filled(settings) is settings

    asyncio.run(story())
