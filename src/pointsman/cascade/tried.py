"""Who has been tried for a request and to no avail: endpoints that are excluded, rungs that are dead, and who may be asked once more.

After each failure an endpoint is excluded or a rung is dead: so there is an end.
"""

from __future__ import annotations

from pointsman import errors
from pointsman.cascade.ladder import Plan, Rung
from pointsman.core.fleet import EndpointId
from pointsman.errors import UpstreamError

_NOT_REPEATABLE = (errors.UpstreamTimeout, errors.RateLimited, errors.CredentialRefused, errors.Misconfigured)


class Tried:
    """Rungs are meant by their index in the plan."""

    __slots__ = ("_dead", "_dead_desperate", "_excluded", "_rungs", "failed_rungs", "repeatable", "repeating")

    def __init__(self, rungs: tuple[Rung, ...]) -> None:
        self._rungs = rungs
        self._excluded: frozenset[EndpointId] = frozenset()
        self._dead: set[int] = set()
        self._dead_desperate: set[int] = set()
        self.failed_rungs: set[int] = set()
        # Endpoint -> rung, of passing failures, latest last: what may be asked once more at the very end.
        self.repeatable: dict[EndpointId, int] = {}
        self.repeating: EndpointId | None = None

    @property
    def exclude(self) -> frozenset[EndpointId]:
        """Who is not to be called now."""
        return self._excluded if self.repeating is None else self._excluded - {self.repeating}

    def offers(self, rung: int, *, desperate: bool = False) -> bool:
        """Somebody there is left to try."""
        return rung not in (self._dead_desperate if desperate else self._dead) and self.has_untried(rung)

    def has_untried(self, rung: int) -> bool:
        return any(e not in self._excluded for e in self._rungs[rung].endpoints)

    def untried(self, rung: int) -> tuple[EndpointId, ...]:
        return tuple(e for e in self._rungs[rung].endpoints if e not in self._excluded)

    def ways(self, enough: int) -> int:
        """How many endpoints could still be tried, the running one included; counts no further than `enough`."""
        ways: set[EndpointId] = set()
        for i in range(len(self._rungs)):
            ways.update(self.untried(i))
            if len(ways) >= enough:
                return enough
        return len(ways)

    def until(self, plan: Plan, now: float, sent: int) -> float:
        """How long the next attempt may take: its timeout, or its share of what is left before the deadline when there are more
        ways than time. `sent`: attempts that have reached an engine."""
        timeout = plan.ttft_timeout_s if plan.stream else plan.answer_timeout_s
        remaining, left = plan.deadline - now, plan.max_sent - sent
        if remaining < timeout * left:
            timeout = min(timeout, remaining / max(1, self.ways(left)))
        return min(now + timeout, plan.deadline)

    def remember(self, rung: int, error: UpstreamError, *, sent: bool, desperate: bool) -> None:
        """An attempt on `rung` came to nothing."""
        endpoint, repeated = error.endpoint, self.repeating
        self.repeating = None
        if repeated is not None:
            del self.repeatable[repeated]
        if sent:
            self.failed_rungs.add(rung)
        if endpoint in self._rungs[rung].endpoints and (endpoint == repeated or endpoint not in self._excluded):
            self._excluded |= {endpoint}
            if sent and error.should_retry is not False and not isinstance(error, _NOT_REPEATABLE):
                self.repeatable[endpoint] = rung
        elif repeated is None:  # nothing there, or nobody says which endpoint it was
            (self._dead_desperate if desperate else self._dead).add(rung)
