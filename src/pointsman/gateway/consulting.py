"""Asks those stages that need a thread or a model about decisions that hang on little.

Most decisions do not, and are made without ever giving up the event loop; the few that do wait for a stage's deadline at
most. A stage that is late or fails changes nothing: what had been decided stands, and its view says what happened, so that it
is counted.
"""

from __future__ import annotations

import asyncio

from pointsman.classify.decider import Decider, Terms, last_refined
from pointsman.core.clock import Clock, SystemClock
from pointsman.core.decision import Decide, Decision, Refine, StageResult, StageView
from pointsman.core.protocols import Ask, ConsultingStage
from pointsman.core.request import ChatRequest


class StageBusy(Exception):
    """A consulting stage has no room now; the sentence says for what."""


async def nobody(prompt: str, *, max_tokens: int = 1) -> str:
    """Stands where a stage could ask a model."""
    raise StageBusy("there is no model to ask")


class Consulting:
    """Runs consulting stages in order, each within its own deadline."""

    def __init__(self, clock: Clock | None = None, ask: Ask = nobody) -> None:
        self._clock = SystemClock() if clock is None else clock
        self._ask = ask

    def wants(self, decider: Decider, decision: Decision) -> bool:
        """Some stage of the route is to be asked about this decision."""
        return bool(decider.consulting) and any(decider.asks(stage, decision) for stage in decider.consulting)

    async def settled(self, decider: Decider, request: ChatRequest, decision: Decision, terms: Terms) -> Decision:
        """The decision after every stage that wanted to be asked was. Never raises because of a stage."""
        seen = {view.stage for view in decision.stages}
        for stage in decider.consulting:
            if stage.name in seen:
                continue
            if not decider.asks(stage, decision):
                said, view = None, StageView(stage.name, "skipped", "an earlier stage settled it", 0.0)
            else:
                said, view = await self._consult(stage, request, last_refined(decision))
            decision = decider.reconsidered(request, decision, said, view, terms)
            if isinstance(said, Decide):
                break
        return decision

    async def _consult(self, stage: ConsultingStage, request: ChatRequest, so_far: Refine | None) -> tuple[StageResult, StageView]:
        started, now = self._clock.now(), self._clock.now
        try:
            async with asyncio.timeout(stage.deadline_s):
                said = await stage.consult(request, so_far, self._ask)
        except TimeoutError:
            return None, StageView(stage.name, "late", f"no answer within {stage.deadline_s * 1000:g} ms", now() - started)
        except StageBusy as busy:
            return None, StageView(stage.name, "abstained", str(busy), now() - started)
        except Exception as exc:  # noqa: BLE001 - a sick stage only abstains
            return None, StageView(stage.name, "failed", f"{type(exc).__name__}: {exc}"[:200], now() - started)
        match said:
            case Decide():
                return said, StageView(stage.name, "decided", said.reason, now() - started, None, said.target)
            case Refine():
                return said, StageView(stage.name, "refined", said.reason, now() - started, said.scores)
            case _:
                return None, StageView(stage.name, "abstained", "nothing to say", now() - started)
