"""Waiting in an anteroom, as a request does: let in, too late, left, out of time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from pointsman.core.request import Message, Needs
from pointsman.core.settings import PoolSettings
from pointsman.errors import DeadlineExceeded
from pointsman.gateway.turns import LOOK_EVERY_S, turn
from pointsman.pools.balancers.prefix import Prefix
from pointsman.pools.pool import Pool
from pointsman.testing.factories import a_request, an_endpoint
from pointsman.testing.virtual_time import LoopClock, run


def a_full_pool() -> Pool:
    pool = Pool(PoolSettings("p", "m", (an_endpoint("p/0", slots=None),)), Prefix())
    for ahead in range(100, 3_000, 100):
        pool.endpoints[0].vitals.forecast.learn(ahead, 0.05 + ahead * 0.0002)
    return pool


def a_prompt(tokens: int):
    return a_request(messages=(Message("user", "x" * tokens),), needs=Needs(context=tokens), stream=True)


def test_it_returns_when_an_endpoint_has_read():
    async def story():
        pool, clock = a_full_pool(), LoopClock()
        lease = pool.offer(a_prompt(3_000), (), clock.now(), Random(1))
        asyncio.get_running_loop().call_later(0.6, lambda: lease.began(clock.now(), 0.6))
        guest = await turn(pool.anteroom, a_prompt(100), clock, arrived=0.0)
        return guest.endpoint, clock.now(), len(pool.anteroom)

    endpoint, at, left = run(story())
    assert (endpoint, left) == ("p/0", 0)
    assert at == pytest.approx(0.6)


def test_it_is_told_that_it_would_be_late():
    async def story():
        pool, clock = a_full_pool(), LoopClock()
        pool.offer(a_prompt(30_000), (), clock.now(), Random(1))
        guest = await turn(pool.anteroom, a_prompt(100), clock, limit_s=2.0, arrived=0.0)
        return guest.endpoint, clock.now()

    endpoint, at = run(story())
    assert endpoint is None
    assert 1.5 < at < 2.0


def test_a_deadline_ends_it_and_leaves_nothing():
    async def story():
        pool, clock = a_full_pool(), LoopClock()
        pool.offer(a_prompt(30_000), (), clock.now(), Random(1))
        with pytest.raises(DeadlineExceeded):
            await turn(pool.anteroom, a_prompt(100), clock, deadline=3.0, arrived=0.0)
        return clock.now(), len(pool.anteroom)

    at, left = run(story())
    assert at == pytest.approx(3.0)
    assert left == 0


@pytest.mark.parametrize("is_granted", [False, True])
def test_a_client_that_leaves_holds_nobody_up(is_granted):
    async def story():
        pool, clock = a_full_pool(), LoopClock()
        lease = pool.offer(a_prompt(30_000), (), clock.now(), Random(1))
        first, second = (asyncio.ensure_future(turn(pool.anteroom, a_prompt(100), clock, arrived=0.0)) for _ in range(2))
        await asyncio.sleep(0.1)
        if is_granted:
            lease.began(clock.now(), 0.1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        if not is_granted:
            lease.began(clock.now(), 0.1)
        return (await second).endpoint, len(pool.anteroom)

    assert run(story()) == ("p/0", 0)


def test_one_clock_looks_in_for_all_who_wait(monkeypatch):
    async def story():
        pool, clock, looks = a_full_pool(), LoopClock(), []
        pool.offer(a_prompt(30_000), (), clock.now(), Random(1))
        look = pool.anteroom.look
        waiting = [asyncio.ensure_future(turn(pool.anteroom, a_prompt(100), clock, arrived=0.0)) for _ in range(40)]
        await asyncio.sleep(0.0)
        monkeypatch.setattr(pool.anteroom, "look", lambda now: (looks.append(now), look(now)))
        await asyncio.sleep(2.0)
        found = len(looks)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(1.0)
        return found, pool.anteroom.is_watched

    looks, is_watched = run(story())
    assert looks == pytest.approx(2.0 / LOOK_EVERY_S, abs=1)
    assert not is_watched


def test_somebody_looks_in_again_after_everybody_has_left():
    async def story():
        pool, clock = a_full_pool(), LoopClock()
        pool.offer(a_prompt(30_000), (), clock.now(), Random(1))
        for _ in range(2):  # each is told by the clock that it would be late
            guest = await turn(pool.anteroom, a_prompt(100), clock, limit_s=2.0, arrived=0.0)
            assert guest.endpoint is None
            await asyncio.sleep(1.0)
        return clock.now()

    assert run(story()) < 6.0
