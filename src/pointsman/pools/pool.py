"""Interchangeable endpoints of one model, and the leases on them."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from random import Random
from statistics import median_high, median_low
from typing import Any, overload
from urllib.parse import urlsplit

import msgspec

from pointsman.core.fleet import EndpointId, EndpointState, EndpointView, LoadReport
from pointsman.core.price import GpuPrice
from pointsman.core.protocols import Balancer
from pointsman.core.request import ChatRequest
from pointsman.core.settings import PoolSettings
from pointsman.errors import NoEndpoint
from pointsman.pools.anteroom import Anteroom, Foresees
from pointsman.pools.balancers.load import prompt_tokens_of, room_s
from pointsman.pools.balancers.memory import Remembers
from pointsman.pools.endpoint import STALE_S, Endpoint, Vitals
from pointsman.pools.health import INFINITY
from pointsman.pools.journal import Journal
from pointsman.pools.lease import Lease, Watchers

__all__ = ["NOBODY", "Lease", "Pool", "Shortage"]

NOBODY: frozenset[EndpointId] = frozenset()
TOKENS_PER_WAITING = 500
"""A queued request of which we know nothing else: the middle of what chat traffic asks, in and out."""
COMPARE_EVERY_S = 0.5
"""Endpoints are compared with their siblings at most this often: reported queues are seconds old anyway."""
SLACK, SLACK_SHARE = 2, 0.25
"""Requests by which a report and what we know to be in flight differ although both are right: some are on their way, some have
just ended. Taken for strangers they would chase our traffic away from whoever reports truly, and towards whoever says nothing."""
SLOW_FROM, SLOWEST = 1.25, 4.0
"""An endpoint is slower than its siblings from a quarter more seconds per token on (less is chance), and gets a quarter
of the usual traffic at least (or nobody would notice that it is quick again)."""


class Shortage(msgspec.Struct, gc=False):
    """Why nobody can be leased, in numbers."""

    ejected: int = 0
    cooling: int = 0
    draining: int = 0
    tried: int = 0
    busy: int = 0
    """In service, with as many in flight as they are ever leased for."""
    next_at: float = INFINITY
    """When the first of those that were not tried may be leased again."""

    def error(self, name: str, now: float) -> NoEndpoint:
        next_try_s = None if self.next_at == INFINITY else max(0.0, self.next_at - now)
        return NoEndpoint(
            name, ejected=self.ejected, cooling=self.cooling, saturated=self.busy, tried=self.tried,
            next_try_s=next_try_s,
        )  # fmt: skip


class Pool:
    """The endpoints of one model behind one balancer."""

    def __init__(self, settings: PoolSettings, balancer: Balancer, *, stale_s: float = STALE_S) -> None:
        self.settings = settings
        self.name = settings.name
        self.watchers = Watchers()
        slow_start_s = settings.health.slow_start_s
        self.endpoints = tuple(
            Endpoint(spec, slow_start_s=slow_start_s, stale_s=stale_s) for spec in settings.endpoints
        )
        self.endpoint_ids: tuple[EndpointId, ...] = tuple(e.id for e in self.endpoints)
        self._by_id = {e.id: e for e in self.endpoints}
        self._balancer = balancer
        self._memory = balancer if isinstance(balancer, Remembers) else None
        self.anteroom = Anteroom(self.endpoints, balancer) if isinstance(balancer, Foresees) else None
        """Where streams wait while every endpoint has enough to read; None = the balancer cannot tell what that is."""
        if self.anteroom is not None:
            self.watchers.read = self.anteroom.look
        # When the endpoints were last compared with each other.
        self._compared_at = -COMPARE_EVERY_S

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
        # Who holds a place has it, whatever another process has begun to hold meanwhile and will take back.
        open_ = [e for e in self.endpoints if e.vitals.open_at <= now and (e.most == INFINITY or e.vitals.held or e.vitals.busy < e.most)]
        if exclude:
            open_ = [e for e in open_ if e.id not in exclude]
        if not open_:
            return None
        if len(open_) == 1 and (self._memory is None or len(self.endpoints) == 1):
            return self._held(open_[0], request, now)
        if now - self._compared_at >= COMPARE_EVERY_S:
            self._compare(now)
        if self._memory is None:
            return self._held(self._by_id[self._balancer.pick(request, _Views(open_, now), rng)], request, now)
        chosen = self._balancer.pick(request, [e.view(now, waits=True) for e in open_], rng)
        return self._held(self._by_id[chosen], request, now, self._memory.unread)

    def offer_at(self, endpoint: EndpointId, request: ChatRequest, now: float, rng: Random) -> Lease | None:
        """As `offer`, of this endpoint alone."""
        return self.offer(request, [id_ for id_ in self.endpoint_ids if id_ != endpoint], now, rng)

    def offer_desperate(self, request: ChatRequest, exclude: Collection[EndpointId], now: float) -> Lease | None:
        """A lease on the healthiest endpoint out of service, or None."""
        rest = [e for e in self.endpoints if e.id not in exclude and _is_last_resort(e, now)]
        if not rest:
            return None
        return self._held(min(rest, key=_misery), request, now)

    def _held(self, endpoint: Endpoint, request: ChatRequest, now: float, unread: int | None = None) -> Lease:
        """`unread`: tokens of its prompt that the endpoint has to read, as the balancer thinks; None = all."""
        return Lease(
            endpoint, _tokens(request), now, self.settings.health, self.watchers, is_stream=request.stream,
            prompt_tokens=prompt_tokens_of(request) if unread is None else unread,
        )

    def is_fit(self, now: float, exclude: Collection[EndpointId] = NOBODY) -> bool:
        """At least one endpoint is in service, of those that are not in `exclude`."""
        return any(e.vitals.open_at <= now and e.id not in exclude for e in self.endpoints)

    def of_other_engines(self, engines: Container[str]) -> Iterator[EndpointId]:
        """Endpoints that are none of these, by what they were found to be, else by the configuration."""
        return (e.id for e in self.endpoints if (e.vitals.engine or e.spec.engine) not in engines)

    def may_be_asked(self, now: float, exclude: Collection[EndpointId] = NOBODY) -> bool:
        """Some endpoint would be, in service or as a last resort. False: all are draining, full, or have said when to come back."""
        return self.is_fit(now, exclude) or any(e.id not in exclude and _is_last_resort(e, now) for e in self.endpoints)

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
            elif vitals.busy >= endpoint.most:
                shortage.busy += 1  # nobody knows when one of them ends
                continue
            health = vitals.health
            # It is a last resort again, whatever else keeps it out of service, once the time is over that it named itself.
            is_cooling = health.cool_known and health.cool_until > now and not vitals.is_draining
            shortage.next_at = min(shortage.next_at, vitals.open_at, health.cool_until if is_cooling else INFINITY)

    def adopt(self, old: Pool) -> None:
        """Goes on with the vitals of servers that the old pool knew; quarantined ones get a new chance."""
        known, same = list(old.endpoints), dict[EndpointId, EndpointId]()
        self.watchers.first = old.watchers.first
        for endpoint in self.endpoints:
            twin = next((e for e in known if e.is_same_server(endpoint)), None)
            if twin is not None:
                known.remove(twin)
                same[endpoint.id] = twin.id
                endpoint.vitals = twin.vitals
                endpoint.vitals.release_quarantine()
            else:
                endpoint.vitals.is_new = True
        if self._memory is not None and old._memory is not None and type(old._memory) is type(self._memory):
            self._memory.adopt(old._memory, same)

    @property
    def memory(self) -> Remembers | None:
        """Of its balancer, where that has one."""
        return self._memory

    def share(self, journal: Journal, columns: Mapping[EndpointId, int]) -> None:
        """From now on other processes of this router hear what was sent where, and we hear them."""
        if self._memory is not None:
            self._memory.share(journal, {id_: columns[id_] for id_ in self.endpoint_ids if id_ in columns})

    def observe(self, endpoint: EndpointId, report: LoadReport | None) -> None:
        """What an engine said about its load; None = it did not answer, which is unknown and not idle."""
        self._by_id[endpoint].vitals.observe(report)
        if report is not None:
            for tier in self.watchers.tiers:
                tier.look(report.at)

    def observe_elsewhere(self, endpoint: EndpointId, in_flight: int, tokens: int) -> None:
        """What other processes of this router have in flight there: attempts, and their estimated tokens."""
        vitals = self._by_id[endpoint].vitals
        vitals.elsewhere, vitals.elsewhere_tokens = max(0, in_flight), max(0, tokens)

    def mark(self, endpoint: EndpointId, alive: bool | None, why: str, now: float) -> None:
        """What a look from outside says: True = it can serve, False = it cannot (refused, asleep, model not listed),
        None = it could not tell. See `Vitals.mark`."""
        self._by_id[endpoint].vitals.mark(alive, why, now, self.settings.health)

    def _compare(self, now: float) -> None:
        self._compared_at = now
        self._compare_queues(now)
        self._compare_paces(now)
        self._compare_forecasts()

    def _compare_forecasts(self) -> None:
        """Whose first tokens nobody has seen yet are expected as those of the middle; while nobody has shown enough, as all have together."""
        known = [e.vitals.forecast for e in self.endpoints if e.vitals.forecast.is_known]
        if not known and self.watchers.first.is_known:
            known.append(self.watchers.first)
        known.sort(key=lambda forecast: forecast.expects(TOKENS_PER_WAITING) or 0.0)
        slopes = [forecast.token_s for forecast in known if forecast.token_s > 0.0]
        token_s = median_low(slopes) if slopes else None
        for endpoint in self.endpoints:
            endpoint.vitals.sibling = known[len(known) // 2] if known else None
            if token_s is not None:
                endpoint.vitals.token_s, endpoint.vitals.room_s = token_s, room_s(token_s)

    def _compare_paces(self, now: float) -> None:
        """How much slower than its siblings each endpoint makes its tokens, as measured here.

        Why is nobody faster? Whoever answers fast because it answers badly must not attract anybody.
        """
        paces = [(e.vitals, e.vitals.seconds_per_token(now)) for e in self.endpoints]
        known = [pace for _, pace in paces if pace is not None]
        usual = median_low(known) if known else 0.0
        for vitals, pace in paces:
            slowness = 1.0 if pace is None or not usual else pace / usual
            vitals.slowness = 1.0 if slowness < SLOW_FROM else min(SLOWEST, slowness)

    def _compare_queues(self, now: float) -> None:
        """What each endpoint reports beyond the middle of all that report.

        Why not what it reports? A silent or lying engine would look idle and attract the traffic of its siblings. So a
        report can only repel, when it says more than at least half of all say; of two that differ nobody knows which one
        is wrong, and neither counts. How busy an endpoint is with our own requests we know better than any report.
        """
        for vitals, tokens in self._beyond_usual([_queue(e, now) for e in self.endpoints]):
            vitals.excess_tokens = tokens
        for vitals, tokens in self._beyond_usual([_not_ours(e, now) for e in self.endpoints]):
            vitals.strangers_tokens = tokens

    def _beyond_usual(self, queues: list[int | None]) -> Iterator[tuple[Vitals, int]]:
        known = [queue for queue in queues if queue is not None]
        usual = median_high(known) if known else 0
        for endpoint, queue in zip(self.endpoints, queues, strict=True):
            yield endpoint.vitals, 0 if queue is None else max(0, queue - usual)

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
            "anteroom": None if self.anteroom is None else self.anteroom.status(now),
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

    def __iter__(self) -> Iterator[EndpointView]:
        now = self._now
        return (endpoint.view(now) for endpoint in self._endpoints)


def _queue(endpoint: Endpoint, now: float) -> int | None:
    """Tokens that its report says wait there, or are there and not ours; None = it does not say."""
    report, vitals = endpoint.fresh_report(now), endpoint.vitals
    if report is None or report.waiting is None:
        return None
    waiting = report.waiting * TOKENS_PER_WAITING if report.queued_tokens is None else report.queued_tokens
    return waiting + _strangers(report.running, vitals.report_in_flight) * TOKENS_PER_WAITING


def _strangers(running: int | None, ours: int) -> int:
    """Requests that run there and are not ours, as far as the difference is more than chance."""
    over = 0 if running is None else running - ours
    return over if over > max(SLACK, SLACK_SHARE * ours) else 0


def _not_ours(endpoint: Endpoint, now: float) -> int | None:
    """Tokens of the requests that it reports beyond ours, whether they run or wait; None = it does not say."""
    report, vitals = endpoint.fresh_report(now), endpoint.vitals
    if report is None or report.waiting is None:
        return None
    return _strangers(report.waiting + (report.running or 0), vitals.report_in_flight) * TOKENS_PER_WAITING


def _tokens(request: ChatRequest) -> int:
    return request.needs.context or 1


def _is_last_resort(endpoint: Endpoint, now: float) -> bool:
    vitals = endpoint.vitals
    if vitals.is_draining or vitals.busy >= endpoint.most:
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
    is_out = health.state is not EndpointState.HEALTHY
    report = vitals.report
    return {
        "id": endpoint.id,
        "url": _shown(endpoint.spec.url),
        "is_spot": endpoint.spec.spot,
        "is_ours": endpoint.spec.is_ours,
        "usd_per_hour": price.usd_per_hour * price.count if isinstance(price := endpoint.spec.price, GpuPrice) else None,
        "state": vitals.state().value,
        "cause": (vitals.not_ready if is_out else "") or health.cause or ("cooling down" if 0 < opens < INFINITY else ""),
        "detail": health.detail if is_out and not vitals.not_ready else "",
        "opens_in_s": round(opens, 3) if 0 < opens < INFINITY else None,
        "in_flight": vitals.in_flight,
        "in_flight_tokens": vitals.in_flight_tokens,
        "in_flight_elsewhere": vitals.busy - vitals.in_flight,
        "awaited_tokens": vitals.awaited_tokens,
        "expected_ttft_s": None if (expected := vitals.expected_s()) is None else round(expected, 3),
        "slots": endpoint.slots_now(now),
        "slowness": round(vitals.slowness, 2),
        "weight": round(endpoint.weight(now), 3),
        "answered_ago_s": None if vitals.last_answered_at is None else round(now - vitals.last_answered_at, 3),
        "ttft_s": vitals.ttft_s,
        "window": vitals.windows.status(now),
        "load": None if report is None else _load(report, now, is_fresh=endpoint.fresh_report(now) is not None),
    }


def _load(report: LoadReport, now: float, *, is_fresh: bool) -> dict[str, Any]:
    return {
        "age_s": round(now - report.at, 3), "is_fresh": is_fresh, "waiting": report.waiting, "running": report.running,
        "kv_usage": report.kv_usage, "queued_tokens": report.queued_tokens, "engine": report.engine,
        "version": report.version,
    }  # fmt: skip


def _shown(url: str) -> str:
    """The URL without a user or password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
