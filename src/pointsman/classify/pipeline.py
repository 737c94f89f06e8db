"""Runs a route's stages in order, and says of each what it said and how long it took.

Why go on after an exception? Classifier output is advice. A dead stage must not take requests down with it, and must
not misroute silently either: its view says `failed`, and views are counted.

A stage that only stands in for the one behind it is not asked where that one speaks: nobody would act on what it said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

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

    def __init__(self, stages: Sequence[Stage], now: Callable[[], float], stands_in: Mapping[str, str] = MappingProxyType({})) -> None:
        """`stands_in`: name of a stage -> name of the one whose scores take the place of its own. Where that comes right behind it, the first is asked
        only when the second gives no scores."""
        self.stages = tuple(stages)
        self._now = now
        self._spared = {first.name: StageView(first.name, "skipped", f"{second.name} spoke, whose scores count", 0.0)
                        for first, second in zip(self.stages, self.stages[1:], strict=False) if stands_in.get(first.name) == second.name}

    def run(self, request: ChatRequest) -> Outcome:
        """Never raises because of a stage."""
        views: list[StageView] = []
        so_far: Refine | None = None
        by = ""
        waits: Stage | None = None
        started = self._now()
        for index, stage in enumerate(self.stages):
            name = stage.name
            if name in self._spared:
                waits = stage
                continue
            said, view, ended = self._asked(stage, request, so_far, started)
            if waits is not None:
                if isinstance(said, Refine):
                    views.append(self._spared[waits.name])
                else:
                    instead, late, ended = self._asked(waits, request, so_far, ended)
                    views.append(late)
                    if isinstance(instead, Refine):
                        so_far, by = instead, waits.name
                waits = None
            started = ended
            views.append(view)
            if isinstance(said, Refine):
                so_far, by = said, name
            elif isinstance(said, Decide):
                views.extend(StageView(late.name, "skipped", f"{name} decided", 0.0) for late in self.stages[index + 1:])
                return Outcome(said, name, tuple(views), so_far)
        return Outcome(so_far, by, tuple(views), so_far)

    def _asked(self, stage: Stage, request: ChatRequest, so_far: StageResult, started: float) -> tuple[StageResult, StageView, float]:
        """What a stage said, the view of it, and when it had."""
        name = stage.name
        try:
            said = stage.classify(request, so_far)
        except Exception as exc:  # noqa: BLE001 - a sick stage only abstains
            ended = self._now()
            return None, StageView(name, "failed", f"{type(exc).__name__}: {exc}"[:200], ended - started), ended
        ended = self._now()
        if isinstance(said, Refine):
            return said, StageView(name, "refined", said.reason, ended - started, said.scores), ended
        if isinstance(said, Decide):
            return said, StageView(name, "decided", said.reason, ended - started, None, said.target), ended
        return None, StageView(name, "abstained", "nothing to say", ended - started), ended
