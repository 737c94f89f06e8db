"""The end of a text that may have been put behind the task: where it begins.

Whoever wants the dear model appends what looks like a hard task, and whoever asks is polite at the end. Behind a question that is asked already,
a short end is neither read by `features` nor, in a trained classifier, by anything else; where nothing is asked, what the end says may be the task, and
only `classify.heads.core` leaves it out.
"""

from __future__ import annotations

import re

APPENDED = 100
"""Bytes at the end that may be left out: a sentence or two. 150 lose more of what is the task, and rank worse (mean of five .738, 100: .739)."""
FEWEST = 8
"""Bytes at the beginning that are read in any case."""

_END = re.compile(rb"[.!?;:](?=\s)|\n|\xe3\x80\x82|\xef\xbc\x81|\xef\xbc\x9f")
"""The end of a sentence or of a line; the wide ones are those of Chinese and Japanese."""
_OPTION = re.compile(rb"\n[ \t]*\(?[a-jA-J][.):]")
"""Where an answer to choose from begins."""
_WIDE_QUESTION = "？".encode()


def question_of(data: bytes) -> int:
    """Where the first question mark stands; -1 = nowhere."""
    asked = data.find(b"?")
    return data.find(_WIDE_QUESTION) if asked < 0 and b"\xef" in data else asked


def end_of(data: bytes, asked: int) -> int | None:
    """Where the text ends without what may have been appended to it; None = at its end. `asked`: `question_of` it. What stays is that question,
    and answers to choose from."""
    size = len(data)
    start = max(FEWEST, size - APPENDED, asked)
    if start >= size:
        return None
    if data.find(b"\n", start) >= 0:
        for option in _OPTION.finditer(data, start):
            start = option.end()
    found = _END.search(data, start)
    return None if found is None or found.end() >= size else found.end()


def end_behind_question(data: bytes) -> int | None:
    """The same for a short end in the line of a question that is asked already; None where there is none, and where the end asks too or is a line
    of its own or follows one: "What does this do?" stands above what it is about."""
    asked = question_of(data)
    end = None if asked < 0 or asked == len(data) - 1 else end_of(data, asked)
    if end is None or b"\n" in data[max(asked, len(data) - APPENDED):end + 1] or b"?" in data[end:] or _WIDE_QUESTION in data[end:]:
        return None
    return end
