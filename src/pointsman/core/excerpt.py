"""Strangers' words for a model of ours to look at: cut to what it needs to see, between marks that they cannot forge.

The marks hold a number drawn for one asking, so that whoever wrote the text cannot know how it ends; what merely looks like
a mark is taken out of it.
"""

from __future__ import annotations

import re
from random import Random

_MARK = re.compile(r"<<\s*/?\s*(?:question|answer|query)\b[^>\n]{0,80}>*", re.IGNORECASE)


def drawn_mark(rng: Random) -> str:
    """A number for the marks of one asking: 64 bits."""
    return f"{rng.getrandbits(64):016x}"


def between_marks(noun: str, mark: str, text: str) -> str:
    """`noun`: question, answer or query. `text` is an `excerpt`."""
    return f"<<{noun} {mark}>>\n{text}\n<</{noun} {mark}>>"


def excerpt(text: str, most: int) -> str:
    """`most` characters of a text at most, head and tail of what is longer, without anything that looks like our marks."""
    text = _MARK.sub(" ", text[: most * 4] if len(text) <= most * 4 else text[: most * 2] + text[-most * 2 :])
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def ends(text: str, most: int) -> str:
    """`text`, or its head and its tail where it is longer. No word is put between: a trained model would read it."""
    return text if len(text) <= most else f"{text[: most - most // 2]}\n{text[-(most // 2):]}"
