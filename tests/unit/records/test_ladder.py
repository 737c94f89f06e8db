"""What each rung has had to do, from records."""

from __future__ import annotations

import pytest

from pointsman.core.record import Attempt, Check, Escalation, Record
from pointsman.records.ladder import by_rung, quantile


def an_attempt(number, tier, outcome="answered", cost=10, duration=1.0):
    return Attempt(number, tier, tier, f"{tier}/0", "m", "chosen", 0.0, duration, 0.1, outcome, cost_nano_usd=cost)


def a_record(*attempts, tier, checks=(), escalations=(), outcome="answered"):
    return Record("0" * 32, 0.0, "chat", "auto", "auto", "", "", False, outcome, 200, 1.0, None, routing_tier=tier, attempts=attempts,
                  checks=checks, escalations=escalations)


def a_check(score, cost=1):
    return Check(1, "small", score, 0.0, True, 0.25, cost_nano_usd=cost)


CLIMBED = a_record(an_attempt(1, "small"), an_attempt(2, "large", cost=100, duration=3.0), tier="large", checks=(a_check(0.1),),
                   escalations=(Escalation("small", "large", "verifier"),))
KEPT = a_record(an_attempt(1, "small"), tier="small", checks=(a_check(None, None),))
BROKEN = a_record(an_attempt(1, "small", "cancelled", cost=None), an_attempt(2, "large", cost=100), tier="large",
                  escalations=(Escalation("small", "large", "failed"),))


def test_every_attempt_is_paid_for_where_it_was_made():
    small, large = by_rung([CLIMBED, KEPT, BROKEN])
    assert (small.tier, small.requests, small.began, small.answered) == ("small", 3, 3, 1)
    assert (small.cost_nano_usd, small.checks_nano_usd, small.unknown_costs) == (20, 1, 2)
    assert (small.judged, small.unjudged, small.left, small.broken_off) == (2, 1, 1, 1)
    assert (large.requests, large.began, large.answered, large.cost_nano_usd) == (2, 0, 2, 200)
    assert (small.share, large.share) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert (small.durations_s, small.checks_s, large.durations_s) == ([1.0, 1.0], [0.25, 0.25], [3.0, 1.0])


def test_requests_that_reached_nobody_count_nowhere():
    assert by_rung([a_record(tier="", outcome="rejected")]) == []


def test_a_quantile_is_one_of_the_values():
    assert quantile([], 0.5) is None
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert [quantile([float(i) for i in range(1, 101)], q) for q in (0.0, 0.5, 0.95, 1.0)] == [1.0, 50.0, 95.0, 100.0]
