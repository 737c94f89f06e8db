"""The operator's drains across starts and reloads: the word as it was given, the servers that it was given of, wherever they stand now."""

from __future__ import annotations

import logging
from pathlib import Path

from pointsman.core.clock import Clock
from pointsman.core.fleet import EndpointId
from pointsman.gateway.departures import Departures
from pointsman.pools.fleet import Fleet
from pointsman.pools.pool import Pool
from pointsman.state.drains import Drain, Drains, drains_file, server_of

_log = logging.getLogger(__name__)


class Drained:
    """Keeps what the operator says and says it again for them. One process of a router has it: the one that they talk to."""

    def __init__(self, records_path: str | Path, departures: Departures, clock: Clock) -> None:
        self._drains, self._departures, self._clock = Drains(drains_file(records_path)), departures, clock

    @property
    def last_error(self) -> str | None:
        """Why a restart would forget something, or this one has; None = it would not."""
        return self._drains.last_error

    def keep(self, pool: Pool, endpoint: EndpointId) -> bool:
        """What the operator wants of this endpoint holds after a restart. False: it cannot be written down; `last_error` says why."""
        wanted = self._departures.wanted_by_operator(endpoint)
        if wanted is None:
            return False
        epoch = self._clock.wall() - self._clock.now()
        return self._drains.add(Drain(endpoint, _server(pool, endpoint), wanted.reason, epoch + wanted.announced_at, epoch + wanted.leaves_at))

    def put_back(self, pool: Pool, endpoint: EndpointId) -> None:
        """The operator has said that it stays."""
        self._drains.remove(_server(pool, endpoint))

    def resume(self, fleet: Fleet) -> None:
        """What was drained before this start, or by another name before this reload, is drained; what is gone is forgotten."""
        here = {server_of(name, endpoint.spec): (pool, endpoint.id) for name, pool in fleet.pools.items() for endpoint in pool.endpoints}
        for gone in self._drains.keep(here):
            _log.warning("%s was drained (%s) and is not configured any more: the drain is forgotten", gone.endpoint, gone.reason)
        for drain in self._drains.known:
            pool, endpoint = here[drain.server]
            if self._departures.wanted_by_operator(endpoint) is None:
                self._resume(pool, endpoint, drain)

    def _resume(self, pool: Pool, endpoint: EndpointId, drain: Drain) -> None:
        now, wall = self._clock.now(), self._clock.wall()
        ago_s = max(0.0, wall - drain.since)
        # A clock that was set back must not make the notice longer than it was.
        leads_s = min(drain.leaves - wall, drain.leaves - drain.since)
        self._departures.resume(endpoint, now - ago_s, now + leads_s, drain.reason)
        pool.drain(endpoint)
        _log.warning("%s was drained %.0f s ago and still is (%s); DELETE /admin/endpoints/%s/drain puts it back into service",
                     endpoint, ago_s, drain.reason, endpoint)

    def __repr__(self) -> str:
        return f"<Drained {self._drains!r}>"


def _server(pool: Pool, endpoint: EndpointId) -> str:
    return next(server_of(pool.name, one.spec) for one in pool.endpoints if one.id == endpoint)
