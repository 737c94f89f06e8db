"""Whatever goes wrong behind the guard, the verifier abstains and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pointsman.core.answer import Answer, Choice
from pointsman.core.breaker import FAILURES
from pointsman.core.reply import Heard
from pointsman.core.verdict import Rates, Traits, Verdict
from pointsman.core.verifying import Consulting
from pointsman.errors import AnswerTimeout, BadAnswer, ConnectFailed, Forbidden
from pointsman.testing.factories import a_request
from pointsman.verification.guard import Guard

ANSWER = Answer((Choice("4"),))


class Scripted:
    """A verifier that does what it is told to."""

    name, traits, rates = "scripted", Traits(), Rates(0.1, 0.1)

    def __init__(self, does: Callable[[], Awaitable[Verdict]]) -> None:
        self.does, self.asked = does, 0

    async def consult(self, request: Any, answer: Any, asks: Any, *, pool: str, until: float) -> Verdict:
        self.asked += 1
        return await self.does()


async def nobody(pool: str, body: bytes, *, until: float) -> Heard:
    raise AssertionError("nobody is asked here")


async def consult(guard: Guard, left_s: float = 60.0) -> Verdict:
    until = asyncio.get_running_loop().time() + left_s
    return await guard.consult(a_request(), ANSWER, nobody, pool="small", until=until)


def raising(error: BaseException) -> Callable[[], Awaitable[Verdict]]:
    async def does() -> Verdict:
        raise error
    return does


async def hangs() -> Verdict:
    return await asyncio.get_running_loop().create_future()


async def good() -> Verdict:
    return Verdict(0.8, "fine", is_graded=True)


def saying(score: Any) -> Callable[[], Awaitable[Verdict]]:
    async def does() -> Verdict:
        return Verdict(score)
    return does


def test_a_good_word_passes_through():
    assert asyncio.run(consult(Guard(Scripted(good), Consulting()))).score == 0.8


@pytest.mark.parametrize(("does", "fault"), [
    (hangs, "slow"), (raising(AnswerTimeout("late")), "slow"), (raising(ConnectFailed("refused", sent=False)), "down"),
    (raising(Forbidden("not yours")), "not_allowed"), (raising(ZeroDivisionError()), "crashed"), (raising(RecursionError()), "crashed"),
    (raising(BadAnswer("no JSON")), "garbage"), (saying(1.5), "garbage"), (saying(-0.1), "garbage"), (saying(float("nan")), "garbage"),
])
def test_trouble_is_an_abstention_with_its_fault(does: Callable[[], Awaitable[Verdict]], fault: str):
    verdict = asyncio.run(consult(Guard(Scripted(does), Consulting(timeout_s=0.01))))

    assert (verdict.score, verdict.fault) == (None, fault)


def test_one_that_keeps_failing_is_left_alone():
    async def run() -> tuple[list[str], int]:
        verifier = Scripted(raising(ConnectFailed("refused", sent=False)))
        guard = Guard(verifier, Consulting())
        return [(await consult(guard)).fault for _ in range(FAILURES + 2)], verifier.asked

    assert asyncio.run(run()) == (["down"] * FAILURES + ["resting"] * 2, FAILURES)


def test_a_request_out_of_time_is_not_held_against_the_verifier():
    async def run() -> tuple[int, str]:
        verifier = Scripted(hangs)
        guard = Guard(verifier, Consulting(timeout_s=60))
        for _ in range(2 * FAILURES):
            await consult(guard, left_s=0.012)
        return verifier.asked, (await consult(guard, left_s=0.001)).fault

    assert asyncio.run(run()) == (2 * FAILURES, "slow")


def test_a_saturated_one_is_not_waited_for():
    async def run() -> tuple[str, int]:
        guard = Guard(Scripted(hangs), Consulting(timeout_s=60, max_in_flight=2))
        waiting = [asyncio.create_task(consult(guard)) for _ in range(2)]
        await asyncio.sleep(0)
        fault = (await consult(guard)).fault
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return fault, guard.in_flight

    assert asyncio.run(run()) == ("busy", 0)


def test_a_client_that_leaves_cancels_it():
    async def run() -> bool:
        task = asyncio.create_task(consult(Guard(Scripted(hangs), Consulting())))
        await asyncio.sleep(0)
        task.cancel()
        done, = await asyncio.gather(task, return_exceptions=True)
        return isinstance(done, asyncio.CancelledError)

    assert asyncio.run(run())
