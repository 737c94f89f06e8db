"""Labels that name a tier: "this query needs `medium`". Also the owner's own categories (intents).

What does such a label say about the other tiers? That the named one is the smallest that is good enough: those above it
are good enough too, those below are not. A category says less: this one, and none of the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pointsman.errors import DataRefused
from pointsman.learn.readers.gathering import Gathering
from pointsman.learn.readers.lines import Line

NAMES = ("tier", "label", "routing_tier", "complexity", "difficulty", "category", "intent")
"""What people call the label, in the order in which a name is taken."""

_RANKS = {
    0: ("small", "mini", "tiny", "simple", "easy", "cheap", "low", "weak", "fast", "haiku", "nano", "flash", "basic"),
    1: ("medium", "mid", "middle", "moderate", "balanced", "standard", "sonnet", "average"),
    2: ("large", "big", "complex", "hard", "difficult", "best", "high", "strong", "opus", "frontier", "smart", "pro"),
    3: ("xl", "extra", "xlarge", "expert", "reasoning", "huge"),
}
_RANK = {word: rank for rank, words in _RANKS.items() for word in words}
_NUMBERED = re.compile(r"(?:tier|level|t|l)?[\s_-]*(\d{1,3})")


def read(path: Path, lines: list[Line], ladder: Sequence[str] | None = None, *, are_categories: bool = False) -> tuple[Gathering, tuple[str, ...]]:
    """The queries, and the tiers in their order, cheapest first. `ladder` gives that order; else names that say it themselves."""
    gathering = Gathering(path)
    labelled = [(gathering.query(line), label) for line in lines if (label := label_of(path, line)) is not None]
    found = list(dict.fromkeys(label for _, label in labelled))
    order = tuple(ladder) if ladder else tuple(sorted(found)) if are_categories else in_order(path, found)
    if unknown := [label for label in found if label not in order]:
        raise DataRefused(str(path), f"{unknown[0]!r} is a label and not on the ladder {', '.join(order)}")
    for query, label in labelled:
        place = order.index(label)
        for index, tier in enumerate(order):
            gathering.outcome(query, tier, float(index == place if are_categories else index >= place))
    return gathering, order


def label_of(path: Path, line: Line) -> str | None:
    """The label of a row; None where it is null or empty."""
    for name in NAMES:
        if name in line.row:
            value = line.row[name]
            if isinstance(value, float) and value == int(value):
                value = int(value)
            return None if value is None or not str(value).strip() else str(value).strip()
    raise DataRefused(str(path), f"{line.where} has no label: a name called {', '.join(NAMES[:3])}")


def in_order(path: Path, tiers: Sequence[str]) -> tuple[str, ...]:
    """From the cheapest to the dearest, when the names themselves say so (`small`, `tier-2`, `3`)."""
    ranks = {tier: _rank(tier) for tier in tiers}
    places = [rank for rank in ranks.values() if rank is not None]
    if len(places) < len(ranks) or len(set(places)) < len(places):
        shown = ",".join(sorted(tiers)[:8])
        raise DataRefused(str(path), f"the labels {shown} do not say which is the cheaper: add --ladder with their names, cheapest first "
                                     "(or --format categories if they are kinds and not sizes)")
    return tuple(sorted(tiers, key=lambda tier: ranks[tier] or 0))


def _rank(tier: str) -> int | None:
    lower = tier.lower()
    if numbered := _NUMBERED.fullmatch(lower):
        return int(numbered.group(1))
    return _RANK.get(lower)
