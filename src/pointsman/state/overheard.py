"""What the tiers of one process have heard of their answers, so that those of others can judge by all of them.

A promise is kept or broken by the whole router: of two workers each sees half of the answers, and would notice a slow tier
when it is twice as late.
"""

from __future__ import annotations

from collections import deque

from pointsman.pools.fleet import Fleet
from pointsman.pools.pool import Pool
from pointsman.pools.windows import Untold
from pointsman.state.messages import Times

MOST = 5000
"""Times that wait to be told, of one pool: more than a pool begins in the tenth of a second between two tellings."""


class Overheard:
    """Listens to one pool's leases, beside its tiers (`pools.lease.Listener`)."""

    def __init__(self) -> None:
        self._heard: deque[float] = deque(maxlen=MOST)
        self._waited: deque[float] = deque(maxlen=MOST)
        self._answered = 0

    def heard(self, ttft_s: float, now: float) -> None:
        self._heard.append(ttft_s)

    def waited(self, seconds: float, now: float) -> None:
        self._waited.append(seconds)

    def answered(self, now: float) -> None:
        self._answered += 1

    def look(self, now: float) -> None:
        """Its signals are others' business."""

    def take(self) -> Times | None:
        """What was heard since the last call; None = nothing."""
        if not (self._heard or self._waited or self._answered):
            return None
        times = Times(tuple(self._heard), tuple(self._waited), self._answered)
        self._heard.clear()
        self._waited.clear()
        self._answered = 0
        return times


def listen(fleet: Fleet) -> dict[str, Overheard]:
    """One for each pool, from now on, and each endpoint's window remembers what is to be told of it."""
    found = {}
    for name, pool in fleet.pools.items():
        found[name] = Overheard()
        pool.watchers.tiers = (*pool.watchers.tiers, found[name])
        for endpoint in pool.endpoints:
            if endpoint.vitals.windows.untold is None:
                endpoint.vitals.windows.untold = Untold()
    return found


def tell(pool: Pool, times: Times, now: float, *, answers: bool) -> None:
    """Hands the tiers over a pool what another process has heard.

    `answers`: those that ended too. Not for a process with a line of its own, which moves at the pace of its own answers.
    """
    for tier in pool.watchers.tiers:
        if isinstance(tier, Overheard):
            continue
        for ttft_s in times.heard:
            tier.heard(ttft_s, now)
        for seconds in times.waited:
            tier.waited(seconds, now)
        if answers:
            for _ in range(times.answered):
                tier.answered(now)
