"""A link between two processes, both ends in this one."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from pointsman.state.frames import BadFrame
from pointsman.state.local import Link
from pointsman.state.messages import FromSupervisor, FromWorker, Leave, Load, Pulse, Ready


class End:
    def __init__(self, kinds: Any) -> None:
        self.heard: list[Any] = []
        self.some = asyncio.Event()
        self.is_lost: asyncio.Future[BadFrame | None] = asyncio.get_running_loop().create_future()
        self.link: Link[Any] = Link(kinds, self._said, self.is_lost.set_result)

    def _said(self, message: Any) -> None:
        self.heard.append(message)
        self.some.set()


async def both() -> tuple[End, End]:
    house, worker = End(FromWorker), End(FromSupervisor)
    for end, own in zip((house, worker), socket.socketpair(), strict=True):
        await end.link.open(own)
    return house, worker


def test_each_hears_the_other_in_order():
    async def story() -> None:
        house, worker = await both()
        for number in range(100):
            worker.link.say(Pulse(number, {"small/0": Load(number, 1)}, number))
        house.link.say(Leave())
        worker.link.close()
        assert await house.is_lost is None
        assert [pulse.generation for pulse in house.heard] == list(range(100))
        assert worker.heard == [Leave()] or await worker.is_lost is None

    asyncio.run(story())


def test_the_end_of_one_is_told_to_the_other_and_saying_more_does_nothing():
    async def story() -> None:
        house, worker = await both()
        house.link.close()
        assert await worker.is_lost is None
        worker.link.say(Ready(1))
        assert not worker.link.is_open
        assert worker.link.unsent_bytes == 0

    asyncio.run(story())


def test_nonsense_ends_the_link_with_its_reason():
    async def story() -> None:
        end = End(FromWorker)
        ours, theirs = socket.socketpair()
        await end.link.open(ours)
        with theirs:
            theirs.sendall(b"\x00\x00\x00\x02\x01{}")
            assert isinstance(await end.is_lost, BadFrame)

    asyncio.run(story())
