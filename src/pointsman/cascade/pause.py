"""The pause before the endpoint that failed is asked once more: full jitter under a bound that doubles.

Why jitter, and all of it? A burst that broke an endpoint would come back as one burst after a fixed pause; spread between nothing
and the bound, the many come back one by one.
"""

from __future__ import annotations

from random import Random

BACKOFF_S = 0.025
"""Longest pause before the first repeat on the same endpoint; doubles with each. 25 ms outlives a broken connection."""
BACKOFF_MAX_S = 2.0


class Pause:
    """The pauses of one request."""

    __slots__ = ("_repeats", "_rng", "until")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._repeats = 0
        self.until = 0.0
        """When the last pause that was begun is over."""

    def begin(self, now: float) -> float:
        """One more pause; when it is over."""
        bound = min(BACKOFF_MAX_S, BACKOFF_S * 2**self._repeats)
        self._repeats += 1
        self.until = now + self._rng.random() * bound
        return self.until
