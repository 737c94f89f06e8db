"""When an endpoint is in service: a table of states and signals, with times passed in.

    healthy --5 failures in a row, or half of 20 and more--> ejected --time is up: one lease--> probing
    probing --it answers--> healthy          probing --it fails--> ejected, twice as long

Only what speaks against the endpoint counts: refused and broken connections, timeouts, 5xx, non-answers. A 4xx about
the request says nothing (one client's oversized prompts must never close a fleet). A 429 and a full queue are load:
the endpoint cools down and stays healthy. A refused credential or an unknown model is our configuration's fault:
quarantined, and probed once a minute in case somebody repaired it on the other side.

Why is the quarantine the endpoint's and not all of its siblings' with the same key? One server started with a wrong
key would take the others with it; a key that is really revoked is found out by each endpoint at its first request.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

import msgspec

from pointsman import errors
from pointsman.core.fleet import EndpointState
from pointsman.core.settings import HealthSettings
from pointsman.errors import UpstreamError

WINDOW_S = 30.0
"""Failures and answers of about this long make the share. Two halves: the older one is dropped as a whole."""
QUARANTINE_S = 60.0
OVERLOADED_S = 1.0
"""A full queue has moved on after a second; longer would starve an endpoint that is merely popular."""
COOLDOWN_S = 1.0
"""First cooldown after a 429 that does not say how long; doubles with each further one."""

INFINITY = float("inf")


class Signal(Enum):
    """What one outcome says about the endpoint."""

    ANSWERED = "answered"
    SICK = "sick"
    ALIVE = "alive"
    """It refused the request itself: nothing about its health, except that somebody is there."""
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    CREDENTIAL = "credential"
    MISCONFIGURED = "misconfigured"
    NOTHING = "nothing"
    """The client left, or nothing was tried."""


LeaseKind = Literal["ordinary", "probe", "desperate"]
"""Desperate: leased while out of service because no other way was left. A probe is the one that counts both ways."""


def signal_of(error: UpstreamError | None) -> Signal:
    """What a failure says. None = a failure that nobody explained: sick."""
    match error:
        case None:
            return Signal.SICK
        case errors.RateLimited():
            return Signal.RATE_LIMITED
        case errors.UpstreamOverloaded():
            return Signal.OVERLOADED
        case errors.CredentialRefused():
            return Signal.CREDENTIAL
        case errors.Misconfigured():
            return Signal.MISCONFIGURED
    if error.sick:
        return Signal.SICK
    return Signal.ALIVE if error.sent else Signal.NOTHING


class Health(msgspec.Struct, frozen=True, gc=False):
    """An endpoint's health at one moment. Times are monotonic seconds."""

    state: EndpointState = EndpointState.HEALTHY
    cause: str = ""
    """Why it is out of service: `failures`, `not ready`, `credential` or `misconfigured`; "" while healthy."""
    in_a_row: int = 0
    ejections: int = 0
    """How often it was ejected without a long healthy time in between: the exponent of the next ejection."""
    until: float = 0.0
    """Ejected: when it may be probed."""
    since: float = 0.0
    """Healthy: when it came back."""
    cool_until: float = 0.0
    cool_known: bool = False
    """The endpoint said itself when to come back."""
    cool_streak: int = 0
    half: int = 0
    """Which half window the counts below belong to; the `before` counts are of the half before it."""
    seen: int = 0
    sick: int = 0
    seen_before: int = 0
    sick_before: int = 0
    detail: str = ""
    """What was seen last of what put it out of service, for people."""

    @property
    def open_at(self) -> float:
        """From when on it may be leased as usual."""
        if self.state is EndpointState.HEALTHY:
            return self.cool_until
        if self.state is EndpointState.EJECTED:
            return max(self.until, self.cool_until)
        return INFINITY

    @property
    def is_quarantined(self) -> bool:
        return self.cause in (Signal.CREDENTIAL.value, Signal.MISCONFIGURED.value)


NEW = Health()


def probe(health: Health) -> Health:
    """One lease takes it upon itself to find out."""
    return _with(health, state=EndpointState.PROBING)


def told(mine: Health, theirs: Health) -> Health:
    """Theirs, which is newer. Failures in a row and the window are of one process: kept while the state stays the same."""
    counted = mine if mine.state is theirs.state else NEW
    return _with(
        theirs, in_a_row=counted.in_a_row, half=mine.half, seen=counted.seen, sick=counted.sick,
        seen_before=counted.seen_before, sick_before=counted.sick_before,
    )  # fmt: skip


def due(health: Health) -> Health:
    """An ejected endpoint that may be probed at once."""
    return _with(health, until=0.0)


def gone(health: Health, now: float, settings: HealthSettings) -> Health:
    """Ejected at once: a look from outside found nobody who could serve."""
    relapse = now - health.since <= settings.eject_max_s
    return _ejected(health, now, settings, health.ejections + 1 if relapse else 1, cause="not ready")


def step(
    health: Health, signal: Signal, now: float, settings: HealthSettings, *,
    kind: LeaseKind = "ordinary", retry_after_s: float | None = None,
) -> Health:  # fmt: skip
    """The health after one lease's outcome."""
    if health.state is not EndpointState.HEALTHY:
        return _step_out_of_service(health, signal, now, settings, kind, retry_after_s)
    match signal:
        case Signal.ANSWERED:
            return _counted(health, now, sick=0)
        case Signal.SICK:
            return _ejected_if_due(_counted(health, now, sick=1), now, settings)
        case Signal.CREDENTIAL | Signal.MISCONFIGURED:
            return _quarantined(health, signal, now)
        case Signal.RATE_LIMITED | Signal.OVERLOADED:
            return _cooled(health, signal, now, settings, retry_after_s)
    return health


def _step_out_of_service(
    health: Health, signal: Signal, now: float, settings: HealthSettings, kind: LeaseKind, retry_after_s: float | None
) -> Health:
    """Leases from before the ejection say nothing new; a desperate one heals, and only the probe makes it worse."""
    if signal is Signal.RATE_LIMITED or signal is Signal.OVERLOADED:
        health = _cooled(health, signal, now, settings, retry_after_s)
        return _healthy(health, now) if kind == "probe" else health
    if kind == "ordinary":
        return health
    if signal is Signal.ANSWERED or (signal is Signal.ALIVE and kind == "probe"):
        return _healthy(health, now)
    if kind == "desperate":
        return health
    match signal:
        case Signal.SICK:
            return _ejected(health, now, settings, health.ejections + 1)
        case Signal.CREDENTIAL | Signal.MISCONFIGURED:
            return _quarantined(health, signal, now)
    return _with(health, state=EndpointState.EJECTED, until=now)  # the probe was cut short: the next lease may


def _counted(health: Health, now: float, *, sick: int) -> Health:
    half = int(now / (WINDOW_S / 2))
    age = half - health.half
    fresh = age <= 0
    seen, bad = (health.seen, health.sick) if fresh else (0, 0)
    before = (health.seen_before, health.sick_before) if fresh else (health.seen, health.sick) if age == 1 else (0, 0)
    return Health(
        health.state, health.cause, health.in_a_row + 1 if sick else 0, health.ejections, health.until, health.since,
        health.cool_until, health.cool_known, 0 if not sick and now >= health.cool_until else health.cool_streak,
        health.half if fresh else half, seen + 1, bad + sick, *before,
    )  # fmt: skip


def _ejected_if_due(health: Health, now: float, settings: HealthSettings) -> Health:
    seen, sick = health.seen + health.seen_before, health.sick + health.sick_before
    by_share = seen >= settings.eject_share_min and sick >= settings.eject_share * seen
    if health.in_a_row < settings.eject_after and not by_share:
        return health
    relapse = now - health.since <= settings.eject_max_s
    return _ejected(health, now, settings, health.ejections + 1 if relapse else 1)


def _ejected(
    health: Health, now: float, settings: HealthSettings, ejections: int, cause: str = "failures"
) -> Health:
    length_s = min(settings.eject_max_s, settings.eject_s * 2.0 ** min(ejections - 1, 30))
    return _with(health, state=EndpointState.EJECTED, cause=cause, ejections=ejections, until=now + length_s)


def _quarantined(health: Health, signal: Signal, now: float) -> Health:
    return _with(health, state=EndpointState.EJECTED, cause=signal.value, until=now + QUARANTINE_S)


def _healthy(health: Health, now: float) -> Health:
    return Health(
        ejections=health.ejections, since=now, half=health.half,
        cool_until=health.cool_until, cool_known=health.cool_known, cool_streak=health.cool_streak,
    )  # fmt: skip


def _cooled(
    health: Health, signal: Signal, now: float, settings: HealthSettings, retry_after_s: float | None
) -> Health:
    if signal is Signal.RATE_LIMITED and retry_after_s is not None and retry_after_s > 0:
        until = now + min(retry_after_s, settings.cooldown_max_s)
        return _with(health, cool_until=max(until, health.cool_until), cool_known=True)
    if now < health.cool_until:
        return health  # requests that were under way when it began: one event, not many
    if signal is Signal.OVERLOADED:
        # It may say how long, and is believed while there are others. Not where it is the only way: a queue moves on in a second.
        length_s = OVERLOADED_S if retry_after_s is None else min(max(retry_after_s, OVERLOADED_S), settings.cooldown_max_s)
        return _with(health, cool_until=now + length_s, cool_known=False)
    streak = health.cool_streak + 1
    length_s = min(settings.cooldown_max_s, COOLDOWN_S * 2.0 ** min(streak - 1, 30))
    return _with(health, cool_until=now + length_s, cool_known=False, cool_streak=streak)


_with = msgspec.structs.replace
