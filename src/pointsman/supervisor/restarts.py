"""When a dead worker is replaced: at once, unless it keeps dying young."""

from __future__ import annotations

YOUNG_S = 1.0
"""Who lived shorter has met something that will be met again: a broken configuration, no memory. Who lived longer was
killed, and clients wait."""
FIRST_S = 0.1
MAX_S = 10.0


class Restarts:
    """The pauses of one seat."""

    def __init__(self) -> None:
        self._young = 0
        self.count = 0
        """Workers replaced in this seat."""

    def pause_s(self, lived_s: float) -> float:
        """Seconds to wait before the next one, after one that lived so long."""
        self.count += 1
        if lived_s >= YOUNG_S:
            self._young = 0
            return 0.0
        self._young += 1
        return 0.0 if self._young == 1 else min(MAX_S, FIRST_S * 2.0 ** min(self._young - 2, 30))

    def __repr__(self) -> str:
        return f"<Restarts [{self.count} in all, {self._young} young]>"
