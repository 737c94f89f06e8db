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
        for index, stage in enumerate(self.stages):
            said, view = self._ask(stage, request, so_far)
            views.append(view)
            if isinstance(said, Decide):
                views.extend(StageView(late.name, "skipped", f"{stage.name} decided", 0.0)
                             for late in self.stages[index + 1:])
                return Outcome(said, stage.name, tuple(views), so_far)
            if said is not None:
                so_far, by = said, stage.name
        return Outcome(so_far, by, tuple(views), so_far)

    def _ask(self, stage: Stage, request: ChatRequest, so_far: Refine | None) -> tuple[StageResult, StageView]:
        started = self._now()
        try:
            said = stage.classify(request, so_far)
        except Exception as exc:  # noqa: BLE001 - a sick stage only abstains
            reason = f"{type(exc).__name__}: {exc}"[:200]
            return None, StageView(stage.name, "failed", reason, self._now() - started)
        took = self._now() - started
        match said:
            case Decide():
                return said, StageView(stage.name, "decided", said.reason, took, None, said.target)
            case Refine():
                return said, StageView(stage.name, "refined", said.reason, took, said.scores)
            case _:
                return None, StageView(stage.name, "abstained", "nothing to say", took)
