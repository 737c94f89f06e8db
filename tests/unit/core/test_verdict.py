"""What verdicts come to: evidence, and beliefs after it."""

from __future__ import annotations

from math import log

import pytest

from pointsman.core.verdict import Finding, Findings, Rates, Traits, Verdict, log_odds, probability
from pointsman.testing.factories import a_request

CHECK = Rates(misses=0.7, false_alarms=0.01)
EXACT = Rates(misses=0.02, false_alarms=0.02)


def test_a_check_that_passes_most_bad_answers_says_little_by_passing_and_much_by_failing():
    assert CHECK.evidence(Verdict(1.0)) == pytest.approx(log(0.99 / 0.7), abs=0.01)
    assert CHECK.evidence(Verdict(0.0)) == pytest.approx(log(0.01 / 0.3), abs=0.02)


def test_a_degree_counts_no_further_than_its_error_rates_allow():
    assert EXACT.evidence(Verdict(0.999, is_graded=True)) == pytest.approx(log(0.98 / 0.02), abs=0.01)
    assert EXACT.evidence(Verdict(0.6, is_graded=True)) == pytest.approx(log(0.6 / 0.4))


def test_a_verifier_that_is_as_often_wrong_as_right_brings_nothing():
    coin = Rates(0.5, 0.5)

    assert coin.evidence(Verdict(1.0, is_graded=True)) == coin.evidence(Verdict(0.0, is_graded=True)) == pytest.approx(0.0)


def test_who_abstains_brings_nothing():
    assert EXACT.evidence(Verdict()) == 0.0


def test_odds_and_probability_undo_each_other_and_never_overflow():
    assert probability(log_odds(0.3)) == pytest.approx(0.3)
    assert 0 < probability(-1e9) < probability(1e9) < 1.0 + 1e-9


def test_the_reason_is_what_weighs_most():
    findings = Findings(0.2, by=(Finding("a", 0.9, "fine", 2.0), Finding("b", 0.1, "poor", -2.0), Finding("c", None, "", -9.0)))

    assert findings.reason == "b: poor"
    assert Findings(None).reason == "no verifier spoke"


@pytest.mark.parametrize(("finding", "result"), [
    (Finding("a", 0.5, ""), "passed"), (Finding("a", 0.4, ""), "failed"), (Finding("a", None, ""), "abstained"),
    (Finding("a", None, "", fault="slow"), "slow")])
def test_results_are_counted_by_name(finding: Finding, result: str):
    assert finding.result == result


def test_who_goes_by_a_field_is_concerned_where_it_stands():
    tools = Traits(goes_by=("tools", "functions"))

    assert Traits().concerns(a_request(body=b"{}"))
    assert tools.concerns(a_request(body=b'{"functions":[]}'))
    assert not tools.concerns(a_request(body=b'{"messages":[{"role":"user","content":"which tools?"}]}'))
    assert tools.with_(Traits(goes_by=("x",))).goes_by == ("tools", "functions", "x")
    assert tools.with_(Traits()).goes_by == ()


def test_traits_add_up():
    both = Traits(needs_logprobs=True, top_logprobs=2, needs_whole_answer=False, calls=1, latency_s=0.5, may_reject=False).with_(
        Traits(needs_whole_answer=True, calls=2, latency_s=0.2))

    assert both == Traits(needs_logprobs=True, top_logprobs=2, needs_whole_answer=True, calls=3, latency_s=0.5, may_reject=True)
