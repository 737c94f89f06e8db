"""What was measured of a tier's answers: how verifiers err on one kind of work, from where an answer is good enough, and what its failure says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pointsman.config.problems import Loc, Report, near
from pointsman.config.section import Section
from pointsman.core.settings import TaskSettings
from pointsman.core.task import Task
from pointsman.core.verdict import Rates
from pointsman.core.verifying import Measured

Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class OnTask(Section):
    """How one verifier does on one kind of work."""

    misses: Unit
    """Share of bad answers that it passes."""
    false_alarms: float = Field(ge=0, le=0.5, allow_inf_nan=False)
    """Share of good answers that it fails."""
    weights: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default={})
    """Of `logprobs`: the weights for this kind of work. Empty: as it says itself."""


class TaskOfTier(Section):
    """A tier's answers on one kind of work. `pointsman calibrate --cascade` writes it."""

    accept_at: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """As the tier's own. Absent: as the tier says."""
    overlap: dict[str, Unit] = Field(default={})
    """As the tier's own, higher tier by higher tier. What is missing is as the tier says."""
    verify: dict[str, OnTask] = Field(default={})
    """Verifier's name -> how it does here. Verifiers that are missing are believed as everywhere."""


def check_measured(tier: str, overlap: dict[str, float], by_task: Mapping[Task, TaskOfTier], verifiers: set[str], tiers: frozenset[str], loc: Loc,
                   report: Report) -> None:
    """Tiers and verifiers that exist. `verifiers`: names of all that may look at this tier's answers."""
    places = [((*loc, "overlap"), overlap), *(((*loc, "by_task", name, "overlap"), each.overlap) for name, each in by_task.items())]
    for place, given in places:
        for higher in given:
            if higher == tier or higher not in tiers:
                report.problem((*place, higher), "is this tier itself" if higher == tier else f"tier {higher!r} does not exist",
                               near(higher, tiers - {tier}))
    for name, each in by_task.items():
        for verifier in each.verify:
            if verifier not in verifiers:
                report.warning((*loc, "by_task", name, "verify", verifier), "nobody of that name looks at this tier's answers",
                               near(verifier, verifiers))


def on_tasks(by_task: Mapping[Task, TaskOfTier]) -> dict[str, TaskSettings]:
    """As settings."""
    return {name: TaskSettings(each.accept_at, dict(each.overlap),
                               {verifier: Measured(Rates(one.misses, one.false_alarms), dict(one.weights)) for verifier, one in each.verify.items()})
            for name, each in by_task.items()}
