"""A model asked about an answer."""

from __future__ import annotations

import asyncio
from random import Random

from pointsman.core.answer import Answer, Choice
from pointsman.core.reply import Heard, Reply
from pointsman.core.verdict import Verdict
from pointsman.core.verifying import Judged
from pointsman.testing.factories import a_request
from pointsman.verification.judge import Judge


def judged(settings: Judged, said: bytes, answer: Answer | None = None) -> tuple[Verdict, list[str]]:
    pools: list[str] = []

    async def asks(pool: str, body: bytes, *, until: float) -> Heard:
        pools.append(pool)
        return Heard(Reply(said), "judge/0", 12)

    whole = answer if answer is not None else Answer((Choice("4"),))
    return asyncio.run(Judge(settings, Random(1)).consult(a_request(), whole, asks, pool="small", until=9.0)), pools


YES = b'{"choices":[{"message":{"content":"A"}}]}'


def test_another_model_is_asked_and_paid_for():
    verdict, pools = judged(Judged(pool="judge"), YES)

    assert (verdict.score, verdict.cost_nano_usd, pools) == (1.0, 12, ["judge"])


def test_without_a_pool_the_one_that_answered_is_asked():
    assert judged(Judged(how="p_true"), YES)[1] == ["small"]


def test_a_judge_that_rambles_abstains_and_is_paid_for_all_the_same():
    verdict, _ = judged(Judged(), b"<html>")

    assert (verdict.score, verdict.fault, verdict.cost_nano_usd) == (None, "garbage", 12)


def test_no_answer_is_not_worth_a_question():
    assert judged(Judged(), YES, Answer()) == (Verdict(), [])
