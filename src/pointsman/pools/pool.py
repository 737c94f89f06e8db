"""Interchangeable endpoints of one model, and the leases on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random
from typing import Any, Literal, overload
from urllib.parse import urlsplit

import msgspec

from pointsman.core.fleet import EndpointId, EndpointSpec, EndpointState, EndpointView, LoadReport
from pointsman.core.protocols import Balancer
from pointsman.core.request import ChatRequest
from pointsman.core.settings import HealthSettings, PoolSettings
from pointsman.errors import NoEndpoint, UpstreamError
from pointsman.pools.endpoint import Endpoint
from pointsman.pools.health import INFINITY, Signal, signal_of

NOBODY: frozenset[EndpointId] = frozenset()


class Lease:
    """An endpoint held for one attempt. Closing it reports the outcome; an unclosed lease would count for ever."""

    __slots__ = ("_settings", "_tokens", "_vitals", "endpoint", "is_closed", "kind")

    def __init__(self, endpoint: Endpoint, tokens: int, now: float, settings: HealthSettings) -> None:
        self.endpoint: EndpointSpec = endpoint.spec
        self.is_closed = False
        self._vitals, self._tokens, self._settings = endpoint.vitals, tokens, settings
        self.kind = self._vitals.take(self, tokens, now)

    def began(self, now: float, ttft_s: float | None = None) -> None:
        """The answer is under way: a long stream need not end before its endpoint counts as well again."""
        if self.is_closed:
            return
        self._vitals.answered(now, ttft_s)
        if self.kind != "ordinary":
            self._vitals.learn(Signal.ANSWERED, now, self._settings, self._trust())
            self.kind = "ordinary"

    def close(
        self,
        outcome: Literal["answered", "failed", "rejected", "cancelled"],
        now: float,
        error: UpstreamError | None = None,
        ttft_s: float | None = None,
    ) -> None:
        """Gives the endpoint back. Closing twice is closing once: the first outcome stands.

        `error` says what a failure means for the endpoint's health; `ttft_s` is for answers that `began` was not
        called for.
        """
        if self.is_closed:
            return
        self.is_closed = True
        vitals = self._vitals
        vitals.give_back(self._tokens)
        if outcome == "answered":
            signal = Signal.ANSWERED
            vitals.answered(now, ttft_s)
        elif outcome == "cancelled" or (outcome == "rejected" and error is None):
            signal = Signal.NOTHING
        else:
            signal = signal_of(error)
        vitals.learn(signal, now, self._settings, self._trust(), error.retry_after_s if error is not None else None)

    def _trust(self) -> Literal["ordinary", "probe", "desperate"]:
        """A probe counts as one only while it is the endpoint's current probe."""
        return "desperate" if self.kind == "probe" and self._vitals.probe is not self else self.kind

    def __repr__(self) -> str:
        return f"<Lease {self.endpoint.id} [{self.kind}, {'closed' if self.is_closed else 'open'}]>"


class Shortage(msgspec.Struct, gc=False):
    """Why nobody can be leased, in numbers."""

    ejected: int = 0
    cooling: int = 0
    draining: int = 0
    tried: int = 0
    next_at: float = INFINITY
    """When the first of those that were not tried may be leased again."""

    def error(self, name: str, now: float) -> NoEndpoint:
        next_try_s = None if self.next_at == INFINITY else max(0.0, self.next_at - now)
        return NoEndpoint(name, ejected=self.ejected, cooling=self.cooling, tried=self.tried, next_try_s=next_try_s)


class Pool:
    """The endpoints of one model behind one balancer."""

    def __init__(self, settings: PoolSettings, balancer: Balancer) -> None:
        self.settings = settings
        self.name = settings.name
        self.endpoints = tuple(Endpoint(spec) for spec in settings.endpoints)
        self.endpoint_ids: tuple[EndpointId, ...] = tuple(e.id for e in self.endpoints)
        self._by_id = {e.id: e for e in self.endpoints}
        self._balancer = balancer

    def lease(
        self, request: ChatRequest, exclude: Collection[EndpointId], now: float, rng: Random, *,
        desperate: bool = False,
    ) -> Lease:  # fmt: skip
        """Holds one endpoint that is not in `exclude`; raises `NoEndpoint` with the counts.

        `desperate`: when nothing is in service, the healthiest of the rest. Only draining endpoints, and those that
        said themselves when to come back, stay closed then.
        """
        lease = self.offer(request, exclude, now, rng)
        if lease is None and desperate:
            lease = self.offer_desperate(request, exclude, now)
        if lease is None:
            shortage = Shortage()
            self.count_shortage(shortage, exclude, now)
            raise shortage.error(self.name, now)
        return lease

    def offer(
        self, request: ChatRequest, exclude: Collection[EndpointId], now: float, rng: Random
    ) -> Lease | None:
        """A lease on an endpoint in service, or None."""
        open_ = [e for e in self.endpoints if e.vitals.open_at <= now]
        if exclude:
            open_ = [e for e in open_ if e.id not in exclude]
        if not open_:
            return None
        only = len(open_) == 1
        chosen = open_[0] if only else self._by_id[self._balancer.pick(request, _Views(open_, now), rng)]
        return Lease(chosen, _tokens(request), now, self.settings.health)

    def offer_desperate(self, request: ChatRequest, exclude: Collection[EndpointId], now: float) -> Lease | None:
        """A lease on the healthiest endpoint out of service, or None."""
        rest = [e for e in self.endpoints if e.id not in exclude and _is_last_resort(e, now)]
        if not rest:
            return None
        return Lease(min(rest, key=_misery), _tokens(request), now, self.settings.health)

    def is_fit(self, now: float) -> bool:
        """At least one endpoint is in service."""
        return any(e.vitals.open_at <= now for e in self.endpoints)

    def count_shortage(self, shortage: Shortage, exclude: Collection[EndpointId], now: float) -> None:
        """Adds this pool's endpoints to the counts."""
        for endpoint in self.endpoints:
            vitals = endpoint.vitals
            if endpoint.id in exclude:
                shortage.tried += 1
                continue
            if vitals.is_draining:
                shortage.draining += 1
            elif vitals.health.state is not EndpointState.HEALTHY:
                shortage.ejected += 1
            elif vitals.open_at > now:
                shortage.cooling += 1
            shortage.next_at = min(shortage.next_at, vitals.open_at)

    def adopt(self, old: Pool) -> None:
        """Goes on with the vitals of servers that the old pool knew; quarantined ones get a new chance."""
        known = list(old.endpoints)
        for endpoint in self.endpoints:
            twin = next((e for e in known if e.is_same_server(endpoint)), None)
            if twin is not None:
                known.remove(twin)
                endpoint.vitals = twin.vitals
                endpoint.vitals.release_quarantine()

    def observe(self, endpoint: EndpointId, report: LoadReport | None) -> None:
        """What an engine said about its load; None = it did not answer, which is unknown and not idle."""
        self._by_id[endpoint].vitals.report = report

    def drain(self, endpoint: EndpointId, *, on: bool = True) -> None:
        """Takes an endpoint out of (or back into) service; its leases finish."""
        self._by_id[endpoint].vitals.drain(on)

    def views(self, now: float) -> tuple[EndpointView, ...]:
        """All endpoints, whatever their state."""
        return tuple(e.view(now) for e in self.endpoints)

    @property
    def in_flight(self) -> int:
        return sum(e.vitals.in_flight for e in self.endpoints)

    def status(self, now: float) -> dict[str, Any]:
        """For admin, readiness and metrics: counts by state, and each endpoint. No secrets."""
        states = [e.vitals.state() for e in self.endpoints]
        return {
            "pool": self.name, "model": self.settings.model, "is_fit": self.is_fit(now), "in_flight": self.in_flight,
            **{state.value: states.count(state) for state in EndpointState},
            "endpoints": [_status(e, now) for e in self.endpoints],
        }  # fmt: skip

    def __repr__(self) -> str:
        states = [e.vitals.state() for e in self.endpoints]
        counts = ", ".join(f"{states.count(s)} {s.value}" for s in EndpointState if s in states) or "no endpoints"
        return f"<Pool {self.name} [{counts} | {self.in_flight} in flight]>"


class _Views(Sequence[EndpointView]):
    """Views made when looked at: a balancer that compares two of a hundred endpoints pays for two."""

    __slots__ = ("_endpoints", "_now")

    def __init__(self, endpoints: list[Endpoint], now: float) -> None:
        self._endpoints, self._now = endpoints, now

    def __len__(self) -> int:
        return len(self._endpoints)

    @overload
    def __getitem__(self, index: int) -> EndpointView: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[EndpointView]: ...
    def __getitem__(self, index: int | slice) -> EndpointView | Sequence[EndpointView]:
        if isinstance(index, slice):
            return _Views(self._endpoints[index], self._now)
        return self._endpoints[index].view(self._now)


def _tokens(request: ChatRequest) -> int:
    return request.needs.context or 1


def _is_last_resort(endpoint: Endpoint, now: float) -> bool:
    vitals = endpoint.vitals
    if vitals.is_draining:
        return False
    return not (vitals.health.cool_known and vitals.health.cool_until > now)


def _misery(endpoint: Endpoint) -> tuple[int, int, int]:
    """Healthiest first: busy ones, then ejected ones by how often, quarantined ones last; the idlest of equals."""
    vitals = endpoint.vitals
    health = vitals.health
    if health.is_quarantined:
        return 2, 0, vitals.in_flight_tokens
    if health.state is EndpointState.HEALTHY:
        return 0, 0, vitals.in_flight_tokens
    return 1, health.ejections, vitals.in_flight_tokens


def _status(endpoint: Endpoint, now: float) -> dict[str, Any]:
    vitals = endpoint.vitals
    health = vitals.health
    opens = vitals.open_at - now
    return {
        "id": endpoint.id,
        "url": _shown(endpoint.spec.url),
        "state": vitals.state().value,
        "cause": health.cause or ("cooling down" if health.cool_until > now else ""),
        "opens_in_s": round(opens, 3) if 0 < opens < INFINITY else None,
        "in_flight": vitals.in_flight,
        "in_flight_tokens": vitals.in_flight_tokens,
        "answered_ago_s": None if vitals.last_answered_at is None else round(now - vitals.last_answered_at, 3),
        "ttft_s": vitals.ttft_s,
    }


def _shown(url: str) -> str:
    """The URL without a user or password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
