"""How many retries the fleet can bear: a limit on top of each request's own.

Why a budget and not only a retry count? When a whole pool is failing, three tries per request are three times the
load on what is left of it: the retries keep it down. So per pool the retries of the last 10 s may be at most 20 % of what
was asked of it, with a floor of 3 so that a quiet pool can retry at all (the shape of Finagle's and Envoy's retry
budgets).

Why does the floor count retries that are over, and not only those in flight, as Envoy's does? Because a pool that fails
fails fast: a retry is over within milliseconds, three in flight are hundreds a second, and the budget never says no
(measured: 3.0 attempts per request at 150 requests/s).

Why is a retry onto an endpoint that is well always free? Because a bad neighbour must not cost the client an error
while somebody who answers remains. When one of two endpoints dies under a hundred requests, a hundred retries are no
storm: the other one gets what the two got before. Well is who has not failed in the last 10 s, or has answered since;
so a pool of which everybody fails is retried once per endpoint and then on its budget. A request's first retry is
also free onto an endpoint that answered within 10 s and has not been failing for longer than one: it answers some of the
time, or was restarted under a hundred requests. Were it free for all of the 10 s, an outage would begin with twice the load.

Why does a retry that was answered not count? It did what it was for, and was no load in vain. A tier that is asked only when others fail has no
other requests: were they counted, its floor would be used up by its own good answers, and one failure would close it for seconds while it
can answer.

When is it free to go on with a stream that broke off? Onto an endpoint that is well in both senses: it has not failed as above, and in the
last 10 s no stream has broken off there, or one has been answered whole since. First tokens prove nothing here: engines that break every
stream begin every stream, and each would be asked for twice. So these count, answered or not.

Who tells it what: `dispatch` reports `started` for each leased attempt, `answered` for each success (first
content-bearing event or whole reply) and `failed` for each failure that was sent and another endpoint could mend; the
machine asks `open_retry` before an attempt that follows a sent failure, and reports `close_retry` exactly once for
each pool it was given. One object lives as long as the process and is shared by all requests, also over reloads. Times
are passed in; every call is O(1) in traffic.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pointsman.core.fleet import EndpointId

SHARE = 0.2
FLOOR = 3
WINDOW_S = 10
RECENT_S = 10.0
SHAKY_S = 1.0
"""How long an endpoint may fail without an answer until it is no longer one that answers some of the time."""
NEVER = float("-inf")


class Budget(Protocol):
    """What the machine needs of a retry budget."""

    def open_retry(self, endpoints: Iterable[EndpointId], now: float, *, first: bool) -> str | None:
        """The pool that pays for a retry onto one of `endpoints`, or None: not now."""
        ...

    def close_retry(self, pool: str, now: float, *, spent: bool) -> None:
        """The retry is over, or its answer is under way. `spent` False gives it back to the budget."""
        ...

    def open_hedge(self, pool: str, share: float, now: float) -> bool:
        """One more hedge in `pool` keeps hedges below `share` of its attempts of the last 10 s; if so it is counted."""
        ...

    def open_continuation(self, endpoints: Iterable[EndpointId], now: float) -> str | None:
        """The pool that pays for one of `endpoints` going on with a stream that broke off, or None. Closed like a retry."""
        ...


class Fare:
    """What carries a request's running retry: a place in some pool's budget, given back exactly once."""

    __slots__ = ("_budget", "_goes_on", "_pool")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._pool: str | None = None
        self._goes_on = False

    def pays(self, endpoints: Iterable[EndpointId], now: float, *, first: bool) -> bool:
        """Some pool of `endpoints` carries one more retry, as `Budget.open_retry`."""
        self._pool, self._goes_on = self._budget.open_retry(endpoints, now, first=first), False
        return self._pool is not None

    def pays_to_go_on(self, endpoints: Iterable[EndpointId], now: float) -> bool:
        """Some pool of `endpoints` carries a continuation, as `Budget.open_continuation`."""
        self._pool, self._goes_on = self._budget.open_continuation(endpoints, now), True
        return self._pool is not None

    def pay_back(self, now: float, *, sent: bool, answered: bool = False) -> None:
        """The retry is over; nothing when none is running. `sent`: it reached an engine; `answered`: which began an answer, or gave one."""
        if self._pool is not None:
            self._budget.close_retry(self._pool, now, spent=sent and (self._goes_on or not answered))
            self._pool = None


class RetryBudget:
    """Retry budgets of all pools, by pool name."""

    def __init__(self) -> None:
        self._pools: dict[str, _Purse] = {}
        self._answered: dict[EndpointId, float] = {}
        self._failed: dict[EndpointId, float] = {}
        # Since when it has been failing without an answer in between.
        self._failing: dict[EndpointId, float] = {}
        # When a stream broke off there last, as long as nothing has been answered whole since.
        self._broke: dict[EndpointId, float] = {}

    def started(self, pool: str, now: float) -> None:
        """An attempt was leased in `pool` (retries too)."""
        self._purse(pool).attempts.add(now, 1)

    def answered(self, endpoint: EndpointId, now: float) -> None:
        """`endpoint` answered just now."""
        self._answered[endpoint] = now

    def failed(self, endpoint: EndpointId, now: float) -> None:
        """A request that `endpoint` was sent came to nothing, and not by the request's own fault."""
        if self._failed.get(endpoint, NEVER) <= self._answered.get(endpoint, NEVER):
            self._failing[endpoint] = now
        self._failed[endpoint] = now

    def broke(self, endpoint: EndpointId, now: float) -> None:
        """A stream of `endpoint` broke off after its first content."""
        self._broke[endpoint] = now

    def completed(self, endpoint: EndpointId) -> None:
        """`endpoint` has given a whole answer."""
        if self._broke:
            self._broke.pop(endpoint, None)

    def open_retry(self, endpoints: Iterable[EndpointId], now: float, *, first: bool) -> str | None:
        """The first pool of `endpoints` that allows one more retry, which is then open; None = refused.

        `first`: nothing of this request has been retried yet.
        """
        pools: dict[str, None] = {}
        for endpoint in endpoints:
            pool = pool_of(endpoint)
            answered = self._answered.get(endpoint, NEVER)
            if (first and self._is_shaky(endpoint, answered, now)) or self._is_well(endpoint, answered, now):
                return self._open(pool)
            pools[pool] = None
        return next((self._open(pool) for pool in pools if self._allows(pool, now)), None)

    def open_continuation(self, endpoints: Iterable[EndpointId], now: float) -> str | None:
        """As `open_retry`, for one of `endpoints` to go on with a stream that broke off elsewhere."""
        pools: dict[str, None] = {}
        for endpoint in endpoints:
            pool = pool_of(endpoint)
            is_whole = now - self._broke.get(endpoint, NEVER) > RECENT_S
            if is_whole and self._is_well(endpoint, self._answered.get(endpoint, NEVER), now):
                return self._open(pool)
            pools[pool] = None
        return next((self._open(pool) for pool in pools if self._allows(pool, now)), None)

    def close_retry(self, pool: str, now: float, *, spent: bool) -> None:
        purse = self._purse(pool)
        purse.in_flight = max(0, purse.in_flight - 1)
        if spent:
            purse.retries.add(now, 1)

    def open_hedge(self, pool: str, share: float, now: float) -> bool:
        purse = self._purse(pool)
        if purse.hedges.sum(now) >= share * purse.attempts.sum(now):
            return False
        purse.hedges.add(now, 1)
        return True

    def _is_shaky(self, endpoint: EndpointId, answered: float, now: float) -> bool:
        """It answered lately and has only just begun to fail."""
        return now - answered <= RECENT_S and now - self._failing.get(endpoint, now) <= SHAKY_S

    def _is_well(self, endpoint: EndpointId, answered: float, now: float) -> bool:
        failed = self._failed.get(endpoint, NEVER)
        return failed < answered or now - failed > RECENT_S

    def _allows(self, pool: str, now: float) -> bool:
        purse = self._purse(pool)
        retries = purse.retries.sum(now)
        asked = purse.attempts.sum(now) - retries
        return purse.in_flight + retries < max(FLOOR, SHARE * asked)

    def _open(self, pool: str) -> str:
        self._purse(pool).in_flight += 1
        return pool

    def _purse(self, pool: str) -> _Purse:
        purse = self._pools.get(pool)
        if purse is None:
            purse = self._pools[pool] = _Purse()
        return purse

    def __repr__(self) -> str:
        pools = ", ".join(f"{name} {purse.in_flight} in flight" for name, purse in self._pools.items())
        return f"<RetryBudget [{pools}]>"


def pool_of(endpoint: EndpointId) -> str:
    """`small/0` -> `small`."""
    return endpoint.rpartition("/")[0]


class _Purse:
    __slots__ = ("attempts", "hedges", "in_flight", "retries")

    def __init__(self) -> None:
        # Retries opened and not yet closed. Returns to zero with the last of them.
        self.in_flight = 0
        self.attempts, self.retries, self.hedges = _Window(), _Window(), _Window()
        """`retries`: those that are over, did reach an engine and were not answered, and all continuations."""


class _Window:
    """A count over the last `WINDOW_S` seconds in one-second buckets."""

    __slots__ = ("_buckets", "_second", "_total")

    def __init__(self) -> None:
        self._buckets = [0] * WINDOW_S
        self._second = 0
        self._total = 0

    def add(self, now: float, count: int) -> None:
        second = self._advance(now)
        self._buckets[second % WINDOW_S] += count
        self._total += count

    def sum(self, now: float) -> int:
        self._advance(now)
        return self._total

    def _advance(self, now: float) -> int:
        second = max(int(now), self._second)
        for passed in range(self._second + 1, min(second, self._second + WINDOW_S) + 1):
            self._total -= self._buckets[passed % WINDOW_S]
            self._buckets[passed % WINDOW_S] = 0
        self._second = second
        return second
