"""An endpoint while serving: what is fixed (its spec) and what changes (its vitals).

Why two objects? A reload builds new endpoints from the new file, while requests of the old graph are still running.
Both graphs then share the vitals of the same server: health is not forgotten, and leases taken before the reload
return to zero where the new graph counts.
"""

from __future__ import annotations

from pointsman.core.fleet import EndpointSpec, EndpointState, EndpointView, LoadReport
from pointsman.core.settings import HealthSettings
from pointsman.pools import health as table
from pointsman.pools.health import INFINITY, NEW, Health, LeaseKind, Signal

STALE_S = 6.0
"""A load report older than three polls says nothing any more: unknown, never zero."""
TTFT_WEIGHT = 0.2
"""Weight of the newest time to first token in its moving average: about the last ten answers."""


class Vitals:
    """What changes about one server while it serves."""

    __slots__ = (
        "health", "in_flight", "in_flight_tokens", "is_draining", "last_answered_at", "open_at", "probe", "report",
        "ttft_s",
    )  # fmt: skip

    def __init__(self) -> None:
        # Attempts that it is serving, and their estimated tokens. Both return to zero when the last lease closes.
        self.in_flight = 0
        self.in_flight_tokens = 0
        self.health: Health = NEW
        # From when on it may be leased as usual: kept beside `health` because every lease compares it.
        self.open_at = 0.0
        self.is_draining = False
        # The one lease that is finding out whether an ejected endpoint is back.
        self.probe: object | None = None
        self.last_answered_at: float | None = None
        self.ttft_s: float | None = None
        self.report: LoadReport | None = None

    def take(self, lease: object, tokens: int, now: float) -> LeaseKind:
        """Counts `lease` in and says what its outcome will mean."""
        self.in_flight += 1
        self.in_flight_tokens += tokens
        if self.health.state is EndpointState.HEALTHY:
            return "ordinary"
        if self.health.state is EndpointState.EJECTED and self.health.open_at <= now:
            self.probe = lease
            self._become(table.probe(self.health))
            return "probe"
        return "desperate"

    def give_back(self, tokens: int) -> None:
        self.in_flight -= 1
        self.in_flight_tokens -= tokens

    def learn(
        self, signal: Signal, now: float, settings: HealthSettings, kind: LeaseKind, retry_after_s: float | None = None
    ) -> None:
        """One lease's outcome changes the health."""
        self._become(table.step(self.health, signal, now, settings, kind=kind, retry_after_s=retry_after_s))

    def answered(self, now: float, ttft_s: float | None) -> None:
        self.last_answered_at = now
        if ttft_s is not None:
            old = self.ttft_s
            self.ttft_s = ttft_s if old is None else old + TTFT_WEIGHT * (ttft_s - old)

    def drain(self, on: bool) -> None:
        """No new leases; those that run may finish."""
        self.is_draining = on
        self._become(self.health)

    def release_quarantine(self) -> None:
        """The configuration was read again: the next lease may probe."""
        if self.health.is_quarantined and self.health.state is EndpointState.EJECTED:
            self._become(table.due(self.health))

    def state(self) -> EndpointState:
        return EndpointState.DRAINING if self.is_draining else self.health.state

    def _become(self, health: Health) -> None:
        self.health = health
        if health.state is not EndpointState.PROBING:
            self.probe = None
        self.open_at = INFINITY if self.is_draining else health.open_at


class Endpoint:
    """A spec with its vitals."""

    __slots__ = ("id", "spec", "vitals")

    def __init__(self, spec: EndpointSpec, vitals: Vitals | None = None) -> None:
        self.id = spec.id
        self.spec = spec
        self.vitals = vitals or Vitals()

    def view(self, now: float) -> EndpointView:
        """What a balancer sees. A stale load report is none."""
        vitals, report = self.vitals, self.vitals.report
        if report is not None and now - report.at > STALE_S:
            report = None
        return EndpointView(
            self.id, vitals.state(), vitals.in_flight, vitals.in_flight_tokens, self.spec.slots, report
        )

    def is_same_server(self, other: Endpoint) -> bool:
        mine, theirs = self.spec, other.spec
        return (mine.url, mine.model, mine.api_key) == (theirs.url, theirs.model, theirs.api_key)

    def __repr__(self) -> str:
        vitals = self.vitals
        return f"<Endpoint {self.id} [{vitals.state().value} | {vitals.in_flight} in flight]>"
