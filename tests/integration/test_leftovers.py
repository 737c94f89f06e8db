"""What requests leave behind is freed by counting references: the collector has nothing to do with it, however they ended.

A failed request that waits for the collector keeps its body, its answer and its connection meanwhile; ten of them a second are megabytes.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from pointsman.core.settings import RouteSettings
from pointsman.gateway.dispatch import Journey
from pointsman.gateway.handling import Handling
from pointsman.server.collector import NEVER
from pointsman.server.connection import Connection
from pointsman.server.direct import DirectExchange
from pointsman.server.exchange import Exchange
from pointsman.testing import days
from pointsman.testing.factories import a_pool, a_settings
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter
from pointsman.upstream.http1 import Connection as UpstreamConnection

KINDS = (Handling, Journey, Connection, DirectExchange, Exchange, UpstreamConnection)
DAYS: tuple[Callable[[], days.Day], ...] = (
    days.Answer, days.server_error, days.rate_limited, days.CloseAtOnce, days.Reset, days.GarbageSse, lambda: days.InBandError(3),
    lambda: days.CutAfter(3, "rst"), lambda: days.EndWithoutFinish(done=True), lambda: days.StallAfter(3), days.NoFirstToken,
)


@pytest.fixture(autouse=True)
def _without_a_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _left() -> Counter[str]:
    return Counter(f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.get_objects() if isinstance(thing, KINDS))


async def _ask(port: int, *, stream: bool, keeps: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"model":"auto","messages":[{"role":"user","content":"hello"}],"stream":%b}' % (b"true" if stream else b"false")
    close = b"" if keeps else b"connection: close\r\n"
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"
                 % (port, close, len(body), body))
    heard = await reader.read(65536)
    while heard and not keeps:
        heard = await reader.read(65536)
    writer.transport.abort()


async def _settled(router: RunningRouter) -> None:
    for _ in range(400):
        listeners = router.service._listeners
        if not router.service.gateway.in_flight and not router.leases and not sum(each.connections for each in listeners):
            break
        await asyncio.sleep(0.005)
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "closed"])
def test_nothing_of_a_request_waits_for_the_collector_however_it_ended(keeps: bool, stream: bool):
    async def story() -> Counter[str]:
        route = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), deadline_s=1.0, ttft_timeout_s=0.05,
                              stall_timeout_s=0.05, answer_timeout_s=0.05)
        async with ModelServer() as server:
            async with RunningRouter(a_settings(a_pool("small", server.url), route=route)) as router:
                before = _left()
                for day in DAYS:
                    server.days[:] = [day()]
                    for _ in range(2):
                        await _ask(router.service.port, stream=stream, keeps=keeps)
                await _settled(router)
            return _left() - before

    left = asyncio.run(story())
    assert all(count <= 1 for count in left.values()), left  # the interpreter may still hold the last error


def test_while_it_serves_everything_is_looked_through_only_with_a_reason():
    async def story() -> tuple[int, int]:
        async with ModelServer() as server:
            async with RunningRouter(a_settings(a_pool("small", server.url))):
                serving = gc.get_threshold()[2]
        return serving, gc.get_threshold()[2]

    before = gc.get_threshold()[2]
    assert asyncio.run(story()) == (NEVER, before)
