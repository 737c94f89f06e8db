"""Asks those stages that need a thread or a model about decisions that hang on little.

Most decisions do not, and are made without ever giving up the event loop; the few that do wait for a stage's deadline at
most. A stage that is late or fails changes nothing: what had been decided stands, and its view says what happened, so that it
is counted.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final, Literal

import msgspec

from pointsman.classify.decider import Decider, Terms, last_refined
from pointsman.core.clock import Clock, SystemClock
from pointsman.core.decision import Answered, Decide, Decision, Refine, StageResult, StageView
from pointsman.core.protocols import BilledAsks, ConsultingStage
from pointsman.core.record import Question
from pointsman.core.reply import Heard
from pointsman.core.request import ChatRequest


class StageSilent(Exception):
    """A consulting stage has nothing to say; the sentence says why, `result` in one word."""

    def __init__(self, why: str, result: str = "", outcome: Literal["abstained", "failed", "late"] = "abstained") -> None:
        super().__init__(why)
        self.result, self.outcome = result, outcome


class StageBusy(StageSilent):
    """A consulting stage has no room now; the sentence says for what."""


class Nobody:
    """Stands where a stage could ask a model; satisfies `core.protocols.BilledAsks`."""

    questions: tuple[Question, ...] = ()

    async def __call__(self, pool: str, body: bytes, *, until: float) -> Heard:
        raise StageBusy(f"pool {pool!r} would be asked; here nothing is", "nobody")


NOBODY: Final = Nobody()
_OPEN: Final = frozenset(("policy", "gate", "default"))
"""Who has decided what may still be changed: a rule's, a client's or a conversation's word stands."""


class Consulting:
    """Runs consulting stages in order, each within its own deadline."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = SystemClock() if clock is None else clock

    def wants(self, decider: Decider, decision: Decision) -> bool:
        """Some stage of the route is to be asked about this decision. Asked once for each request."""
        for stage in decider.consulting:
            stage.saw()
        if decision.decided_by in _OPEN:
            for stage in decider.consulting:  # asked of every request: a generator would cost more than what it asks
                if decider.asks(stage, decision):
                    return True
        return False

    async def settled(self, decider: Decider, request: ChatRequest, decision: Decision, terms: Terms,
                      asks: BilledAsks = NOBODY, until: float = inf) -> Decision:
        """The decision after every stage that wanted to be asked was. Never raises because of a stage. `until`: the request's own end."""
        seen = {view.stage for view in decision.stages}
        for stage in decider.consulting:
            if stage.name in seen:
                continue
            if not decider.asks(stage, decision):
                said, view = None, StageView(stage.name, "skipped", "an earlier stage settled it", 0.0)
            else:
                said, view = await self._consult(stage, request, last_refined(decision), asks, until)
            decision = decider.reconsidered(request, decision, said, view, terms)
            if isinstance(said, Decide):
                break
        return decision

    async def _consult(self, stage: ConsultingStage, request: ChatRequest, so_far: Refine | None,
                       asks: BilledAsks, until: float) -> tuple[StageResult, StageView]:
        started, before = self._clock.now(), len(asks.questions)
        said, view = await self._heard(stage, request, so_far, asks, started, until)
        asked = asks.questions[before:]
        if asked:
            costs = [question.cost_nano_usd for question in asked]
            nano = None if None in costs else sum(cost for cost in costs if cost is not None)
            view = msgspec.structs.replace(view, cost_nano_usd=nano, result=view.result or "answered")
        return said, view

    async def _heard(self, stage: ConsultingStage, request: ChatRequest, so_far: Refine | None, asks: BilledAsks,
                     started: float, until: float) -> tuple[StageResult, StageView]:
        now, patience_s = self._clock.now, min(stage.deadline_s, until - started)
        if patience_s <= 0:
            return None, StageView(stage.name, "late", "the request has no time left", 0.0)
        try:
            async with asyncio.timeout(patience_s):
                answer = await stage.consult(request, so_far, asks)
        except TimeoutError:
            return None, StageView(stage.name, "late", f"no answer within {round(patience_s * 1000, 1):g} ms", now() - started, result="slow")
        except StageSilent as silent:
            return None, StageView(stage.name, silent.outcome, str(silent), now() - started, result=silent.result)
        except Exception as exc:  # noqa: BLE001 - a sick stage only abstains
            return None, StageView(stage.name, "failed", f"{type(exc).__name__}: {exc}"[:200], now() - started, result="crashed")
        said, result = (answer.said, answer.result) if isinstance(answer, Answered) else (answer, "")
        match said:
            case Decide():
                return said, StageView(stage.name, "decided", said.reason, now() - started, None, said.target, result)
            case Refine():
                return said, StageView(stage.name, "refined", said.reason, now() - started, said.scores, result=result)
            case _:
                return None, StageView(stage.name, "abstained", "nothing to say", now() - started, result=result)
