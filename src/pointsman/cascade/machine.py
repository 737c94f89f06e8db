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

A rung with `accept_at` commits nothing before its verifier has spoken: a streamed answer is then held back whole by
the caller, who may be told to commit an earlier attempt than the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Literal, assert_never

from pointsman import errors
from pointsman.cascade.budget import Budget, pool_of
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
from pointsman.cascade.losses import Losses, is_load
from pointsman.cascade.trail import CONTINUED, RETRY, SATURATED, VERIFIER, Trail
from pointsman.core.fleet import EndpointId
from pointsman.core.record import Escalation
from pointsman.errors import DeadlineExceeded, NoEndpoint, UpstreamError

BACKOFF_S = 0.025
"""Longest pause before the first repeat on the same endpoint; doubles with each. 25 ms outlives a broken connection."""
BACKOFF_MAX_S = 2.0
TIMER_SLACK_S = 0.001
"""Timers of event loops are that coarse: what ends this close before the deadline ended at the deadline."""

_NOT_REPEATABLE = (errors.UpstreamTimeout, errors.RateLimited, errors.CredentialRefused, errors.Misconfigured)

_State = Literal["new", "calling", "committed", "verifying", "waiting", "done"]


class Machine:
    """One request's way over the ladder, from `start()` to exactly one `Accept` or `GiveUp`."""

    __slots__ = (
        "_attempt", "_best", "_budget", "_dead", "_dead_desperate", "_excluded", "_failed_rungs", "_is_continuing",
        "_losses", "_now",
        "_pair", "_paying", "_plan", "_repeatable", "_repeating", "_repeats", "_rng", "_rung", "_rungs", "_sent", "_state",
        "_trail", "_wake_at", "is_desperate",
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
        self._excluded: frozenset[EndpointId] = frozenset()
        self._dead: set[int] = set()
        self._dead_desperate: set[int] = set()
        self._failed_rungs: set[int] = set()
        # Endpoint -> rung, of passing failures, latest last: what may be asked once more at the very end.
        self._repeatable: dict[EndpointId, int] = {}
        self._repeating: EndpointId | None = None
        self._repeats = 0
        self._wake_at = 0.0
        self._pair = Pair()
        # An answer is with the client in part; only endpoints of this rung can go on with it.
        self._is_continuing = False
        # The pool whose budget carries the running retry; paid back exactly once.
        self._paying: str | None = None
        # Score and attempt of the best answer that a verifier found too weak.
        self._best: tuple[float, int] | None = None

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
            self._attempt, self._pair.other = event.attempt, self._attempt
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
                return ()  # nothing is called with `hold`
        assert_never(event)

    @property
    def is_done(self) -> bool:
        return self._state == "done"

    # -----------------------------------------------------------------------------------------------------
    # For the record

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
            return self._stop(self._phase(None))
        if self._rungs[self._rung].accept_at is not None:
            return ()
        self._state = "committed"
        self._pay_back(sent=True)
        return (*self._lone(), Commit(self._attempt))

    def _replied(self, event: Replied) -> tuple[Command, ...]:
        if self._state == "committed":
            self._now = event.now
            return self._end(Accept(self._attempt))
        if self._state != "calling":
            return ()
        self._now = event.now
        self._sent += 1
        self._pay_back(sent=True)
        if self._rungs[self._rung].accept_at is None or self._is_late(event.now):
            return self._end(*self._lone(), Commit(self._attempt), Accept(self._attempt))
        self._state = "verifying"
        return (*self._lone(), Verify(self._attempt))

    def _verified(self, event: Verified) -> tuple[Command, ...]:
        if self._state != "verifying":
            return ()
        attempt, score, accept_at = self._attempt, event.score, self._rungs[self._rung].accept_at
        if score is None or accept_at is None or score >= accept_at:
            return self._end(Commit(attempt), Accept(attempt))
        if self._best is None or score >= self._best[0]:
            self._best = (score, attempt)
        if self._sent < self._plan.max_sent:
            for i in range(self._rung + 1, len(self._rungs)):
                if self._rungs[i].reason == FAILED and self._offers(i, self._dead):
                    return self._call(i, VERIFIER)
        return self._finish()

    def _failed(self, event: Failed) -> tuple[Command, ...]:
        error = event.error
        if self._state == "committed" and isinstance(error, errors.EndpointLeaving) and self._sent + 1 < self._plan.max_sent:
            return self._continued(event)
        if self._state == "committed":
            late = isinstance(error, errors.UpstreamTimeout) and self._is_late(event.now)
            return self._end(GiveUp(self._deadline_exceeded("streaming the answer") if late else error))
        if self._state != "calling":
            return ()
        self._now = event.now
        sent = event.sent and not isinstance(error, NoEndpoint)
        self._pay_back(sent=sent)
        self._remember(error, sent)
        if not error.retryable:
            return self._end_with_best() or self._end(*self._lone(), GiveUp(error))
        if self._is_late(event.now):
            return self._end_with_best() or self._end(*self._lone(), GiveUp(self._deadline_exceeded(self._phase(error))))
        if self._pair.other is not None:
            self._attempt, self._pair.other = self._pair.other, None
            return ()
        self._pair.due_at = None
        return self._next(error)

    def _tick(self, now: float) -> tuple[Command, ...]:
        if self._is_late(now):
            return self._stop("waiting to retry" if self._state == "waiting" else self._phase(None))
        if self._state == "calling" and self._pair.due_at is not None:
            return self._call_beside(now) if self._pair.is_due(now, TIMER_SLACK_S) else (Wake(self._pair.due_at),)
        if self._state != "waiting" or self._repeating is None:
            return ()
        if now < self._wake_at - TIMER_SLACK_S:
            return (Wake(self._wake_at),)
        self._now = now
        return self._call(self._repeatable[self._repeating], RETRY, desperate=True)

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
        refused = False
        passes = ((False, self._dead),) if self._best else ((False, self._dead), (True, self._dead_desperate))
        for desperate, dead in passes:
            for i in self._order(0 if desperate else self._rung):
                if not self._offers(i, dead):
                    continue
                if self._pays(self._untried(i)):
                    return self._call(i, self._why(i, error), desperate=desperate)
                refused = True
        if self._best is None and not refused and self._repeatable:
            endpoint = next(reversed(self._repeatable))
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
            return iter(sorted(ring, key=lambda i: i in self._failed_rungs))
        return iter(ring)

    def _offers(self, rung: int, dead: set[int]) -> bool:
        return rung not in dead and any(e not in self._excluded for e in self._rungs[rung].endpoints)

    def _untried(self, rung: int) -> tuple[EndpointId, ...]:
        return tuple(e for e in self._rungs[rung].endpoints if e not in self._excluded)

    def _why(self, rung: int, error: UpstreamError) -> str:
        if self._trail.has_visited(rung):
            return RETRY
        if (reason := self._rungs[rung].reason) != FAILED:
            return reason
        if isinstance(error, NoEndpoint) and self._trail.reason_of(self._attempt) == VERIFIER:
            return VERIFIER
        return SATURATED if is_load(error) else FAILED

    def _call(self, rung: int, reason: str, *, desperate: bool = False) -> tuple[Command, ...]:
        self._attempt = self._trail.add(rung, reason)
        self._rung, self._state, self.is_desperate = rung, "calling", desperate
        exclude = self._excluded if self._repeating is None else self._excluded - {self._repeating}
        return (Call(self._attempt, self._rungs[rung].tier, exclude, None, self._until()),)

    def _continued(self, event: Failed) -> tuple[Command, ...]:
        """The endpoint went away in the middle of the answer, and what has been told can go on: on this rung or not at all."""
        self._now, self._is_continuing = event.now, True
        self._remember(event.error, sent=True)
        if self._is_late(event.now) or not self._offers(self._rung, set()):
            return self._end(GiveUp(event.error))
        return self._call(self._rung, CONTINUED)

    # -----------------------------------------------------------------------------------------------------
    # A second attempt beside the first

    def _hedged_later(self, rung: Rung) -> tuple[Command, ...]:
        hedge = self._plan.hedge
        if hedge is None or len(rung.endpoints) < 2 or self._plan.max_sent < 2:
            return ()
        self._pair.due_at = self._now + hedge.after_s
        return (Wake(self._pair.due_at),)

    def _call_beside(self, now: float) -> tuple[Command, ...]:
        """The time has come: another endpoint of the same rung, if the hedges of its pool are not used up."""
        self._pair.due_at = None
        self._now = now
        hedge, rung = self._plan.hedge, self._rungs[self._rung]
        if hedge is None or not self._budget.open_hedge(pool_of(rung.endpoints[0]), hedge.share, now):
            return ()
        self._pair.other = self._attempt
        return self._call(self._rung, HEDGE)

    def _lone(self) -> tuple[Command, ...]:
        """From here on one attempt leads alone; the one beside it has reached an engine in vain."""
        other, self._pair.other, self._pair.due_at = self._pair.other, None, None
        if other is None:
            return ()
        self._sent += 1
        return (Cancel(other),)

    def _until(self) -> float:
        plan, now = self._plan, self._now
        timeout = plan.ttft_timeout_s if plan.stream else plan.answer_timeout_s
        remaining = plan.deadline - now
        left = plan.max_sent - self._sent
        if remaining < timeout * left:
            timeout = min(timeout, remaining / max(1, self._ways(left)))
        return min(now + timeout, plan.deadline)

    def _ways(self, enough: int) -> int:
        """How many endpoints could still be tried, this one included; counts no further than `enough`."""
        ways: set[EndpointId] = set()
        for i in range(len(self._rungs)):
            ways.update(self._untried(i))
            if len(ways) >= enough:
                return enough
        return len(ways)

    def _repeat(self, endpoint: EndpointId) -> tuple[Command, ...]:
        """Full jitter: a pause between nothing and a bound that doubles, so that the many do not come back as one."""
        pause = self._rng.random() * min(BACKOFF_MAX_S, BACKOFF_S * 2**self._repeats)
        if self._is_late(self._now + pause):
            self._pay_back(sent=False)
            return self._finish()
        self._repeats += 1
        self._state, self._repeating, self._wake_at = "waiting", endpoint, self._now + pause
        return (Wake(self._wake_at),)

    # -----------------------------------------------------------------------------------------------------
    # What has been

    def _remember(self, error: UpstreamError, sent: bool) -> None:
        """After each failure an endpoint is excluded or a rung is dead: so there is an end."""
        rung, endpoint, repeated = self._rung, error.endpoint, self._repeating
        self._repeating = None
        if repeated is not None:
            del self._repeatable[repeated]
        self._losses.add(error, sent=sent)
        if sent:
            self._sent += 1
            self._failed_rungs.add(rung)
        if isinstance(error, NoEndpoint):
            self._trail.mark_empty()
        if endpoint in self._rungs[rung].endpoints and (endpoint == repeated or endpoint not in self._excluded):
            self._excluded |= {endpoint}
            if sent and error.should_retry is not False and not isinstance(error, _NOT_REPEATABLE):
                self._repeatable[endpoint] = rung
        elif repeated is None:  # nothing there, or nobody says which endpoint it was
            (self._dead_desperate if self.is_desperate else self._dead).add(rung)

    def _pays(self, endpoints: tuple[EndpointId, ...]) -> bool:
        """Nothing that was sent has failed: free. Else some pool's retry budget must carry it."""
        failures = len(self._losses.sent)
        if not failures:
            return True
        self._paying = self._budget.open_retry(endpoints, self._now, first=failures == 1)
        return self._paying is not None

    def _pay_back(self, *, sent: bool) -> None:
        if self._paying is not None:
            self._budget.close_retry(self._paying, self._now, sent=sent)
            self._paying = None

    # -----------------------------------------------------------------------------------------------------
    # The end

    def _end(self, *commands: Command) -> tuple[Command, ...]:
        self._pay_back(sent=self._state != "waiting")
        self._state = "done"
        return commands

    def _end_with_best(self) -> tuple[Command, ...]:
        if self._best is None:
            return ()
        return self._end(Commit(self._best[1]), Accept(self._best[1]))

    def _finish(self, *, refused: bool = False) -> tuple[Command, ...]:
        """Nothing is left to try. `refused`: only because retry budgets said no."""
        if self._best is not None:
            return self._end_with_best()
        tier = self._rungs[0].tier if self._rungs else ""
        final = self._sent >= self._plan.max_sent
        return self._end(GiveUp(self._losses.telling(tier, final=final, refused=refused)))

    def _stop(self, phase: str) -> tuple[Command, ...]:
        """The deadline is here. An answer in hand, verified or not, beats an error."""
        if self._state == "verifying":
            return self._end(Commit(self._attempt), Accept(self._attempt))
        running = (*self._lone(), Cancel(self._attempt)) if self._state in ("calling", "committed") else ()
        if self._best is not None and self._state != "committed":
            return self._end(*running, Commit(self._best[1]), Accept(self._best[1]))
        return self._end(*running, GiveUp(self._deadline_exceeded(phase)))

    def _is_late(self, now: float) -> bool:
        return now >= self._plan.deadline - TIMER_SLACK_S

    def _deadline_exceeded(self, phase: str) -> DeadlineExceeded:
        return DeadlineExceeded(phase, round(self._plan.deadline - self._plan.now, 3))

    def _phase(self, error: UpstreamError | None) -> str:
        """What the running attempt was doing."""
        if error is not None and error.phase != UpstreamError.phase:
            return error.phase
        if self._state == "committed":
            return "streaming the answer"
        return "waiting for the first token" if self._plan.stream else "waiting for the answer"

