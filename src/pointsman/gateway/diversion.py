"""Is the decided tier fit right now? If not, which one is: the second question put to the fleet, before any attempt.

Only the first rung of a way is looked at here. What happens after an attempt has failed is the machine's business.

A rung need not be its whole tier: the gate, the caller's key or the client's choice may leave one pool of it. Then that
pool is asked about, not the tier: a sibling with room is of no use. This is the rung's *place*.

Why is a pool that is on no tier never waited for? It has made no promise, so that a line would turn away work which its
engines would do, and nobody could say otherwise: `queue` and `sla` are a tier's. Who wants a line for it gives it a tier.
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
    place: str = ""
    """What of the fleet it enters; empty = none of its tiers."""
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
    place = place_of(way, first, fleet)
    reason = fleet.diverts(place, now, rng)
    if reason is None:
        if not fleet.is_served(place, now):
            return Entry(way, place, is_stuck=_is_crowded(way, fleet, now) or _is_coming(way, place, fleet, now))
        if ttft_slo_s is None or _is_fast(fleet, place, ttft_slo_s, now):
            return Entry(way, place)
        reason = SLA
    is_fit = _fit(fleet, ttft_slo_s, now)
    for at, rung in enumerate(way.rungs):
        if at and _is_above(rung) and is_fit(there := place_of(way, rung, fleet)):
            return Entry(_entered(way, at, reason), there, Escalation(first.tier, rung.tier, reason))
    return Entry(way, place, is_stuck=reason != SLA)


def place_of(way: Way, rung: Rung, fleet: Fleet) -> str:
    """What of the fleet a rung stands for: its tier, or the one pool that this way may use."""
    pools, tier = way.pools[rung.tier], fleet.tiers.get(rung.tier)
    if tier is not None and (len(tier.pools) == 1 or len(pools) > 1):
        return rung.tier
    return pools[0] if len(pools) == 1 and pools[0] not in fleet.tiers else rung.tier


def _is_crowded(way: Way, fleet: Fleet, now: float) -> bool:
    """The decided tier is out of service, and those above it that are not are full: it would be their queue."""
    served = _served_above(way, fleet, now)
    return bool(served) and not any(fleet.has_room(place, now) for place in served)


def _is_coming(way: Way, place: str, fleet: Fleet, now: float) -> bool:
    """Nobody is there to answer, and a machine comes because somebody waits."""
    return fleet.is_starting(place, now) and not _served_above(way, fleet, now)


def _served_above(way: Way, fleet: Fleet, now: float) -> list[str]:
    above = (place_of(way, rung, fleet) for rung in way.rungs[1:] if _is_above(rung))
    return [place for place in above if fleet.is_served(place, now)]


def _is_above(rung: Rung) -> bool:
    return rung.reason in (FAILED, FALLBACK)


def _fit(fleet: Fleet, ttft_slo_s: float | None, now: float) -> Callable[[str], bool]:
    return lambda tier: fleet.fitness(tier, now).is_fit and _is_fast(fleet, tier, ttft_slo_s, now)


def _is_fast(fleet: Fleet, tier: str, ttft_slo_s: float | None, now: float) -> bool:
    """Unknown is fast enough: a tier that nobody has measured must be tried to be known."""
    if ttft_slo_s is None:
        return True
    p95 = fleet.ttft_p95(tier, now)
    return p95 is None or p95 <= ttft_slo_s


def places_to_wait_for(way: Way, fleet: Fleet) -> dict[str, str]:
    """Place -> tier: the decided one, then those that a climb or a fallback leads to."""
    places: dict[str, str] = {}
    for at, rung in enumerate(way.rungs):
        if not at or _is_above(rung):
            places.setdefault(place_of(way, rung, fleet), rung.tier)
    return places


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
