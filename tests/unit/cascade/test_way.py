"""The way on after a failure, seen from one point of it; whole ways are in `test_machine`."""

from __future__ import annotations

from pointsman.cascade.attempts import Attempts
from pointsman.cascade.way import DeadEnd, Repeat, Step
from pointsman.errors import AnswerTimeout, NoEndpoint, UpstreamFailed, UpstreamOverloaded
from pointsman.testing.script import ClosedBudget, OpenBudget, a_plan, a_rung


def after(plan, *failures, budget=None, is_continuing=False):
    """The way on when each of `failures` (error, endpoint) met one attempt on the chosen rung."""
    attempts = Attempts(plan, budget or OpenBudget())
    attempts.is_continuing = is_continuing
    for error, endpoint in failures:
        attempts.call(0, "chosen", 0.0)
        error.endpoint = endpoint
        attempts.remember(error, sent=error.sent)
    return attempts.way_on(failures[-1][0], 0.0)


def test_first_another_endpoint_of_the_rung():
    assert after(a_plan("small", "large", endpoints=2), (UpstreamFailed("500"), "small/0")) == Step(0, "retry", False)


def test_then_the_next_rung_and_the_reason_tells_a_busy_one_from_a_sick_one():
    plan = a_plan("small", "large")
    assert after(plan, (UpstreamFailed("500"), "small/0")) == Step(1, "failed", False)
    assert after(plan, (UpstreamOverloaded("full"), "small/0")) == Step(1, "saturated", False)


def test_with_one_attempt_left_a_rung_that_has_not_failed_goes_first():
    plan = a_plan("small", "large", endpoints=3)
    assert after(plan, (UpstreamFailed("500"), "small/0"), (UpstreamFailed("500"), "small/1")) == Step(1, "failed", False)


def test_an_answer_that_is_with_the_client_in_part_goes_on_on_this_rung_or_not_at_all():
    plan = a_plan("small", "large", endpoints=2)
    assert after(plan, (UpstreamFailed("500"), "small/0"), is_continuing=True) == Step(0, "retry", False)
    plan = a_plan("small", "large", max_sent=5)
    assert not isinstance(after(plan, (UpstreamFailed("500"), "small/0"), is_continuing=True), Step)


def test_endpoints_out_of_service_come_when_nothing_else_is_left():
    plan = a_plan(a_rung("small", "chosen"), a_rung("api", "fallback"))
    assert after(plan, (NoEndpoint("small", ejected=1), "")) == Step(1, "fallback", False)
    assert after(a_plan("small"), (NoEndpoint("small", ejected=1), "")) == Step(0, "chosen", True)


def test_at_the_very_end_the_endpoint_itself_unless_it_had_all_the_time_there_was():
    assert after(a_plan("small"), (UpstreamFailed("500"), "small/0")) == Repeat("small/0")
    assert after(a_plan("small"), (AnswerTimeout("120 s"), "small/0")) == DeadEnd()


def test_a_budget_that_says_no_is_why_the_way_ends():
    assert after(a_plan("small", "large"), (UpstreamFailed("500"), "small/0"), budget=ClosedBudget()) == DeadEnd(refused=True)


def test_no_way_leads_on_when_all_attempts_are_spent():
    assert after(a_plan("small", "large", max_sent=1), (UpstreamFailed("500"), "small/0")) == DeadEnd()
