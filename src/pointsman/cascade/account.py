"""A deferral rule in words: what it would take for an answer to be left for a better one."""

from __future__ import annotations

from pointsman.cascade.benefit import Benefit, BreakEven


def account_of(benefit: Benefit, max_climbs: int, task: str = "") -> list[str]:
    """Lines for people, for the rungs from the decided tier upwards. `task`: the kind of work, where something was measured by it."""
    climbs = "one climb" if max_climbs == 1 else f"{max_climbs} climbs"
    lines = [f"cascade by benefit{_on(task)}, at most {climbs}; an answer is given from P(acceptable) {benefit.enough:.2f} on"]
    return lines + [f"  {each.tier} -> {each.higher}: {_words(benefit, each)}" for each in benefit.break_evens()]


def _words(benefit: Benefit, each: BreakEven) -> str:
    cost = f"costs {benefit.cost(each.higher):.2f} in quality"
    if each.below <= 0:
        return f"{cost}, and is never worth it"
    share = "" if each.share is None else f"; always asking {each.higher} is cheaper once {each.share:.0%} climb"
    before = benefit.prospects[each.tier].p
    return (f"{cost}, climbs below {each.below:.2f} (now {before:.2f}: a verifier that errs in more than {each.error:.0%} of the cases "
            f"changes nothing){share}")


def account_of_threshold(accept_at: dict[str, float], max_climbs: int, task: str = "") -> list[str]:
    """The same of plain thresholds, which is what it is called."""
    climbs = "one climb" if max_climbs == 1 else f"{max_climbs} climbs"
    each = ", ".join(f"{tier} accepts from {score:.2f}" for tier, score in accept_at.items())
    return [f"cascade by plain threshold{_on(task)}, at most {climbs}: {each}"]


def _on(task: str) -> str:
    return f" on {task!r}" if task else ""
