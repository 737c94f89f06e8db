from __future__ import annotations

from collections import Counter

from pointsman.gateway.admission import Admission
from pointsman.gateway.entrance import Entrance
from pointsman.pools.pool import Lease
from pointsman.testing.clock import ManualClock


class Counts(Admission):
    """What it is told."""

    def __init__(self) -> None:
        super().__init__(None, ManualClock())  # type: ignore[arg-type]  # nobody is let in here
        self.told: Counter[str] = Counter()

    def entered(self, place: str, *, is_seen: bool = True) -> None:
        self.told[f"entered {place}{'' if is_seen else ' unseen'}"] += 1

    def forgo(self, place: str, *, is_seen: bool = True) -> None:
        self.told[f"forgone {place}{'' if is_seen else ' unseen'}"] += 1

    def unhold(self, place: str) -> None:
        self.told[f"unheld {place}"] += 1


LEASE = object.__new__(Lease)


def test_a_place_ends_once_with_a_lease_or_without():
    admission = Counts()
    for lease in (LEASE, None):
        entrance = Entrance(admission)
        entrance.let_in("small")
        entrance.over(lease)
        entrance.over(lease)

    assert admission.told == {"entered small": 1, "forgone small": 1}


def test_a_place_that_is_not_used_for_a_while_is_shown_once_and_hidden_once():
    admission = Counts()
    entrance = Entrance(admission)
    entrance.let_in("small")
    entrance.unhold()
    entrance.unhold()
    entrance.over(LEASE)

    assert admission.told == {"unheld small": 1, "entered small unseen": 1}


def test_who_steps_in_is_seen_until_it_waits_or_has_a_lease():
    admission, taken_back = Counts(), []
    for end in (Entrance.unhold, Entrance.over):
        entrance = Entrance(admission)
        assert entrance.step_in(lambda: taken_back.append(1))
        end(entrance)
        entrance.over(LEASE)

    assert (len(taken_back), admission.told) == (2, {})
    assert not Entrance(admission).step_in(None)
