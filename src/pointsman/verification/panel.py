"""All verifiers of a rung together: who is asked when, and what their words come to.

First the pure ones, which cost nothing. A hard failure there ends it: nobody is paid to confirm it. Then all who must be
asked, at the same time. Their evidence is added up in log-odds, each bounded by how often it errs (naive Bayes: signals that
say the same thing twice are counted twice, so a rung is better off with few different ones).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from math import inf, isfinite
from time import perf_counter

from pointsman.core.answer import Answer
from pointsman.core.protocols import Asks, Verifier
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import NOTHING_FOUND, PASSES_FROM, Finding, Findings, Rates, Traits, Verdict, probability
from pointsman.verification.guard import Guard

_log = logging.getLogger(__name__)


class Panel:
    """Satisfies `core.protocols.Verification`."""

    def __init__(self, pure: Sequence[Verifier], guards: Sequence[Guard], rates: Mapping[str, Rates] = {}) -> None:
        """`rates`: name -> how often a guarded verifier errs here, where that is not what it says itself."""
        self._pure, self._guards, self._rates = tuple(pure), tuple(guards), {guard.name: rates.get(guard.name, guard.rates) for guard in guards}
        self._prefix = tuple(verifier for verifier in pure if not verifier.traits.needs_whole_answer)
        every = [*((each.traits, each.rates) for each in pure), *((each.traits, self._rates[each.name]) for each in guards)]
        self._each = tuple(traits for traits, _ in every)
        self.traits = _together(self._each)
        self.rates = min((rates for _, rates in every), key=lambda rates: rates.misses + rates.false_alarms, default=None)
        self.lowest_evidence = -inf if self.traits.may_reject else sum(min(0.0, rates.for_fail) for _, rates in every)

    def traits_for(self, request: ChatRequest) -> Traits | None:
        concerned = [traits for traits in self._each if traits.concerns(request)]
        if len(concerned) == len(self._each):
            return self.traits
        return _together(concerned) if concerned else None

    def glance(self, request: ChatRequest, answer: Answer) -> Findings:
        """The pure ones; of an answer that is still being written, those that can judge a beginning."""
        spoken = [(each, *self._looked(each, request, answer)) for each in (self._pure if answer.is_whole else self._prefix)]
        return combined((each.name, each.rates, verdict, took) for each, verdict, took in spoken)

    async def verify(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Findings:
        spoken: list[tuple[str, Rates, Verdict, float]] = []
        for each in self._pure:
            verdict, took = self._looked(each, request, answer)
            spoken.append((each.name, each.rates, verdict, took))
            if _rejects(verdict):
                return combined(spoken)
        if self._guards:
            said = await asyncio.gather(*(self._consulted(guard, request, answer, asks, pool, until) for guard in self._guards))
            spoken += [(guard.name, self._rates[guard.name], verdict, took)
                       for guard, (verdict, took) in zip(self._guards, said, strict=True)]
        return combined(spoken)

    def _looked(self, verifier: Verifier, request: ChatRequest, answer: Answer) -> tuple[Verdict, float]:
        began = perf_counter()
        try:
            verdict = verifier.verify(request, answer)
            if verdict.score is not None and not (isfinite(verdict.score) and 0.0 <= verdict.score <= 1.0):
                verdict = Verdict(None, "its score is not between 0 and 1", fault="garbage")
        except Exception as error:  # noqa: BLE001  a verifier's bug fails no request
            _log.exception("verifier %s broke", verifier.name)
            verdict = Verdict(None, f"it broke: {type(error).__name__}", fault="crashed")
        return verdict, perf_counter() - began

    async def _consulted(self, guard: Guard, request: ChatRequest, answer: Answer, asks: Asks, pool: str,
                         until: float) -> tuple[Verdict, float]:
        began = perf_counter()
        return await guard.consult(request, answer, asks, pool=pool, until=until), perf_counter() - began

    def __repr__(self) -> str:
        return f"<Panel [{', '.join([*(each.name for each in self._pure), *(each.name for each in self._guards)])}]>"


def _together(each: Sequence[Traits]) -> Traits:
    return reduce(Traits.with_, each, Traits(needs_whole_answer=False, may_reject=False))


def combined(spoken: Iterable[tuple[str, Rates, Verdict, float]]) -> Findings:
    """Name, error rates, verdict and seconds of each verifier -> what they come to."""
    by: list[Finding] = []
    features: dict[str, float] = {}
    evidence, graded = 0.0, 0.0
    is_rejected, has_score, is_graded = False, False, False
    cost: int | None = 0
    worst = 1.0
    for name, rates, verdict, took in spoken:
        weight = rates.evidence(verdict)
        by.append(Finding(name, verdict.score, verdict.reason, weight, took, verdict.fault, verdict.cost_nano_usd))
        features |= {f"{name}.{feature}": figure for feature, figure in verdict.features.items()}
        cost = None if cost is None or verdict.cost_nano_usd is None else cost + verdict.cost_nano_usd
        if verdict.score is None:
            continue
        has_score = True
        evidence += weight
        is_rejected = is_rejected or _rejects(verdict)
        if verdict.is_graded:
            is_graded, graded = True, graded + weight
        elif verdict.score < PASSES_FROM:
            worst = min(worst, verdict.score)
    if not by:
        return NOTHING_FOUND
    score = None if not has_score else 0.0 if is_rejected else min(worst, probability(graded) if is_graded else 1.0)
    return Findings(score, evidence, is_rejected, tuple(by), features, cost)


def _rejects(verdict: Verdict) -> bool:
    return verdict.is_hard and verdict.score is not None and verdict.score < PASSES_FROM
