"""Time that waits for a machine that stands still."""

import asyncio
import time

import pytest

from pointsman.testing.patient_time import PatientLoop, now


def run(story):
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(story)


def busy(seconds):
    """A machine that stands still: the loop's thread gets nothing done."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_machine_that_stands_still_makes_nobody_late():
    async def story():
        begun = now()
        async with asyncio.timeout(0.05):
            busy(0.1)
            await asyncio.sleep(0)
        return now() - begun

    assert run(story()) < 0.05


def test_a_wait_counts_for_what_was_asked_however_late_it_ends():
    async def story():
        begun = now()
        asyncio.get_running_loop().call_later(0.01, busy, 0.1)
        await asyncio.sleep(0.02)
        return now() - begun

    assert run(story()) == pytest.approx(0.02, abs=0.009)


def test_waiting_takes_as_long_as_in_the_world():
    async def story():
        begun, real = now(), time.monotonic()
        await asyncio.sleep(0.02)
        return now() - begun, time.monotonic() - real

    passed, real = run(story())

    assert passed >= 0.02
    assert real >= 0.019


def test_whoever_asks_over_and_over_sees_the_moment_come():
    async def story():
        until = now() + 0.001
        while now() < until:
            await asyncio.sleep(0)

    run(story())


def test_a_thread_goes_by_the_loop_it_works_for():
    async def story():
        busy(0.05)
        here, world = now(), time.monotonic()
        there = await asyncio.to_thread(now)
        return here, there, now(), world

    before, there, after, world = run(story())

    assert before <= there <= after
    assert world - before >= 0.04, "else it would be the world's time as well"


def test_without_such_a_loop_it_is_the_worlds_time(monkeypatch):
    monkeypatch.setattr(PatientLoop, "latest", None)  # a server of other tests may run in a thread
    before = time.monotonic()

    assert before <= now() <= time.monotonic()
