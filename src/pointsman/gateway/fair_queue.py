"""In which order those who wait are let in: by priority, and fairly between tenants within one.

Within a priority this is start-time fair queueing (Goyal, Vin, Cheng, 1996): each tenant's requests carry virtual start
times that advance with the size of what it has asked for, and the smallest goes first. So a tenant who sends a thousand
requests waits behind itself, and the other one's single request is next but one, whatever came before it.

Why ageing? Strict priorities starve: whoever has waited `AGE_S` counts as one priority better.

Pure: sizes and times are passed in. Every call is O(tenants who wait), and queues are short by construction.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

HIGH = 0
AGE_S = 10.0
"""After this long a waiting request counts as one priority better: most that wait longer are shed by their SLA anyway."""

T = TypeVar("T")


class Ticket(Generic[T]):
    """One who waits."""

    __slots__ = ("at", "finish", "item", "priority", "start", "tenant")

    def __init__(self, item: T, tenant: str, priority: int, start: float, finish: float, at: float) -> None:
        self.item, self.tenant, self.priority, self.at = item, tenant, priority, at
        self.start, self.finish = start, finish

    def rank(self, now: float) -> tuple[int, float, float]:
        return max(HIGH, self.priority - int((now - self.at) / AGE_S)), self.start, self.at


class FairQueue(Generic[T]):
    """Who waits for one tier."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, str], deque[Ticket[T]]] = {}
        # Virtual time: the start of what was let in last. A tenant's next start is never before it.
        self._virtual = 0.0
        self._finishes: dict[tuple[int, str], float] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, item: T, *, tenant: str, priority: int, size: float, now: float) -> Ticket[T]:
        """Puts `item` in line. `size`: how much work it is, in any one unit (tokens)."""
        line = priority, tenant
        start = max(self._virtual, self._finishes.get(line, 0.0))
        ticket = Ticket(item, tenant, priority, start, start + max(size, 1.0), now)
        self._finishes[line] = ticket.finish
        self._lines.setdefault(line, deque()).append(ticket)
        self._length += 1
        return ticket

    def peek(self, now: float) -> Ticket[T] | None:
        """Who is next."""
        heads = [line[0] for line in self._lines.values()]
        return min(heads, key=lambda ticket: ticket.rank(now)) if heads else None

    def take(self, now: float) -> Ticket[T] | None:
        """Lets the next one in."""
        ticket = self.peek(now)
        if ticket is not None:
            self._virtual = max(self._virtual, ticket.start)
            self.remove(ticket)
        return ticket

    def least(self, priority: int) -> Ticket[T] | None:
        """Who would give way to a newcomer of `priority`: the newest of the worst class, if that is worse than it."""
        worst = max(self._lines, default=None, key=lambda line: line[0])
        if worst is None or worst[0] <= priority:
            return None
        return max((line[-1] for key, line in self._lines.items() if key[0] == worst[0]), key=lambda ticket: ticket.at)

    def remove(self, ticket: Ticket[T]) -> bool:
        """Takes one out of line, wherever it stands. False: it was not there any more."""
        key = ticket.priority, ticket.tenant
        line = self._lines.get(key)
        if line is None or ticket not in line:
            return False
        line.remove(ticket)
        self._length -= 1
        if not line:
            del self._lines[key]
            self._forget(key)
        return True

    def _forget(self, key: tuple[int, str]) -> None:
        """A tenant that has used its share up is remembered while anyone waits, so that leaving the line is no trick."""
        if not self._lines:
            self._finishes.clear()
            self._virtual = 0.0
        elif self._finishes.get(key, 0.0) <= self._virtual:
            del self._finishes[key]

    def __repr__(self) -> str:
        return f"<FairQueue [{self._length} waiting, {len(self._lines)} lines]>"
