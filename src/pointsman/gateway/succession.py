"""Who could go on with an answer when its endpoint goes away in the middle of it.

Why ask before the endpoint is left and not after? An answer that nobody can go on with is better off where it is: machines that were
given notice often stay longer than they said, and what breaks in the end is then known by its own name.
"""

from __future__ import annotations

from pointsman.cascade.ladder import MAX_SENT
from pointsman.core.clock import Clock
from pointsman.core.fleet import EndpointSpec
from pointsman.errors import (
    BadAnswer,
    ConnectionLost,
    EndpointLeaving,
    StreamStalled,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
)
from pointsman.gateway.continuation import ENGINES
from pointsman.gateway.departures import Departures
from pointsman.gateway.trip import Trip
from pointsman.pools.fleet import Fleet
from pointsman.pools.pool import NOBODY


class Succession:
    """Asked about answers that are with the client in part."""

    def __init__(self, fleet: Fleet, departures: Departures, clock: Clock) -> None:
        self._fleet, self._departures, self._clock = fleet, departures, clock

    def bounded(self, endpoint: EndpointSpec, tier: str, trip: Trip, until: float) -> float:
        """No wait outlasts an endpoint that is going, if another one can go on. Raises EndpointLeaving when the answer must leave
        it now."""
        now = self._clock.now()
        leaves_at = self._departures.leaves_at(endpoint.id)
        if until <= leaves_at and not self._departures.is_over(endpoint.id, now):
            return until
        if not self._has_heir(endpoint, tier, trip, now, desperate=False):
            return until
        if self._departures.is_over(endpoint.id, now):
            raise EndpointLeaving(f"{endpoint.id} is going away; the answer goes on elsewhere")
        return leaves_at

    def goes_on(self, endpoint: EndpointSpec, tier: str, trip: Trip, error: UpstreamError) -> bool:
        """A stream that broke off is no end where another endpoint can go on with it."""
        return is_of_endpoint(error) and self._has_heir(endpoint, tier, trip, self._clock.now(), desperate=True)

    def _has_heir(self, endpoint: EndpointSpec, tier: str, trip: Trip, now: float, *, desperate: bool) -> bool:
        """`desperate`: one that is out of service would do."""
        told = trip.told
        if told is None or not told.is_of(trip.request):
            return False
        reached = sum(attempt.sent for attempt in trip.attempts) + 1
        if reached >= min(MAX_SENT, trip.request.limits.max_sent or MAX_SENT):
            return False
        passed_over = {endpoint.id, *(attempt.endpoint for attempt in trip.attempts), *trip.barred.get(tier, NOBODY)}
        pool = self._fleet.pools[told.pool]
        passed_over.update(pool.of_other_engines(ENGINES))
        return pool.may_be_asked(now, passed_over) if desperate else pool.is_fit(now, passed_over)


def is_of_endpoint(error: UpstreamError) -> bool:
    """It was the endpoint that broke off, and not the request that broke it: what an engine says against a request, others would say too."""
    if isinstance(error, UpstreamFailed):
        return error.sick
    return isinstance(error, ConnectionLost | StreamStalled | BadAnswer | UpstreamOverloaded | EndpointLeaving)
