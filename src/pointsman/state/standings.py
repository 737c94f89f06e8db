"""Since when each tier and each endpoint is what it is, for whoever watches: `GET /admin/state` and `pointsman top`.

Why seen from outside and not kept where it changes? An endpoint is what its health, its drain and its notice come to, a tier what
its endpoints come to, and with several processes none of them decides alone. Who looks at the whole every second sees each change,
whoever made it; what lasts less than a second is in the log.
"""

from __future__ import annotations

from collections.abc import Mapping

LOOK_EVERY_S = 1.0
"""People read these; some 0.2 µs for each endpoint."""


class Standings:
    """What was seen last of everybody, and since when it is so. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def look(self, states: Mapping[str, str], now: float) -> None:
        """Everybody's state by name. Who is not named is forgotten; who is new is so since now."""
        seen = self._seen
        for name, state in states.items():
            if name not in seen or seen[name][0] != state:
                seen[name] = state, now
        for gone in seen.keys() - states.keys():
            del seen[gone]

    def for_s(self, name: str, now: float) -> float | None:
        """None = nobody has looked at it yet."""
        known = self._seen.get(name)
        return None if known is None else round(max(0.0, now - known[1]), 3)

    def __repr__(self) -> str:
        return f"<Standings of {len(self._seen)}>"
