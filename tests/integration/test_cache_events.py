"""Events of a prefix cache over real ZeroMQ sockets, from a publisher as vLLM has one."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec
import pytest

from pointsman.core.cache_event import Cleared, Missed, Removed
from pointsman.testing.factories import an_endpoint
from pointsman.upstream.cache_events import follow

zmq = pytest.importorskip("zmq")
zmq_asyncio = pytest.importorskip("zmq.asyncio")


class Publisher:
    """PUB for what is new, ROUTER for what was missed."""

    def __init__(self, *, keeps: int = 100) -> None:
        self._context = zmq_asyncio.Context()
        self._pub, self._router = self._context.socket(zmq.XPUB), self._context.socket(zmq.ROUTER)
        self.events = f"tcp://127.0.0.1:{self._pub.bind_to_random_port('tcp://127.0.0.1')}"
        self.replay = f"tcp://127.0.0.1:{self._router.bind_to_random_port('tcp://127.0.0.1')}"
        self._buffer: deque[tuple[int, bytes]] = deque(maxlen=keeps)
        self._next = 0
        self._answering = asyncio.get_running_loop().create_task(self._answer())

    async def subscribed(self) -> None:
        await self._pub.recv()

    async def publish(self, *, arrives: bool = True) -> None:
        """One batch that says that the block of its own number is gone; `arrives` False: it is lost on the way."""
        payload = msgspec.msgpack.encode([0.0, [{"type": "BlockRemoved", "block_hashes": [self._next], "medium": "GPU"}], 0])
        number, self._next = self._next, self._next + 1
        self._buffer.append((number, payload))
        if arrives:
            await self._pub.send_multipart((b"", number.to_bytes(8, "big"), payload))

    async def _answer(self) -> None:
        while True:
            client, _, start = await self._router.recv_multipart()
            for number, payload in list(self._buffer):
                if number >= int.from_bytes(start, "big"):
                    await self._router.send_multipart((client, b"", b"", number.to_bytes(8, "big"), payload))
            await self._router.send_multipart((client, b"", b"", (-1).to_bytes(8, "big", signed=True), b""))

    async def close(self) -> None:
        self._answering.cancel()
        await asyncio.gather(self._answering, return_exceptions=True)
        self._context.destroy(linger=0)


class Listener:
    """What was told, and until when to wait for it."""

    def __init__(self, endpoint) -> None:
        self.told: list[object] = []
        self._grew = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(follow(endpoint, self._hear))

    def _hear(self, event) -> None:
        self.told.append(event.hashes[0] if isinstance(event, Removed) else type(event))
        self._grew.set()

    async def heard(self, *expected) -> None:
        async with asyncio.timeout(60):
            while self.told[-len(expected):] != list(expected):
                self._grew.clear()
                await self._grew.wait()

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def play(story, **publisher) -> None:
    async def whole():
        engine = Publisher(**publisher)
        try:
            await story(engine)
        finally:
            await engine.close()

    asyncio.run(whole())


def test_whoever_comes_late_is_told_what_was_before_and_then_what_is_new():
    async def story(engine):
        await engine.publish()
        await engine.publish()
        listener = Listener(an_endpoint(kv_events=engine.events, kv_replay=engine.replay))
        try:
            await engine.subscribed()
            await listener.heard(Cleared, 0, 1)
            await engine.publish()
            await listener.heard(0, 1, 2)
        finally:
            await listener.close()

    play(story)


def test_a_batch_lost_on_the_way_is_asked_for():
    async def story(engine):
        listener = Listener(an_endpoint(kv_events=engine.events, kv_replay=engine.replay))
        try:
            await engine.subscribed()
            await engine.publish()
            await listener.heard(Cleared, 0)
            await engine.publish(arrives=False)
            await engine.publish()
            await listener.heard(0, 1, 2)
            assert Missed not in listener.told
        finally:
            await listener.close()

    play(story)


def test_a_batch_that_nobody_says_again_was_missed():
    async def story(engine):
        listener = Listener(an_endpoint(kv_events=engine.events))
        try:
            await engine.subscribed()
            await engine.publish()
            await engine.publish(arrives=False)
            await engine.publish()
            await listener.heard(Cleared, 0, Missed, 2)
        finally:
            await listener.close()

    play(story)
