"""Stages that are asked about decisions that hang on little."""

import asyncio

import pytest

from pointsman.classify.decider import Decider
from pointsman.core.decision import Decide, Refine, Scores, Target, TierScore
from pointsman.core.settings import RouteSettings
from pointsman.gateway.consulting import Consulting, StageBusy
from pointsman.testing.factories import a_pool, a_request, a_settings


def refine(calibrated=True, **p):
    return Refine(Scores({tier: TierScore(v, v) for tier, v in p.items()}, calibrated), "said so")


class Scoring:
    name = "scoring"

    def __init__(self, **p):
        self.said = refine(calibrated=False, **p)

    def classify(self, request, so_far):
        return self.said


class Asked:
    """A consulting stage that says what it was told to."""

    deadline_s = 5.0
    not_asked = "no score near the bar"

    def __init__(self, said, name="sentence", band=0.05, deadline_s=5.0):
        self.name, self.band, self.deadline_s, self.said = name, band, deadline_s, said
        self.heard = []

    def saw(self):
        self.seen = getattr(self, "seen", 0) + 1

    def wants(self, decision):
        return decision.margin is not None and decision.margin <= self.band

    def refusal(self, decision):
        return None

    async def consult(self, request, so_far, asks):
        self.heard.append(so_far)
        if isinstance(self.said, Exception):
            raise self.said
        if self.said == "never":
            await asyncio.Event().wait()
        if self.said == "ask":
            await asks("small", b"{}", until=9.0)
        return self.said


def decided(*stages, small=0.78, large=0.95):
    pools = (a_pool("small"), a_pool("large"))
    route = RouteSettings("auto", ("small", "large"), "large")
    decider = Decider(route, a_settings(*pools, route=route), lambda: 0.0, [Scoring(small=small, large=large)], consulting=stages)
    request = a_request("hi")
    decision = decider.decide(request)
    consulting = Consulting()
    wants = consulting.wants(decider, decision)
    return (asyncio.run(consulting.settled(decider, request, decision, decider.terms())) if wants else decision), wants


def outcomes(decision):
    return [(view.stage, view.outcome) for view in decision.stages]


def test_a_decision_near_the_bar_is_asked_about_and_may_change():
    stage = Asked(refine(small=0.9, large=0.95))
    decision, wants = decided(stage)

    assert wants
    assert (decision.tier, decision.decided_by, decision.calibrated) == ("small", "policy", True)
    assert outcomes(decision) == [("scoring", "refined"), ("sentence", "refined")]
    assert stage.heard[0].scores.by_tier["small"].p == 0.78


@pytest.mark.parametrize("small", [0.5, 0.9])
def test_a_decision_far_from_the_bar_is_not_and_says_so(small):
    stage = Asked(refine(small=0.9, large=0.95))
    decision, wants = decided(stage, small=small)

    assert not wants
    assert outcomes(decision) == [("scoring", "refined"), ("sentence", "skipped")]
    assert stage.heard == []


@pytest.mark.parametrize(("said", "outcome"), [
    (None, "abstained"), (RuntimeError("no"), "failed"), (StageBusy("too many wait"), "abstained"), ("ask", "abstained")])
def test_who_abstains_or_fails_changes_nothing_but_is_seen(said, outcome):
    decision, _ = decided(Asked(said))

    assert decision.tier == "large"
    assert outcomes(decision)[-1] == ("sentence", outcome)


def test_who_is_late_changes_nothing_and_counts_as_late():
    decision, _ = decided(Asked("never", deadline_s=0.001))

    assert (decision.tier, outcomes(decision)[-1]) == ("large", ("sentence", "late"))
    assert decision.stages[-1].reason == "no answer within 1 ms"


def test_a_later_stage_is_asked_only_about_what_is_still_open():
    judge = Asked(Decide(Target("tier", "small"), "easy"), "judge")
    settled, _ = decided(Asked(refine(small=0.5, large=0.95)), judge)
    still_open, _ = decided(Asked(refine(small=0.79, large=0.95)), judge)

    assert (settled.tier, outcomes(settled)[-1]) == ("large", ("judge", "skipped"))
    assert (still_open.tier, still_open.decided_by, outcomes(still_open)[-1]) == ("small", "judge", ("judge", "decided"))
    assert still_open.confidence == 0.79


def test_cancelling_the_request_is_not_swallowed():
    async def leave():
        pools = (a_pool("small"), a_pool("large"))
        route = RouteSettings("auto", ("small", "large"), "large")
        decider = Decider(route, a_settings(*pools, route=route), lambda: 0.0, [Scoring(small=0.79, large=0.9)], consulting=[Asked("never")])
        request = a_request("hi")
        task = asyncio.ensure_future(Consulting().settled(decider, request, decider.decide(request), decider.terms()))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(leave())
