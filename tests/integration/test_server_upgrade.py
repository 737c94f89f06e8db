"""Clients that offer to upgrade are served as they are."""

import asyncio

import pytest

from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter


@pytest.mark.parametrize("offer", [b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
                                   b"upgrade:h2c\r\nconnection: upgrade\r\n"])
def test_an_offer_of_http2_does_not_cost_the_body(offer):
    async def story():
        async with ModelServer(days.Answer("served")) as server, RunningRouter(a_settings(a_pool("small", server.url))) as router:
            reader, writer = await asyncio.open_connection("127.0.0.1", router.service.port)
            body = b'{"model":"auto","messages":[{"role":"user","content":"x"}]}'
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                         + offer + b"content-length: %d\r\n\r\n%s" % (len(body), body))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()

    asyncio.run(story())


def test_health_answers_head(client):
    async def story():
        async with ModelServer() as server, RunningRouter(a_settings(a_pool("small", server.url))) as router:
            reader, writer = await asyncio.open_connection("127.0.0.1", router.service.port)
            writer.write(b"HEAD /health/readiness HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"\r\n\r\n")
            writer.close()

    asyncio.run(story())
