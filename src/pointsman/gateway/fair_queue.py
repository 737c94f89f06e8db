"""In which order those who wait are let in: by priority, and fairly between tenants within one.

Within a priority this is start-time fair queueing (Goyal, Vin, Cheng, 1996): each tenant's requests carry virtual start
times that advance with the size of what it has asked for, and the smallest goes first. So a tenant who sends a thousand
requests waits behind itself, and the other one's single request is next but one, whatever came before it.

Why ageing? Strict priorities starve: whoever has waited `AGE_S` counts as one priority better.

Why kinds? Those who wait for one tier may not all go the same ways: one will also be served above, another was pinned. Who
stands before somebody who can go on must not hold them up, so each kind has a head of its own; shares are a tenant's over
all kinds.

Pure: sizes and times are passed in. Every call is O(tenants and kinds that wait), but for `ahead` and `remove`; queues are
short by construction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from pointsman.core.request import PRIORITY_AGE_S

HIGH = 0
AGE_S = PRIORITY_AGE_S

T = TypeVar("T")


class Ticket(Generic[T]):
    """One who waits."""

    __slots__ = ("at", "finish", "item", "kind", "priority", "start", "tenant")

    def __init__(self, item: T, tenant: str, priority: int, kind: Hashable, start: float, finish: float, at: float) -> None:
        self.item, self.tenant, self.priority, self.kind, self.at = item, tenant, priority, kind, at
        self.start, self.finish = start, finish

    def urgency(self, now: float) -> int:
        """Its priority, the better the longer it has waited."""
        return max(HIGH, self.priority - int((now - self.at) / AGE_S))

    def rank(self, now: float) -> tuple[int, float, float]:
        return self.urgency(now), self.start, self.at


class FairQueue(Generic[T]):
    """Who waits for one tier."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, str, Hashable], deque[Ticket[T]]] = {}
        # Virtual time: the start of what was let in last. A tenant's next start is never before it.
        self._virtual = 0.0
        self._finishes: dict[tuple[int, str], float] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, item: T, *, tenant: str, priority: int, size: float, now: float, kind: Hashable = None) -> Ticket[T]:
        """Puts `item` in line. `size`: how much work it is, in any one unit (tokens)."""
        start = self._start(priority, tenant)
        ticket = Ticket(item, tenant, priority, kind, start, start + max(size, 1.0), now)
        self._finishes[priority, tenant] = ticket.finish
        self._lines.setdefault((priority, tenant, kind), deque()).append(ticket)
        self._length += 1
        return ticket

    def _start(self, priority: int, tenant: str) -> float:
        return max(self._virtual, self._finishes.get((priority, tenant), 0.0))

    def peek(self, now: float, admits: Callable[[T], bool] | None = None) -> Ticket[T] | None:
        """Who is next; with `admits`, who is next of those that it lets in. It is asked about one of each kind and tenant."""
        heads = [line[0] for line in self._lines.values()]
        if admits is not None:
            heads = [ticket for ticket in heads if admits(ticket.item)]
        return min(heads, key=lambda ticket: ticket.rank(now)) if heads else None

    def ahead(self, tenant: str, priority: int, now: float) -> int:
        """How many would be let in before a newcomer."""
        rank = priority, self._start(priority, tenant), now
        return sum(ticket.rank(now) <= rank for line in self._lines.values() for ticket in line)

    def take(self, now: float) -> Ticket[T] | None:
        """Lets the next one in."""
        ticket = self.peek(now)
        if ticket is not None:
            self.let_in(ticket)
        return ticket

    def let_in(self, ticket: Ticket[T]) -> None:
        """Takes one out of line since its turn has come."""
        self._virtual = max(self._virtual, ticket.start)
        self.remove(ticket)

    def least(self, priority: int, tenant: str) -> Ticket[T] | None:
        """Who would give way to a newcomer: the last one of all, if that is behind it. So a better priority displaces a worse
        one, and within one whoever has asked for little displaces the newest of whoever has filled the line."""
        last = max((line[-1] for line in self._lines.values()), default=None,
                   key=lambda ticket: (ticket.priority, ticket.start, ticket.at))
        if last is None or (last.priority, last.start) <= (priority, self._start(priority, tenant)):
            return None
        return last

    def remove(self, ticket: Ticket[T]) -> bool:
        """Takes one out of line, wherever it stands. False: it was not there any more."""
        key = ticket.priority, ticket.tenant, ticket.kind
        line = self._lines.get(key)
        if line is None or ticket not in line:
            return False
        line.remove(ticket)
        self._length -= 1
        if not line:
            del self._lines[key]
            self._forget(ticket.priority, ticket.tenant)
        return True

    def _forget(self, priority: int, tenant: str) -> None:
        """A tenant that has used its share up is remembered while anyone waits, so that leaving the line is no trick."""
        if not self._lines:
            self._finishes.clear()
            self._virtual = 0.0
        elif self._finishes.get((priority, tenant), 0.0) <= self._virtual:
            self._finishes.pop((priority, tenant), None)

    def __repr__(self) -> str:
        return f"<FairQueue [{self._length} waiting, {len(self._lines)} lines]>"
