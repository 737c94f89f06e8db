"""Affinity over real sockets: what names a session arrives, and turns of a conversation meet the same server."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from pointsman.core.settings import RouteSettings
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter


async def served(client, balancer: str, asked: list[tuple[dict[str, str], list[dict[str, str]]]]) -> list[str]:
    """The endpoint of each request (headers, messages), one after the other."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ModelServer(days.Answer("ok"))) for _ in range(4)]
        route = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",))
        settings = a_settings(a_pool("small", *(server.url for server in servers), balancer=balancer), route=route)
        router = await stack.enter_async_context(RunningRouter(settings))
        c = await stack.enter_async_context(client())
        for headers, messages in asked:
            heard = await c.post(f"{router.url}/chat/completions", {"model": "auto", "messages": messages}, headers)
            assert heard.status == 200
        return [record.attempts[-1].endpoint for record in router.records()]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_a_sessions_requests_meet_the_same_endpoint_and_sessions_spread(client):
    asked = [({"x-session-id": f"s{n % 16}"}, [user(f"question {n}")]) for n in range(48)]
    found = asyncio.run(served(client, "session", asked))
    assert all(found[n] == found[n % 16] for n in range(48))
    assert len(set(found)) > 1


def test_the_turns_of_a_conversation_meet_the_same_endpoint_and_conversations_spread(client):
    def turns(n: int, count: int) -> list[dict[str, str]]:
        said = [user(f"question {n}")]
        for turn in range(count):
            said += [{"role": "assistant", "content": f"answer {turn}"}, user(f"and then {turn}?")]
        return said

    asked = [({}, turns(n % 16, n // 16)) for n in range(48)]
    found = asyncio.run(served(client, "prefix", asked))
    assert all(found[n] == found[n % 16] for n in range(48))
    assert len(set(found)) > 1
