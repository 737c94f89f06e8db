"""When to stop asking somebody who fails (a verifier, a judge): a question that is sure to be waited for in vain helps nobody."""

from __future__ import annotations

from typing import Final

FAILURES: Final = 5
"""In a row, as for an endpoint: rides out one bad restart."""
REST_S: Final = 10.0
REST_MAX_S: Final = 120.0
"""Rests double up to this, as an ejected endpoint's do."""


class Breaker:
    """Closed, resting, or letting one question through to see. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures = 0
        self._rest_s = REST_S
        # When the next question may be asked; None = not resting.
        self._until: float | None = None

    def lets(self, now: float) -> bool:
        """A question may be asked now. After a rest the first one holds the door: others wait for what it meets."""
        if self._until is None:
            return True
        if now < self._until:
            return False
        self._until = now + self._rest_s
        return True

    def succeeded(self) -> None:
        self._failures, self._rest_s, self._until = 0, REST_S, None

    def failed(self, now: float) -> None:
        self._failures += 1
        if self._until is not None:
            self._rest_s = min(REST_MAX_S, self._rest_s * 2)
            self._until = now + self._rest_s
        elif self._failures >= FAILURES:
            self._until = now + self._rest_s

    @property
    def is_resting(self) -> bool:
        return self._until is not None

    def __repr__(self) -> str:
        return f"<Breaker [{'resting' if self.is_resting else 'closed'} | {self._failures} failed in a row]>"
