"""Is the decided tier fit right now? If not, which one is: the second question put to the fleet, before any attempt.

Only the first rung of a way is looked at here. What happens after an attempt has failed is the machine's business.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from pointsman.cascade.ladder import FAILED, FALLBACK, LAST_RESORT, Rung
from pointsman.core.record import Escalation
from pointsman.gateway.graph import Way
from pointsman.pools.fleet import Fleet

SLA = "sla"


class Entry(msgspec.Struct, frozen=True):
    """Where a request enters its way."""

    way: Way
    escalation: Escalation | None = None
    """Set when it enters above the decided tier."""
    is_stuck: bool = False
    """The decided tier is unfit and nothing above it is fit: whoever enters now adds to a queue somewhere."""


def enter(way: Way, fleet: Fleet, now: float, rng: Random, *, ttft_slo_s: float | None = None) -> Entry:
    """The way as it is to be gone now: its first rung is a tier that is fit, when there is one.

    A tier that keeps its promise may still be too slow for a client that asked for a time to first token of its own.
    """
    first = way.rungs[0] if way.rungs else None
    if first is None or first.tier not in fleet.tiers:
        return Entry(way)
    reason = fleet.diverts(first.tier, now, rng)
    if reason is None and not _is_fast(fleet, first.tier, ttft_slo_s, now):
        reason = SLA
    if reason is None:
        return Entry(way)
    is_fit = _fit(fleet, ttft_slo_s, now)
    for at, rung in enumerate(way.rungs):
        if at and rung.reason in (FAILED, FALLBACK) and rung.tier in fleet.tiers and is_fit(rung.tier):
            return Entry(_entered(way, at, reason), Escalation(first.tier, rung.tier, reason))
    return Entry(way, is_stuck=reason != SLA)


def _fit(fleet: Fleet, ttft_slo_s: float | None, now: float) -> Callable[[str], bool]:
    return lambda tier: fleet.fitness(tier, now).is_fit and _is_fast(fleet, tier, ttft_slo_s, now)


def _is_fast(fleet: Fleet, tier: str, ttft_slo_s: float | None, now: float) -> bool:
    """Unknown is fast enough: a tier that nobody has measured must be tried to be known."""
    if ttft_slo_s is None:
        return True
    p95 = fleet.ttft_p95(tier, now)
    return p95 is None or p95 <= ttft_slo_s


def tiers_to_wait_for(way: Way) -> tuple[str, ...]:
    """The decided tier, then those that a climb or a fallback leads to."""
    return tuple(rung.tier for at, rung in enumerate(way.rungs) if not at or rung.reason in (FAILED, FALLBACK))


def entered_at(way: Way, tier: str, reason: str) -> Way:
    """The way entered at `tier`, which is on it."""
    at = next(at for at, rung in enumerate(way.rungs) if rung.tier == tier)
    return _entered(way, at, reason)


def _entered(way: Way, at: int, reason: str) -> Way:
    """The rung at `at` first; the decided tier and what was skipped stay reachable, after everything above."""
    chosen = msgspec.structs.replace(way.rungs[at], reason=reason)
    above, below = way.rungs[at + 1 :], way.rungs[:at]
    skipped = tuple(_last_resort(rung) for rung in reversed(below))
    later = tuple(rung for rung in above if rung.reason != LAST_RESORT)
    resorts = tuple(rung for rung in above if rung.reason == LAST_RESORT)
    return Way((chosen, *later, *skipped, *resorts), way.pools, way.barred)


def _last_resort(rung: Rung) -> Rung:
    return msgspec.structs.replace(rung, reason=LAST_RESORT)
