"""Following what engines tell about their prefix caches."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from pointsman.core.cache_event import Cleared, Missed, Removed, Stored
from pointsman.core.fleet import EndpointSpec
from pointsman.core.request import Message
from pointsman.core.settings import PoolSettings, Settings, TierSettings
from pointsman.errors import UpstreamFailed
from pointsman.gateway.cache_follower import ASK_PER_S, FIRST_LOOK_S, MOST_BODY, SECOND_LOOK_S, CacheFollower
from pointsman.pools.balancers.beginnings import read
from pointsman.pools.fleet import Fleet
from pointsman.testing.clock import ManualClock
from pointsman.testing.factories import a_request

QUESTION = "Where is my parcel? " * 60  # 1200 bytes: beginnings at 512, 1024 and its end
TOKENS = tuple(range(120))  # ten bytes a token, 12 blocks of ten
EVENTS = "tcp://e:1"


class World:
    """Two endpoints that tell, a tokenizer, and a clock."""

    def __init__(self, *, tells: bool = True, balancer: str = "prefix") -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self.clock = ManualClock()
        specs = tuple(EndpointSpec(f"small/{i}", "small", f"http://e{i}/v1", "m", kv_events=EVENTS if tells else None) for i in range(2))
        self.fleet = Fleet(Settings({"small": TierSettings("small", ("small",))}, {"small": PoolSettings("small", "m", specs, balancer=balancer)}, {}))
        self.follower = CacheFollower(self._follow, self, clock=self.clock, sleep=self._sleep)
        self.follower.watch(self.fleet)

    async def _follow(self, endpoint, told):
        await asyncio.Event().wait()

    async def _sleep(self, seconds):
        self.is_idle.set()
        await asyncio.Event().wait()

    async def of(self, endpoint, request, until):
        self.asked.append(endpoint.id)
        if self.error is not None:
            raise self.error
        return TOKENS

    def ask(self, text: str = QUESTION, **more) -> str:
        """The endpoint that a request goes to."""
        lease = self.fleet.lease("small", a_request(messages=(Message("user", text),), **more), (), self.clock.now(), Random(1))
        lease.close("answered", self.clock.now())
        return lease.endpoint.id

    def run(self, story) -> None:
        """Plays `story` while the follower follows."""
        async def play():
            self.is_idle = asyncio.Event()
            task = asyncio.get_running_loop().create_task(self.follower.run())
            await self.is_idle.wait()
            try:
                await story()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        asyncio.run(play())

    def knows(self, endpoint: str, text: str = QUESTION) -> int:
        """Tokens of a text that the balancer thinks are there."""
        memory = self.fleet.pools["small"].memory
        return memory._memory(endpoint).known(read(a_request(messages=(Message("user", text),))).parts)


def blocks(count: int) -> Stored:
    return Stored(tuple(range(count)), None, TOKENS[:count * 10], 10)


ALL, HALF = 1_200 // 3, 512 // 3


def test_what_is_overwritten_is_forgotten_at_once():
    world = World()

    async def story():
        home = world.ask()
        world.follower.hear(home, Cleared())
        world.follower.hear(home, blocks(12))
        world.ask()  # the emptied cache had forgotten the guess, too
        world.clock.advance(FIRST_LOOK_S + 1)
        await world.follower.look()
        assert world.knows(home) == ALL
        world.follower.hear(home, Removed((9, 10, 11)))
        assert world.knows(home) == HALF
        world.follower.hear(home, Missed())
        assert world.knows(home) == 0

    world.run(story)
    assert world.follower.counts["forgotten"] >= 2


def test_what_another_router_has_sent_to_a_sibling_is_known_too():
    world = World()

    async def story():
        home = world.ask()
        other = "small/1" if home == "small/0" else "small/0"
        assert world.knows(other) == 0
        world.follower.hear(other, blocks(6))
        world.clock.advance(FIRST_LOOK_S)
        await world.follower.look()
        assert (world.knows(other), world.knows(home)) == (HALF, ALL)

    world.run(story)


def test_what_never_came_is_forgotten_at_the_second_look_if_everything_was_heard():
    for hears_all in (True, False):
        world = World()

        async def story(world=world, hears_all=hears_all):
            home = world.ask()
            world.follower.hear(home, Cleared() if hears_all else Missed())
            world.follower.hear(home, Stored((99,), None, (5,) * 10, 10))
            world.ask()
            world.clock.advance(FIRST_LOOK_S)
            await world.follower.look()
            assert world.knows(home) == ALL  # it may stand in the engine's queue
            world.clock.advance(SECOND_LOOK_S)
            await world.follower.look()
            assert world.knows(home) == (0 if hears_all else ALL)

        world.run(story)


def test_tokens_are_asked_for_a_bounded_part_of_the_prompts():
    world = World()

    async def story():
        for at in range(50):
            world.ask(f"{at} " * 400)
            world.clock.advance(0.1 / ASK_PER_S)
        world.ask("x" * 2_000, body=b" " * (MOST_BODY + 1))
        world.clock.advance(FIRST_LOOK_S)
        await world.follower.look()
        assert len(world.asked) == 5

    world.run(story)


def test_who_tells_no_tokens_is_left_alone_for_a_while():
    world = World()
    world.error = UpstreamFailed("no such path", upstream_status=404)

    async def story():
        for _ in range(3):
            world.ask()
            world.clock.advance(FIRST_LOOK_S)
            await world.follower.look()
        assert len(world.asked) == 1
        world.clock.advance(60)
        world.ask()
        world.clock.advance(FIRST_LOOK_S)
        await world.follower.look()
        assert len(world.asked) == 2

    world.run(story)


@pytest.mark.parametrize("how", [{"tells": False}, {"balancer": "least_loaded"}], ids=str)
def test_nobody_is_followed_unless_asked_for(how):
    world = World(**how)
    world.ask()
    assert not world.follower.follows
    assert world.follower.status() == {"endpoints": {}}
