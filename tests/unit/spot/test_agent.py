"""What one machine's agent says, and in which order."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pointsman.spot.agent import Agent
from pointsman.spot.notice import Notice
from pointsman.spot.teller import Heard, Unheard


class SlowTeller:
    """Its `back` is on its way until `go` is set."""

    router = "http://10.0.0.1:4001"

    def __init__(self, *, lost: bool = False) -> None:
        self.heard: list[str] = []
        self.asked, self.go, self._lost = threading.Event(), threading.Event(), lost

    def back(self) -> Heard:
        self.asked.set()
        assert self.go.wait(30)
        self.heard.append("back")
        if self._lost:
            raise Unheard("it went away")
        return Heard()

    def leaving(self, lead_s: float | None, reason: str) -> Heard:
        self.heard.append("leaving")
        return Heard()


@pytest.mark.parametrize("lost", [False, True])
def test_a_notice_is_heard_after_the_arrival_that_was_still_on_its_way(lost):
    async def story() -> list[str]:
        teller = SlowTeller(lost=lost)
        agent = Agent([teller], [], wall=lambda: 0.0)  # type: ignore[list-item]
        arriving = asyncio.ensure_future(agent.arrive())
        await asyncio.to_thread(teller.asked.wait)
        arriving.cancel()
        leaving = asyncio.ensure_future(agent.leave(Notice("SIGTERM", lead_s=20)))
        await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)  # a thread is free: a notice that did not wait its turn would be heard by now
        await asyncio.to_thread(teller.go.set)

        assert await leaving
        assert arriving.cancelled()
        return teller.heard

    assert asyncio.run(story()) == ["back", "leaving"]
