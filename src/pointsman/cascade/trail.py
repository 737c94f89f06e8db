"""Where a request has been, attempt by attempt, and why: what the record tells of the machine's way."""

from __future__ import annotations

from pointsman.cascade.ladder import FAILED, Rung
from pointsman.core.record import Escalation

RETRY = "retry"
CONTINUED = "continued"
VERIFIER = "verifier"
SATURATED = "saturated"


class Trail:
    """Attempts in order; number 1 is the first."""

    __slots__ = ("_empty", "_reasons", "_visits")

    def __init__(self) -> None:
        self._visits: list[int] = []
        self._reasons: list[str] = []
        # Attempts that found no endpoint to lease: they are no steps on the ladder.
        self._empty: set[int] = set()

    def add(self, rung: int, reason: str) -> int:
        """One more attempt; its number."""
        self._visits.append(rung)
        self._reasons.append(reason)
        return len(self._visits)

    def mark_empty(self) -> None:
        """The latest attempt found nobody."""
        self._empty.add(len(self._visits))

    def has_visited(self, rung: int) -> bool:
        """Some endpoint of the rung was tried."""
        return any(seen == rung and n not in self._empty for n, seen in enumerate(self._visits, 1))

    def reason_of(self, attempt: int) -> str:
        return self._reasons[attempt - 1]

    def escalations(self, rungs: tuple[Rung, ...]) -> tuple[Escalation, ...]:
        """The climbs. Attempts that found no endpoint are no steps; fallbacks and last resorts are no climbs."""
        climbs, at = [], 0
        for attempt, (rung, reason) in enumerate(zip(self._visits, self._reasons, strict=True), 1):
            if attempt in self._empty:
                continue
            if rung != at and rungs[rung].reason == FAILED and reason != RETRY:
                climbs.append(Escalation(rungs[at].tier, rungs[rung].tier, reason))
            at = rung
        return tuple(climbs)
