"""The answers of a request that have been judged: what was said of each, and which of them is the best still in hand.

An answer in hand beats an error: when nothing above works out, the best one is given, however weak it was found.
"""

from __future__ import annotations

import msgspec

from pointsman.cascade.benefit import Judgement
from pointsman.cascade.deferral import Deferral


class Answers:
    """In the order in which they were judged."""

    __slots__ = ("_attempts", "climbs", "judgements", "weak")

    def __init__(self) -> None:
        self.judgements: list[Judgement] = []
        self._attempts: list[int] = []
        # Rungs (by index) that an answer was climbed away from: what they say next is not judged again.
        self.weak: set[int] = set()
        self.climbs = 0

    def add(self, attempt: int, judgement: Judgement) -> None:
        """An attempt is judged once more when more of its answer is there: the last word counts."""
        if attempt in self._attempts:
            del self.judgements[at := self._attempts.index(attempt)], self._attempts[at]
        self.judgements.append(judgement)
        self._attempts.append(attempt)

    def drop(self, attempt: int) -> None:
        """The answer was broken off; what was said of it still counts."""
        at = self._attempts.index(attempt)
        self.judgements[at] = msgspec.structs.replace(self.judgements[at], in_hand=False)

    def best(self, deferral: Deferral) -> int | None:
        """The attempt whose answer is worth most, of equal ones the latest; None = there is none in hand."""
        worth = [(deferral.worth(self.judgements, judgement), at) for at, judgement in enumerate(self.judgements) if judgement.in_hand]
        return self._attempts[max(worth)[1]] if worth else None
