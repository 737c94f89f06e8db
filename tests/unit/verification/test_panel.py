"""What several verifiers come to together."""

from __future__ import annotations

import asyncio
from math import inf, log
from typing import Any

import pytest

from pointsman.core.answer import Answer, Choice
from pointsman.core.reply import Heard
from pointsman.core.verdict import NOTHING_FOUND, Findings, Rates, Traits, Verdict
from pointsman.core.verifying import Consulting
from pointsman.testing.factories import a_request
from pointsman.verification.guard import Guard
from pointsman.verification.panel import Panel, combined

ANSWER = Answer((Choice("4"),))
SHARP = Rates(0.1, 0.1)


class Says:
    def __init__(self, verdict: Verdict | Exception, name: str = "says", *, traits: Traits | None = None, rates: Rates = SHARP) -> None:
        self.verdict, self.name, self.rates, self.asked = verdict, name, rates, 0
        self.traits = traits or Traits()

    def verify(self, request: Any, answer: Any) -> Verdict:
        self.asked += 1
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    async def consult(self, request: Any, answer: Any, asks: Any, *, pool: str, until: float) -> Verdict:
        return self.verify(request, answer)


async def nobody(pool: str, body: bytes, *, until: float) -> Heard:
    raise AssertionError("nobody is asked here")


def found(pure: list[Says], asked: list[Says] | None = None) -> Findings:
    async def run() -> Findings:
        panel = Panel(pure, [Guard(each, Consulting()) for each in asked or []])
        return await panel.verify(a_request(), ANSWER, nobody, pool="small", until=asyncio.get_running_loop().time() + 9)
    return asyncio.run(run())


def test_checks_that_pass_accept_without_being_believed_much():
    findings = found([Says(Verdict(1.0), rates=Rates(0.9, 0.01))])

    assert findings.score == 1.0
    assert findings.evidence == pytest.approx(log(0.99 / 0.9), abs=0.01)


def test_a_hard_failure_is_the_end_and_nobody_is_paid_to_confirm_it():
    judge = Says(Verdict(0.99, is_graded=True))

    findings = found([Says(Verdict(0.0, "empty", is_hard=True)), Says(Verdict(1.0))], [judge])
    assert (findings.score, findings.is_rejected, len(findings.by), judge.asked) == (0.0, True, 1, 0)
    assert findings.reason == "says: empty"


def test_degrees_add_up_in_log_odds():
    findings = found([Says(Verdict(0.8, is_graded=True))], [Says(Verdict(0.7, is_graded=True), "other")])

    assert findings.evidence == pytest.approx(log(4) + log(7 / 3))
    assert findings.score == pytest.approx(28 / 31)


def test_a_soft_failure_caps_the_score():
    assert found([Says(Verdict(0.15)), Says(Verdict(0.9, is_graded=True))]).score == 0.15


def test_nobody_spoke_is_no_score():
    assert found([Says(Verdict())]).score is None
    assert found([]) == NOTHING_FOUND


def test_one_that_breaks_or_lies_does_not_stop_the_others():
    findings = found([Says(ZeroDivisionError(), "broken"), Says(Verdict(7.0), "liar"), Says(Verdict(0.8, is_graded=True), "good")])

    assert [(finding.verifier, finding.fault) for finding in findings.by] == [("broken", "crashed"), ("liar", "garbage"), ("good", "")]
    assert findings.score == pytest.approx(0.8)


def test_figures_and_costs_are_kept():
    findings = found([Says(Verdict(0.8, features={"mean": -0.5}), "logprobs")], [Says(Verdict(0.9, cost_nano_usd=70), "judge")])

    assert findings.features == {"logprobs.mean": -0.5}
    assert findings.cost_nano_usd == 70
    assert combined([("a", SHARP, Verdict(1.0, cost_nano_usd=None), 0.0), ("b", SHARP, Verdict(1.0, cost_nano_usd=5), 0.0)]).cost_nano_usd is None


def test_a_beginning_is_shown_only_to_those_that_can_judge_one():
    whole, part = Says(Verdict(0.0, is_hard=True), "whole"), Says(Verdict(0.9, is_graded=True), "part", traits=Traits(needs_whole_answer=False))
    panel = Panel([whole, part], [])

    assert [finding.verifier for finding in panel.glance(a_request(), Answer((Choice("4"),), is_whole=False)).by] == ["part"]
    assert [finding.verifier for finding in panel.glance(a_request(), ANSWER).by] == ["whole", "part"]


def test_what_a_rung_needs_is_what_any_of_its_verifiers_needs():
    logprobs = Traits(needs_logprobs=True, needs_whole_answer=False, may_reject=False)

    assert Panel([Says(Verdict(), traits=logprobs)], []).traits == logprobs
    assert Panel([Says(Verdict(), traits=logprobs), Says(Verdict())], []).traits.needs_whole_answer
    assert Panel([Says(Verdict())], []).lowest_evidence == -inf
    assert Panel([Says(Verdict(), traits=logprobs)], []).lowest_evidence == pytest.approx(log(0.1 / 0.9), abs=0.01)
