"""In which order tiers may answer one request, and within which limits: what the machine walks along."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

import msgspec

from pointsman.cascade.deferral import Deferral
from pointsman.cascade.hedge import HedgePlan
from pointsman.core.fleet import EndpointId

CHOSEN = "chosen"
FAILED = "failed"
FALLBACK = "fallback"
LAST_RESORT = "last_resort"

MAX_SENT = 3
"""Attempts that reach an engine, per request over all tiers: one try and two more hide any two failures, and a
prompt that kills engines kills three at most."""


class Rung(msgspec.Struct, frozen=True, gc=False):
    """A tier of the plan, with every endpoint that may serve this request (whatever its health)."""

    tier: str
    endpoints: tuple[EndpointId, ...]
    reason: str = FAILED
    """Why we would come here: `chosen`, `failed` (a climb), `fallback` or `last_resort`."""


class Plan(msgspec.Struct, frozen=True):
    """Everything the machine needs to know about one request. Times are monotonic seconds."""

    rungs: tuple[Rung, ...]
    """In the order to be tried; the first is the decided tier."""
    stream: bool
    now: float
    """When the request arrived."""
    deadline: float
    ttft_timeout_s: float
    """Streamed: to the first content-bearing event of one attempt."""
    answer_timeout_s: float
    """Plain: one attempt, to the last byte."""
    max_sent: int = MAX_SENT
    hedge: HedgePlan | None = None
    """None: the first attempt is not hedged."""
    deferral: Deferral | None = None
    """When a request climbs because of what its answer is worth. None: never."""


def plan_rungs(
    ladder: tuple[str, ...],
    chosen: str,
    fallbacks: tuple[str, ...],
    endpoints: Mapping[str, tuple[EndpointId, ...]],
    fits: Container[str],
) -> tuple[Rung, ...]:
    """The chosen tier, the rungs above it, the configured fallbacks, then the rungs below it, nearest first.

    Why end on weaker tiers? A worse answer beats an error that a healthy endpoint could have hidden.
    Tiers outside `fits` (the capability gate) or without endpoints are left out. A pinned pool or model has no
    alternatives: pass an empty ladder and no fallbacks.
    """
    rungs: dict[str, Rung] = {}
    for tier, reason in _order(ladder, chosen, fallbacks):
        ids = endpoints.get(tier)
        if ids and tier not in rungs and tier in fits:
            rungs[tier] = Rung(tier, ids, reason)
    return tuple(rungs.values())


def _order(ladder: tuple[str, ...], chosen: str, fallbacks: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    # A chosen tier that is off the ladder has nothing above it: the whole ladder is below, strongest first.
    at = ladder.index(chosen) if chosen in ladder else len(ladder)
    yield chosen, CHOSEN
    for tier in ladder[at + 1 :]:
        yield tier, FAILED
    for tier in fallbacks:
        yield tier, FALLBACK
    for tier in reversed(ladder[:at]):
        yield tier, LAST_RESORT
