"""The bill: what routing cost, against sending everything to the largest tier."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pointsman.cli.demonstration.row import Row
from pointsman.core.price import Price
from pointsman.money.ledger import against

ASSUMPTION = "assuming that it would have read and written the same tokens"
"""Always printed beside the counterfactual: nobody has run it."""


class Bill(msgspec.Struct, frozen=True):
    """Integer nano-dollars."""

    routed: int
    largest: int
    """All requests at the largest tier's price."""
    unknown: int = 0
    """Requests that are missing from both sums: their cost or their usage is unknown."""

    @property
    def difference(self) -> int:
        """Routed minus largest: negative is saved."""
        return self.routed - self.largest

    @property
    def share(self) -> float | None:
        """The difference as a share of the largest; None when that is nothing."""
        return self.difference / self.largest if self.largest else None


def bill_of(rows: Iterable[Row], largest: Price | None) -> Bill:
    """Adds up both sides over the rows of which both are known."""
    routed = other = unknown = 0
    for row in rows:
        instead = None if row.usage is None else against(largest, row.usage)
        if row.cost_nano_usd is None or instead is None:
            unknown += 1
            continue
        routed += row.cost_nano_usd
        other += instead
    return Bill(routed, other, unknown)
