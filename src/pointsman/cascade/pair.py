"""The attempts of a request that run at once: the one that leads, and perhaps another beside it.

With `plan.hedge` the first attempt may get a second one beside it, on the same rung: `Call` comes with a `Wake`, and the
`Tick` brings another `Call` while the first still runs. The first of the two that brings an answer leads from there, and
the other gets a `Cancel`; one that fails is forgotten as long as the other runs.

With `deferral.beside_after_s` the higher rung starts beside a first one that is silent for so long, or whose beginning is
doubtful; then no `Cancel` comes, and the caller goes on holding until the answer ends. The first good one leads, and the
higher one is good as it comes.
"""

from __future__ import annotations

from pointsman.cascade.events import Cancel, Event
from pointsman.cascade.trail import Trail


class Pair:
    """Rungs are meant by their index in the plan."""

    __slots__ = ("_later", "_trail", "attempt", "due_at", "other", "rung")

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        self.attempt = 0
        """The one that leads: what it does is what the request does. 0 before the first."""
        self.rung = 0
        self.other: int | None = None
        # When the one beside starts; None = it will not, or already has.
        self.due_at: float | None = None
        # What the one beside did while the leading one's answer was verified.
        self._later: list[Event] = []

    def lead(self, attempt: int, rung: int) -> None:
        self.attempt, self.rung = attempt, rung

    def is_due(self, now: float, slack_s: float) -> bool:
        return self.due_at is not None and now >= self.due_at - slack_s

    @property
    def is_on_two_rungs(self) -> bool:
        return self.other is not None and self._trail.rung_of(self.other) != self.rung

    def put_off(self, event: Event) -> None:
        """The one beside did something that is heard when the leading one's verdict is there."""
        self._later.append(event)

    def swap(self) -> None:
        """The one beside leads now."""
        if self.other is not None:
            self.attempt, self.other = self.other, self.attempt
            self.rung = self._trail.rung_of(self.attempt)

    def follow_other(self) -> list[Event]:
        """The leading one is over and the one beside goes on alone; what it has done meanwhile."""
        self.swap()
        self.other = None
        later, self._later = self._later, []
        return later

    def part(self) -> tuple[Cancel, ...]:
        """From here on one leads alone; the one beside it has reached an engine in vain."""
        other, self.other, self.due_at = self.other, None, None
        if other is None:
            return ()
        self._trail.sent += 1
        if other > self.attempt and self._trail.rung_of(other) != self.rung:
            self._trail.mark_vain(other)
        return (Cancel(other),)
