import pytest

from pointsman.cli.demonstration.client import Answer
from pointsman.cli.demonstration.prompts import arrivals
from pointsman.cli.demonstration.row import row_of, why
from pointsman.core.decision import Decision, Scores, StageView, TierScore
from pointsman.core.record import Attempt, Escalation, Record
from pointsman.core.reply import Usage


def an_attempt(number=1, tier="small", duration_s=0.25, ttft_s=0.05, outcome="answered"):
    return Attempt(number, tier, tier, f"{tier}/0", "m", "chosen", 0.001, duration_s, ttft_s, outcome)


def a_decision(by="policy", reason="cheapest"):
    scores = Scores({"small": TierScore(0.87, 0.87)}, calibrated=False)
    return Decision(
        "auto", "small", 1, by, reason, 0.87, duration_s=0.0002,
        stages=(StageView("rules", "abstained", "nothing to say", 0.0),
                StageView("heuristic", "refined", "looks easy: a short question; about 8 tokens", 0.0, scores)))


def a_record(**overrides):
    values = {
        "id": "r1", "at": 0.0, "kind": "chat", "requested_model": "auto", "route": "auto", "tenant": "", "key": "", "stream": True,
        "outcome": "answered", "status": 200, "duration_s": 0.253, "ttft_s": 0.052, "routing_tier": "small", "model_id": "m",
        "decision": a_decision(), "attempts": (an_attempt(),), "usage": Usage(8, 20), "cost_nano_usd": 3967, "cost_basis": "gpu",
        "simulated": True,
    }
    return Record(**(values | overrides))


def a_row(record, fast=4.0, said=None):
    return row_of(arrivals(1, seed=1)[0], Answer(200, {}, said), record, fast)


def test_engine_time_is_stretched_to_true_speed_and_the_routers_own_time_is_not():
    row = a_row(a_record())

    assert row.router_s == pytest.approx(0.003)
    assert row.total_s == pytest.approx(0.003 + 0.25 * 4)
    assert row.ttft_s == pytest.approx(0.002 + 0.05 * 4)


def test_what_was_tried_before_counts_into_the_first_token():
    record = a_record(attempts=(an_attempt(duration_s=0.1, ttft_s=None, outcome="failed"), an_attempt(2)), ttft_s=0.152, duration_s=0.353)

    assert a_row(record).ttft_s == pytest.approx(0.002 + 0.15 * 4)


def test_a_plain_answer_has_no_first_token():
    assert a_row(a_record(stream=False)).ttft_s is None


def test_the_cost_that_was_told_is_compared_to_the_nano_dollar():
    assert a_row(a_record(), said=3967).is_told_truly
    assert not a_row(a_record(), said=3968).is_told_truly
    assert a_row(a_record(), said=None).is_told_truly


def test_why_is_the_score_and_what_was_seen():
    assert why(a_record()) == "0.87 easy: a short question"


def test_why_names_whoever_else_decided():
    assert why(a_record(decision=a_decision(by="rules", reason="an order number"))) == "rules: an order number"


def test_why_tells_of_climbing():
    record = a_record(escalations=(Escalation("small", "large", "failed"),))

    assert why(record) == "0.87 easy: a short question; climbed to large: failed"
