"""One day under one rule: machines of some slots, one line in front of them, in simulated time.

Assumed: machines are alike and always to be had; a new one serves `boot_s` after it is asked for and is paid for from then on it
is asked for; one that is given back takes nothing new and is paid for until its last request has ended; time is billed by the second.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import NamedTuple

import numpy as np
from bench.autoscale.day import PREFILL_S, Day
from bench.autoscale.rules import Rule

SLA_S = 1.0
"""Promised time to first token; the tier breaks it when the 95th percentile of the last minute's is above."""
MINUTE_S = 60
"""What the rule sees: as the router's own window of times to first token."""
FEWEST_HEARD = 20
"""First tokens of which a 95th percentile means something, as in the router."""


class Outcome(NamedTuple):
    """How the day went."""

    rule: str
    usd: float
    attainment: float
    """Share of requests with their first token within SLA_S."""
    p99_ttft_s: float
    most: int
    starts: int


def run(day: Day, rule: Rule, *, slots: int, boot_s: float, usd_per_hour: float, first: int) -> Outcome:
    """Plays the day. `first`: machines at midnight."""
    played = _Played(day, rule, slots=slots, boot_s=boot_s, first=first)
    while played.is_going_on:
        played.step()
    ttft = played.ttft
    return Outcome(rule.name, played.paid_s / 3600 * usd_per_hour, float((ttft <= SLA_S).mean()), float(np.quantile(ttft, 0.99)),
                   played.most, played.starts)


class _Played:
    """The day so far: machines, who runs on them, who waits."""

    def __init__(self, day: Day, rule: Rule, *, slots: int, boot_s: float, first: int) -> None:
        self._day, self._rule, self._slots, self._boot_s = day, rule, slots, boot_s
        self._ready, self._leaving = first, 0
        self._booting: list[float] = []
        # When each running request ends.
        self._ends: list[float] = []
        self._line: deque[int] = deque()
        self._arrived = 0
        self._at = self._next_look = 0.0
        # Of the last minute: first tokens (when, after how long), and ends.
        self._heard: deque[tuple[float, float]] = deque()
        self._ended: deque[float] = deque()
        self.ttft = np.empty(len(day.arrives))
        self.paid_s, self.starts, self.most = 0.0, 0, first

    @property
    def is_going_on(self) -> bool:
        return bool(self._is_day or self._line or self._ends)

    def step(self) -> None:
        """To the next moment at which something happens."""
        now = min(self._day.arrives[self._arrived] if self._is_day else np.inf, self._ends[0] if self._ends else np.inf,
                  self._booting[0] if self._booting else np.inf, self._next_look if self._is_day else np.inf)
        self.paid_s += (self._ready + len(self._booting) + self._leaving) * (now - self._at)
        self._at = now
        self._end_what_is_due(now)
        self._let_in(now)
        if now >= self._next_look:
            self._next_look = now + self._rule.every_s
            self._resize(now, self._wanted(now))

    @property
    def _is_day(self) -> bool:
        """Somebody is still to come."""
        return self._arrived < len(self._day.arrives)

    def _end_what_is_due(self, now: float) -> None:
        while self._booting and self._booting[0] <= now:
            heapq.heappop(self._booting)
            self._ready += 1
        while self._ends and self._ends[0] <= now:
            heapq.heappop(self._ends)
            self._ended.append(now)
        self._let_go()

    def _let_in(self, now: float) -> None:
        while self._is_day and self._day.arrives[self._arrived] <= now:
            self._line.append(self._arrived)
            self._arrived += 1
        while self._line and len(self._ends) < self._ready * self._slots:
            one = self._line.popleft()
            heapq.heappush(self._ends, now + self._day.takes[one])
            self.ttft[one] = now - self._day.arrives[one] + PREFILL_S
            self._heard.append((now, self.ttft[one]))

    def _wanted(self, now: float) -> int:
        """What the rule says to what it sees of the last minute."""
        while self._heard and self._heard[0][0] < now - MINUTE_S:
            self._heard.popleft()
        while self._ended and self._ended[0] < now - MINUTE_S:
            self._ended.popleft()
        late = sum(1 for _, seconds in self._heard if seconds > SLA_S)
        is_breaching = len(self._heard) >= FEWEST_HEARD and late > 0.05 * len(self._heard)
        return self._rule.look(now, len(self._ends), len(self._line), self._ready, is_breaching=is_breaching,
                               answers_per_s=len(self._ended) / MINUTE_S)

    def _resize(self, now: float, wanted: int) -> None:
        have = self._ready + len(self._booting)
        if wanted > have:
            self.starts += wanted - have
            self._booting += [now + self._boot_s] * (wanted - have)
            heapq.heapify(self._booting)
        for _ in range(have - wanted):
            if self._booting:
                self._booting.remove(max(self._booting))
                heapq.heapify(self._booting)
            elif self._ready > 1:
                self._ready -= 1
                self._leaving += 1
        self._let_go()
        self.most = max(self.most, self._ready)

    def _let_go(self) -> None:
        """Of the machines that leave stay those which the others have no room for."""
        self._leaving = min(self._leaving, max(0, -(-len(self._ends) // self._slots) - self._ready))
