"""Where a request has been."""

from __future__ import annotations

from pointsman.cascade.trail import Trail
from pointsman.core.record import Escalation
from pointsman.testing.script import a_rung

RUNGS = (a_rung("small", "chosen"), a_rung("medium"), a_rung("large"), a_rung("api", "fallback"))


def test_climbs_are_told_from_tier_to_tier():
    trail = Trail()
    for rung, reason in ((0, "chosen"), (0, "retry"), (1, "failed"), (2, "verifier")):
        trail.add(rung, reason)
    assert trail.escalations(RUNGS) == (
        Escalation("small", "medium", "failed"), Escalation("medium", "large", "verifier"),
    )  # fmt: skip


def test_an_attempt_that_found_nobody_is_no_step():
    trail = Trail()
    trail.add(0, "chosen")
    trail.add(1, "failed")
    trail.mark_vain(2)
    trail.add(2, "failed")
    assert not trail.has_visited(1)
    assert trail.escalations(RUNGS) == (Escalation("small", "large", "failed"),)


def test_fallbacks_are_no_climbs_and_attempts_are_numbered_from_one():
    trail = Trail()
    assert (trail.add(0, "chosen"), trail.add(3, "fallback")) == (1, 2)
    assert trail.escalations(RUNGS) == ()
    assert trail.reason_of(2) == "fallback"
