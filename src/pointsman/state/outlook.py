"""What one process knows of the endpoints' health that others do not know yet, and the other way round.

Both ends of a link have one. Health travels as "this is so since then", and the later word is right: two processes that
eject an endpoint at the same time agree on one ejection, and a probe that succeeds anywhere opens it everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pointsman.core.fleet import EndpointId, EndpointState
from pointsman.pools.endpoint import Endpoint
from pointsman.pools.fleet import Fleet
from pointsman.pools.health import NEW, Health
from pointsman.state.messages import News

Shared = tuple[EndpointState, str, int, float, float, bool]
NEVER = float("-inf")
BEFORE = 0.0


class Outlook:
    """The endpoints of one fleet, and what was last said of each, by whomever."""

    def __init__(self, fleet: Fleet) -> None:
        self._endpoints: dict[EndpointId, Endpoint] = {
            endpoint.id: endpoint for pool in fleet.pools.values() for endpoint in pool.endpoints}
        self._known = {name: _shared(endpoint) for name, endpoint in self._endpoints.items()}
        # Health objects that say what `_known` says: most looks find the same one and are done.
        self._last: dict[EndpointId, Health] = {}
        # What was known before this configuration is older than all that will be said in it.
        self._at: dict[EndpointId, float] = {name: NEVER if known == _UNTOUCHED else BEFORE for name, known in self._known.items()}

    def found_out(self, now: float) -> tuple[News, ...]:
        """What has changed here since it was last said, and came from here."""
        found = []
        for endpoint, shared in self._changes():
            self._known[endpoint.id], self._at[endpoint.id] = shared, now
            found.append(News(endpoint.id, endpoint.vitals.health, endpoint.vitals.is_draining, now))
        return tuple(found)

    @property
    def has_news(self) -> bool:
        return next(self._changes(), None) is not None

    def _changes(self) -> Iterator[tuple[Endpoint, Shared]]:
        for name, endpoint in self._endpoints.items():
            vitals = endpoint.vitals
            if vitals.health is self._last.get(name) and vitals.is_draining == self._known[name][-1]:
                continue
            shared = _shared(endpoint)
            if shared != self._known[name]:
                yield endpoint, shared
            else:
                self._last[name] = vitals.health

    def hear(self, news: Iterable[News]) -> tuple[News, ...]:
        """Takes over what is newer than what is known here. Returns that; the rest was old."""
        taken = []
        for one in news:
            endpoint = self._endpoints.get(one.endpoint)
            if endpoint is None or one.at <= self._at[one.endpoint]:
                continue
            vitals = endpoint.vitals
            if vitals.is_draining != one.is_draining:
                vitals.drain(one.is_draining)
            vitals.hear(one.health)
            self._at[one.endpoint], self._known[one.endpoint] = one.at, _shared(endpoint)
            self._last[one.endpoint] = vitals.health
            taken.append(one)
        return tuple(taken)

    def whole(self) -> tuple[News, ...]:
        """All that was ever said of these endpoints, for somebody who has just come."""
        return tuple(News(name, self._endpoints[name].vitals.health, self._known[name][-1], at)
                     for name, at in self._at.items() if at > NEVER)

    def __repr__(self) -> str:
        return f"<Outlook on {len(self._endpoints)} endpoints>"


def _shared(endpoint: Endpoint) -> Shared:
    """The part of an endpoint's health that concerns everyone; who counted which failure does not."""
    health = endpoint.vitals.health
    return (health.state, health.cause, health.ejections, health.until, health.cool_until, endpoint.vitals.is_draining)


_UNTOUCHED: Shared = (NEW.state, NEW.cause, NEW.ejections, NEW.until, NEW.cool_until, False)
