"""Whatever the order of events, a request ends once; whatever fails, an answer that can be had is had."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pointsman import errors
from pointsman.cascade.budget import RetryBudget
from pointsman.cascade.events import (
    Accept,
    Began,
    Call,
    Cancel,
    ClientGone,
    Commit,
    Event,
    Failed,
    GiveUp,
    Held,
    Replied,
    Tick,
    Verified,
    Wake,
)
from pointsman.cascade.ladder import Plan
from pointsman.cascade.machine import Machine
from pointsman.errors import NoEndpoint
from pointsman.testing.script import ANSWER, HANG, OUT, OpenBudget, Script, a_plan, a_rung

DEADLINE = 100.0

FAILURES = (
    lambda: errors.ConnectFailed("refused", sent=False),
    lambda: errors.ConnectionLost("reset"),
    lambda: errors.FirstTokenTimeout("late"),
    lambda: errors.AnswerTimeout("late"),
    lambda: errors.BadAnswer("html"),
    lambda: errors.UpstreamFailed("500"),
    lambda: errors.UpstreamOverloaded("full"),
    lambda: errors.RateLimited("slow down", retry_after_s=3.0),
    lambda: errors.RateLimited("slow down"),
    lambda: errors.CredentialRefused("401"),
    lambda: errors.Misconfigured("404"),
    lambda: errors.NoEndpoint("small", ejected=1),
)

rungs = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(["failed", "fallback", "last_resort"]),
        st.sampled_from([None, None, 0.5]),
    ),
    min_size=1,
    max_size=4,
).map(
    lambda parts: (
        tuple(a_rung(f"t{i}", reason if i else "chosen", endpoints=n) for i, (n, reason, _) in enumerate(parts)),
        {f"t{i}": accept_at for i, (_, _, accept_at) in enumerate(parts) if accept_at is not None},
    )
)
plans = st.builds(
    lambda made, stream, deadline: a_plan(*made[0], accept_at=made[1], stream=stream, deadline=deadline),
    rungs,
    st.booleans(),
    st.sampled_from([0.0005, 1.0, DEADLINE]),
)
endpoints = st.sampled_from(["", "t0/0", "t0/1", "t1/0", "t1/1", "t2/0", "nowhere/0"])


@st.composite
def happenings(draw, attempts: st.SearchStrategy[int]) -> Event:
    attempt, now = draw(attempts), draw(st.floats(0, 1.2 * DEADLINE))
    kind = draw(st.sampled_from(["began", "held", "replied", "failed", "failed", "failed", "verified", "gone", "tick"]))
    if kind == "failed":
        error = draw(st.sampled_from([*FAILURES, lambda: errors.RequestRefused("bad")]))()
        error.endpoint = draw(endpoints)
        return Failed(attempt, error, draw(st.booleans()), now)
    return {
        "began": Began(attempt, now), "held": Held(attempt, "", None, now), "replied": Replied(attempt, ANSWER, now),
        "verified": Verified(attempt, draw(st.sampled_from([None, 0.0, 0.4, 0.9, float("nan")]))),
        "gone": ClientGone(), "tick": Tick(now),
    }[kind]  # fmt: skip


def tell(machine: Machine, plan: Plan, events: list[Event]) -> tuple[list, int]:
    """All commands, and how many attempts reached an engine as far as the machine was told."""
    commands, sent, running = list(machine.start()), 0, 0
    for event in events:
        running = next((c.attempt for c in reversed(commands) if isinstance(c, Call)), 0)
        before = len(commands)
        new = machine.on(event)
        commands += new
        if getattr(event, "attempt", None) == running and before and new:
            if isinstance(event, Failed) and not isinstance(event.error, NoEndpoint):
                sent += event.sent
            elif isinstance(event, Replied):
                sent += 1
    return commands, sent


@given(plans, st.lists(happenings(st.integers(0, 6)), max_size=30), st.integers(0, 99))
def test_any_order_of_events_ends_at_most_once_and_the_end_is_the_end(plan, events, seed):
    budget = OpenBudget()
    machine = Machine(plan, budget, Random(seed))
    commands, _ = tell(machine, plan, [*events, ClientGone()])

    ends = [c for c in commands if isinstance(c, Accept | GiveUp)]
    assert len(ends) == 1
    assert commands[-1] is ends[0]
    assert machine.is_done
    assert budget.in_flight == 0
    assert machine.on(Tick(1e9)) == ()


@given(plans, st.lists(happenings(st.integers(1, 6)), max_size=30), st.integers(0, 99))
def test_never_a_call_after_commit_and_never_more_attempts_than_allowed(plan, events, seed):
    machine = Machine(plan, OpenBudget(), Random(seed))
    commands, sent = tell(machine, plan, events)

    assert sent <= plan.max_sent
    commits = [i for i, c in enumerate(commands) if isinstance(c, Commit)]
    assert len(commits) <= 1
    if commits:
        assert not any(isinstance(c, Call | Wake) for c in commands[commits[0] :])
    accepts = [c for c in commands if isinstance(c, Accept)]
    assert all(Commit(a.attempt) in commands for a in accepts)


@given(plans, st.data(), st.integers(0, 99))
def test_events_of_the_running_attempt_only_lead_to_sound_calls(plan, data, seed):
    """Attempts are numbered without gaps, within the deadline, at tiers of the plan that have somebody left to try."""
    machine = Machine(plan, OpenBudget(), Random(seed))
    commands, attempt = list(machine.start()), 1
    by_tier = {r.tier: r.endpoints for r in plan.rungs}
    for _ in range(12):
        event = data.draw(happenings(st.just(attempt)))
        for command in machine.on(event):
            commands.append(command)
            if isinstance(command, Call):
                attempt += 1
                assert command.attempt == attempt
                assert set(by_tier[command.tier]) - command.exclude
                assert command.until <= plan.deadline
                assert machine.reason_of(attempt)
            if isinstance(command, Cancel):
                assert command.attempt == attempt
    assert all(e.from_tier != e.to_tier for e in machine.escalations)
    assert repr(machine)


def worlds():
    """What each endpoint does; None = it answers."""
    return st.dictionaries(
        st.sampled_from([f"t{i}/{j}" for i in range(4) for j in range(3)]),
        st.one_of(st.integers(0, len(FAILURES) - 2), st.sampled_from([HANG, OUT])),
    )


@given(plans, worlds(), st.integers(0, 99))
def test_an_answering_endpoint_is_found_unless_three_attempts_failed_after_sending(plan, world, seed):
    plan = a_plan(*plan.rungs, stream=plan.stream, deadline=1000.0)
    script = {e: [w if isinstance(w, str) else FAILURES[w]()] for e, w in world.items()}
    play = Script(script).play(plan, OpenBudget(), Random(seed))

    answering = [e for r in plan.rungs for e in r.endpoints if world.get(e) in (None, OUT)]
    if answering and play.error is not None:
        assert play.sent == plan.max_sent
    assert play.sent <= plan.max_sent
    assert play.ended_at <= plan.deadline
    unsent = [e for e in play.tried if world.get(e) == 0]
    assert len(unsent) == len(set(unsent)), "an endpoint that refused a connection was tried twice"


@given(plans, worlds(), st.integers(0, 99), st.lists(st.sampled_from([None, 0.1, 0.4, 0.9]), max_size=4))
def test_a_dialogue_with_the_real_budget_ends_and_leaves_nothing_in_flight(plan, world, seed, scores):
    budget = RetryBudget()
    script = {e: [w if isinstance(w, str) else FAILURES[w]()] for e, w in world.items()}
    Script(script, scores=scores).play(plan, budget, Random(seed))
    assert " in flight" not in repr(budget).replace(" 0 in flight", "")


@given(st.integers(0, 1000), st.integers(1, 12))
def test_pauses_are_jittered_between_nothing_and_a_doubling_bound(seed, max_sent):
    machine = Machine(a_plan("small", max_sent=max_sent), OpenBudget(), Random(seed))
    machine.start()
    for k in range(max_sent - 1):
        error = errors.UpstreamFailed("500")
        error.endpoint = "small/0"
        (wake,) = machine.on(Failed(k + 1, error, True, now=float(k)))
        assert 0.0 <= wake.at - k <= min(2.0, 0.025 * 2**k) + 1e-9
        (call,) = machine.on(Tick(wake.at))
        assert call.exclude == frozenset()
