"""What stands between a request and its judge."""

from __future__ import annotations

import asyncio
from random import Random

import msgspec
import pytest

from pointsman.core.breaker import FAILURES
from pointsman.core.decision import Decision, Refine, Scores, TierScore
from pointsman.core.fleet import Capabilities
from pointsman.core.reply import Heard, Reply
from pointsman.core.settings import JudgeSettings, RouteSettings
from pointsman.errors import ConnectionLost, Forbidden, RateLimited
from pointsman.gateway.consulting import StageBusy, StageSilent
from pointsman.gateway.judging import JudgeStage
from pointsman.pools.fleet import Fleet
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint

LADDER = ("small", "large")
SCORED = Refine(Scores({"small": TierScore(0.7, 0.7), "large": TierScore(0.9, 0.9)}, True), "so")


class Asks:
    """Replies with these texts, or raises; the last repeats."""

    def __init__(self, *said):
        self.said, self.bodies, self.questions = list(said) or ["1"], [], []

    async def __call__(self, pool, body, *, until):
        self.bodies.append(msgspec.json.decode(body))
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        if said is None:
            await asyncio.Event().wait()
        content = msgspec.json.encode({"choices": [{"message": {"content": said}, "finish_reason": "length"}]})
        return Heard(Reply(content), "small/0", 5)


def a_judge(engine="openai", slots=4, logprobs=None, **settings):
    pools = (a_pool("small", endpoints=(an_endpoint("small/0", engine=engine, slots=slots),), capabilities=Capabilities(logprobs=logprobs)), a_pool("large"))
    route = RouteSettings("auto", LADDER, "large", judge=JudgeSettings(**{"learns_from": 0, "share": 1.0} | settings))
    stage = JudgeStage(route, "small", Fleet(a_settings(*pools, route=route)), Random(1))
    stage.saw()
    return stage


def consult(stage, asks, so_far=SCORED, request=None):
    return asyncio.run(stage.consult(request or a_request("Why?"), so_far, asks))


def a_decision(**fields):
    return Decision(**{"route": "auto", "tier": "large", "rung": 2, "decided_by": "policy", "reason": "", "confidence": 0.8} | fields)


@pytest.mark.parametrize(("decision", "wants"), [
    (a_decision(margin=0.05), True),
    (a_decision(margin=0.15), False),
    (a_decision(margin=None), False),
    (a_decision(margin=0.05, decided_by="gate"), False),
    (a_decision(margin=0.05, decided_by="rules"), False),
    (a_decision(decided_by="default", reason="abstained"), True),
    (a_decision(decided_by="default", reason="out_of_distribution; unlike", margin=0.0), False),
])
def test_it_wants_the_borderline_and_what_nobody_scored(decision, wants):
    assert a_judge().wants(decision) is wants


def test_below_a_confidence_only_where_asked_for():
    stage = a_judge(below=0.7)

    assert stage.wants(a_decision(margin=0.05, confidence=0.69))
    assert not stage.wants(a_decision(margin=0.05, confidence=0.7))


@pytest.mark.parametrize(("engine", "declared", "form"), [
    ("vllm", None, "logprobs"), ("llamacpp", None, "logprobs"), ("openai", None, "word"), ("openai", True, "logprobs"), ("vllm", False, "word"),
    ("anthropic", None, "word")])
def test_probabilities_are_asked_of_engines_that_have_them(engine, declared, form):
    asks = Asks()
    consult(a_judge(engine, logprobs=declared), asks)

    assert ("logprobs" in asks.bodies[0]) is (form == "logprobs")


def test_an_endpoint_that_has_refused_probabilities_is_not_asked_for_them_again():
    stage, asks = a_judge("vllm"), Asks()
    stage._fleet.without_logprobs.add("small/0")
    consult(stage, asks)

    assert "logprobs" not in asks.bodies[0]


@pytest.mark.parametrize(("said", "result", "outcome"), [
    ("maybe", "garbage", "abstained"), (ConnectionLost("gone"), "down", "failed"), (Forbidden("no"), "not_allowed", "abstained"),
    (RateLimited("full"), "busy", "abstained")])
def test_what_goes_wrong_is_an_abstention_with_a_word_for_it(said, result, outcome):
    with pytest.raises(StageSilent) as raised:
        consult(a_judge(), Asks(said))

    assert (raised.value.result, raised.value.outcome) == (result, outcome)


def test_who_fails_again_and_again_is_left_in_peace():
    stage, asks = a_judge(), Asks("no idea")
    for _ in range(FAILURES):
        stage.saw()
        with pytest.raises(StageSilent, match="named no rung"):
            consult(stage, asks)

    with pytest.raises(StageBusy, match="failed too often"):
        consult(stage, asks)
    assert len(asks.bodies) == FAILURES


def test_a_pool_without_a_free_slot_is_not_asked_at_all():
    stage, asks = a_judge(slots=1), Asks()
    stage._fleet.lease_pool("small", a_request(), (), 0.0, Random(1))

    with pytest.raises(StageBusy, match=r"no free slot|no room") as raised:
        consult(stage, asks)
    assert (raised.value.result, asks.bodies) == ("busy", [])


def test_no_more_than_so_many_at_once():
    stage, asks = a_judge(max_in_flight=1), Asks(None)

    async def two():
        first = asyncio.ensure_future(stage.consult(a_request("Why?"), SCORED, asks))
        await asyncio.sleep(0)
        assert stage.standing.in_flight == 1
        with pytest.raises(StageBusy):
            await stage.consult(a_request("Why?"), SCORED, asks)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    asyncio.run(two())
    assert stage.standing.in_flight == 0


def test_a_client_that_leaves_is_not_held_against_it_and_a_late_answer_is():
    for deadline_s, resting in ((60.0, False), (0.0, True)):
        stage = a_judge(deadline_s=deadline_s)

        async def leave(stage=stage):
            for _ in range(FAILURES):
                stage.saw()
                task = asyncio.ensure_future(stage.consult(a_request("Why?"), SCORED, Asks(None)))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        asyncio.run(leave())
        assert stage.standing.breaker.is_resting is resting


def test_what_has_no_words_is_not_asked_about():
    asks = Asks()

    assert consult(a_judge(), asks, request=a_request("")) is None
    assert asks.bodies == []
