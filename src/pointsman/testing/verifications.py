"""Verification by script, for tests of what is made of it: scores, abstentions, faults."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pointsman.core.answer import Answer
from pointsman.core.protocols import Asks, Verification
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import Finding, Findings, Rates, Traits, log_odds

HANGS: Final = "hangs"
"""The verifier never comes back."""
BREAKS: Final = "breaks"
"""It raises what nobody expects."""

Word = float | None | str


@dataclass
class ScriptedVerification:
    """`core.protocols.Verification`: says `words` one after the other, the last again and again; None = it abstains."""

    words: list[Word] = field(default_factory=lambda: [1.0])
    traits: Traits = field(default_factory=lambda: Traits(needs_logprobs=True, needs_whole_answer=False))
    seen: list[Answer] = field(default_factory=list)
    lowest_evidence: float = float("-inf")
    rates: Rates | None = field(default_factory=lambda: Rates(0.02, 0.02))

    def traits_for(self, request: ChatRequest) -> Traits | None:
        return self.traits if self.traits.concerns(request) else None

    def glance(self, request: ChatRequest, answer: Answer) -> Findings:
        return self._says(answer)

    async def verify(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Findings:
        if self.words[0] == HANGS:
            await asyncio.get_running_loop().create_future()
        return self._says(answer)

    def _says(self, answer: Answer) -> Findings:
        self.seen.append(answer)
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        if isinstance(word, str):
            raise ZeroDivisionError(word)
        if word is None:
            return Findings(None, by=(Finding("scripted", None, "no idea"),))
        return Findings(word, log_odds(word), by=(Finding("scripted", word, "so it says", log_odds(word)),),
                        features={"scripted.word": word})


@dataclass
class OnRungs:
    """`core.protocols.RungVerifications`."""

    by_tier: Mapping[str, Verification]

    def of(self, route: str, tier: str, task: str = "") -> Verification | None:
        return self.by_tier.get(tier)


def says(*words: Word, whole: bool = False, logprobs: bool = True) -> ScriptedVerification:
    """`whole`: it needs the whole answer."""
    script: Sequence[Word] = words or (1.0,)
    return ScriptedVerification(list(script), Traits(needs_logprobs=logprobs, needs_whole_answer=whole))
