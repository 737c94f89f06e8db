"""Dialogues with the cascade machine."""

from __future__ import annotations

from random import Random

import pytest

from pointsman import errors
from pointsman.cascade.benefit import Benefit, Prospect
from pointsman.cascade.deferral import Deferral, Hold
from pointsman.cascade.events import (
    Accept,
    Began,
    Call,
    Cancel,
    ClientGone,
    Commit,
    Failed,
    GiveUp,
    Held,
    Replied,
    Tick,
    Verified,
    Verify,
    Wake,
)
from pointsman.cascade.hedge import HedgePlan
from pointsman.cascade.ladder import Rung
from pointsman.cascade.machine import Machine
from pointsman.core.record import Escalation
from pointsman.errors import (
    AnswerTimeout,
    BadAnswer,
    ConnectFailed,
    ConnectionLost,
    CredentialRefused,
    DeadlineExceeded,
    FirstTokenTimeout,
    Misconfigured,
    NoEndpoint,
    RateLimited,
    RequestRefused,
    StreamStalled,
    UpstreamFailed,
    UpstreamOverloaded,
)
from pointsman.testing.script import (
    ANSWER,
    HANG,
    OUT,
    ClosedBudget,
    OpenBudget,
    Script,
    a_machine,
    a_plan,
    a_rung,
    failed,
)


def broken() -> UpstreamFailed:
    return UpstreamFailed("it said 500", upstream_status=500)


def refused() -> ConnectFailed:
    return ConnectFailed("refused", sent=False)


def busy(retry_after_s: float | None = None) -> RateLimited:
    return RateLimited("slow down", upstream_status=429, retry_after_s=retry_after_s)


class Half(Random):
    """Always the middle."""

    def random(self) -> float:
        return 0.5


# ---------------------------------------------------------------------------------------------------------
# Good days


def test_a_plain_answer_is_committed_and_accepted_at_once():
    machine = a_machine("small", "large")

    assert machine.start() == (Call(1, "small", until=120.0),)
    assert machine.on(Replied(1, ANSWER, now=0.3)) == (Commit(1), Accept(1))
    assert machine.is_done


def test_a_streamed_answer_is_committed_when_it_begins_and_accepted_when_it_ends():
    machine = a_machine("small", stream=True)

    assert machine.start() == (Call(1, "small", until=60.0),)
    assert machine.on(Began(1, now=0.2)) == (Commit(1),)
    assert machine.on(Replied(1, ANSWER, now=3.0)) == (Accept(1),)


def test_a_stream_that_ends_without_having_begun_is_committed_first():
    machine = a_machine("small", stream=True)
    machine.start()
    assert machine.on(Replied(1, ANSWER, now=0.3)) == (Commit(1), Accept(1))


def test_starting_twice_is_starting_once():
    machine = a_machine("small")
    machine.start()
    assert machine.start() == ()


def test_a_plain_answer_does_not_begin():
    machine = a_machine("small")
    machine.start()
    assert machine.on(Began(1, 0.1)) == ()


def test_a_late_start_counts_from_now():
    assert a_machine("small").start(now=5.0) == (Call(1, "small", until=125.0),)


def test_after_the_end_every_event_leads_to_nothing():
    machine = a_machine("small", "large")
    machine.start()
    machine.on(Replied(1, ANSWER, now=0.3))
    late = [
        Began(1, 1.0), Replied(1, ANSWER, 1.0), failed(1, broken(), "small/0"), Verified(1, 0.1), Tick(700.0),
        ClientGone(), Held(1, "", None, 1.0),
    ]  # fmt: skip
    assert [machine.on(event) for event in late] == [()] * len(late)


# ---------------------------------------------------------------------------------------------------------
# Retry and climb


def test_a_failure_is_retried_on_another_endpoint_of_the_tier():
    machine = a_machine("small", "large", endpoints=2)
    machine.start()

    assert machine.on(failed(1, broken(), "small/0", now=1.0)) == (
        Call(2, "small", frozenset({"small/0"}), until=121.0),
    )
    assert machine.reason_of(2) == "retry"
    assert machine.escalations == ()


def test_a_tier_with_no_other_endpoint_is_climbed():
    machine = a_machine("small", "medium", "large")
    machine.start()

    (call,) = machine.on(failed(1, broken(), "small/0"))

    assert (call.tier, machine.reason_of(2)) == ("medium", "failed")
    assert machine.escalations == (Escalation("small", "medium", "failed"),)


@pytest.mark.parametrize("error", [busy(), UpstreamOverloaded("queue full")])
def test_climbing_from_a_busy_tier_is_called_saturated(error):
    machine = a_machine("small", "large")
    machine.start()
    machine.on(failed(1, error, "small/0"))
    assert machine.reason_of(2) == "saturated"


def test_with_one_attempt_left_another_rung_goes_before_a_third_endpoint():
    play = Script({"small/0": [broken()], "small/1": [broken()]}).play(a_plan("small", "large", endpoints=3))
    assert play.tried == ["small/0", "small/1", "large/0"]
    assert play.accepted == 3


def test_without_another_rung_the_third_endpoint_is_tried():
    play = Script({"small/0": [broken()], "small/1": [broken()]}).play(a_plan("small", endpoints=3))
    assert play.tried == ["small/0", "small/1", "small/2"]


def test_at_most_three_attempts_reach_an_engine():
    everything = {f"{tier}/{i}": [broken()] for tier in ("small", "medium", "large") for i in range(4)}
    play = Script(everything).play(a_plan("small", "medium", "large", endpoints=4))
    assert play.sent == 3
    assert isinstance(play.error, UpstreamFailed)
    assert play.error.should_retry is False


def test_unsent_attempts_do_not_count_but_each_endpoint_is_tried_once():
    down = {f"small/{i}": [refused()] for i in range(9)}
    play = Script(down).play(a_plan(a_rung("small", "chosen", endpoints=9), "large"))
    assert play.tried == [*down, "large/0"]
    assert play.accepted == 10


def test_an_endpoint_that_was_left_behind_is_found_again():
    # With one attempt left the machine climbs; when nobody is there it comes back for the third endpoint.
    bad = {"small/0": [broken()], "small/1": [broken()], "large/0": [refused()]}
    play = Script(bad).play(a_plan(a_rung("small", "chosen", endpoints=3), a_rung("large")))
    assert play.tried == ["small/0", "small/1", "large/0", "small/2"]
    assert play.accepted == 4


def test_a_tier_with_nothing_to_offer_is_left_at_once():
    machine = a_machine("small", "large", endpoints=5)
    machine.start()
    (call,) = machine.on(failed(1, NoEndpoint("small", ejected=5)))
    assert (call.tier, call.exclude) == ("large", frozenset())


def test_the_same_endpoint_in_two_tiers_is_tried_once():
    plan = a_plan(a_rung("small", "chosen"), Rung("large", ("small/0",), "failed"))
    play = Script({"small/0": [refused()]}).play(plan)
    assert play.tried == ["small/0"]


def test_fallbacks_and_last_resorts_are_no_climbs():
    machine = a_machine(a_rung("large", "chosen"), a_rung("api", "fallback"), a_rung("small", "last_resort"))
    machine.start()
    machine.on(failed(1, broken(), "large/0"))
    machine.on(failed(2, broken(), "api/0"))
    assert [machine.reason_of(n) for n in (1, 2, 3)] == ["chosen", "fallback", "last_resort"]
    assert machine.escalations == ()


def test_a_request_that_is_at_fault_goes_back_to_the_client():
    machine = a_machine("small", "large", endpoints=2)
    machine.start()
    error = RequestRefused("context length exceeded", upstream_status=400)
    assert machine.on(failed(1, error, "small/0")) == (GiveUp(error),)


def test_after_commit_a_failure_is_final():
    machine = a_machine("small", "large", endpoints=2, stream=True)
    machine.start()
    machine.on(Began(1, now=0.2))
    error = ConnectionLost("cut")
    assert machine.on(failed(1, error, "small/0", now=1.0)) == (GiveUp(error),)


def test_events_of_an_attempt_that_is_over_are_ignored():
    machine = a_machine("small", "large", stream=True)
    machine.start()
    machine.on(failed(1, broken(), "small/0"))
    for stale in (Began(1, 1.0), Replied(1, ANSWER, 1.0), failed(1, broken(), "large/0"), Began(7, 1.0)):
        assert machine.on(stale) == ()
    assert machine.on(Began(2, 1.0)) == (Commit(2),)


def test_a_failure_that_names_no_endpoint_leaves_the_tier():
    machine = a_machine("small", "large", endpoints=2)
    machine.start()
    (call,) = machine.on(failed(1, refused()))
    assert call.tier == "large"


# ---------------------------------------------------------------------------------------------------------
# The last way to answer


def test_endpoints_out_of_service_are_asked_when_nobody_else_is_left():
    play = Script({"small/0": [OUT], "large/0": [broken()]}).play(a_plan("small", "large"))
    assert play.tried == ["large/0", "small/0"]
    assert play.accepted is not None


def test_the_desperate_round_starts_on_the_chosen_tier_and_says_so():
    machine = a_machine("small", "large")
    machine.start()
    machine.on(failed(1, NoEndpoint("small", ejected=1)))
    assert not machine.is_desperate

    (call,) = machine.on(failed(2, NoEndpoint("large", ejected=1)))

    assert (call.tier, machine.is_desperate, machine.reason_of(3)) == ("small", True, "chosen")
    (call,) = machine.on(failed(3, NoEndpoint("small", ejected=1)))
    assert (call.tier, machine.is_desperate, machine.reason_of(4)) == ("large", True, "failed")
    machine.on(Replied(4, ANSWER, 1.0))
    assert machine.escalations == (Escalation("small", "large", "failed"),)


def test_attempts_that_found_no_endpoint_are_no_climbs():
    machine = a_machine("small", "large")
    machine.start()
    machine.on(failed(1, NoEndpoint("small", ejected=1)))
    machine.on(failed(2, NoEndpoint("large", ejected=1)))
    machine.on(Replied(3, ANSWER, 1.0))
    assert machine.escalations == ()


def test_a_lone_endpoint_with_a_passing_failure_is_asked_again_after_a_pause():
    machine = a_machine("small", rng=Half())
    machine.start()

    assert machine.on(failed(1, broken(), "small/0", now=1.0)) == (Wake(1.0125),)
    assert machine.on(Tick(1.0125)) == (Call(2, "small", until=121.0125),)
    assert (machine.reason_of(2), machine.is_desperate) == ("retry", True)
    assert machine.on(failed(2, broken(), "small/0", now=2.0)) == (Wake(2.025),)
    machine.on(Tick(2.025))
    (end,) = machine.on(failed(3, broken(), "small/0", now=3.0))
    assert isinstance(end, GiveUp)


def test_a_tick_that_comes_early_is_sent_to_sleep_again():
    machine = a_machine("small", rng=Half())
    machine.start()
    machine.on(failed(1, broken(), "small/0", now=1.0))
    assert machine.on(Tick(1.0)) == (Wake(1.0125),)


@pytest.mark.parametrize(
    "error",
    [busy(5.0), FirstTokenTimeout("late"), AnswerTimeout("late"), CredentialRefused("401"), Misconfigured("404"),
     refused(), NoEndpoint("small")],
    ids=lambda e: type(e).__name__,
)  # fmt: skip
def test_what_a_pause_would_not_cure_is_not_asked_again(error):
    play = Script({"small/0": [error]}).play(a_plan("small"))
    assert len(play.tried) == 1
    assert play.error is error


@pytest.mark.parametrize("error", [broken(), BadAnswer("html"), ConnectionLost("reset"), UpstreamOverloaded("full")],
                         ids=lambda e: type(e).__name__)  # fmt: skip
def test_what_may_pass_is_asked_again(error):
    play = Script({"small/0": [error, ANSWER]}).play(a_plan("small"))
    assert play.tried == ["small/0", "small/0"]
    assert play.accepted == 2


def test_what_the_engine_says_is_not_worth_repeating_is_tried_elsewhere_only():
    error = broken()
    error.should_retry = False
    assert Script({"small/0": [error, ANSWER]}).play(a_plan("small")).tried == ["small/0"]
    assert Script({"small/0": [error], "small/1": [ANSWER]}).play(a_plan("small", endpoints=2)).accepted == 2


def test_any_other_endpoint_goes_before_a_repeat():
    play = Script({"small/0": [broken(), ANSWER], "large/0": [broken()]}).play(a_plan("small", "large"))
    assert play.tried == ["small/0", "large/0", "large/0"]


def test_a_repeat_excludes_all_but_its_endpoint():
    machine = a_machine("small", "large", rng=Half())
    machine.start()
    machine.on(failed(1, broken(), "small/0", now=1.0))
    (wake,) = machine.on(failed(2, FirstTokenTimeout("late"), "large/0", now=2.0))
    (call,) = machine.on(Tick(wake.at))
    assert (call.tier, call.exclude) == ("small", frozenset({"large/0"}))


# ---------------------------------------------------------------------------------------------------------
# Time


def test_an_attempt_waits_for_its_share_while_another_endpoint_could_be_tried():
    machine = a_machine("small", "medium", "large", deadline=30.0)
    assert machine.start()[0].until == 10.0
    assert machine.on(failed(1, AnswerTimeout("late"), "small/0", now=10.0))[0].until == 20.0
    assert machine.on(failed(2, AnswerTimeout("late"), "medium/0", now=20.0))[0].until == 30.0


def test_the_only_endpoint_may_take_all_the_time():
    assert a_machine("small", deadline=30.0).start()[0].until == 30.0


def test_two_endpoints_share_the_time_by_two():
    assert a_machine("small", endpoints=2, deadline=30.0).start()[0].until == 15.0


def test_an_unsent_failure_costs_no_share():
    machine = a_machine("small", endpoints=5, deadline=30.0)
    machine.start()
    assert machine.on(failed(1, refused(), "small/0", now=3.0))[0].until == pytest.approx(3.0 + 27.0 / 3)


@pytest.mark.parametrize(
    ("stream", "phase"), [(True, "waiting for the first token"), (False, "waiting for the answer")]
)
def test_a_timeout_at_the_deadline_is_the_deadlines(stream, phase):
    play = Script({"small/0": [HANG]}).play(a_plan("small", stream=stream, deadline=5.0))
    assert isinstance(play.error, DeadlineExceeded)
    assert (play.error.phase, play.error.deadline_s) == (phase, 5.0)
    assert play.ended_at == 5.0


def test_a_timeout_before_the_deadline_is_the_endpoints():
    play = Script({"small/0": [HANG]}).play(a_plan("small"))
    assert isinstance(play.error, AnswerTimeout)
    assert play.ended_at == 120.0


def test_a_stream_that_stalls_into_the_deadline_ends_by_it():
    machine = a_machine("small", stream=True, deadline=5.0)
    machine.start()
    machine.on(Began(1, 1.0))
    (end,) = machine.on(failed(1, StreamStalled("silent"), "small/0", now=5.0))
    assert isinstance(end.error, DeadlineExceeded)
    assert end.error.phase == "streaming the answer"


def test_connecting_into_the_deadline_says_connecting():
    machine = a_machine("small", "large", deadline=5.0)
    machine.start()
    (end,) = machine.on(failed(1, refused(), "small/0", now=5.0))
    assert end.error.phase == "connecting"


def test_an_answer_at_the_deadline_is_still_an_answer():
    machine = a_machine("small", deadline=5.0)
    machine.start()
    assert machine.on(Replied(1, ANSWER, now=5.5)) == (Commit(1), Accept(1))


def test_a_refusal_at_the_deadline_is_still_the_clients():
    machine = a_machine("small", deadline=5.0)
    machine.start()
    (end,) = machine.on(failed(1, RequestRefused("bad"), "small/0", now=5.0))
    assert isinstance(end.error, RequestRefused)


def test_a_stream_that_begins_at_the_deadline_is_cut():
    machine = a_machine("small", stream=True, deadline=5.0)
    machine.start()
    cancel, end = machine.on(Began(1, 5.0))
    assert cancel == Cancel(1)
    assert isinstance(end.error, DeadlineExceeded)


def test_a_tick_at_the_deadline_ends_the_running_attempt():
    machine = a_machine("small", deadline=5.0)
    machine.start()
    assert machine.on(Tick(4.0)) == ()
    cancel, end = machine.on(Tick(5.0))
    assert cancel == Cancel(1)
    assert isinstance(end.error, DeadlineExceeded)


def test_no_pause_reaches_over_the_deadline():
    machine = a_machine("small", deadline=5.0, rng=Half())
    machine.start()
    (end,) = machine.on(failed(1, broken(), "small/0", now=4.99))
    assert isinstance(end.error, UpstreamFailed)


def test_a_start_after_the_deadline_calls_nobody():
    (end,) = a_machine("small", deadline=5.0).start(now=6.0)
    assert end.error.phase == "choosing a tier"


# ---------------------------------------------------------------------------------------------------------
# Budgets


def test_a_spent_budget_ends_in_the_original_error():
    machine = a_machine("small", endpoints=2, budget=ClosedBudget())
    machine.start()
    error = broken()
    assert machine.on(failed(1, error, "small/0")) == (GiveUp(error),)
    assert error.should_retry is False


def test_a_tier_with_a_spent_budget_is_skipped():
    play = Script({"small/0": [broken()]}).play(a_plan("small", "large", endpoints=2), ClosedBudget("large"))
    assert play.tried == ["small/0", "large/0"]


def test_unsent_failures_ask_no_budget():
    play = Script({"small/0": [refused()]}).play(a_plan("small", endpoints=2), ClosedBudget())
    assert play.accepted == 2


@pytest.mark.parametrize("happening", [broken(), refused(), ANSWER, HANG, NoEndpoint("small")], ids=repr)
def test_budgets_are_paid_back_whatever_happens(happening):
    budget = OpenBudget()
    Script({"small/0": [broken()], "small/1": [happening]}).play(a_plan("small", "large", endpoints=2), budget)
    assert budget.in_flight == 0


class Ledger(OpenBudget):
    """Writes down what was asked and what was given back."""

    def __init__(self):
        super().__init__()
        self.asked, self.closed = [], []

    def open_retry(self, endpoints, now, *, first):
        self.asked.append((tuple(endpoints), first))
        return super().open_retry(endpoints, now, first=first)

    def close_retry(self, pool, now, *, spent):
        self.closed.append(spent)
        super().close_retry(pool, now, spent=spent)


def test_the_budget_hears_who_could_be_asked_and_whether_it_is_the_first_retry():
    ledger = Ledger()
    Script({"small/0": [broken()], "small/1": [broken()]}).play(a_plan("small", "large", endpoints=3), ledger)
    assert ledger.asked == [
        (("small/1", "small/2"), True), (("large/0", "large/1", "large/2"), False),
    ]  # fmt: skip
    assert ledger.closed == [True, False]  # the second was answered


def test_a_retry_that_was_never_sent_is_given_back_and_the_next_is_still_the_first():
    ledger = Ledger()
    Script({"small/0": [broken()], "small/1": [refused()]}).play(a_plan("small", endpoints=3), ledger)
    assert ledger.asked == [(("small/1", "small/2"), True), (("small/2",), True)]
    assert ledger.closed == [False, False]  # the second was answered


def test_a_pause_that_does_not_fit_the_deadline_is_given_back():
    ledger = Ledger()
    machine = a_machine("small", deadline=5.0, rng=Half(), budget=ledger)
    machine.start()
    machine.on(failed(1, broken(), "small/0", now=4.99))
    assert ledger.closed == [False]


def test_a_client_that_leaves_during_a_retry_frees_the_budget():
    budget = OpenBudget()
    machine = a_machine("small", endpoints=2, budget=budget)
    machine.start()
    machine.on(failed(1, broken(), "small/0"))
    assert budget.in_flight == 1
    machine.on(ClientGone())
    assert budget.in_flight == 0


def test_a_retry_that_has_begun_its_answer_frees_the_budget():
    budget = OpenBudget()
    machine = a_machine("small", endpoints=2, budget=budget, stream=True)
    machine.start()
    machine.on(failed(1, broken(), "small/0"))
    machine.on(Began(2, 1.0))
    assert budget.in_flight == 0


# ---------------------------------------------------------------------------------------------------------
# The client leaves


def test_a_client_that_leaves_cancels_the_running_attempt():
    machine = a_machine("small")
    machine.start()
    cancel, end = machine.on(ClientGone())
    assert cancel == Cancel(1)
    assert isinstance(end.error, errors.ClientGone)


def test_a_client_that_leaves_mid_stream_cancels_it():
    machine = a_machine("small", stream=True)
    machine.start()
    machine.on(Began(1, 0.1))
    assert machine.on(ClientGone())[0] == Cancel(1)


def test_a_client_that_leaves_during_a_pause_has_nothing_to_cancel():
    machine = a_machine("small")
    machine.start()
    machine.on(failed(1, broken(), "small/0"))
    (end,) = machine.on(ClientGone())
    assert isinstance(end, GiveUp)


# ---------------------------------------------------------------------------------------------------------
# The most telling error


def test_when_all_are_rate_limited_the_smallest_retry_after_is_kept():
    play = Script({"small/0": [busy(30.0)], "small/1": [busy(4.0)], "large/0": [busy()]}).play(
        a_plan(a_rung("small", "chosen", endpoints=2), "large")
    )
    assert isinstance(play.error, RateLimited)
    assert play.error.retry_after_s == 4.0
    assert play.error.should_retry is None


def test_a_failure_that_an_engine_saw_tells_more_than_an_empty_tier():
    play = Script({"small/0": [FirstTokenTimeout("late")], "large/0": [OUT], "large/1": [refused()]}).play(
        a_plan(a_rung("small", "chosen"), a_rung("large", endpoints=2), max_sent=1)
    )
    assert isinstance(play.error, FirstTokenTimeout)


def test_our_own_credential_tells_less_than_the_engines_failure():
    play = Script({"small/0": [busy(3.0)], "small/1": [CredentialRefused("401")]}).play(a_plan("small", endpoints=2))
    assert isinstance(play.error, RateLimited)


def test_when_nobody_was_reached_the_client_learns_when_to_come_back():
    play = Script({"small/0": [refused()]}).play(a_plan("small"))
    assert isinstance(play.error, ConnectFailed)
    assert play.error.retry_after_s == 1.0


def test_when_nobody_is_in_service_the_next_try_is_the_retry_after():
    machine = a_machine("small")
    machine.start()
    machine.on(failed(1, NoEndpoint("small", ejected=1, next_try_s=7.0)))
    (end,) = machine.on(failed(2, NoEndpoint("small", ejected=1, next_try_s=7.0)))
    assert isinstance(end.error, NoEndpoint)
    assert end.error.retry_after_s == 7.0


def test_a_plan_without_endpoints_gives_up_at_once():
    (end,) = a_machine(a_rung("small", "chosen", endpoints=0)).start()
    assert isinstance(end.error, NoEndpoint)
    (end,) = a_machine().start()
    assert end.error.retry_after_s == 1.0


# ---------------------------------------------------------------------------------------------------------
# Verifying


def checked(*, stream=False, **plan):
    return a_machine("small", "medium", "large", accept_at={"small": 0.6, "medium": 0.6}, stream=stream, **plan)


def test_a_weak_answer_climbs_one_tier():
    machine = checked()
    machine.start()

    assert machine.on(Replied(1, ANSWER, now=0.3)) == (Verify(1),)
    (call,) = machine.on(Verified(1, 0.2))

    assert (call.attempt, call.tier) == (2, "medium")
    assert machine.reason_of(2) == "verifier"
    assert machine.escalations == (Escalation("small", "medium", "verifier"),)


@pytest.mark.parametrize("score", [0.6, 1.0, None])
def test_a_good_answer_or_an_abstention_is_accepted(score):
    machine = checked()
    machine.start()
    machine.on(Replied(1, ANSWER, now=0.3))
    assert machine.on(Verified(1, score)) == (Commit(1), Accept(1))


def test_a_held_stream_commits_nothing_before_the_verifier_has_spoken():
    machine = checked(stream=True)
    machine.start()
    assert machine.on(Began(1, 0.1)) == ()
    assert machine.on(Replied(1, ANSWER, 0.5)) == (Verify(1),)
    assert machine.on(Verified(1, 0.9)) == (Commit(1), Accept(1))


def test_a_rung_without_threshold_accepts_any_success():
    play = Script({}, scores=[0.1, 0.1]).play(
        a_plan("small", "medium", "large", accept_at={"small": 0.6, "medium": 0.6})
    )
    assert play.tiers == ["small", "medium", "large"]
    assert play.accepted == 3


def test_when_nothing_is_left_to_climb_to_the_best_answer_is_accepted():
    play = Script({}, scores=[0.5, 0.2]).play(
        a_plan("small", "large", accept_at={"small": 0.6, "large": 0.6})
    )
    assert play.accepted == 1
    assert play.commands[-2:] == [Commit(1), Accept(1)]


def test_of_equal_answers_the_stronger_tiers_is_accepted():
    play = Script({}, scores=[0.5, 0.5]).play(
        a_plan("small", "large", accept_at={"small": 0.6, "large": 0.6})
    )
    assert play.accepted == 2


def test_a_weak_answer_beats_an_error_above():
    play = Script({"medium/0": [broken()], "large/0": [broken()]}, scores=[0.1]).play(
        a_plan("small", "medium", "large", accept_at={"small": 0.6})
    )
    assert play.accepted == 1
    assert play.tiers == ["small", "medium", "large"]


def test_a_weak_answer_in_hand_is_reason_enough_not_to_be_desperate():
    plan = a_plan("small", "large", accept_at={"small": 0.6})
    out = Script({"large/0": [OUT]}, scores=[0.1]).play(plan)
    assert (out.tried, out.accepted) == (["small/0"], 1)
    gone = Script({"large/0": [broken()]}, scores=[0.1]).play(plan)
    assert (gone.tried, gone.accepted) == (["small/0", "large/0"], 1)


def test_a_weak_answer_never_climbs_down():
    play = Script({}, scores=[0.1]).play(
        a_plan("large", a_rung("small", "last_resort"), accept_at={"large": 0.6})
    )
    assert play.accepted == 1


def test_a_weak_answer_in_hand_beats_a_refused_request_above():
    play = Script({"large/0": [RequestRefused("too long")]}, scores=[0.1]).play(
        a_plan("small", "large", accept_at={"small": 0.6})
    )
    assert play.accepted == 1


def test_a_weak_answer_in_hand_beats_the_deadline():
    machine = checked(deadline=9.0)
    machine.start()
    machine.on(Replied(1, ANSWER, 1.0))
    machine.on(Verified(1, 0.3))
    assert machine.on(Tick(9.0)) == (Cancel(2), Commit(1), Accept(1))


def test_an_answer_that_nobody_had_time_to_verify_is_accepted():
    machine = checked(deadline=9.0)
    machine.start()
    machine.on(Replied(1, ANSWER, 1.0))
    assert machine.on(Tick(9.0)) == (Commit(1), Accept(1))


def test_an_empty_rung_on_the_way_up_keeps_the_reason():
    machine = checked()
    machine.start()
    machine.on(Replied(1, ANSWER, 1.0))
    machine.on(Verified(1, 0.3))
    machine.on(failed(2, NoEndpoint("medium", ejected=1)))
    assert machine.escalations == (Escalation("small", "large", "verifier"),)


def test_a_verdict_nobody_asked_for_is_ignored():
    machine = checked()
    machine.start()
    assert machine.on(Verified(1, 0.1)) == ()


def test_a_client_that_leaves_during_verification_cancels_it():
    machine = checked()
    machine.start()
    machine.on(Replied(1, ANSWER, 1.0))
    assert machine.on(ClientGone())[0] == Cancel(1)


def test_repr_tells_where_the_request_is():
    machine = a_machine("small", "large")
    machine.start()
    machine.on(failed(1, broken(), "small/0"))
    assert repr(machine) == "<Machine large [calling, attempt 2 | 1 of 3 sent]>"


# ---------------------------------------------------------------------------------------------------------
# Deferral: is a better answer worth it?

RISING = {"small": Prospect(0.6, 0.1), "medium": Prospect(0.7, 0.4), "large": Prospect(0.95, 1.0)}


def deferring(*, stream=True, tiers=("small", "medium", "large"), holds=("small", "medium"), endpoints=1, plan=None, **values):
    deferral = Deferral({tier: Hold(24, 0.4) for tier in holds}, RISING, Benefit(RISING, enough=0.6), **values)
    return a_machine(*tiers, endpoints=endpoints, stream=stream, deferral=deferral, **(plan or {}))


def test_a_judged_stream_is_called_with_a_hold_and_flows_when_it_is_good():
    machine = deferring()

    assert machine.start() == (Call(1, "small", hold=24, until=60.0, hold_s=0.4),)
    assert machine.on(Began(1, 0.2)) == ()
    assert machine.on(Held(1, "Hello", (-0.1,), 0.5)) == (Verify(1),)
    assert machine.on(Verified(1, 0.9, 0.5)) == (Commit(1),)
    assert machine.on(Replied(1, ANSWER, 3.0)) == (Accept(1),)


def test_a_doubtful_beginning_is_broken_off_and_the_best_rung_called():
    machine = deferring()
    machine.start()
    machine.on(Held(1, "Hm", None, 0.5))

    assert machine.on(Verified(1, 0.05, 0.6)) == (Cancel(1), Call(2, "large", until=60.6))
    assert machine.escalations == (Escalation("small", "large", "verifier"),)
    assert machine.on(Began(2, 1.0)) == (Commit(2),)


def test_a_held_answer_that_ends_is_judged_as_a_whole():
    machine = deferring()
    machine.start()
    assert machine.on(Replied(1, ANSWER, 0.3)) == (Verify(1),)
    assert machine.on(Verified(1, 0.9, 0.3)) == (Commit(1), Accept(1))


def test_a_rung_that_nobody_looks_at_begins_at_once():
    machine = deferring(holds=("medium",))
    assert machine.start() == (Call(1, "small", until=60.0),)
    assert machine.on(Began(1, 0.2)) == (Commit(1),)


def test_a_plain_answer_that_is_weak_stays_in_hand():
    machine = deferring(stream=False)
    machine.start()
    machine.on(Replied(1, ANSWER, 0.3))
    assert machine.on(Verified(1, 0.05)) == (Call(2, "large", until=120.3),)
    assert machine.on(failed(2, broken(), "large/0", now=1.0)) == (Commit(1), Accept(1))


def test_a_stream_that_was_broken_off_is_asked_for_again_and_not_judged_twice():
    machine = deferring(tiers=("small", "large"), endpoints=1)
    machine.start()
    machine.on(Held(1, "Hm", None, 0.5))
    machine.on(Verified(1, 0.05, 0.5))
    (call,) = machine.on(failed(2, broken(), "large/0", now=1.0))
    assert (call.tier, call.hold) == ("small", None)
    assert machine.on(Began(3, 1.5)) == (Commit(3),)


def test_no_second_climb_when_one_is_allowed():
    machine = deferring(stream=False, tiers=("small", "medium", "large"), max_climbs=1, climbs_on_abstain=True)
    machine.start()
    machine.on(Replied(1, ANSWER, 0.3))
    (call,) = machine.on(Verified(1, None))
    assert call.tier == "large"
    assert machine.on(Replied(2, ANSWER, 0.6)) == (Commit(2), Accept(2))


def test_the_last_attempt_is_given_whatever_it_is_worth():
    machine = deferring(stream=False, plan={"max_sent": 1})
    machine.start()
    machine.on(Replied(1, ANSWER, 0.3))
    assert machine.on(Verified(1, 0.05)) == (Commit(1), Accept(1))


def test_what_is_no_score_is_an_abstention():
    machine = deferring(stream=False)
    machine.start()
    machine.on(Replied(1, ANSWER, 0.3))
    assert machine.on(Verified(1, float("nan"))) == (Commit(1), Accept(1))


def test_at_the_deadline_a_beginning_is_no_answer():
    machine = deferring(plan={"deadline": 9.0})
    machine.start()
    machine.on(Held(1, "Hm", None, 5.0))
    cancel, end = machine.on(Tick(9.0))
    assert (cancel, type(end.error)) == (Cancel(1), DeadlineExceeded)


def test_a_verdict_that_comes_too_late_gives_the_answer_there_is():
    machine = deferring(stream=False, plan={"deadline": 9.0})
    machine.start()
    machine.on(Replied(1, ANSWER, 5.0))
    assert machine.on(Verified(1, 0.05, 9.0)) == (Commit(1), Accept(1))


def test_a_silent_rung_gets_a_higher_one_beside_it():
    machine = deferring(beside_after_s=0.8)
    assert machine.start()[1] == Wake(0.8)
    (call,) = machine.on(Tick(0.8))
    assert (call.tier, call.hold, machine.reason_of(2)) == ("large", None, "hedge")

    assert machine.on(Began(2, 1.0)) == (Cancel(1), Commit(2))


def test_a_good_beginning_wins_over_the_one_beside():
    machine = deferring(beside_after_s=0.8)
    machine.start()
    machine.on(Tick(0.8))
    assert machine.on(Held(1, "Hello", None, 0.9)) == (Verify(1),)
    assert machine.on(Verified(1, 0.9, 0.9)) == (Cancel(2), Commit(1))
    assert machine.escalations == (), "a higher rung that lost is no climb"


def test_what_happens_beside_while_an_answer_is_verified_is_heard_afterwards():
    machine = deferring(beside_after_s=0.8)
    machine.start()
    machine.on(Tick(0.8))
    machine.on(Held(1, "Hm", None, 0.9))
    assert machine.on(Began(2, 0.95)) == ()
    assert machine.on(Verified(1, 0.05, 1.0)) == (Cancel(1), Commit(2))


def test_a_doubtful_beginning_goes_on_beside_the_higher_rung_and_is_judged_again():
    machine = deferring(beside_after_s=5.0)
    machine.start()
    machine.on(Held(1, "Hm", None, 0.5))
    (call,) = machine.on(Verified(1, 0.05, 0.6))
    assert (call.attempt, call.tier) == (2, "large")
    assert machine.on(Replied(1, ANSWER, 0.9)) == (Verify(1),)
    assert machine.on(Verified(1, 0.95, 0.9)) == (Cancel(2), Commit(1), Accept(1))


def test_a_whole_answer_that_is_weak_too_waits_in_hand_for_the_one_beside():
    machine = deferring(beside_after_s=5.0)
    machine.start()
    machine.on(Held(1, "Hm", None, 0.5))
    machine.on(Verified(1, 0.05, 0.6))
    machine.on(Replied(1, ANSWER, 0.9))
    assert machine.on(Verified(1, 0.05, 0.9)) == ()
    assert machine.on(failed(2, broken(), "large/0", now=1.0)) == (Commit(1), Accept(1))


def test_of_two_endpoints_of_one_rung_the_slower_has_lost_when_an_answer_is_judged():
    machine = deferring(tiers=("small", "large"), endpoints=2, plan={"hedge": HedgePlan(0.5, 0.05)})
    machine.start()
    machine.on(Tick(0.5))
    assert machine.on(Held(2, "Hm", None, 0.7)) == (Cancel(1), Verify(2))
    assert machine.on(Verified(2, 0.05, 0.7))[0] == Cancel(2)


def test_a_climb_for_quality_that_meets_an_empty_tier_keeps_to_the_money():
    dear = {name: Prospect(p.p, p.price, None, nano) for (name, p), nano in zip(RISING.items(), (10, 20, 1000), strict=True)}
    deferral = Deferral({"small": Hold()}, dear, Benefit(dear), budget_nano_usd=40)
    machine = a_machine("small", "medium", "large", deferral=deferral)
    machine.start()
    machine.on(Replied(1, ANSWER, 0.1))
    (call,) = machine.on(Verified(1, 0.02))
    assert call.tier == "medium"
    assert machine.on(failed(2, NoEndpoint("medium", ejected=1))) == (Commit(1), Accept(1))


def test_a_request_that_one_rung_refuses_may_still_be_answered_by_the_other():
    machine = deferring(beside_after_s=0.8)
    machine.start()
    machine.on(Tick(0.8))
    assert machine.on(failed(2, RequestRefused("too long"), "large/0", now=0.9)) == ()
    machine.on(Held(1, "Hello", None, 1.0))
    assert machine.on(Verified(1, 0.9, 1.0)) == (Commit(1),)


# ---------------------------------------------------------------------------------------------------------
# A stream that breaks off


def broken_off(machine, endpoint, *, at=1.0, error=None, goes_on=True):
    """The running attempt has begun and breaks off."""
    attempt = machine._pair.attempt
    machine.on(Began(attempt, 1.0))
    error = error or ConnectionLost("gone")
    error.endpoint = endpoint
    return machine.on(Failed(attempt, error, True, at, goes_on))


def a_stream(endpoints=3, **plan):
    machine = Machine(a_plan("small", "large", endpoints=endpoints, stream=True, **plan), OpenBudget(), Half())
    machine.start()
    return machine


def test_a_stream_that_broke_off_goes_on_on_its_own_rung():
    (call,) = broken_off(a_stream(), "small/0")
    assert (call.attempt, call.tier, call.exclude) == (2, "small", frozenset({"small/0"}))


@pytest.mark.parametrize("case", [{"endpoints": 1}, {"max_sent": 1}])
def test_a_stream_that_nobody_may_go_on_with_ends_in_what_broke_it(case):
    (give_up,) = broken_off(a_stream(**case), "small/0")
    assert isinstance(give_up.error, ConnectionLost)


def test_a_stream_that_nobody_could_go_on_with_ends_in_what_broke_it():
    (give_up,) = broken_off(a_stream(), "small/0", goes_on=False)
    assert isinstance(give_up.error, ConnectionLost)


def test_a_stream_that_breaks_off_again_ends_in_what_broke_it_last():
    machine = a_stream()
    broken_off(machine, "small/0")
    (give_up,) = broken_off(machine, "small/1", error=errors.StreamStalled("silence"))
    assert isinstance(give_up.error, errors.StreamStalled)


def test_nobody_goes_on_past_the_deadline():
    (give_up,) = broken_off(a_stream(deadline=10.0), "small/0", at=10.0, error=errors.StreamStalled("silence"))
    assert isinstance(give_up.error, DeadlineExceeded)


def test_who_cannot_go_on_hides_nothing_of_what_broke_the_stream():
    machine = a_stream()
    broken_off(machine, "small/0")
    no = errors.RequestRefused("no prefill here")
    no.endpoint = "small/1"
    (give_up,) = machine.on(Failed(2, no, True, 2.0))
    assert isinstance(give_up.error, ConnectionLost)
