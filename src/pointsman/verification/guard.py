"""What stands between a request and a verifier that needs the world: a deadline, a limit, a breaker, a counter.

Whatever goes wrong behind it, the request goes on: the verifier abstains, and says why.
"""

from __future__ import annotations

import asyncio
import logging
from math import isfinite
from typing import Final

from pointsman.core.answer import Answer
from pointsman.core.breaker import Breaker
from pointsman.core.protocols import Asks, ConsultingVerifier
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import Fault, Verdict
from pointsman.core.verifying import Consulting
from pointsman.errors import BadAnswer, Forbidden, UpstreamError, UpstreamTimeout

_log = logging.getLogger(__name__)
LATE_S: Final = 0.01
"""A wait that ends this close to the request's own end says nothing about the verifier."""
_ITS_FAULT: Final = frozenset(("slow", "down", "garbage", "crashed"))


class Guard:
    """One verifier as all requests of a process use it."""

    def __init__(self, verifier: ConsultingVerifier, bound: Consulting) -> None:
        self._verifier, self._bound = verifier, bound
        self._breaker = Breaker()
        self.in_flight = 0
        self.name, self.traits, self.rates = verifier.name, verifier.traits, verifier.rates

    async def consult(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Verdict:
        """Its word, or an abstention with its fault. Raises nothing but CancelledError."""
        now = _now()
        if self.in_flight >= self._bound.max_in_flight:
            return Verdict(None, "too many checks at once", fault="busy")
        if until - now < LATE_S:
            return Verdict(None, "no time is left for it", fault="slow")
        if not self._breaker.lets(now):
            return Verdict(None, "it failed too often lately", fault="resting")
        by = min(until, now + self._bound.timeout_s)
        self.in_flight += 1
        try:
            verdict = await self._asked(request, answer, asks, pool, by)
        finally:
            self.in_flight -= 1
        if verdict.fault in _ITS_FAULT and not (verdict.fault == "slow" and by < now + self._bound.timeout_s):
            self._breaker.failed(_now())
        elif not verdict.fault:
            self._breaker.succeeded()
        return verdict

    async def _asked(self, request: ChatRequest, answer: Answer, asks: Asks, pool: str, by: float) -> Verdict:
        try:
            async with asyncio.timeout_at(by):
                verdict = await self._verifier.consult(request, answer, asks, pool=pool, until=by)
        except (TimeoutError, UpstreamTimeout):
            return _fault("slow", "it did not answer in time")
        except Forbidden as error:
            return _fault("not_allowed", str(error))
        except BadAnswer as error:
            return _fault("garbage", str(error))
        except UpstreamError as error:
            return _fault("down", str(error))
        except Exception as error:  # noqa: BLE001  a verifier's bug fails no request
            _log.exception("verifier %s broke", self.name)
            return _fault("crashed", f"it broke: {type(error).__name__}")
        score = verdict.score
        if score is not None and not (isfinite(score) and 0.0 <= score <= 1.0):
            return _fault("garbage", "its score is not between 0 and 1")
        return verdict

    def __repr__(self) -> str:
        return f"<Guard {self.name} [{self.in_flight} in flight | {self._breaker!r}]>"


def _fault(fault: Fault, reason: str) -> Verdict:
    return Verdict(None, reason[:200], fault=fault)


def _now() -> float:
    return asyncio.get_running_loop().time()
