"""What to try next, for one request: events in, commands out; no I/O, no clock.

The machine alone decides retry, climb, fallback and stop. Whoever drives it performs each `Call` as one attempt
and reports `Began`, `Replied` or `Failed` (with `error.endpoint` set to the endpoint that was leased), sends `Tick`
after a `Wake`, and `ClientGone` when the client leaves; sending `ClientGone` in a `finally` is safe, for a machine
that is done answers every event with (). `is_desperate` says whether the running call may lease endpoints that are
out of service.

In which order is everything tried? First the endpoints of the current rung, then the later rungs, then what earlier
rungs still have; with one attempt left a rung that has not failed yet goes first. Then all of that again among
endpoints that are out of service, since the last way to answer is never closed. At the very end the endpoint that
failed is asked once more, after a jittered pause, if its failure was of the passing kind.

Why are timeouts never repeated on the same endpoint? The wait was all the time that it was given. Why not a 429?
The endpoint said when to come back, and the client gets that answer.

With `plan.hedge` the first attempt may get a second one beside it, on the same rung: `Call` comes with a `Wake`, and the
`Tick` brings another `Call` while the first still runs. The first of the two that brings an answer leads from there, and
the other gets a `Cancel`; one that fails is forgotten as long as the other runs.

With `plan.deferral` nothing of a judged rung is committed before its verifier has spoken. A
plain answer is judged when it is there, a streamed one when its first `Call.hold` tokens are (`Held`) or it ended before. An answer
that is not worth giving is left for a higher rung: a stream that is still going on gets a `Cancel`, a whole answer stays in hand,
and is what the client gets when nothing above works out. The caller may so be told to commit an earlier attempt than the last.
A rung that was left is not judged when the way leads back to it.

With `deferral.beside_after_s` the higher rung starts beside a first one that is silent for so long, or whose beginning is
doubtful; then no `Cancel` comes, and the caller goes on holding until the answer ends. The first good one leads, and the
higher one is good as it comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Literal, assert_never

from pointsman import errors
from pointsman.cascade.appraisal import Appraisal, appraisal_of
from pointsman.cascade.budget import Budget, Fare, pool_of
from pointsman.cascade.events import (
    Accept,
    Began,
    Call,
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
from pointsman.cascade.hedge import HEDGE, Pair
from pointsman.cascade.ladder import FAILED, Plan, Rung
from pointsman.cascade.losses import Losses, doing, is_load
from pointsman.cascade.trail import CONTINUED, RETRY, SATURATED, VERIFIER, Trail
from pointsman.cascade.tried import Tried
from pointsman.core.fleet import EndpointId
from pointsman.core.record import Escalation
from pointsman.errors import DeadlineExceeded, NoEndpoint, UpstreamError

BACKOFF_S = 0.025
"""Longest pause before the first repeat on the same endpoint; doubles with each. 25 ms outlives a broken connection."""
BACKOFF_MAX_S = 2.0
TIMER_SLACK_S = 0.001
"""Timers of event loops are that coarse: what ends this close before the deadline ended at the deadline."""

_State = Literal["new", "calling", "committed", "verifying", "waiting", "done"]


class Machine:
    """One request's way over the ladder, from `start()` to exactly one `Accept` or `GiveUp`."""

    __slots__ = (
        "_appraisal", "_attempt", "_budget", "_fare", "_is_continuing", "_is_partial", "_later", "_losses", "_now", "_pair", "_plan",
        "_repeats", "_rng", "_rung", "_rungs", "_sent", "_state", "_trail", "_tried", "_wake_at", "is_desperate",
    )  # fmt: skip

    def __init__(self, plan: Plan, budget: Budget, rng: Random) -> None:
        self._plan, self._budget, self._rng = plan, budget, rng
        self._rungs = plan.rungs
        self._state: _State = "new"
        self._now = plan.now
        self.is_desperate = False
        """The running call may lease endpoints that are out of service: no other way is left."""
        self._attempt = 0
        self._rung = 0
        self._sent = 0
        self._trail = Trail()
        self._losses = Losses()
        self._tried = Tried(plan.rungs)
        self._repeats = 0
        self._wake_at = 0.0
        self._pair = Pair()
        # An answer is with the client in part; only endpoints of this rung can go on with it.
        self._is_continuing = False
        self._fare = Fare(budget)
        # None = an answer that is there is good enough.
        self._appraisal = appraisal_of(plan, self._trail, self._tried)
        # Of the answer that is being verified only the beginning is there.
        self._is_partial = False
        # What the attempt beside did while the leading one was verified.
        self._later: list[Event] = []

    # -----------------------------------------------------------------------------------------------------
    # The dialogue

    def start(self, now: float | None = None) -> tuple[Command, ...]:
        """The first command; () when already started. `now` None = at the time of arrival."""
        if self._state != "new":
            return ()
        if now is not None:
            self._now = now
            if self._is_late(now):
                return self._stop("choosing a tier")
        for i, rung in enumerate(self._rungs):
            if rung.endpoints:
                return self._call(i, rung.reason) + self._hedged_later(rung)
        return self._finish()

    def on(self, event: Event) -> tuple[Command, ...]:
        """What `event` leads to. Events of attempts that are over, and all events after the end, lead to nothing."""
        if self._state == "done":
            return ()
        if isinstance(event, ClientGone):
            return self._client_gone()
        if isinstance(event, Tick):
            return self._tick(event.now)
        if event.attempt != self._attempt:
            if event.attempt != self._pair.other:
                return ()
            if self._state == "verifying":
                self._later.append(event)
                return ()
            self._swap()
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

    def reason_of(self, attempt: int) -> str:
        """Why this attempt was made: `chosen`, `retry`, `failed`, `saturated`, `sla`, `hedge`, `verifier`, `fallback`,
        `last_resort`."""
        return self._trail.reason_of(attempt)

    @property
    def escalations(self) -> tuple[Escalation, ...]:
        """The climbs so far."""
        return self._trail.escalations(self._rungs)

    def __repr__(self) -> str:
        tier = self._rungs[self._rung].tier if self._rungs else "nowhere"
        return f"<Machine {tier} [{self._state}, attempt {self._attempt} | {self._sent} of {self._plan.max_sent} sent]>"

    # -----------------------------------------------------------------------------------------------------
    # Events

    def _began(self, event: Began) -> tuple[Command, ...]:
        if self._state != "calling" or not self._plan.stream:
            return ()
        if self._is_late(event.now):
            return self._stop(self._doing())
        return () if self._is_judged else self._committed()

    def _committed(self) -> tuple[Command, ...]:
        self._state = "committed"
        self._fare.pay_back(self._now, sent=True)
        return (*self._lone(), Commit(self._attempt))

    def _held(self, event: Held) -> tuple[Command, ...]:
        if self._state != "calling" or not self._plan.stream or not self._is_judged:
            return ()
        if self._is_late(event.now):
            return self._stop(self._doing())
        return self._verify(event.now, partial=True)

    def _replied(self, event: Replied) -> tuple[Command, ...]:
        if self._state == "committed":
            self._now = event.now
            return self._end(Accept(self._attempt))
        if self._state != "calling":
            return ()
        self._now = event.now
        self._sent += 1
        self._fare.pay_back(event.now, sent=True)
        if not self._is_judged or self._is_late(event.now):
            return self._end(*self._lone(), Commit(self._attempt), Accept(self._attempt))
        return self._verify(event.now, partial=False)

    def _verify(self, now: float, *, partial: bool) -> tuple[Command, ...]:
        self._now, self._state, self._is_partial = now, "verifying", partial
        other, self._pair.due_at = self._pair.other, None
        # A higher rung beside goes on; another endpoint of this rung has lost.
        lost = self._lone() if other is not None and self._trail.rung_of(other) == self._rung else ()
        return (*lost, Verify(self._attempt))

    def _verified(self, event: Verified) -> tuple[Command, ...]:
        appraisal = self._appraisal
        if self._state != "verifying" or appraisal is None:
            return ()
        self._now = self._now if event.now is None else event.now
        if self._is_late(self._now):
            return self._stop(self._doing())
        appraisal.judge(self._attempt, self._rung, event.score)
        to = appraisal.climbs_to(self._rung, self._sent + self._is_partial, self._pair.other, self._plan.deadline - self._now)
        return self._given(appraisal.to_give(self._attempt)) if to is None else self._left(appraisal, to)

    def _failed(self, event: Failed) -> tuple[Command, ...]:
        error = event.error
        if self._state == "committed":
            if isinstance(error, errors.EndpointLeaving) and self._sent + 1 < self._plan.max_sent:
                return self._continued(event)
            late = isinstance(error, errors.UpstreamTimeout) and self._is_late(event.now)
            return self._end(GiveUp(self._deadline_exceeded("streaming the answer") if late else error))
        if self._state != "calling":
            return ()
        self._now = event.now
        sent = event.sent and not isinstance(error, NoEndpoint)
        self._fare.pay_back(self._now, sent=sent)
        self._remember(error, sent)
        is_beside = self._pair.other is not None and self._trail.rung_of(self._pair.other) != self._rung
        if not error.retryable and not is_beside:
            return self._end_with_best() or self._end(*self._lone(), GiveUp(error))
        if self._is_late(event.now):
            return self._end_with_best() or self._end(*self._lone(), GiveUp(self._deadline_exceeded(self._doing(error))))
        if self._pair.other is not None:
            return self._follow_other()
        self._pair.due_at = None
        return self._next(error)

    def _tick(self, now: float) -> tuple[Command, ...]:
        if self._is_late(now):
            return self._stop("waiting to retry" if self._state == "waiting" else self._doing())
        if self._state == "calling" and self._pair.due_at is not None:
            return self._call_beside(now) if self._pair.is_due(now, TIMER_SLACK_S) else (Wake(self._pair.due_at),)
        if self._state != "waiting" or self._tried.repeating is None:
            return ()
        if now < self._wake_at - TIMER_SLACK_S:
            return (Wake(self._wake_at),)
        self._now = now
        return self._call(self._tried.repeatable[self._tried.repeating], RETRY, desperate=True)

    def _client_gone(self) -> tuple[Command, ...]:
        gone = GiveUp(errors.ClientGone())
        if self._state in ("calling", "committed", "verifying"):
            return self._end(*self._lone(), Cancel(self._attempt), gone)
        return self._end(gone)

    # -----------------------------------------------------------------------------------------------------
    # What next

    def _next(self, error: UpstreamError) -> tuple[Command, ...]:
        """The next attempt after a failure, or the end."""
        if self._sent >= self._plan.max_sent:
            return self._finish()
        refused, tried, appraisal = False, self._tried, self._appraisal
        in_hand = appraisal is not None and appraisal.best is not None
        for desperate in (False,) if in_hand else (False, True):
            for i in self._order(0 if desperate else self._rung):
                if not tried.offers(i, desperate=desperate) or (in_hand and appraisal and not appraisal.is_affordable(i)):
                    continue
                if self._pays(tried.untried(i)):
                    return self._call(i, self._why(i, error), desperate=desperate)
                refused = True
        if not in_hand and not refused and tried.repeatable:
            endpoint = next(reversed(tried.repeatable))
            if self._pays((endpoint,)):
                return self._repeat(endpoint)
            refused = True
        return self._finish(refused=refused)

    def _order(self, here: int) -> Iterator[int]:
        """Rungs to look at, best first: round from `here`, or only upwards when there is an answer to improve on."""
        count = len(self._rungs)
        if self._best is not None:
            return (i for i in range(here, count) if self._rungs[i].reason == FAILED)
        if self._is_continuing:
            return iter((self._rung,))
        ring = (*range(here, count), *range(here))
        if self._plan.max_sent - self._sent == 1:
            return iter(sorted(ring, key=lambda i: i in self._tried.failed_rungs))
        return iter(ring)

    def _why(self, rung: int, error: UpstreamError) -> str:
        if self._trail.has_visited(rung):
            return RETRY
        if (reason := self._rungs[rung].reason) != FAILED:
            return reason
        if isinstance(error, NoEndpoint) and self._trail.reason_of(self._attempt) == VERIFIER:
            return VERIFIER
        return SATURATED if is_load(error) else FAILED

    def _call(self, rung: int, reason: str, *, desperate: bool = False, is_beside: bool = False) -> tuple[Command, ...]:
        self._attempt = self._trail.add(rung, reason)
        self._rung, self._state, self.is_desperate = rung, "calling", desperate
        tier, exclude, appraisal = self._rungs[rung].tier, self._tried.exclude, self._appraisal
        until = self._tried.until(self._plan, self._now, self._sent)
        hold = None if appraisal is None or is_beside or self._is_continuing else appraisal.hold(rung)
        if appraisal is not None and hold is not None:
            appraisal.judged.add(self._attempt)
            if self._plan.stream:
                return (Call(self._attempt, tier, exclude, hold.tokens, until, hold.for_s),)
        return (Call(self._attempt, tier, exclude, None, until),)

    def _continued(self, event: Failed) -> tuple[Command, ...]:
        """The endpoint went away in the middle of the answer, and what has been told can go on: on this rung or not at all."""
        self._now, self._is_continuing = event.now, True
        self._remember(event.error, sent=True)
        if self._is_late(event.now) or not self._tried.has_untried(self._rung):
            return self._end(GiveUp(event.error))
        return self._call(self._rung, CONTINUED)

    # -----------------------------------------------------------------------------------------------------
    # Is the answer good enough?

    @property
    def _is_judged(self) -> bool:
        """The answer of the leading attempt waits for a verdict."""
        return self._appraisal is not None and self._attempt in self._appraisal.judged

    @property
    def _best(self) -> int | None:
        """The attempt with the best answer in hand."""
        return None if self._appraisal is None else self._appraisal.best

    def _given(self, attempt: int) -> tuple[Command, ...]:
        """No climb: this attempt's answer is the one. If it is still coming, it goes on."""
        if attempt == self._attempt and self._is_partial:
            return self._committed()
        broken_off = (Cancel(self._attempt),) if self._is_partial else ()
        return self._end(*self._lone(), *broken_off, *_answer_with(attempt))

    def _left(self, appraisal: Appraisal, to: int) -> tuple[Command, ...]:
        """The answer is not worth giving: on to rung `to`, where an attempt may be running already."""
        left, is_beside, answers = self._attempt, self._pair.other is not None, appraisal.answers
        answers.weak.add(self._rung)
        goes_on = self._is_partial and not is_beside and appraisal.goes_beside(self._sent)
        broken_off: tuple[Command, ...] = ()
        if self._is_partial:
            answers.drop(left)  # one that goes on is judged again when it is whole
        if self._is_partial and not goes_on:
            self._sent += 1
            self._fare.pay_back(self._now, sent=True)
            broken_off = (Cancel(left),)
        if is_beside:
            return broken_off + self._follow_other()
        answers.climbs += 1
        call = self._call(to, VERIFIER, is_beside=goes_on)
        if goes_on:
            self._pair.other = left
        return broken_off + call

    def _swap(self) -> None:
        """The attempt beside leads now."""
        other = self._pair.other
        if other is not None:
            self._attempt, self._pair.other = other, self._attempt
            self._rung = self._trail.rung_of(other)

    def _follow_other(self) -> tuple[Command, ...]:
        """The leading attempt is over; the one beside goes on alone, and is heard with what it has done meanwhile."""
        self._swap()
        self._pair.other, self._state = None, "calling"
        later, self._later = self._later, []
        return tuple(command for event in later for command in self.on(event))

    # -----------------------------------------------------------------------------------------------------
    # A second attempt beside the first

    def _hedged_later(self, rung: Rung) -> tuple[Command, ...]:
        hedge, due_at = self._plan.hedge, None
        if self._appraisal is not None and self._is_judged and self._higher_beside() is not None:
            due_at = self._now + self._appraisal.beside_after_s
        elif hedge is not None and len(rung.endpoints) > 1 and self._plan.max_sent > 1:
            due_at = self._now + hedge.after_s
        if due_at is None:
            return ()
        self._pair.due_at = due_at
        return (Wake(due_at),)

    def _higher_beside(self) -> int | None:
        """The rung to start beside one of whose answer, which is to be judged, nothing is heard yet."""
        if self._appraisal is None or not self._is_judged:
            return None
        return self._appraisal.beside(self._rung, self._sent, self._plan.deadline - self._now)

    def _call_beside(self, now: float) -> tuple[Command, ...]:
        """The time has come: a higher rung for an answer that is judged, else another endpoint of the same rung, if the
        hedges of its pool are not used up."""
        self._pair.due_at = None
        self._now = now
        first, hedge, rung = self._attempt, self._plan.hedge, self._rungs[self._rung]
        to = self._higher_beside()
        if self._appraisal is not None and to is not None:
            self._appraisal.answers.climbs += 1
            call = self._call(to, HEDGE, is_beside=True)
        elif hedge is None or not self._budget.open_hedge(pool_of(rung.endpoints[0]), hedge.share, now):
            return ()
        else:
            call = self._call(self._rung, HEDGE)
        self._pair.other = first
        return call

    def _lone(self) -> tuple[Command, ...]:
        """From here on one attempt leads alone; the one beside it has reached an engine in vain."""
        other, self._pair.other, self._pair.due_at = self._pair.other, None, None
        if other is None:
            return ()
        self._sent += 1
        if other > self._attempt and self._trail.rung_of(other) != self._rung:
            self._trail.mark_vain(other)
        return (Cancel(other),)

    def _repeat(self, endpoint: EndpointId) -> tuple[Command, ...]:
        """Full jitter: a pause between nothing and a bound that doubles, so that the many do not come back as one."""
        pause = self._rng.random() * min(BACKOFF_MAX_S, BACKOFF_S * 2**self._repeats)
        if self._is_late(self._now + pause):
            self._fare.pay_back(self._now, sent=False)
            return self._finish()
        self._repeats += 1
        self._state, self._tried.repeating, self._wake_at = "waiting", endpoint, self._now + pause
        return (Wake(self._wake_at),)

    # -----------------------------------------------------------------------------------------------------
    # What has been

    def _remember(self, error: UpstreamError, sent: bool) -> None:
        self._losses.add(error, sent=sent)
        self._sent += sent
        if isinstance(error, NoEndpoint):
            self._trail.mark_vain(self._attempt)
        self._tried.remember(self._rung, error, sent=sent, desperate=self.is_desperate)

    def _pays(self, endpoints: tuple[EndpointId, ...]) -> bool:
        """Nothing that was sent has failed: free. Else some pool's retry budget must carry it."""
        failures = len(self._losses.sent)
        return not failures or self._fare.pays(endpoints, self._now, first=failures == 1)

    # -----------------------------------------------------------------------------------------------------
    # The end

    def _end(self, *commands: Command) -> tuple[Command, ...]:
        self._fare.pay_back(self._now, sent=self._state != "waiting")
        self._state = "done"
        return commands

    def _end_with_best(self) -> tuple[Command, ...]:
        best = self._best
        return () if best is None else self._end(*self._lone(), *_answer_with(best))

    def _finish(self, *, refused: bool = False) -> tuple[Command, ...]:
        """Nothing is left to try. `refused`: only because retry budgets said no."""
        if self._best is not None:
            return self._end_with_best()
        tier = self._rungs[0].tier if self._rungs else ""
        final = self._sent >= self._plan.max_sent
        return self._end(GiveUp(self._losses.telling(tier, final=final, refused=refused)))

    def _stop(self, phase: str) -> tuple[Command, ...]:
        """The deadline is here. An answer in hand, verified or not, beats an error."""
        if self._state == "verifying" and not self._is_partial:
            return self._end(*self._lone(), *_answer_with(self._attempt))
        running: tuple[Command, ...] = ()
        if self._state in ("calling", "committed", "verifying"):
            running = (*self._lone(), Cancel(self._attempt))
        best = self._best
        if best is not None and self._state != "committed":
            return self._end(*running, *_answer_with(best))
        return self._end(*running, GiveUp(self._deadline_exceeded(phase)))

    def _is_late(self, now: float) -> bool:
        return now >= self._plan.deadline - TIMER_SLACK_S

    def _doing(self, error: UpstreamError | None = None) -> str:
        return doing(error, is_committed=self._state == "committed", is_stream=self._plan.stream)

    def _deadline_exceeded(self, phase: str) -> DeadlineExceeded:
        return DeadlineExceeded(phase, round(self._plan.deadline - self._plan.now, 3))


def _answer_with(attempt: int) -> tuple[Command, ...]:
    return Commit(attempt), Accept(attempt)
