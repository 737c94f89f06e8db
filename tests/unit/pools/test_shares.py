"""By priority, and fairly between tenants: whom those who wait stand behind."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pointsman.core.request import PRIORITY_AGE_S
from pointsman.pools.shares import LEAST_S, PRIORITY_WEIGHS, SHARE_WEIGHS, Shares


@dataclass
class Waiter:
    tenant: str = "a"
    priority: int = 1
    at: float = 0.0


def waiting(*waiters: Waiter) -> Shares:
    shares = Shares()
    for waiter in waiters:
        shares.come(waiter.tenant, waiter.priority)
    return shares


def set_back(shares: Shares, *waiters: Waiter, now: float = 0.0) -> list[float]:
    standing = shares.standing(now)
    return [standing.behind(waiter.tenant, waiter.priority, waiter.at) for waiter in waiters]


def test_of_one_tenant_and_one_priority_nobody_is_set_back():
    one, other = Waiter(), Waiter(at=-60.0)
    shares = waiting(one, other)
    shares.give("a", 5.0)

    assert shares.is_one
    assert set_back(shares, one, other) == [0.0, 0.0]


def test_who_was_read_more_is_set_back_by_the_difference():
    hog, other = Waiter("hog"), Waiter("other")
    shares = waiting(hog, other)
    shares.give("hog", 3.0)
    shares.give("other", 1.0)

    assert not shares.is_one
    assert set_back(shares, hog, other) == [2.0 * SHARE_WEIGHS, 0.0]


def test_who_comes_has_no_claim_for_the_time_before_and_no_debt():
    hog, other = Waiter("hog"), Waiter("other")
    shares = waiting(hog)
    shares.give("hog", 100.0)
    shares.come("other", 1)

    assert set_back(shares, hog, other) == [0.0, 0.0]


def test_leaving_and_coming_again_forgives_nothing_while_somebody_waits():
    hog, other = Waiter("hog"), Waiter("other")
    shares = waiting(hog, other)
    shares.give("hog", 3.0)
    shares.go("hog", 1)
    shares.come("hog", 1)

    assert set_back(shares, hog, other) == [3.0 * SHARE_WEIGHS, 0.0]


def test_when_nobody_waits_all_is_forgotten():
    hog, other = Waiter("hog"), Waiter("other")
    shares = waiting(hog, other)
    shares.give("hog", 3.0)
    shares.go("hog", 1)
    shares.go("other", 1)

    assert (shares.tenants, repr(shares)) == ({}, "<Shares [nobody waits]>")
    shares.come("hog", 1)
    shares.come("other", 1)
    assert set_back(shares, hog, other) == [0.0, 0.0]


def test_what_is_in_a_cache_counts_too():
    hog, other = Waiter("hog"), Waiter("other")
    shares = waiting(hog, other)
    for _ in range(10):
        shares.give("hog", 0.0)

    assert set_back(shares, hog, other)[0] == pytest.approx(10 * LEAST_S * SHARE_WEIGHS)


def test_a_better_priority_outweighs_everything_else():
    high, normal, low = Waiter("hog", 0), Waiter("b", 1), Waiter("c", 2)
    shares = waiting(high, normal, low)
    shares.give("hog", 100.0)

    behind = set_back(shares, high, normal, low)
    assert behind == [100.0 * SHARE_WEIGHS, PRIORITY_WEIGHS, 2 * PRIORITY_WEIGHS]
    assert sorted(behind) == behind


def test_waiting_makes_a_priority_better_but_never_better_than_the_best_that_waits():
    high, old, older = Waiter("a", 0, at=60.0), Waiter("a", 1, at=60.0 - PRIORITY_AGE_S), Waiter("a", 2, at=60.0 - PRIORITY_AGE_S)
    shares = waiting(high, old, older)

    assert set_back(shares, high, old, older, now=59.9 + 0.0) == [0.0, PRIORITY_WEIGHS, 2 * PRIORITY_WEIGHS]
    assert set_back(shares, high, old, older, now=60.0) == [0.0, 0.0, PRIORITY_WEIGHS]
    assert set_back(shares, high, old, older, now=60.0 + 5 * PRIORITY_AGE_S) == [0.0, 0.0, 0.0]


def test_among_equals_age_says_nothing():
    fresh, old = Waiter("a", 1, at=50.0), Waiter("a", 1, at=0.0)

    assert set_back(waiting(fresh, old), fresh, old, now=50.0) == [0.0, 0.0]
