"""What to try next, for one request: events in, commands out; no I/O, no clock.

The machine alone decides retry, climb, fallback and stop. Whoever drives it performs each `Call` as one attempt
and reports `Began`, `Replied` or `Failed` (with `error.endpoint` set to the endpoint that was leased), sends `Tick`
after a `Wake`, and `ClientGone` when the client leaves; sending `ClientGone` in a `finally` is safe, for a machine
that is done answers every event with (). `is_desperate` says whether the running call may lease endpoints that are
out of service.

Here stands what each event leads to. In which order everything is tried after a failure stands in `cascade.way`, how an
attempt is called for and what runs beside it in `cascade.attempts` and `cascade.pair`, and when an answer that is there is
left for a better one in `cascade.appraisal`.
"""

from __future__ import annotations

from random import Random
from typing import Literal, assert_never

from pointsman import errors
from pointsman.cascade.appraisal import Appraisal
from pointsman.cascade.attempts import Attempts
from pointsman.cascade.budget import Budget
from pointsman.cascade.deadline import TIMER_SLACK_S, doing
from pointsman.cascade.events import (
    Accept,
    Began,
    Cancel,
    ClientGone,
    Command,
    Commit,
    Event,
    Failed,
    GiveUp,
    Held,
    Replied,
    Tick,
    Verified,
    Verify,
    Wake,
)
from pointsman.cascade.ladder import Plan
from pointsman.cascade.pause import Pause
from pointsman.cascade.trail import CONTINUED, RETRY, VERIFIER
from pointsman.cascade.way import DeadEnd, Repeat, Step
from pointsman.core.record import Escalation
from pointsman.errors import NoEndpoint, UpstreamError

_State = Literal["new", "calling", "committed", "verifying", "waiting", "done"]


class Machine:
    """One request's way over the ladder, from `start()` to exactly one `Accept` or `GiveUp`."""

    __slots__ = (
        "_attempts", "_deadline", "_fare", "_is_partial", "_now", "_pair", "_pause", "_plan", "_rungs", "_state", "_trail",
    )  # fmt: skip

    def __init__(self, plan: Plan, budget: Budget, rng: Random) -> None:
        self._plan, self._rungs = plan, plan.rungs
        self._state: _State = "new"
        self._now = plan.now
        self._attempts = attempts = Attempts(plan, budget)
        self._trail, self._pair, self._fare, self._deadline = attempts.trail, attempts.pair, attempts.fare, attempts.deadline
        self._pause = Pause(rng)
        # Of the answer that is being verified only the beginning is there.
        self._is_partial = False

    # -----------------------------------------------------------------------------------------------------
    # The dialogue

    def start(self, now: float | None = None) -> tuple[Command, ...]:
        """The first command; () when already started. `now` None = at the time of arrival."""
        if self._state != "new":
            return ()
        if now is not None:
            self._now = now
            if self._deadline.is_past(now):
                return self._stop("choosing a tier")
        for i, rung in enumerate(self._rungs):
            if rung.endpoints:
                call, due_at = self._call(i, rung.reason), self._attempts.beside_at(rung, self._now)
                return call if due_at is None else (*call, Wake(due_at))
        return self._finish()

    def on(self, event: Event) -> tuple[Command, ...]:
        """What `event` leads to. Events of attempts that are over, and all events after the end, lead to nothing."""
        if self._state == "done":
            return ()
        if isinstance(event, ClientGone):
            return self._client_gone()
        if isinstance(event, Tick):
            return self._tick(event.now)
        if event.attempt != self._pair.attempt:
            if event.attempt != self._pair.other:
                return ()
            if self._state == "verifying":
                self._pair.put_off(event)
                return ()
            self._pair.swap()
        match event:
            case Began():
                return self._began(event)
            case Replied():
                return self._replied(event)
            case Failed():
                return self._failed(event)
            case Verified():
                return self._verified(event)
            case Held():
                return self._held(event)
        assert_never(event)

    @property
    def is_done(self) -> bool:
        return self._state == "done"

    @property
    def is_desperate(self) -> bool:
        """The running call may lease endpoints that are out of service: no other way is left."""
        return self._attempts.is_desperate

    def reason_of(self, attempt: int) -> str:
        """Why this attempt was made: `chosen`, `retry`, `failed`, `saturated`, `sla`, `hedge`, `verifier`, `fallback`,
        `last_resort`."""
        return self._trail.reason_of(attempt)

    @property
    def escalations(self) -> tuple[Escalation, ...]:
        """The climbs so far."""
        return self._trail.escalations(self._rungs)

    def __repr__(self) -> str:
        tier = self._rungs[self._pair.rung].tier if self._rungs else "nowhere"
        return f"<Machine {tier} [{self._state}, attempt {self._pair.attempt} | {self._trail.sent} of {self._plan.max_sent} sent]>"

    # -----------------------------------------------------------------------------------------------------
    # Events

    def _began(self, event: Began) -> tuple[Command, ...]:
        if self._state != "calling" or not self._plan.stream:
            return ()
        if self._deadline.is_past(event.now):
            return self._stop(self._doing())
        return () if self._attempts.is_judged else self._committed()

    def _committed(self) -> tuple[Command, ...]:
        self._state = "committed"
        self._fare.pay_back(self._now, sent=True, answered=True)
        return (*self._pair.part(), Commit(self._pair.attempt))

    def _held(self, event: Held) -> tuple[Command, ...]:
        if self._state != "calling" or not self._plan.stream or not self._attempts.is_judged:
            return ()
        if self._deadline.is_past(event.now):
            return self._stop(self._doing())
        return self._verify(event.now, partial=True)

    def _replied(self, event: Replied) -> tuple[Command, ...]:
        if self._state == "committed":
            self._now = event.now
            return self._end(Accept(self._pair.attempt))
        if self._state != "calling":
            return ()
        self._now = event.now
        self._trail.sent += 1
        self._fare.pay_back(event.now, sent=True, answered=True)
        if not self._attempts.is_judged or self._deadline.is_past(event.now):
            return self._end(*self._pair.part(), *_answer_with(self._pair.attempt))
        return self._verify(event.now, partial=False)

    def _failed(self, event: Failed) -> tuple[Command, ...]:
        error = event.error
        if self._state == "committed":
            return self._broke_off(event)
        if self._state != "calling":
            return ()
        self._now = event.now
        sent = event.sent and not isinstance(error, NoEndpoint)
        self._fare.pay_back(self._now, sent=sent)
        self._attempts.remember(error, sent=sent)
        if not error.retryable and not self._pair.is_on_two_rungs:
            return self._end_with_best() or self._end(*self._pair.part(), GiveUp(self._attempts.broken_by or error))
        if self._deadline.is_past(event.now):
            return self._end_with_best() or self._end(*self._pair.part(), GiveUp(self._deadline.exceeded(self._doing(error))))
        if self._pair.other is not None:
            return self._follow_other()
        self._pair.due_at = None
        return self._next(error)

    def _broke_off(self, event: Failed) -> tuple[Command, ...]:
        """A part of the answer is with the client."""
        error = event.error
        late = isinstance(error, errors.UpstreamTimeout) and self._deadline.is_past(event.now)
        if event.goes_on and not late and self._trail.sent + 1 < self._plan.max_sent:
            return self._continued(event)
        return self._end(GiveUp(self._deadline.exceeded("streaming the answer") if late else error))

    def _tick(self, now: float) -> tuple[Command, ...]:
        if self._deadline.is_past(now):
            return self._stop("waiting to retry" if self._state == "waiting" else self._doing())
        if self._state == "calling" and self._pair.due_at is not None:
            return self._call_beside(now) if self._pair.is_due(now, TIMER_SLACK_S) else (Wake(self._pair.due_at),)
        if self._state != "waiting" or (rung := self._attempts.awaited) is None:
            return ()
        if now < self._pause.until - TIMER_SLACK_S:
            return (Wake(self._pause.until),)
        self._now = now
        return self._call(rung, RETRY, is_desperate=True)

    def _client_gone(self) -> tuple[Command, ...]:
        return self._end(*self._running_cancelled(), GiveUp(errors.ClientGone()))

    # -----------------------------------------------------------------------------------------------------
    # The next attempt

    def _call(self, rung: int, reason: str, *, is_desperate: bool = False, is_beside: bool = False) -> tuple[Command, ...]:
        self._state = "calling"
        return (self._attempts.call(rung, reason, self._now, is_desperate=is_desperate, is_beside=is_beside),)

    def _next(self, error: UpstreamError) -> tuple[Command, ...]:
        """The next attempt after a failure, or the end."""
        match way := self._attempts.way_on(error, self._now):
            case Step(rung, reason, is_desperate):
                return self._call(rung, reason, is_desperate=is_desperate)
            case Repeat():
                return self._repeat(way)
            case DeadEnd(refused):
                return self._finish(refused=refused)

    def _repeat(self, repeat: Repeat) -> tuple[Command, ...]:
        until = self._pause.begin(self._now)
        if self._deadline.is_past(until):
            self._fare.pay_back(self._now, sent=False)
            return self._finish()
        self._state = "waiting"
        self._attempts.wait(repeat)
        return (Wake(until),)

    def _continued(self, event: Failed) -> tuple[Command, ...]:
        """The endpoint went away in the middle of the answer, and what has been told can go on: on this rung or not at all."""
        self._now = event.now
        if self._deadline.is_past(event.now) or not self._attempts.goes_on_after(event.error, event.now):
            return self._end(GiveUp(event.error))
        return self._call(self._pair.rung, CONTINUED)

    # -----------------------------------------------------------------------------------------------------
    # Is the answer good enough?

    def _verify(self, now: float, *, partial: bool) -> tuple[Command, ...]:
        self._now, self._state, self._is_partial = now, "verifying", partial
        self._pair.due_at = None
        # A higher rung beside goes on; another endpoint of this rung has lost.
        lost = () if self._pair.is_on_two_rungs else self._pair.part()
        return (*lost, Verify(self._pair.attempt))

    def _verified(self, event: Verified) -> tuple[Command, ...]:
        appraisal, pair = self._attempts.appraisal, self._pair
        if self._state != "verifying" or appraisal is None:
            return ()
        self._now = self._now if event.now is None else event.now
        if self._deadline.is_past(self._now):
            return self._stop(self._doing())
        appraisal.judge(pair.attempt, pair.rung, event.score)
        to = appraisal.climbs_to(pair.rung, self._trail.sent + self._is_partial, pair.other, self._deadline.left_s(self._now))
        return self._given(appraisal.to_give(pair.attempt)) if to is None else self._left(appraisal, to)

    def _given(self, attempt: int) -> tuple[Command, ...]:
        """No climb: this attempt's answer is the one. If it is still coming, it goes on."""
        if attempt == self._pair.attempt and self._is_partial:
            return self._committed()
        broken_off = (Cancel(self._pair.attempt),) if self._is_partial else ()
        return self._end(*self._pair.part(), *broken_off, *_answer_with(attempt))

    def _left(self, appraisal: Appraisal, to: int) -> tuple[Command, ...]:
        """The answer is not worth giving: on to rung `to`, where an attempt may be running already."""
        left, is_beside, answers = self._pair.attempt, self._pair.other is not None, appraisal.answers
        answers.weak.add(self._pair.rung)
        goes_on = self._is_partial and not is_beside and appraisal.goes_beside(self._trail.sent)
        broken_off: tuple[Command, ...] = ()
        if self._is_partial:
            answers.drop(left)  # one that goes on is judged again when it is whole
        if self._is_partial and not goes_on:
            self._trail.sent += 1
            self._fare.pay_back(self._now, sent=True, answered=True)
            broken_off = (Cancel(left),)
        if is_beside:
            return broken_off + self._follow_other()
        answers.climbs += 1
        call = self._call(to, VERIFIER, is_beside=goes_on)
        if goes_on:
            self._pair.other = left
        return broken_off + call

    # -----------------------------------------------------------------------------------------------------
    # Two at once

    def _call_beside(self, now: float) -> tuple[Command, ...]:
        self._now = now
        call = self._attempts.call_beside(now)
        return () if call is None else (call,)

    def _follow_other(self) -> tuple[Command, ...]:
        """The leading attempt is over; the one beside goes on alone, and is heard with what it has done meanwhile."""
        self._state = "calling"
        return tuple(command for event in self._pair.follow_other() for command in self.on(event))

    # -----------------------------------------------------------------------------------------------------
    # The end

    def _end(self, *commands: Command) -> tuple[Command, ...]:
        self._fare.pay_back(self._now, sent=self._state != "waiting")
        self._state = "done"
        return commands

    def _end_with_best(self) -> tuple[Command, ...]:
        best = self._attempts.best
        return () if best is None else self._end(*self._pair.part(), *_answer_with(best))

    def _finish(self, *, refused: bool = False) -> tuple[Command, ...]:
        """Nothing is left to try. `refused`: only because retry budgets said no."""
        if with_best := self._end_with_best():
            return with_best
        tier = self._rungs[0].tier if self._rungs else ""
        final = self._trail.sent >= self._plan.max_sent
        return self._end(GiveUp(self._attempts.broken_by or self._attempts.losses.telling(tier, final=final, refused=refused)))

    def _stop(self, phase: str) -> tuple[Command, ...]:
        """The deadline is here. An answer in hand, verified or not, beats an error."""
        if self._state == "verifying" and not self._is_partial:
            return self._end(*self._pair.part(), *_answer_with(self._pair.attempt))
        running = self._running_cancelled()
        best = self._attempts.best
        if best is not None and self._state != "committed":
            return self._end(*running, *_answer_with(best))
        return self._end(*running, GiveUp(self._deadline.exceeded(phase)))

    def _running_cancelled(self) -> tuple[Command, ...]:
        if self._state not in ("calling", "committed", "verifying"):
            return ()
        return (*self._pair.part(), Cancel(self._pair.attempt))

    def _doing(self, error: UpstreamError | None = None) -> str:
        return doing(error, is_committed=self._state == "committed", is_stream=self._plan.stream)


def _answer_with(attempt: int) -> tuple[Command, ...]:
    return Commit(attempt), Accept(attempt)
