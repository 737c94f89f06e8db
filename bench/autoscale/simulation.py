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
    ready, booting, leaving = first, list[float](), 0
    ends: list[float] = []  # of running requests
    line: deque[int] = deque()
    ttft = np.empty(len(day.arrives))
    recent: deque[tuple[float, float]] = deque()
    ended: deque[float] = deque()
    paid_s, at, starts, most = 0.0, 0.0, 0, first
    arrives, takes, count = day.arrives, day.takes, len(day.arrives)
    i, next_look = 0, 0.0

    def pay(until: float) -> None:
        nonlocal paid_s, at
        paid_s += (ready + len(booting) + leaving) * (until - at)
        at = until

    def let_in(now: float) -> None:
        while line and len(ends) < ready * slots:
            j = line.popleft()
            heapq.heappush(ends, now + takes[j])
            ttft[j] = now - arrives[j] + PREFILL_S
            recent.append((now, ttft[j]))

    while i < count or line or ends:
        now = min(arrives[i] if i < count else np.inf, ends[0] if ends else np.inf, booting[0] if booting else np.inf,
                  next_look if i < count else np.inf)
        pay(now)
        while booting and booting[0] <= now:
            heapq.heappop(booting)
            ready += 1
        while ends and ends[0] <= now:
            heapq.heappop(ends)
            ended.append(now)
        leaving = min(leaving, max(0, -(-len(ends) // slots) - ready))
        while i < count and arrives[i] <= now:
            line.append(i)
            i += 1
        let_in(now)
        if now >= next_look:
            next_look = now + rule.every_s
            while recent and recent[0][0] < now - 60:
                recent.popleft()
            while ended and ended[0] < now - 60:
                ended.popleft()
            late = sum(1 for _, seconds in recent if seconds > SLA_S)
            wanted = rule.look(now, len(ends), len(line), ready, is_breaching=len(recent) >= 20 and late > 0.05 * len(recent),
                               answers_per_s=len(ended) / 60)
            have = ready + len(booting)
            if wanted > have:
                starts += wanted - have
                booting += [now + boot_s] * (wanted - have)
                heapq.heapify(booting)
            for _ in range(have - wanted):
                if booting:
                    booting.remove(max(booting))
                    heapq.heapify(booting)
                elif ready > 1:
                    ready -= 1
                    leaving += 1
            leaving = min(leaving, max(0, -(-len(ends) // slots) - ready))
            most = max(most, ready)
    return Outcome(rule.name, paid_s / 3600 * usd_per_hour, float((ttft <= SLA_S).mean()), float(np.quantile(ttft, 0.99)), most, starts)
