"""The way on after a failure: who is asked next, and why.

In which order is everything tried? First the endpoints of the current rung, then the later rungs, then what earlier
rungs still have; with one attempt left a rung that has not failed yet goes first. Then all of that again among
endpoints that are out of service, since the last way to answer is never closed. At the very end the endpoint that
failed is asked once more, after a jittered pause, if its failure was of the passing kind.

Why are timeouts never repeated on the same endpoint? The wait was all the time that it was given. Why not a 429?
The endpoint said when to come back, and the client gets that answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pointsman.cascade.appraisal import Appraisal
from pointsman.cascade.budget import Fare
from pointsman.cascade.ladder import FAILED, Plan
from pointsman.cascade.losses import Losses, is_load
from pointsman.cascade.pair import Pair
from pointsman.cascade.trail import RETRY, SATURATED, VERIFIER, Trail
from pointsman.cascade.tried import Tried
from pointsman.core.fleet import EndpointId
from pointsman.errors import NoEndpoint, UpstreamError


class Step(msgspec.Struct, frozen=True, gc=False):
    """An attempt on this rung."""

    rung: int
    reason: str
    is_desperate: bool


class Repeat(msgspec.Struct, frozen=True, gc=False):
    """The same endpoint once more, after a pause."""

    endpoint: EndpointId


class DeadEnd(msgspec.Struct, frozen=True, gc=False):
    """Nothing is left to try. `refused`: only because retry budgets said no."""

    refused: bool = False


class Way:
    """Of one request, seen from where it is now. Rungs are meant by their index in the plan."""

    __slots__ = ("_appraisal", "_fare", "_losses", "_pair", "_plan", "_trail", "_tried")

    def __init__(
        self, plan: Plan, pair: Pair, trail: Trail, tried: Tried, losses: Losses, fare: Fare, appraisal: Appraisal | None
    ) -> None:
        self._plan, self._pair, self._trail, self._tried = plan, pair, trail, tried
        self._losses, self._fare, self._appraisal = losses, fare, appraisal

    def after(self, error: UpstreamError, now: float, *, is_continuing: bool) -> Step | Repeat | DeadEnd:
        """The next attempt after a failure, with its place in a retry budget, or the end.

        `is_continuing`: an answer is with the client in part; only endpoints of this rung can go on with it.
        """
        if self._trail.sent >= self._plan.max_sent:
            return DeadEnd()
        refused, tried, appraisal = False, self._tried, self._appraisal
        in_hand = appraisal is not None and appraisal.best is not None
        for desperate in (False,) if in_hand else (False, True):
            for i in self._order(0 if desperate else self._pair.rung, in_hand=in_hand, is_continuing=is_continuing):
                if not tried.offers(i, desperate=desperate) or (in_hand and appraisal and not appraisal.is_affordable(i)):
                    continue
                if self._pays(tried.untried(i), now, is_continuing=is_continuing):
                    return Step(i, self._why(i, error), desperate)
                refused = True
        if not in_hand and not refused and tried.repeatable:
            endpoint = next(reversed(tried.repeatable))
            if self._pays((endpoint,), now):
                return Repeat(endpoint)
            refused = True
        return DeadEnd(refused)

    def _order(self, here: int, *, in_hand: bool, is_continuing: bool) -> Iterator[int]:
        """Rungs to look at, best first: round from `here`, or only upwards when there is an answer to improve on."""
        rungs = self._plan.rungs
        if in_hand:
            return (i for i in range(here, len(rungs)) if rungs[i].reason == FAILED)
        if is_continuing:
            return iter((self._pair.rung,))
        ring = (*range(here, len(rungs)), *range(here))
        if self._plan.max_sent - self._trail.sent == 1:
            return iter(sorted(ring, key=lambda i: i in self._tried.failed_rungs))
        return iter(ring)

    def _why(self, rung: int, error: UpstreamError) -> str:
        if self._trail.has_visited(rung):
            return RETRY
        if (reason := self._plan.rungs[rung].reason) != FAILED:
            return reason
        if isinstance(error, NoEndpoint) and self._trail.reason_of(self._pair.attempt) == VERIFIER:
            return VERIFIER
        return SATURATED if is_load(error) else FAILED

    def _pays(self, endpoints: tuple[EndpointId, ...], now: float, *, is_continuing: bool = False) -> bool:
        """Nothing that was sent has failed: free. Else some pool's retry budget must carry it."""
        failures = len(self._losses.sent)
        if not failures:
            return True
        if is_continuing:
            return self._fare.pays_to_go_on(endpoints, now)
        return self._fare.pays(endpoints, now, first=failures == 1)
