"""A model asked about an answer: another one, or the one that gave it."""

from __future__ import annotations

from random import Random

import msgspec

from pointsman.cascade.verifiers.judgement import judgement, question
from pointsman.core.answer import Answer, answer_of
from pointsman.core.protocols import Asks
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import ABSTAINS, Traits, Verdict
from pointsman.core.verifying import Judged

TYPICAL_S = 0.15
"""One token after a prompt of some hundreds, on an engine that is not full."""


class Judge:
    """Graded. One further call of a model per answer."""

    traits = Traits(calls=1, latency_s=TYPICAL_S, may_reject=False)

    def __init__(self, settings: Judged, rng: Random) -> None:
        self._settings, self._rng = settings, rng
        self.name, self.rates = settings.name, settings.rates

    async def consult(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Verdict:
        if not answer.choices or not request.messages:
            return ABSTAINS
        body = question(self._settings, request, answer, self._rng)
        heard = await asks(self._settings.pool or pool, body, until=until)
        verdict = judgement(self._settings, answer_of(heard.reply))
        return msgspec.structs.replace(verdict, cost_nano_usd=heard.cost_nano_usd)
