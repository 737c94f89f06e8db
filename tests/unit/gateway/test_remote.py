"""What stands between a request and an outside classifier."""

import asyncio

import msgspec
import pytest

from pointsman.core.breaker import FAILURES
from pointsman.core.decision import Answered, Decide, Decision
from pointsman.core.settings import RemoteSettings, RouteSettings
from pointsman.errors import AnswerTimeout, BadAnswer, ConnectFailed, RateLimited
from pointsman.gateway.consulting import NOBODY, StageBusy, StageSilent
from pointsman.gateway.remote import RemoteStage
from pointsman.testing.factories import a_pool, a_request, a_settings

LADDER = ("small", "large")


class Posts:
    """Answers with these bytes, or raises; None never answers. The last repeats."""

    def __init__(self, *said):
        self.said, self.bodies = list(said) or [b'{"tier": "small"}'], []

    async def __call__(self, endpoint, suffix, body, *, until, most):
        self.bodies.append(msgspec.json.decode(body))
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        if said is None:
            await asyncio.Event().wait()
        return said


def a_stage(posts, standing=None, **remote):
    route = RouteSettings("auto", LADDER, "large", remote=RemoteSettings(**{"url": "http://127.0.0.1:9/c"} | remote))
    return RemoteStage(route, a_settings(a_pool("small"), a_pool("large"), route=route), posts, standing)


async def consult(stage, prompt="Why?"):
    stage.saw()
    return await stage.consult(a_request(prompt), None, NOBODY)


def a_decision(**fields):
    return Decision(**{"route": "auto", "tier": "large", "rung": 2, "decided_by": "policy", "reason": "", "confidence": 0.8} | fields)


@pytest.mark.parametrize(("decision", "band", "wants"), [
    (a_decision(margin=0.5), 1.0, True), (a_decision(margin=0.5), 0.1, False), (a_decision(margin=0.05), 0.1, True),
    (a_decision(decided_by="default"), 0.1, True), (a_decision(decided_by="rules"), 1.0, False), (a_decision(decided_by="gate", margin=0.0), 1.0, False)])
def test_it_is_asked_about_what_is_open(decision, band, wants):
    assert a_stage(Posts(), band=band).wants(decision) is wants


def test_an_answer_is_taken_again_while_it_is_fresh():
    async def story():
        posts = Posts()
        stage = a_stage(posts)
        first, second = await consult(stage), await consult(stage)
        assert isinstance(first, Answered)
        assert isinstance(first.said, Decide)
        assert (first.result, second.result, second.said) == ("answered", "remembered", first.said)
        assert len(posts.bodies) == 1
        await consult(stage, "Why not?")
        assert len(posts.bodies) == 2

    asyncio.run(story())


def test_silence_is_remembered_too_and_failures_are_not():
    async def story():
        posts = Posts(b"{}", ConnectFailed("gone"), b'{"tier": "small"}')
        stage = a_stage(posts)
        assert [(await consult(stage)).result for _ in range(2)] == ["answered", "remembered"]
        with pytest.raises(StageSilent):
            await consult(stage, "Who?")
        assert (await consult(stage, "Who?")).result == "answered"

    asyncio.run(story())


@pytest.mark.parametrize(("said", "result", "outcome"), [
    (AnswerTimeout("late"), "slow", "late"), (BadAnswer("no"), "garbage", "abstained"), (b"<html>", "garbage", "abstained"),
    (RateLimited("full"), "busy", "abstained"), (ConnectFailed("gone"), "down", "failed")])
def test_trouble_is_told_by_its_kind_and_rests_the_breaker(said, result, outcome):
    async def story():
        stage = a_stage(Posts(said))
        for _ in range(FAILURES):
            with pytest.raises(StageSilent) as caught:
                await consult(stage)
            assert (caught.value.result, caught.value.outcome) == (result, outcome)
        with pytest.raises(StageBusy) as caught:
            await consult(stage)
        assert caught.value.result == "resting"

    asyncio.run(story())


def test_too_many_at_once_are_not_asked():
    async def story():
        stage = a_stage(Posts(None), max_in_flight=1)
        waiting = asyncio.create_task(consult(stage))
        await asyncio.sleep(0)
        with pytest.raises(StageBusy, match="too many") as caught:
            await consult(stage, "another")
        assert (caught.value.result, stage.standing.in_flight) == ("busy", 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert stage.standing.in_flight == 0

    asyncio.run(story())


def test_its_share_of_requests_is_kept():
    async def story():
        stage = a_stage(Posts(), share=0.5, remember_s=0.0)
        assert (await consult(stage)).result == "answered"
        with pytest.raises(StageBusy) as caught:
            await consult(stage)
        assert caught.value.result == "share"
        assert (await consult(stage)).result == "answered"

    asyncio.run(story())


def test_where_nobody_may_be_asked_it_says_whom_it_would_have_asked():
    with pytest.raises(StageBusy, match=r"http://127\.0\.0\.1:9/c would be asked") as caught:
        asyncio.run(consult(a_stage(None)))
    assert caught.value.result == "nobody"


def test_a_prompt_without_words_is_not_sent():
    posts = Posts()

    assert asyncio.run(consult(a_stage(posts), "  ")) is None
    assert posts.bodies == []


def test_standing_stays_with_the_settings_it_was_earned_under():
    stage = a_stage(Posts())

    assert a_stage(Posts(), stage.standing).standing is stage.standing
    assert a_stage(Posts(), stage.standing, deadline_s=1.0).standing is not stage.standing
