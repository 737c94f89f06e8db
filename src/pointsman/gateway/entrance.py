"""The place that one request was let into, from the moment it is let in until it holds a lease there, or takes none.

Other processes see the place as taken while it may be used at once; the line of this process counts it all the time.
"""

from __future__ import annotations

from collections.abc import Callable

from pointsman.gateway.admission import Admission
from pointsman.pools.pool import Lease


class Entrance:
    """Of one request."""

    __slots__ = ("_admission", "_is_seen", "_let_go", "_place")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        # Where it was let in after a wait; "" = nowhere, or it holds a lease there.
        self._place = ""
        self._is_seen = True
        # Takes back that other processes see it coming, when it has not waited.
        self._let_go: Callable[[], None] | None = None

    def step_in(self, let_go: Callable[[], None] | None) -> bool:
        """It has not waited. False: it must."""
        self._let_go = let_go
        return let_go is not None

    def let_in(self, place: str) -> None:
        """It has waited."""
        self._place = place

    def unhold(self) -> None:
        """It waits on, elsewhere: other processes may have the place as long as it is not used."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()
        if self._place and self._is_seen:
            self._is_seen = False
            self._admission.unhold(self._place)

    def over(self, lease: Lease | None = None) -> None:
        """Its lease counts now, its place no more. None: it has taken none. Idempotent."""
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()
        place, self._place = self._place, ""
        if place and lease is not None:
            self._admission.entered(place, is_seen=self._is_seen)
        elif place:
            self._admission.forgo(place, is_seen=self._is_seen)

    def __repr__(self) -> str:
        return f"<Entrance [{self._place or ('stepped in' if self._let_go is not None else 'nowhere')}]>"
