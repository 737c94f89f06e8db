"""A second attempt beside a slow first one, as dialogues with the machine."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import errors
from pointsman.cascade.budget import RetryBudget
from pointsman.cascade.events import Accept, Began, Call, Cancel, ClientGone, Commit, GiveUp, Replied, Tick, Wake
from pointsman.cascade.hedge import HedgePlan
from pointsman.cascade.machine import Machine
from pointsman.testing.script import ANSWER, OpenBudget, a_machine, a_plan, failed

HEDGE = HedgePlan(after_s=0.5, share=0.05)


class NoHedges(OpenBudget):
    def open_hedge(self, pool, share, now):
        return False


def hedged(*tiers: str, budget=None, endpoints: int = 2, **plan) -> Machine:
    return a_machine(*(tiers or ("small",)), budget=budget, endpoints=endpoints, hedge=HEDGE, **plan)


def with_two_running(**plan) -> Machine:
    machine = hedged(**plan)
    machine.start()
    machine.on(Tick(0.5))
    return machine


def broken(endpoint: str, attempt: int):
    return failed(attempt, errors.UpstreamFailed("500"), endpoint, now=0.6)


def test_a_slow_first_attempt_gets_a_second_one_beside_it():
    machine = hedged(stream=True)

    call, wake = machine.start()
    assert (call.attempt, wake) == (1, Wake(0.5))

    (second,) = machine.on(Tick(0.5))
    assert isinstance(second, Call)
    assert (second.attempt, second.tier) == (2, "small")
    assert machine.reason_of(2) == "hedge"


def test_an_early_tick_is_put_off():
    machine = hedged()
    machine.start()

    assert machine.on(Tick(0.3)) == (Wake(0.5),)


@pytest.mark.parametrize("winner", [1, 2])
def test_the_first_that_begins_wins_and_the_other_is_cancelled(winner):
    machine = with_two_running(stream=True)

    assert machine.on(Began(winner, 0.7)) == (Cancel(3 - winner), Commit(winner))
    assert machine.on(Began(3 - winner, 0.8)) == ()
    assert machine.on(Replied(winner, ANSWER, 1.0)) == (Accept(winner),)


@pytest.mark.parametrize("winner", [1, 2])
def test_the_first_plain_answer_wins(winner):
    assert with_two_running().on(Replied(winner, ANSWER, 0.7)) == (Cancel(3 - winner), Commit(winner), Accept(winner))


@pytest.mark.parametrize("loser", [1, 2])
def test_one_that_fails_is_forgotten_while_the_other_runs(loser):
    machine = with_two_running()

    assert machine.on(broken(f"small/{loser - 1}", loser)) == ()
    assert machine.on(Replied(3 - loser, ANSWER, 0.9)) == (Commit(3 - loser), Accept(3 - loser))


def test_when_both_fail_the_way_goes_on():
    machine = with_two_running(endpoints=3)

    assert machine.on(broken("small/0", 1)) == ()
    (call,) = machine.on(broken("small/1", 2))

    assert call == Call(3, "small", frozenset({"small/0", "small/1"}), None, call.until)
    assert machine.reason_of(3) == "retry"


def test_a_request_that_is_refused_ends_both():
    machine = with_two_running()
    error = errors.RequestRefused("no such parameter")

    assert machine.on(failed(1, error, "small/0", now=0.6)) == (Cancel(2), GiveUp(error))


def test_a_client_that_leaves_ends_both():
    machine = with_two_running()

    commands = machine.on(ClientGone())

    assert commands[:2] == (Cancel(1), Cancel(2))
    assert isinstance(commands[2], GiveUp)


def test_the_deadline_ends_both():
    machine = with_two_running(deadline=5.0)

    commands = machine.on(Tick(5.0))

    assert commands[:2] == (Cancel(1), Cancel(2))
    assert isinstance(commands[2], GiveUp)


def test_nothing_is_hedged_beyond_the_budget():
    machine = hedged(budget=NoHedges())
    machine.start()

    assert machine.on(Tick(0.5)) == ()
    assert machine.on(Replied(1, ANSWER, 0.9)) == (Commit(1), Accept(1))


def test_one_endpoint_cannot_be_hedged():
    assert len(hedged(endpoints=1).start()) == 1


def test_a_retry_is_the_second_try_already():
    machine = hedged()
    machine.start()
    machine.on(broken("small/0", 1))

    assert machine.on(Tick(0.7)) == ()


def test_the_loser_counts_as_an_attempt_that_reached_an_engine():
    machine = with_two_running(stream=True, endpoints=3, max_sent=2)
    machine.on(broken("small/0", 1))
    commands = machine.on(broken("small/1", 2))

    assert isinstance(commands[-1], GiveUp)


def test_a_hedge_that_finds_nobody_changes_nothing():
    machine = with_two_running()

    assert machine.on(failed(2, errors.NoEndpoint("small", ejected=1), now=0.6)) == ()
    assert machine.on(Replied(1, ANSWER, 0.9)) == (Commit(1), Accept(1))


def test_hedges_stay_below_their_share_of_a_pools_attempts():
    budget = RetryBudget()
    for i in range(1000):
        budget.started("small", i / 200)

    opened = sum(budget.open_hedge("small", 0.05, 5.0) for _ in range(1000))

    assert opened == 50


@given(st.lists(st.tuples(st.sampled_from(["began", "failed", "empty", "tick", "replied"]), st.integers(1, 3)), max_size=20),
       st.booleans(), st.integers(0, 50))
def test_whatever_happens_each_attempt_ends_once_and_the_request_ends_once(happenings, stream, seed):
    budget = OpenBudget()
    machine = Machine(a_plan("small", "large", endpoints=2, stream=stream, hedge=HEDGE), budget, Random(seed))
    commands, now = list(machine.start()), 0.0
    failures: set[int] = set()
    for kind, attempt in happenings:
        now += 0.3
        calls = [c.attempt for c in commands if isinstance(c, Call)]
        cancelled = {c.attempt for c in commands if isinstance(c, Cancel)}
        if attempt not in calls or attempt in failures or attempt in cancelled or machine.is_done:
            continue
        if kind in ("failed", "empty"):
            failures.add(attempt)
        error = errors.UpstreamFailed("500") if kind == "failed" else errors.NoEndpoint("small")
        event = {"began": Began(attempt, now), "replied": Replied(attempt, ANSWER, now), "tick": Tick(now)}.get(
            kind) or failed(attempt, error, f"small/{attempt % 2}" if kind == "failed" else "", now=now)
        commands += machine.on(event)
    commands += machine.on(ClientGone())

    cancelled = [c.attempt for c in commands if isinstance(c, Cancel)]
    assert len(cancelled) == len(set(cancelled))
    assert not failures & set(cancelled)
    assert sum(isinstance(c, Accept | GiveUp) for c in commands) == 1
    started = {c.attempt for c in commands if isinstance(c, Call)}
    accepted = {c.attempt for c in commands if isinstance(c, Accept)}
    assert started == failures | set(cancelled) | accepted
    assert budget.in_flight == 0
