"""What an endpoint was sent lately: a guess at what its prefix cache holds.

A guess, since engines do not say what they keep. It is wrong where the cache is smaller, was lost with a restart, or was
filled by another router; a wrong guess costs computing a prompt that was thought to be there. What it is never allowed to
cost is balance: see `prefix` for how much a guess may weigh.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, Self, runtime_checkable

from pointsman.core.fleet import EndpointId
from pointsman.core.request import ChatRequest
from pointsman.pools.balancers.beginnings import Beginning
from pointsman.pools.journal import Journal

MOST = 2_048
"""Beginnings that are remembered: some 400 KB an endpoint. On the Mooncake trace they stand for about 350,000 tokens, as
much as a common card's KV cache holds; 512 lost 1 to 2 points of hit rate, 8,192 gained none."""


Sent = Callable[[EndpointId, ChatRequest, Sequence[Beginning]], None]
"""The endpoint chosen, the request, and its beginnings."""


@runtime_checkable
class Remembers(Protocol):
    """A balancer with a memory, which outlives a reload and may be shared among processes."""

    unread: int
    """Tokens of the prompt last picked for that the chosen endpoint is not thought to have."""

    def adopt(self, old: Self, same: Mapping[EndpointId, EndpointId]) -> None:
        """Goes on with what the balancer before a reload knew; `same` says which endpoint of ours was which of its."""
        ...

    def share(self, journal: Journal, columns: Mapping[EndpointId, int]) -> None:
        """From now on other processes hear what was sent where, and we hear them."""
        ...

    def watch(self, sent: Sent) -> None:
        """`sent` is called with each choice, in the request's path: it must be quick."""
        ...

    def believe(self, endpoint: EndpointId, numbers: Iterable[int]) -> None:
        """The endpoint is known to have these beginnings."""
        ...

    def forget(self, endpoint: EndpointId, numbers: Iterable[int] | None) -> None:
        """It is known not to have these; None = to have none at all, or nobody knows."""
        ...


class Memory:
    """The latest beginnings of one endpoint; the one that has not been asked for longest is forgotten first."""

    __slots__ = ("_most", "numbers")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.numbers: OrderedDict[int, None] = OrderedDict()
        """To be looked things up in: every endpoint is asked for every beginning of every request."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, number: int) -> bool:
        return number in self.numbers

    def known(self, beginnings: Sequence[Beginning]) -> int:
        """Tokens of the longest beginning that was sent there; 0 = none was."""
        numbers = self.numbers
        for number, tokens in reversed(beginnings):
            if number in numbers:
                return tokens
        return 0

    def add(self, beginnings: Sequence[Beginning]) -> None:
        """They were sent there now."""
        # The shortest last: more requests have it, and an engine overwrites the end of a prompt before its beginning.
        self.hear(number for number, _ in reversed(beginnings))

    def hear(self, numbers: Iterable[int]) -> None:
        """These were sent there, the one to be forgotten last at the end."""
        known = self.numbers
        latest = known.move_to_end
        for number in numbers:
            known[number] = None
            latest(number)
        while len(known) > self._most:
            known.popitem(last=False)

    def forget(self, numbers: Iterable[int] | None) -> None:
        """These are not there any more; None = none is."""
        if numbers is None:
            self.numbers.clear()
            return
        for number in numbers:
            self.numbers.pop(number, None)
