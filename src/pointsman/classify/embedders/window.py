"""The bounded part of a text that a sentence model reads: its first and its last words.

A sentence model's price grows with length, and a deadline does not. Questions stand at the beginning or, after pasted
material, at the end; so both are read, half and half, and the middle is not.

Why characters first? Tokenising a pasted page would already cost more than the model. So a slice of each end is taken
that is sure to hold enough tokens of ordinary text, and only that is tokenised.
"""

from collections.abc import Sequence

CHARS_PER_TOKEN = 12
"""Characters kept for each token wanted. English has about 4.5 a token, Python code 3, Chinese 1: rarely short of it."""


def ends(text: str, tokens: int) -> tuple[str, str]:
    """The head and the tail to tokenise; the tail is empty when the head is the whole text."""
    if len(text) <= CHARS_PER_TOKEN * tokens:
        return text, ""
    half = CHARS_PER_TOKEN * tokens // 2
    return text[:half], text[-half:]


def cut(head: Sequence[int], tail: Sequence[int], tokens: int) -> list[int]:
    """At most `tokens` ids: of a whole text (no tail) both its ends, else the head's first and the tail's last."""
    before = tokens - tokens // 2
    if not tail:
        return list(head) if len(head) <= tokens else [*head[:before], *head[len(head) - tokens // 2 :]]
    return [*head[:before], *tail[max(0, len(tail) - tokens // 2) :]]
