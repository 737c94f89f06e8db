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

    __slots__ = ("_reasons", "_vain", "_visits", "sent")

    def __init__(self) -> None:
        self.sent = 0
        """Attempts that have reached an engine and are over."""
        self._visits: list[int] = []
        self._reasons: list[str] = []
        # Attempts that found no endpoint to lease, or ran beside the one that won: they are no steps on the ladder.
        self._vain: set[int] = set()

    def add(self, rung: int, reason: str) -> int:
        """One more attempt; its number."""
        self._visits.append(rung)
        self._reasons.append(reason)
        return len(self._visits)

    def mark_vain(self, attempt: int) -> None:
        """The attempt found nobody, or ran beside another that won."""
        self._vain.add(attempt)

    def has_visited(self, rung: int) -> bool:
        """Some endpoint of the rung was tried."""
        return any(seen == rung and n not in self._vain for n, seen in enumerate(self._visits, 1))

    def rung_of(self, attempt: int) -> int:
        return self._visits[attempt - 1]

    @property
    def visits(self) -> tuple[int, ...]:
        """The rung of each attempt."""
        return tuple(self._visits)

    def reason_of(self, attempt: int) -> str:
        return self._reasons[attempt - 1]

    def escalations(self, rungs: tuple[Rung, ...]) -> tuple[Escalation, ...]:
        """The climbs. Attempts in vain are no steps; fallbacks and last resorts are no climbs."""
        climbs, at = [], 0
        for attempt, (rung, reason) in enumerate(zip(self._visits, self._reasons, strict=True), 1):
            if attempt in self._vain:
                continue
            if rung != at and rungs[rung].reason == FAILED and reason != RETRY:
                climbs.append(Escalation(rungs[at].tier, rungs[rung].tier, reason))
            at = rung
        return tuple(climbs)
