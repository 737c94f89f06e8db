"""Endpoints that have said when they will be gone, and what became of the answers they were giving.

A notice (a spot interruption, a planned restart) takes the endpoint out of service at once: that is the pool's drain. What
runs there may go on until shortly before the end; what has not ended by then is cut off here, to be continued elsewhere, if
there is somebody who can (`succession`).

Two may ask for it: the operator, and the agent beside the engine. An agent that starts says that its machine is there, which ends what an agent
has said of the one before it, and never what the operator wants. The operator's word ends both.

Why not move everything at once? Most answers end by themselves within the notice, and each one that moves has its prompt read again
somewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Literal

import msgspec

from pointsman.core.fleet import EndpointId

MARGIN_S = 5.0
"""Answers are cut off this long before the endpoint goes: time to begin elsewhere before the socket breaks by itself."""
LEAD_S = 30.0
"""When a notice does not say how long is left: what Google's and Azure's machines get (AWS gives two minutes)."""

SIGTERM, NOT_NEEDED = "SIGTERM", "not needed now"
"""Reasons of departures that somebody has planned: whoever ends a process, or gives a machine back, sees to another if one is
wanted."""

By = Literal["operator", "agent"]
How = Literal["drained", "continued", "failed"]
OUTCOMES: tuple[How, ...] = ("drained", "continued", "failed")


def _nobody(how: str) -> None:
    """Nobody wants to know."""


class Notice(msgspec.Struct, frozen=True, gc=False):
    """One endpoint's departure. Times are monotonic seconds."""

    reason: str
    announced_at: float
    leaves_at: float
    cut_off_at: float


class Departures:
    """All notices of one process."""

    def __init__(self) -> None:
        self.notices: dict[EndpointId, Notice] = {}
        """Empty nearly always: the path asks this first. What came of all who asked."""
        # By endpoint: who has asked, and for what.
        self._asked: dict[EndpointId, dict[By, Notice]] = {}
        self.announced = 0
        self.outcomes: dict[How, int] = dict.fromkeys(OUTCOMES, 0)
        """Attempts that ran on a departing endpoint: ended by themselves, went on elsewhere, or were lost."""
        self.counted: Callable[[str], None] = _nobody
        """Told of each of them: for metrics."""

    def announce(self, endpoint: EndpointId, now: float, lead_s: float | None, reason: str, by: By = "operator") -> Notice:
        """`endpoint` will be gone in `lead_s` (None = nobody knows). A second notice only brings the end nearer."""
        asked, known = self._asked.setdefault(endpoint, {}), self.notices.get(endpoint)
        if known is None:
            self.announced += 1
        leaves_at = now + (LEAD_S if lead_s is None else max(0.0, lead_s))
        asked[by] = _notice(asked.get(by), now, leaves_at, reason)
        notice = self.notices[endpoint] = _notice(known, now, leaves_at, reason)
        return notice

    def resume(self, endpoint: EndpointId, announced_at: float, leaves_at: float, reason: str) -> Notice:
        """What the operator had asked for before this process began, or by another name of the endpoint. Not counted again."""
        margin = min(MARGIN_S, max(0.0, leaves_at - announced_at) / 2)
        notice = Notice(reason, announced_at, leaves_at, leaves_at - margin)
        self._asked.setdefault(endpoint, {})["operator"] = notice
        known = self.notices.get(endpoint)
        if known is None or leaves_at < known.leaves_at:
            self.notices[endpoint] = notice
        return notice

    def wanted_by_operator(self, endpoint: EndpointId) -> Notice | None:
        """None = the operator has not asked for it."""
        return self._asked.get(endpoint, {}).get("operator")

    def withdraw(self, endpoint: EndpointId, by: By = "operator") -> bool:
        """It stays, or has come back: as far as an agent may say so, where the operator has asked for it. False: nobody had said otherwise."""
        asked = self._asked.get(endpoint, {})
        if by == "agent" and (wanted := asked.get("operator")) is not None:
            asked.pop("agent", None)
            self.notices[endpoint] = wanted
            return True
        self._asked.pop(endpoint, None)
        return self.notices.pop(endpoint, None) is not None

    def asked_by(self, endpoint: EndpointId) -> list[By]:
        """Who wants it out of service."""
        return sorted(self._asked.get(endpoint, ()))

    def keep(self, leaving: Collection[EndpointId]) -> None:
        """After a reload: notices of any other endpoint are void. Its name may be another server's now."""
        for endpoint in self.notices.keys() - leaving:
            del self.notices[endpoint]
            self._asked.pop(endpoint, None)

    def is_over(self, endpoint: EndpointId, now: float) -> bool:
        """What still runs there must leave now."""
        notice = self.notices.get(endpoint)
        return notice is not None and now >= notice.cut_off_at

    def leaves_at(self, endpoint: EndpointId) -> float:
        """When it will be gone; infinity = nobody says so."""
        notice = self.notices.get(endpoint)
        return float("inf") if notice is None else notice.leaves_at

    def taken(self, now: float) -> set[EndpointId]:
        """Those that are being taken away, and are not gone yet: another machine is wanted in the place of each."""
        return {endpoint for endpoint, notice in self.notices.items()
                if now < notice.leaves_at and notice.reason not in (SIGTERM, NOT_NEEDED)}

    def count(self, how: How) -> None:
        self.outcomes[how] += 1
        self.counted(how)

    def status(self, now: float) -> dict[str, Any]:
        """For the operator: who leaves, when and why, and what became of the answers."""
        leaving = {endpoint: {"reason": notice.reason, "for_s": round(now - notice.announced_at, 3),
                              "leaves_in_s": round(notice.leaves_at - now, 3), "asked_by": self.asked_by(endpoint)}
                   for endpoint, notice in self.notices.items()}
        return {"leaving": leaving, "announced": self.announced, "outcomes": dict(self.outcomes)}

    def __repr__(self) -> str:
        return f"<Departures [{', '.join(self.notices) or 'nobody leaves'}]>"


def _notice(known: Notice | None, now: float, leaves_at: float, reason: str) -> Notice:
    """As it is after one more; the earlier end counts."""
    if known is not None:
        leaves_at = min(leaves_at, known.leaves_at)
    margin = min(MARGIN_S, (leaves_at - now) / 2)
    return Notice(reason, known.announced_at if known else now, leaves_at, leaves_at - margin)
