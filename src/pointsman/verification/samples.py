"""The same request put again to the pool that answered it, several times: do the answers agree?"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from pointsman.cascade.verifiers.agreement import agreement, gist
from pointsman.core.answer import Answer, answer_of
from pointsman.core.protocols import Asks
from pointsman.core.reply import Heard
from pointsman.core.request import ChatRequest, Edit, Kind
from pointsman.core.splice import apply
from pointsman.core.surrogates import decoded
from pointsman.core.verdict import ABSTAINS, Traits, Verdict
from pointsman.core.verifying import Agreement
from pointsman.errors import UpstreamError

TYPICAL_S: Final = 3.0
_NOT_FOR_SAMPLES: Final = ("stream", "stream_options", "n", "seed", "logprobs", "top_logprobs", "store", "user")
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Samples:
    """Graded. As many further answers as it takes samples, all at once."""

    def __init__(self, settings: Agreement) -> None:
        self._settings = settings
        self.name, self.rates = settings.name, settings.rates
        self.traits = Traits(calls=settings.samples, latency_s=TYPICAL_S, may_reject=False)

    async def consult(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Verdict:
        if request.kind is not Kind.CHAT or not answer.choices or not gist(answer.choices[0]):
            return ABSTAINS  # prose could not be compared: no sample is paid for
        body = resampled(request, self._settings.temperature)
        said = await asyncio.gather(*(asks(pool, body, until=until) for _ in range(self._settings.samples)), return_exceptions=True)
        heard = [each for each in said if isinstance(each, Heard)]
        if not heard:
            raise next(each for each in said if isinstance(each, BaseException))
        for each in said:
            if isinstance(each, BaseException) and not isinstance(each, UpstreamError):
                raise each
        costs = [each.cost_nano_usd for each in heard]
        known = [cost for cost in costs if cost is not None]
        verdict = agreement(answer, [answer_of(each.reply) for each in heard])
        return msgspec.structs.replace(verdict, cost_nano_usd=sum(known) if len(known) == len(costs) else None)


def resampled(request: ChatRequest, temperature: float) -> bytes:
    """The body of the same request for one more plain answer, drawn afresh."""
    body = decoded(_decode, apply(request.body, [Edit(cut.start, cut.end, b"") for cut in request.cuts]))
    for field in _NOT_FOR_SAMPLES:
        body.pop(field, None)
    return msgspec.json.encode(body | {"temperature": temperature})
