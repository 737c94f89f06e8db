"""Runs a route's stages in order, and says of each what it said and how long it took.

Why go on after an exception? Classifier output is advice. A dead stage must not take requests down with it, and must
not misroute silently either: its view says `failed`, and views are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pointsman.core.decision import Decide, Refine, StageResult, StageView
from pointsman.core.protocols import Stage
from pointsman.core.request import ChatRequest


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a whole pipeline said."""

    result: StageResult
    """The Decide that ended it, else the last Refine, else None: every stage abstained."""
    by: str
    """Name of the stage `result` came from; "" when there is none."""
    views: tuple[StageView, ...]
    refined: Refine | None = None
    """The last scores, also when a later stage decided."""


class Pipeline:
    """Stages in order. `now` gives monotonic seconds and is used for the views' durations only."""

    def __init__(self, stages: Sequence[Stage], now: Callable[[], float]) -> None:
        self.stages = tuple(stages)
        self._now = now

    def run(self, request: ChatRequest) -> Outcome:
        """Never raises because of a stage."""
        views: list[StageView] = []
        so_far: Refine | None = None
        by = ""
        now = self._now
        started = now()
        for index, stage in enumerate(self.stages):
            name = stage.name
            try:
                said = stage.classify(request, so_far)
            except Exception as exc:  # noqa: BLE001 - a sick stage only abstains
                ended = now()
                views.append(StageView(name, "failed", f"{type(exc).__name__}: {exc}"[:200], ended - started))
                started = ended
                continue
            ended = now()
            took, started = ended - started, ended
            if isinstance(said, Refine):
                views.append(StageView(name, "refined", said.reason, took, said.scores))
                so_far, by = said, name
            elif isinstance(said, Decide):
                views.append(StageView(name, "decided", said.reason, took, None, said.target))
                views.extend(StageView(late.name, "skipped", f"{name} decided", 0.0) for late in self.stages[index + 1:])
                return Outcome(said, name, tuple(views), so_far)
            else:
                views.append(StageView(name, "abstained", "nothing to say", took))
        return Outcome(so_far, by, tuple(views), so_far)
