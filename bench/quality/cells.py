"""The cells of the table: whose scores, of which source, learned from how many labels, in which draw; and the order they are made in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sources

GOLD = -1
"""Number of the draw that the public protocol marks."""
PLAIN, OURS = "plain", "ours"
PARTS = (PLAIN, OURS)
"""Everybody else's scores are made together, and so are those of both our stacks: they share what they read."""
DRAWS = {100: 5, 300: 5, 1000: 3, 5000: 2}
"""Of each development source by number of labels, and of RouteLLM's MMLU where its learning curve is drawn: few labels tell
different things from draw to draw, many do not."""
PUBLIC_DRAWS = {"RouteLLM GSM8K": (650, 20), "RouteLLM MMLU": (1500, 20)}


class Trial(NamedTuple):
    """One draw of labels."""

    source: str
    labels: int
    draw: int


class Cell(NamedTuple):
    """The scores of some routers in one trial."""

    trial: Trial
    part: str

    def __str__(self) -> str:
        draw = "the marked draw" if self.trial.draw == GOLD else f"draw {self.trial.draw + 1}"
        return f"{self.part}, {self.trial.source}, {self.trial.labels:,} labels, {draw}"


def trials(only: set[str], quick: bool) -> list[Trial]:
    """Every draw of every source: first draws first, of few labels before those of many, so that a run that is cut short has something of
    everything."""
    wanted: list[Trial] = []
    if "public" in only:
        for source, (labels, draws) in PUBLIC_DRAWS.items():
            wanted += [Trial(source, labels, draw) for draw in range(1 if quick else draws)]
        wanted.append(Trial("RouteLLM MMLU", 1500, GOLD))
    if "dev" in only:
        wanted += [Trial(source, labels, draw) for source in sources.DEV for labels in ((300,) if quick else (300, 1000))
                   for draw in range(1 if quick else DRAWS[labels])]
    if "curves" in only and not quick:
        wanted += [Trial("RouteLLM MMLU", labels, draw) for labels in (100, 300, 1000, 5000) for draw in range(DRAWS[labels])]
        wanted += [Trial(source, 5000, draw) for source in sources.LARGE for draw in range(DRAWS[5000])]
        wanted += [Trial(source, 100, draw) for source in sources.DEV for draw in range(DRAWS[100])]
    return sorted(wanted, key=lambda one: (one.draw, one.labels))


def cells(wanted: Sequence[Trial], parts: Sequence[str]) -> list[Cell]:
    """One part after the other: others' scores stay when ours are changed, so they come first."""
    return [Cell(trial, part) for part in PARTS if part in parts for trial in wanted]
