"""What each rung of a ladder has had to do, what it cost and how long it took: a reading of records.

A request that climbs pays for every rung it touches. So a rung's cost is that of all attempts there, given or not, and its
share of requests is told three times: those that began there, those that it answered, those that were left for a better answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

import msgspec

from pointsman.core.record import Attempt, Record


class RungAccount(msgspec.Struct):
    """One tier of one route. Shares are of the requests of the route that reached a tier."""

    route: str
    tier: str
    requests: int = 0
    """That had an attempt here."""
    began: int = 0
    """Whose first attempt was here."""
    answered: int = 0
    """That got their answer from here."""
    judged: int = 0
    """Answers from here that verifiers were asked about."""
    unjudged: int = 0
    """Of those: nobody could say."""
    left: int = 0
    """Climbs from here because of what the answer was worth."""
    broken_off: int = 0
    """Attempts here that were cancelled: beginnings that were left, hedges that lost, clients that left."""
    cost_nano_usd: int = 0
    """Of all attempts here, as far as known."""
    checks_nano_usd: int = 0
    """Of the verifiers that looked at answers from here, as far as known."""
    unknown_costs: int = 0
    """Attempts and checks of unknown cost."""
    durations_s: list[float] = []
    """Of the attempts that answered."""
    checks_s: list[float] = []
    """Of verification."""
    share: float = 0.0
    """Of the route's requests, that got their answer from here."""


def by_rung(records: Iterable[Record]) -> list[RungAccount]:
    """The accounts of every route's tiers, by route, then in the order in which tiers first appear."""
    accounts: dict[tuple[str, str], RungAccount] = {}
    totals: dict[str, int] = {}
    for record in records:
        if record.attempts:
            totals[record.route] = totals.get(record.route, 0) + 1
            _add(record, accounts)
    for account in accounts.values():
        account.share = account.answered / totals[account.route]
    return sorted(accounts.values(), key=lambda account: account.route)


def quantile(values: list[float], q: float) -> float | None:
    """The smallest value that a share `q` of all does not exceed; None = there are none."""
    if not values:
        return None
    return sorted(values)[max(0, ceil(q * len(values) - 1e-9) - 1)]


def _add(record: Record, accounts: dict[tuple[str, str], RungAccount]) -> None:
    def of(tier: str) -> RungAccount:
        return accounts.setdefault((record.route, tier), RungAccount(record.route, tier, durations_s=[], checks_s=[]))

    for tier in dict.fromkeys(attempt.tier for attempt in record.attempts):
        of(tier).requests += 1
    first = min(record.attempts, key=lambda attempt: attempt.number)
    of(first.tier).began += 1
    if record.outcome == "answered":
        of(record.routing_tier).answered += 1
    for attempt in record.attempts:
        _attempt(of(attempt.tier), attempt)
    for check in record.checks:
        account = of(check.tier)
        account.judged += 1
        account.unjudged += check.score is None
        account.checks_s.append(check.duration_s)
        if check.cost_nano_usd is None:
            account.unknown_costs += 1
        else:
            account.checks_nano_usd += check.cost_nano_usd
    for climb in record.escalations:
        if climb.reason == "verifier":
            of(climb.from_tier).left += 1


def _attempt(account: RungAccount, attempt: Attempt) -> None:
    if attempt.cost_nano_usd is None:
        account.unknown_costs += 1
    else:
        account.cost_nano_usd += attempt.cost_nano_usd
    if attempt.outcome == "answered":
        account.durations_s.append(attempt.duration_s)
    account.broken_off += attempt.outcome == "cancelled"
