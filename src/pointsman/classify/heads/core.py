"""What of a text a trained classifier reads: all of it but for a last sentence that may have been put behind it.

Whoever wants the dear model appends what looks like a hard task, and a classifier that reads it pays. So a short end behind the end of a
sentence is not read, by training and by serving alike. What is read costs less then, and never more than a few microseconds to find.

What stays, since it is the task and nothing that was appended to it: the first question, answers to choose from, and the end of a
text too long for a few words to change what it looks like: behind a page stands what is to be done with it. The structural
features, which know a proof, a translation or code when they see one, are of the whole text where nothing is asked before its end.

Beside reading all, on development sources at 1,000 labels (2 draws of five, 8 of `zeroeval`): `routerbench` +.014 APGR, `reasoning_gym` +.001,
`llmrouter` -.001, `mmlu_pro` -.002, `zeroeval` -.005 (its last sentence is the task where it is an order); at 300 labels -.003 to +.002.
Suffixes written to get the dear model moved 10.2 and 5.1 % of two sources' queries before, and 3.6 and 2.3 % with this alone.
"""

from __future__ import annotations

from pointsman.classify.heads.query import Query
from pointsman.classify.tail import end_of, question_of

VERSION = 2
"""Changes when the same text is cut elsewhere. In the `features` of an artifact's manifest under `core`; one without reads whole texts. 2: sentence vectors are
made of it too, and texts come without courtesies (`classify.courtesy`)."""
PAGE = 1000
"""Bytes from which on the end is left out only behind a question."""


def core(query: Query) -> Query:
    """The query as a trained classifier reads it; itself when all of it is read."""
    data = query.data
    end = _end(data)
    if end is None:
        return query
    kept = data[:end].rstrip()
    text = kept.decode("utf-8", "replace")
    return Query(text, kept, max(len(text), query.chars - len(query.text) + len(text)), query.structural)


def _end(data: bytes) -> int | None:
    """Where reading stops; None = at the end."""
    asked = question_of(data)
    return None if asked < 0 and len(data) > PAGE else end_of(data, asked)
