"""The attempts of a request: how each is called for, what becomes of those that fail, and when one runs beside another.

They are made of what is known of the request: where it has been (`Trail`), who was tried (`Tried`), what was lost (`Losses`), what its
answers are worth (`Appraisal`), and when it must be over (`Deadline`).
"""

from __future__ import annotations

from pointsman.cascade.appraisal import appraisal_of
from pointsman.cascade.budget import Budget, Fare, pool_of
from pointsman.cascade.deadline import Deadline
from pointsman.cascade.events import Call
from pointsman.cascade.hedge import HEDGE
from pointsman.cascade.ladder import Plan, Rung
from pointsman.cascade.losses import Losses
from pointsman.cascade.pair import Pair
from pointsman.cascade.trail import Trail
from pointsman.cascade.tried import Tried
from pointsman.cascade.way import DeadEnd, Repeat, Step, Way
from pointsman.errors import EndpointLeaving, NoEndpoint, UpstreamError


class Attempts:
    """Of one request. Rungs are meant by their index in the plan."""

    __slots__ = ("_budget", "_plan", "_tried", "_was_surprised", "appraisal", "broken_by", "deadline", "fare", "is_continuing", "is_desperate", "losses",
                 "pair", "trail")

    def __init__(self, plan: Plan, budget: Budget) -> None:
        self._plan, self._budget = plan, budget
        self.deadline = Deadline(plan.now, plan.deadline)
        self.trail = Trail()
        self.pair = Pair(self.trail)
        self.losses = Losses()
        self.fare = Fare(budget)
        self._tried = Tried(plan.rungs)
        self.appraisal = appraisal_of(plan, self.trail, self._tried)
        """None: an answer that is there is good enough."""
        self.is_desperate = False
        """The running one may lease endpoints that are out of service: no other way is left."""
        self.is_continuing = False
        """An answer is with the client in part; only endpoints of this rung can go on with it."""
        self._was_surprised = False  # by an end that nobody had announced
        self.broken_by: UpstreamError | None = None
        """What broke that answer off: what the client is told, should nobody go on with it."""

    @property
    def is_judged(self) -> bool:
        """The answer of the leading attempt waits for a verdict."""
        return self.appraisal is not None and self.pair.attempt in self.appraisal.judged

    @property
    def best(self) -> int | None:
        """The attempt with the best answer in hand."""
        return None if self.appraisal is None else self.appraisal.best

    def call(self, rung: int, reason: str, now: float, *, is_desperate: bool = False, is_beside: bool = False) -> Call:
        """One more, which leads from here on."""
        attempt = self.trail.add(rung, reason)
        self.pair.lead(attempt, rung)
        self.is_desperate = is_desperate
        tier, exclude, appraisal = self._plan.rungs[rung].tier, self._tried.exclude, self.appraisal
        until = self._tried.until(self._plan, now, self.trail.sent)
        hold = None if appraisal is None or is_beside or self.is_continuing else appraisal.hold(rung)
        if appraisal is not None and hold is not None:
            appraisal.judged.add(attempt)
            if self._plan.stream:
                return Call(attempt, tier, exclude, hold.tokens, until, hold.for_s)
        return Call(attempt, tier, exclude, None, until)

    # -----------------------------------------------------------------------------------------------------
    # After a failure

    def remember(self, error: UpstreamError, *, sent: bool) -> None:
        """The leading one came to nothing."""
        self.losses.add(error, sent=sent)
        self.trail.sent += sent
        if isinstance(error, NoEndpoint):
            self.trail.mark_vain(self.pair.attempt)
        self._tried.remember(self.pair.rung, error, sent=sent, desperate=self.is_desperate)

    def way_on(self, error: UpstreamError, now: float) -> Step | Repeat | DeadEnd:
        """What can be tried now that the leading one has failed with `error`."""
        way = Way(self._plan, self.pair, self.trail, self._tried, self.losses, self.fare, self.appraisal)
        return way.after(error, now, is_continuing=self.is_continuing)

    def goes_on_after(self, error: UpstreamError, now: float) -> bool:
        """The leading one broke off in the middle of its answer: somebody else on this rung can and may go on with it.

        Who said that it would go is followed every time. Who broke without a word is followed once in a request, and only as retry budgets
        bear it: a prompt that kills the engines that answer it must not be taken to all of them.
        """
        is_announced, is_first = isinstance(error, EndpointLeaving), not self._was_surprised
        self.is_continuing, self.broken_by, self._was_surprised = True, error, not (is_announced and is_first)
        self.remember(error, sent=True)
        untried = self._tried.untried(self.pair.rung)
        if is_announced or not untried:
            return bool(untried)
        return is_first and self.fare.pays_to_go_on(untried, now)

    def wait(self, repeat: Repeat) -> None:
        """The same endpoint is called again after a pause."""
        self._tried.repeating = repeat.endpoint

    @property
    def awaited(self) -> int | None:
        """The rung of the endpoint that is called again after the pause; None = nobody is waited for."""
        repeating = self._tried.repeating
        return None if repeating is None else self._tried.repeatable[repeating]

    # -----------------------------------------------------------------------------------------------------
    # A second one beside the first

    def beside_at(self, rung: Rung, now: float) -> float | None:
        """When another starts beside the first, which was just called for; None = none will."""
        hedge, due_at = self._plan.hedge, None
        if self.appraisal is not None and self._higher_beside(now) is not None:
            due_at = now + self.appraisal.beside_after_s
        elif hedge is not None and len(rung.endpoints) > 1 and self._plan.max_sent > 1:
            due_at = now + hedge.after_s
        self.pair.due_at = due_at
        return due_at

    def call_beside(self, now: float) -> Call | None:
        """The time has come: a higher rung for an answer that is judged, else another endpoint of the same rung, if the
        hedges of its pool are not used up."""
        self.pair.due_at = None
        first, here, hedge = self.pair.attempt, self.pair.rung, self._plan.hedge
        to = self._higher_beside(now)
        if self.appraisal is not None and to is not None:
            self.appraisal.answers.climbs += 1
            call = self.call(to, HEDGE, now, is_beside=True)
        elif hedge is None or not self._budget.open_hedge(pool_of(self._plan.rungs[here].endpoints[0]), hedge.share, now):
            return None
        else:
            call = self.call(here, HEDGE, now)
        self.pair.other = first
        return call

    def _higher_beside(self, now: float) -> int | None:
        """The rung to start beside one of whose answer, which is to be judged, nothing is heard yet."""
        if self.appraisal is None or not self.is_judged:
            return None
        return self.appraisal.beside(self.pair.rung, self.trail.sent, self.deadline.left_s(now))
