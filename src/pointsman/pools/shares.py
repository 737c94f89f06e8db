"""Whom those who wait stand behind: by priority, and fairly between tenants within one.

Each tenant is counted what is read for it, in seconds of all endpoints together, for as long as anybody waits. Who has been given more than the one who has
been given least is set back by `SHARE_WEIGHS` times the difference. So a tenant who sends a thousand requests waits behind itself:
another's single one is next but a few, whatever came before it. Whoever comes starts where the least of those who wait stands: an hour
of silence is no claim.

Why set back, and not passed over until the others are level? A little more for one tenant may find its prompt in a cache, or a short
one before a long one, which is less to read for all. What may be gained so is bounded by the weight.

Why do priorities age? As in the line of a tier: strict ones starve. Ageing counts against those of a better priority only; among equals
it says nothing that the time of arrival does not.

Pure: times are passed in.
"""

from __future__ import annotations

from typing import TypeVar

from pointsman.core.request import PRIORITY_AGE_S

SHARE_WEIGHS = 75.0
"""Seconds of order for a second of everybody's reading that a tenant has had more. With 150 ten equal tenants at 150 % of capacity have
77.0 instead of 79.7 % of Mooncake's in time (81.8 as one), as what a cache holds and what is short counts for less; with half of it
a flood of 200 % delays another tenant's requests no more than with twice as much."""
LEAST_S = 0.001
"""What a prompt counts at least: one that a cache has whole takes a step of an engine, too."""
PRIORITY_WEIGHS = 1e6
"""Seconds of order for one priority: more than anything else comes to, so that a better one goes first whatever it asks."""

Key = TypeVar("Key", str, int)


class Standing:
    """Who stands behind whom at one moment."""

    __slots__ = ("_best", "_is_one", "_lags", "_now")

    def __init__(self, lags: dict[str, float], best: int, now: float, *, is_one: bool) -> None:
        self._lags, self._best, self._now, self._is_one = lags, best, now, is_one

    def behind(self, tenant: str, priority: int, at: float) -> float:
        """Seconds that one who came at `at` is set back by."""
        if self._is_one:
            return 0.0
        behind = self._lags[tenant]
        if priority > self._best:
            urgency = priority - int((self._now - at) / PRIORITY_AGE_S)
            if urgency > self._best:
                behind += PRIORITY_WEIGHS * (urgency - self._best)
        return behind


class Shares:
    """Of those who wait in one place."""

    def __init__(self) -> None:
        # By tenant, by priority: how many wait. Both return to nothing.
        self.tenants: dict[str, int] = {}
        self._priorities: dict[int, int] = {}
        # Seconds read for each tenant since somebody waits.
        self._given: dict[str, float] = {}

    @property
    def is_one(self) -> bool:
        """All who wait are of one tenant and one priority: nobody is set back."""
        return len(self.tenants) <= 1 and len(self._priorities) <= 1

    def come(self, tenant: str, priority: int) -> None:
        """One more waits."""
        if tenant not in self.tenants:
            self._given[tenant] = max(self._given.get(tenant, 0.0), self._least())
        self.tenants[tenant] = self.tenants.get(tenant, 0) + 1
        self._priorities[priority] = self._priorities.get(priority, 0) + 1

    def go(self, tenant: str, priority: int) -> None:
        """One waits no more. When nobody does all is forgotten: there is nobody left whom it would be unfair to."""
        _less(self.tenants, tenant)
        _less(self._priorities, priority)
        if not self.tenants:
            self._given.clear()

    def give(self, tenant: str, seconds: float) -> None:
        """All endpoints together would read so long for it."""
        if tenant in self._given:
            self._given[tenant] += max(LEAST_S, seconds)

    def standing(self, now: float) -> Standing:
        """As it is now: asked once for all who wait."""
        least = self._least()
        lags = {tenant: SHARE_WEIGHS * (self._given[tenant] - least) for tenant in self.tenants}
        return Standing(lags, min(self._priorities, default=0), now, is_one=self.is_one)

    def _least(self) -> float:
        return min((self._given[tenant] for tenant in self.tenants), default=0.0)

    def __repr__(self) -> str:
        given = ", ".join(f"{tenant} {count} waiting, {self._given[tenant]:.3g} s read" for tenant, count in self.tenants.items())
        return f"<Shares [{given or 'nobody waits'}]>"


def _less(counts: dict[Key, int], key: Key) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
