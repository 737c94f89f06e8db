"""An operator's command decides: the answer's code is written to a file, the tests are run, the exit code tells.

Exit code 0 accepts, 75 (`EX_TEMPFAIL`) abstains, any other rejects; so does running into a limit, for that is what the code did.
A last line of output such as `{"score": 0.7}` is a degree instead. What could not be run at all says nothing.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

import msgspec

from pointsman.core.answer import Answer
from pointsman.core.protocols import Asks
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import ABSTAINS, Traits, Verdict
from pointsman.core.verifying import CommandCheck
from pointsman.verification.sandbox.keeper import Keeper, NoHelper, Ran

TYPICAL_S: Final = 0.5
TEXT_MAX: Final = 1024 * 1024
"""Characters of an answer that are written to a file."""
ABSTAIN_CODE: Final = 75

_FENCE = re.compile(r"^[ \t]{0,3}(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]{0,3}\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_SCORE = re.compile(r'\{\s*"score"\s*:\s*(?:null|[0-9.]{1,20})\s*\}\s*\Z')


class CommandVerifier:
    """Hard when the command says no."""

    traits = Traits(latency_s=TYPICAL_S)

    def __init__(self, settings: CommandCheck, keeper: Keeper) -> None:
        self._settings, self._keeper = settings, keeper
        self.name, self.rates = settings.name, settings.rates

    async def consult(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Verdict:
        settings, keeper = self._settings, self._keeper
        text = code_in(answer.text) if settings.takes == "code" else answer.text
        if not text.strip():
            return Verdict(None, "no code in it") if settings.takes == "code" else ABSTAINS
        if len(text) > TEXT_MAX:
            return Verdict(None, "too long to be run")
        if not keeper.is_up:
            return Verdict(None, "the helper process is not there", fault="down")
        if keeper.isolation != "namespaces" and not settings.accepts_no_isolation:
            return Verdict(None, "there is no isolation here", fault="unavailable")
        left = until - asyncio.get_running_loop().time()
        try:
            ran = await keeper.run(settings, text, min(settings.bound.timeout_s, max(0.1, left - 0.1)))
        except NoHelper as error:
            return Verdict(None, str(error), fault="crashed")
        return verdict_of(ran, cut_short=left < settings.bound.timeout_s - 0.2)


def verdict_of(ran: Ran, *, cut_short: bool = False) -> Verdict:
    """`cut_short`: the request had less time left than the check may take, so that a long run says nothing."""
    match ran.end:
        case "broken":
            return Verdict(None, ran.why or "it could not be run", fault="garbage")
        case "wall" if cut_short:
            return Verdict(None, "the request had no time for it", fault="slow")
        case "wall":
            return Verdict(0.0, "it did not end in time", is_hard=True)
        case "memory":
            return Verdict(0.0, "it took too much memory", is_hard=True)
    if ran.code == ABSTAIN_CODE:
        return ABSTAINS
    found = _SCORE.search(ran.output[-200:])
    if found is not None and (verdict := _graded(found.group())) is not None:
        return verdict
    if ran.code == 0:
        return Verdict(1.0, "the command accepts it")
    return Verdict(0.0, f"the command ends with {ran.code}", is_hard=True)


def _graded(line: str) -> Verdict | None:
    try:
        said: Any = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    score = said["score"]
    if score is None:
        return ABSTAINS
    return Verdict(float(score), "as the command says", is_graded=True) if 0 <= score <= 1 else None


def code_in(text: str) -> str:
    """The fenced code blocks of an answer, one after the other; without fences nobody can tell code from prose: ""."""
    return "\n\n".join(block for _, block in _FENCE.findall(text[: 2 * TEXT_MAX]))
