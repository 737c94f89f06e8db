"""Has an attempt's answer looked at by its rung's verifiers, and writes down what they said.

Verification never fails a request: whatever goes wrong in it is an abstention, on record and counted, and the cascade's
`on_abstain` says what that means. Half of the time that is left is the most it may take: the other half is for acting on it.
Nobody is asked when there is next to none left (`LEAST_S`): the verifiers that only compute cannot be stopped on their way, and
the client's answer is due.

What was asked of models is paid for however it ended: an engine that is cut short has read the prompt.
"""

from __future__ import annotations

import asyncio
import logging

from pointsman.core.answer import Answer, answer_of
from pointsman.core.clock import Clock
from pointsman.core.protocols import BilledAsks, Verification
from pointsman.core.record import Check
from pointsman.core.verdict import Findings, probability
from pointsman.gateway.dispatch import Journey
from pointsman.gateway.trip import Trip

_log = logging.getLogger(__name__)
BROKEN = "verification_failed"
LATE = "verification_late"
CANCELLED = "verification_cancelled"
"""The client left, or the other attempt of a race has answered."""
LEAST_S = 0.1
"""Time that must be left for looking. About what the free verifiers take for an answer made to be slow: 0.11 s for 128,000
log-probabilities, 0.15 s for a schema of 5,000 patterns over 20,000 keys, on one shared core."""


class Examination:
    """Of the answers of one request."""

    def __init__(self, clock: Clock, asks: BilledAsks, *, by_evidence: bool) -> None:
        """`by_evidence`: scores are what the evidence comes to (benefit); else the verifiers' own score (threshold)."""
        self._clock, self._asks, self._by_evidence = clock, asks, by_evidence

    async def examine(self, journey: Journey, verification: Verification, trip: Trip, deadline: float) -> float | None:
        """The score of what there is of the answer; None = nobody could say. Raises CancelledError only."""
        begun = self._clock.now()
        whole = journey.reply is not None
        found, error, asked = None, None, len(self._asks.questions)
        try:
            if deadline - begun < LEAST_S:
                error = LATE
            elif not whole:
                found = verification.glance(trip.request, self._answer(journey))
            else:
                until = begun + (deadline - begun) / 2
                async with asyncio.timeout_at(until):
                    found = await verification.verify(trip.request, self._answer(journey), self._asks,
                                                      pool=journey.lease.endpoint.pool, until=until)
        except TimeoutError:
            error = LATE
        except asyncio.CancelledError:
            error = CANCELLED
            raise
        except Exception:  # noqa: BLE001  a verifier's bug is no answer's fault
            error = BROKEN
            _log.exception("verification of request %s failed inside the router", trip.id)
        finally:
            cost = self._cost(found, asked)
            found = found or Findings(None)
            score = self._score(found)
            trip.checks.append(Check(
                journey.call.attempt, journey.call.tier, score, found.evidence, whole, self._clock.now() - begun, found.by,
                found.features, cost, error))
        return score

    def _cost(self, found: Findings | None, asked: int) -> int | None:
        """What the verifiers say that they spent, and what was asked in vain; of verifiers that could not say, all that was asked.

        `asked`: questions before this examination.
        """
        total = 0 if found is None else found.cost_nano_usd
        for question in self._asks.questions[asked:]:
            if found is None or question.outcome != "answered":
                total = None if total is None or question.cost_nano_usd is None else total + question.cost_nano_usd
        return total

    def _answer(self, journey: Journey) -> Answer:
        if journey.holding is not None:
            return journey.holding.answer(is_whole=journey.reply is not None)
        return answer_of(journey.reply) if journey.reply is not None else Answer(is_whole=False)

    def _score(self, found: Findings) -> float | None:
        if found.score is None:
            return None
        if found.is_rejected:
            return 0.0
        return probability(found.evidence) if self._by_evidence else found.score
