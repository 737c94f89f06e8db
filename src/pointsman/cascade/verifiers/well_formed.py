"""Is it an answer at all? Empty, refused, cut off, stuck in a loop, or in another language than the question.

What it finds is nearly always true, and it misses most of what is merely wrong: a pass means little, a failure much.
"""

from __future__ import annotations

import re
from typing import Final

from pointsman.cascade.verifiers.tongue import is_other_tongue
from pointsman.core.answer import Answer, Choice
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import ABSTAINS, Traits, Verdict
from pointsman.core.verifying import WellFormed

REFUSAL_MAX: Final = 600
"""Characters of an answer that may be nothing but a refusal: a longer one goes on to say something."""
TAIL: Final = 2048
"""Characters at the end that are searched for a loop."""
LOOP_MIN: Final = 160
"""Characters that a loop covers at least, and `LOOP_TURNS` turns: three equal lines of a table are no loop."""
LOOP_TURNS: Final = 5
WRONG_TONGUE: Final = 0.15
"""Not hard: somebody may have asked for it in words that are not recognised."""

_REFUSAL = re.compile(
    r"""[\s"'*_>#-]{0,8}(?:(?:i['’]?m|i\ am|we['’]re)\ (?:(?:very|so|really|truly)\ )?(?:sorry|afraid|unable|not\ able)\b
        |(?:sorry|apologies|unfortunately|as\ an\ ai)\b[^.!?\n]{0,80}?\b(?:i|we)\ (?:can['’]?t|cannot|can\ not|won['’]?t|am\ (?:not|unable)|do\ not|don['’]t)\b
        |i\ (?:can['’]?t|cannot|can\ not|won['’]?t|will\ not|must\ decline\ to)\ (?:help|assist|answer|provide|comply|fulfil|fulfill|do\ that|discuss|engage|continue|create|generate|write)\b
        |i\ (?:do\ not|don['’]t)\ (?:have\ (?:access|enough\ information|the\ ability)|know\b[^.!?\n]{0,40}[.!]\s*$)
        |(?:es\ tut\ mir\ leid|tut\ mir\ leid|ich\ kann\ (?:dir|ihnen|dabei|das|diese[nr]?)\b[^.!?\n]{0,60}\bnicht\b)
        |(?:je\ suis\ désolée?|désolée?)\b[^.!?\n]{0,80}\bne\ (?:peux|puis)\b
        |(?:lo\ siento|lo\ lamento)\b[^.!?\n]{0,80}\bno\ puedo\b
        |(?:mi\ dispiace)\b[^.!?\n]{0,80}\bnon\ posso\b
        |(?:sinto\ muito|desculpe)\b[^.!?\n]{0,80}\bnão\ posso\b
        |(?:抱歉|对不起|很抱歉|申し訳)[^。\n]{0,60}(?:无法|不能|できません|ません)
        |(?:извините|к\ сожалению)\b[^.!?\n]{0,80}\bне\ (?:могу|можем)\b)""",
    re.IGNORECASE | re.VERBOSE)
"""The beginnings of refusals. Bounded repeats only, matched at the start of at most `REFUSAL_MAX` characters."""


class WellFormedVerifier:
    """Hard but for the language."""

    traits = Traits(needs_whole_answer=False)

    def __init__(self, settings: WellFormed | None = None) -> None:
        self._settings = settings or WellFormed()
        self.name, self.rates = self._settings.name, self._settings.rates

    def verify(self, request: ChatRequest, answer: Answer) -> Verdict:
        if not answer.choices:
            return Verdict(0.0, "no answer", is_hard=True) if answer.is_whole else ABSTAINS
        for choice in answer.choices:
            said = self._objection(choice, request, is_whole=answer.is_whole)
            if said is not None:
                return Verdict(0.0, said, is_hard=True)
        asked = request.messages[-1].text if request.messages else ""
        if self._settings.language and is_other_tongue(asked, answer.text):
            return Verdict(WRONG_TONGUE, "in another language than the question")
        return Verdict(1.0, "well formed")

    def _objection(self, choice: Choice, request: ChatRequest, *, is_whole: bool) -> str | None:
        settings = self._settings
        if choice.finish_reason in ("content_filter", "error"):
            return f"it ended with {choice.finish_reason!r}"
        if settings.refusals and (choice.refusal or is_refusal(choice.text, is_whole=is_whole)):
            return "a refusal"
        if settings.repetition and is_loop(choice.text):
            return "it repeats itself"
        if not is_whole:
            return None
        if not (choice.text.strip() or choice.tool_calls or choice.refusal):
            return "thoughts without an answer" if choice.reasoning else "empty"
        # A limit of the client's own would cut a better model's answer, too.
        if settings.truncation and choice.finish_reason == "length" and request.max_tokens is None:
            return "cut off"
        return None


def is_refusal(text: str, *, is_whole: bool = True) -> bool:
    """It begins as refusals do, and is too short to be more than that."""
    if is_whole and len(text) > REFUSAL_MAX:
        return False
    return _REFUSAL.match(text[:REFUSAL_MAX]) is not None


def is_loop(text: str) -> bool:
    """Its end is one piece over and over. Rules, dots and blanks may be."""
    tail = text[-TAIL:]
    # Nearly always told at once: the last characters of a loop come again with each of its turns.
    if len(tail) < LOOP_MIN or tail.count(tail[-8:]) < LOOP_TURNS:
        return False
    tail = tail[::-1]
    # The longest border of each prefix (Knuth-Morris-Pratt): its length less the border is the shortest period.
    border = [0] * len(tail)
    k = 0
    for i in range(1, len(tail)):
        while k and tail[i] != tail[k]:
            k = border[k - 1]
        if tail[i] == tail[k]:
            k += 1
        border[i] = k
        period = i + 1 - k
        if i + 1 >= LOOP_MIN and i + 1 >= LOOP_TURNS * period and any(map(str.isalnum, tail[:period])):
            return True
    return False
