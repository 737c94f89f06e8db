"""Case that is the writer's habit and not the question's: a text in capitals alone is read as sentences, and answers to choose from keep
their capital letters in a text without any.

Patterns tell code and units by case, and count capitals. Where a text has both cases they are taken as they stand; where it has
one, they say nothing.
"""

from __future__ import annotations

import re

_CAPITALS = bytes(range(65, 91))
_BLANKS = b" \t\r\n"
_OPTION = r"(?m:^)[ \t]*\(?[a-j](?=[.):])"
_OPTIONS = re.compile(_OPTION)
_BEGINS = re.compile(rf"(?:\A|[.!?]\s{{1,3}})\W{{0,3}}[a-z]|{_OPTION}|\bi\b")
"""Where a sentence begins, an answer to choose from, and who speaks. Not where a line does: `def` is one too. Bounded, so that no
text takes longer than its length."""


_ENDS = 2048
"""Bytes at either end that tell, and characters there in which it is looked for where capitals belong: who counts capitals reads no more."""


def cased(text: str, data: bytes) -> str:
    """The text as somebody would write it who uses both cases; itself when it has both, or none. `data`: the text as UTF-8."""
    ends = data if len(data) <= 2 * _ENDS else data[:_ENDS] + data[-_ENDS:]
    if ends.isupper():
        letters = len(ends) - len(ends.translate(None, _CAPITALS))
        # Formulas and a word of an acronym in a script without case are no shouting.
        return _with_capitals(_BEGINS, text.lower()) if 2 * letters >= len(ends.translate(None, _BLANKS)) else text
    if b"\n" in ends and ends.islower() and (b"\na" in ends or b"\n(a" in ends):
        return _with_capitals(_OPTIONS, text)
    return text


def _with_capitals(where: re.Pattern[str], text: str) -> str:
    if len(text) <= 2 * _ENDS:
        return where.sub(_raised, text)
    return where.sub(_raised, text[:_ENDS]) + text[_ENDS:-_ENDS] + where.sub(_raised, text[-_ENDS:])


def _raised(found: re.Match[str]) -> str:
    said = found.group()
    return said[:-1] + said[-1].upper()
