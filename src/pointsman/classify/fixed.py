"""Stages that look at nothing: `pinned:<tier>`, `largest`, `random:<share>`. Baselines, and honest experiments.

`random:0.2` sends a fifth to the ladder's last tier and the rest to its first. Chance comes from a hash of the body,
so the same request is always sent the same way and a recorded decision can be replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from pointsman.core.decision import Decide, StageResult, Target
from pointsman.core.request import ChatRequest


class Pinned:
    """Always this tier."""

    def __init__(self, tier: str, name: str | None = None) -> None:
        self.name = f"pinned:{tier}" if name is None else name
        self._decided = Decide(Target("tier", tier), f"always {tier}")

    def classify(self, request: ChatRequest, so_far: StageResult) -> StageResult:
        return self._decided


class RandomSplit:
    """A share of requests to the last tier of the ladder, the rest to the first."""

    def __init__(self, share: float, ladder: Sequence[str]) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"the share of random:{share:g} lies outside 0 to 1")
        self.name = f"random:{share:g}"
        self._share, self._first, self._last = share, ladder[0], ladder[-1]

    def classify(self, request: ChatRequest, so_far: StageResult) -> StageResult:
        drawn = int.from_bytes(blake2b(request.body, digest_size=8).digest()) / 2**64
        tier = self._last if drawn < self._share else self._first
        return Decide(Target("tier", tier), f"random split, {self._share:.0%} to {self._last}")

    def propensity(self, tier: str) -> float:
        """With which probability this split sends a request to `tier`."""
        if self._first == self._last:
            return 1.0
        return self._share if tier == self._last else 1 - self._share
