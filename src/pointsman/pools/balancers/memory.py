"""What an endpoint was sent lately: a guess at what its prefix cache holds.

A guess, since engines do not say what they keep. It is wrong where the cache is smaller, was lost with a restart, or was
filled by another router; a wrong guess costs computing a prompt that was thought to be there. What it is never allowed to
cost is balance: see `prefix` for how much a guess may weigh.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from pointsman.pools.balancers.beginnings import Beginning

MOST = 2_048
"""Beginnings that are remembered: some 400 KB an endpoint. On the Mooncake trace they stand for about 350,000 tokens, as
much as a common card's KV cache holds; 512 lost 1 to 2 points of hit rate, 8,192 gained none."""


class Memory:
    """The latest beginnings of one endpoint; the one that has not been asked for longest is forgotten first."""

    __slots__ = ("_most", "_numbers")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._numbers: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, number: int) -> bool:
        return number in self._numbers

    def known(self, beginnings: Sequence[Beginning]) -> int:
        """Tokens of the longest beginning that was sent there; 0 = none was."""
        numbers = self._numbers
        for number, tokens in reversed(beginnings):
            if number in numbers:
                return tokens
        return 0

    def add(self, beginnings: Sequence[Beginning]) -> None:
        """They were sent there now."""
        numbers = self._numbers
        # The shortest last: more requests have it, and an engine overwrites the end of a prompt before its beginning.
        for number, _ in reversed(beginnings):
            numbers[number] = None
            numbers.move_to_end(number)
        while len(numbers) > self._most:
            numbers.popitem(last=False)
