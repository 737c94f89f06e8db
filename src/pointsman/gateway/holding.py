"""The part of a streamed answer that is kept back while it is judged, as the verifiers read it.

How many tokens are held? As many as came with log-probabilities; without those a token is four characters, since an engine
that is busy puts several into one event.
"""

from __future__ import annotations

from pointsman.cascade.deferral import WHOLE
from pointsman.core.answer import Answer, Listener

CHARS_PER_TOKEN = 4


class Holding:
    """Hears what comes, and tells when enough is there."""

    __slots__ = ("_listener", "_look_at", "_wanted")

    def __init__(self, dialect: str, wanted: int) -> None:
        """`wanted`: tokens to be held."""
        self._listener, self._wanted = Listener(dialect), wanted
        # Characters before which there cannot be enough: a token is one at least.
        self._look_at = wanted

    def hear(self, events: list[bytes]) -> None:
        self._listener.hear(events)

    def is_enough(self, chars: int) -> bool:
        """`chars`: characters of the answer so far."""
        if chars < self._look_at:
            return False
        tokens = sum(len(choice.tokens) for choice in self.answer(is_whole=False).choices if choice.tokens is not None)
        missing = self._wanted - (tokens or chars // CHARS_PER_TOKEN)
        self._look_at = chars + missing
        return missing <= 0

    def answer(self, *, is_whole: bool) -> Answer:
        return self._listener.answer(is_whole=is_whole)


def logprobs_of(answer: Answer) -> tuple[float, ...] | None:
    """Of the first choice's tokens, as far as the engine gave them; None = it gave none."""
    tokens = answer.choices[0].tokens if answer.choices else None
    return None if tokens is None else tuple(token.logprob for token in tokens if token.logprob is not None)


def held_as(tokens: int | None) -> str:
    """For people: how much was kept back."""
    return "" if tokens is None else "answer" if tokens >= WHOLE else f"{tokens} tokens"
