"""The attempts of a request, one call at a time; whole dialogues are in `test_machine` and `test_hedge`."""

from __future__ import annotations

from pointsman.cascade.attempts import Attempts
from pointsman.cascade.events import Call
from pointsman.cascade.hedge import HedgePlan
from pointsman.errors import ConnectionLost, EndpointLeaving, NoEndpoint, UpstreamFailed
from pointsman.testing.script import OpenBudget, a_plan

HEDGE = HedgePlan(after_s=2.0, share=0.1)


class NoHedges(OpenBudget):
    def open_hedge(self, pool, share, now):
        return False


def some(*tiers, budget=None, **plan):
    return Attempts(a_plan(*tiers, **plan), budget or OpenBudget())


def test_a_call_leads_and_is_on_the_trail():
    attempts = some("small", "large")
    call = attempts.call(1, "failed", 0.0)
    assert (call.attempt, call.tier, attempts.pair.attempt, attempts.pair.rung) == (1, "large", 1, 1)
    assert attempts.trail.reason_of(1) == "failed"


def test_who_failed_is_not_called_again():
    attempts = some("small", endpoints=2)
    attempts.call(0, "chosen", 0.0)
    error = UpstreamFailed("500")
    error.endpoint = "small/0"
    attempts.remember(error, sent=True)
    assert attempts.call(0, "retry", 0.0).exclude == {"small/0"}
    assert attempts.trail.sent == 1


def test_an_attempt_that_found_nobody_is_no_visit():
    attempts = some("small", "large")
    attempts.call(0, "chosen", 0.0)
    attempts.remember(NoEndpoint("small", ejected=1), sent=False)
    assert not attempts.trail.has_visited(0)
    assert attempts.trail.sent == 0


def test_an_answer_to_be_judged_waits_and_one_that_goes_on_from_another_does_not():
    attempts = some("small", "large", accept_at={"small": 0.6}, stream=True)
    assert attempts.call(0, "chosen", 0.0).hold is not None
    assert attempts.is_judged
    attempts.is_continuing = True
    assert attempts.call(0, "continued", 0.0).hold is None
    assert not attempts.is_judged


def test_a_hedge_is_due_only_where_another_endpoint_could_take_it():
    for endpoints, due_at in ((2, 3.0), (1, None)):
        attempts = some("small", endpoints=endpoints, hedge=HEDGE)
        attempts.call(0, "chosen", 1.0)
        assert attempts.beside_at(attempts._plan.rungs[0], 1.0) == due_at


def test_the_hedge_leads_with_the_first_one_beside_it_unless_the_pools_share_is_used_up():
    attempts = some("small", endpoints=2, hedge=HEDGE)
    attempts.call(0, "chosen", 0.0)
    assert isinstance(attempts.call_beside(2.0), Call)
    assert (attempts.pair.attempt, attempts.pair.other) == (2, 1)
    attempts = some("small", endpoints=2, hedge=HEDGE, budget=NoHedges())
    attempts.call(0, "chosen", 0.0)
    assert attempts.call_beside(2.0) is None
    assert (attempts.pair.attempt, attempts.pair.other) == (1, None)


def broken_off(error, endpoint):
    error.endpoint = endpoint
    return error


def test_a_break_without_a_word_is_followed_once_and_one_that_was_announced_every_time():
    for errors, followed in (
        ((ConnectionLost, ConnectionLost), [True, False]), ((EndpointLeaving, EndpointLeaving), [True, True]),
        ((EndpointLeaving, ConnectionLost), [True, True]), ((ConnectionLost, EndpointLeaving), [True, True]),
        ((EndpointLeaving, ConnectionLost, ConnectionLost), [True, True, False]),
    ):
        attempts = some("small", endpoints=4, stream=True)
        attempts.call(0, "chosen", 0.0)
        found = []
        for number, error in enumerate(errors):
            found.append(attempts.goes_on_after(broken_off(error("gone"), f"small/{number}"), 1.0))
            attempts.call(0, "continued", 1.0)
        assert found == followed, errors


def test_nobody_goes_on_when_everybody_was_tried():
    attempts = some("small", stream=True)
    attempts.call(0, "chosen", 0.0)
    assert not attempts.goes_on_after(broken_off(EndpointLeaving("gone"), "small/0"), 1.0)
    assert attempts.broken_by is not None
