"""What is made of verifiers' words, and of verifiers that have none."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.cascade.events import Call
from pointsman.core.answer import Answer
from pointsman.core.record import Question
from pointsman.core.reply import Reply
from pointsman.core.settings import RouteSettings
from pointsman.core.verdict import Finding, Findings
from pointsman.gateway.dispatch import Journey
from pointsman.gateway.examination import Examination
from pointsman.gateway.holding import Holding
from pointsman.gateway.trip import Trip
from pointsman.testing import virtual_time
from pointsman.testing.factories import a_request, an_endpoint
from pointsman.testing.verifications import BREAKS, HANGS, says
from pointsman.testing.virtual_time import LoopClock

BODY = b'{"choices":[{"index":0,"message":{"content":"Paris"},"finish_reason":"stop"}]}'


class ALease:
    endpoint = an_endpoint("small/0")


class Fixed:
    """Says the same findings whatever it is shown."""

    def __init__(self, found):
        self.found, self.seen = found, []

    def glance(self, request, answer):
        self.seen.append(answer)
        return self.found

    async def verify(self, request, answer, asks, *, pool, until):
        self.seen.append(answer)
        return self.found


class Bill:
    """Asks nobody, and has the questions that a test puts there."""

    def __init__(self):
        self.questions = []

    async def __call__(self, pool, body, *, until):
        raise NotImplementedError


def examined(verification, *, by_evidence=True, whole=True, left_s=5.0, asks=None):
    trip = Trip("id", a_request(), RouteSettings("auto", ("small", "large"), "small"), now=0.0, wall=0.0)

    async def story():
        clock = LoopClock()
        journey = Journey(Call(1, "small", hold=None if whole else 4), ALease(), "chosen", 0.0)
        if whole:
            journey.reply = Reply(BODY)
        else:
            journey.holding = Holding("chat", 4)
            journey.holding.hear([b'{"choices":[{"delta":{"content":"Par"}}]}'])
        return await Examination(clock, asks or Bill(), by_evidence=by_evidence).examine(journey, verification, trip, clock.now() + left_s)

    return virtual_time.run(story()), trip.checks[0]


def test_by_evidence_the_score_is_what_all_of_it_comes_to():
    found = Findings(0.9, evidence=-1.0986, by=(Finding("logprobs", 0.9, "sure"),), features={"logprobs.mean": -0.1}, cost_nano_usd=7)
    score, check = examined(Fixed(found))
    assert score == pytest.approx(0.25, abs=1e-4)
    assert (check.attempt, check.tier, check.evidence, check.cost_nano_usd) == (1, "small", -1.0986, 7)
    assert (check.by, check.features) == (found.by, found.features)
    assert examined(Fixed(found), by_evidence=False)[0] == 0.9


class Spends(Fixed):
    """A verifier whose questions end so while it looks."""

    def __init__(self, found, asks, *outcomes):
        super().__init__(found)
        self.asks, self.outcomes = asks, outcomes

    async def verify(self, request, answer, asks, *, pool, until):
        self.asks.questions += [Question("judge", "judge/0", 0.1, outcome, None, cost) for outcome, cost in self.outcomes]
        if isinstance(self.found, BaseException):
            raise self.found
        if self.found is None:
            await asyncio.get_running_loop().create_future()
        return self.found


@pytest.mark.parametrize(("found", "outcomes", "cost"), [
    (Findings(0.9, cost_nano_usd=7), [("answered", 7)], 7),
    (Findings(None, cost_nano_usd=0), [("failed", 40)], 40),
    (Findings(0.9, cost_nano_usd=7), [("answered", 7), ("cancelled", 30)], 37),
    (Findings(0.9, cost_nano_usd=7), [("failed", None)], None),
    (ZeroDivisionError(), [("answered", 7), ("cancelled", 30)], 37),
    (None, [("answered", 7), ("cancelled", 30)], 37),
])
def test_what_was_asked_in_vain_is_paid_for(found, outcomes, cost):
    """A judge that is too slow has read the prompt."""
    asks = Bill()
    asks.questions.append(Question("judge", "judge/0", 0.1, "failed", None, 999))  # of an answer before

    assert examined(Spends(found, asks, *outcomes), asks=asks, left_s=1.0)[1].cost_nano_usd == cost


def test_an_examination_that_nobody_waits_for_any_more_is_on_record_and_paid_for():
    asks = Bill()
    trip = Trip("id", a_request(), RouteSettings("auto", ("small", "large"), "small"), now=0.0, wall=0.0)

    async def story():
        clock = LoopClock()
        journey = Journey(Call(1, "small"), ALease(), "chosen", 0.0)
        journey.reply = Reply(BODY)
        looking = asyncio.ensure_future(Examination(clock, asks, by_evidence=True).examine(
            journey, Spends(None, asks, ("cancelled", 30)), trip, clock.now() + 5.0))
        await asyncio.sleep(0.1)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    virtual_time.run(story())
    assert [(check.score, check.cost_nano_usd, check.error) for check in trip.checks] == [(None, 30, "verification_cancelled")]


def test_what_is_rejected_has_no_score_to_speak_of():
    assert examined(Fixed(Findings(0.0, evidence=3.0, is_rejected=True)))[0] == 0.0


def test_a_beginning_is_glanced_at_and_a_whole_answer_verified():
    beginning, whole = Fixed(Findings(0.5)), Fixed(Findings(0.5))
    assert examined(beginning, whole=False)[1].is_whole is False
    assert (beginning.seen[0].text, beginning.seen[0].is_whole) == ("Par", False)
    assert examined(whole)[1].is_whole is True
    assert whole.seen[0].text == "Paris"
    assert whole.seen[0] != Answer()


def test_who_breaks_or_is_late_has_abstained():
    assert (examined(says(BREAKS))[0], examined(says(BREAKS))[1].error) == (None, "verification_failed")
    score, check = examined(says(HANGS), left_s=4.0)
    assert (score, check.error) == (None, "verification_late")
    assert check.duration_s == pytest.approx(2.0, abs=1e-6), "half of the time that was left"


@pytest.mark.parametrize("whole", [False, True])
def test_with_next_to_no_time_left_nobody_is_asked(whole):
    verification = Fixed(Findings(0.5))
    assert examined(verification, whole=whole, left_s=0.05)[1].error == "verification_late"
    assert not verification.seen
    assert examined(verification, whole=whole, left_s=0.2)[1].error is None


def test_an_abstention_is_no_score_and_no_error():
    score, check = examined(says(None))
    assert (score, check.score, check.error) == (None, None, None)
