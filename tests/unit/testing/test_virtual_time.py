"""Time that passes only while everybody waits."""

import asyncio
import time

import pytest

from pointsman.testing.virtual_time import LoopClock, NothingToWaitFor, run


def test_a_long_sleep_is_over_at_once():
    async def story():
        clock = LoopClock()
        begun, wall = clock.now(), clock.wall()
        await asyncio.sleep(600)
        return clock.now() - begun, clock.wall() - wall

    before = time.monotonic()
    passed, on_the_wall = run(story())

    assert passed == pytest.approx(600, abs=1e-6)
    assert on_the_wall == pytest.approx(600, abs=1e-3)
    assert time.monotonic() - before < 60


def test_timers_fire_in_their_order_whoever_began_first():
    heard = []

    async def after(seconds):
        await asyncio.sleep(seconds)
        heard.append(seconds)

    async def story():
        await asyncio.gather(*(after(one) for one in (3.0, 1.0, 2.0)))

    run(story())
    assert heard == [1.0, 2.0, 3.0]


def test_work_takes_no_time():
    async def story():
        begun = asyncio.get_running_loop().time()
        sum(range(100_000))
        await asyncio.sleep(0)
        return asyncio.get_running_loop().time() - begun

    assert run(story()) == 0.0


def test_a_timeout_cuts_a_wait_that_would_never_end():
    async def story():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.get_running_loop().create_future()
        return LoopClock().now()

    assert run(story()) == pytest.approx(5, abs=1e-6)


def test_waiting_for_nothing_is_an_error_and_not_a_hang():
    async def story():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(NothingToWaitFor):
        run(story())
