"""What a head reads of a request: the subject's text and a vector of plain numbers."""

from __future__ import annotations

import msgspec

from pointsman.classify import features
from pointsman.classify.subject import Subject, subject
from pointsman.core.request import ChatRequest, Kind, Message


class Query(msgspec.Struct, frozen=True, gc=False):
    """One request as a classifier sees it. Serving and training make it in the same way."""

    text: str
    """The subject: the user's own words, head and tail of 8 KiB each."""
    data: bytes
    """`text` as UTF-8."""
    chars: int
    """Characters of the whole."""
    structural: tuple[float, ...]
    """In the order of `classify.features.NAMES`."""

    @classmethod
    def of(cls, request: ChatRequest, about: Subject | None = None, read: features.Features | None = None) -> Query:
        """From a request; what was read of it already may be given."""
        about = subject(request) if about is None else about
        read = features.read(request, about) if read is None else read
        return cls(about.text, about.data, about.chars, read.numbers)

    @classmethod
    def of_prompt(cls, prompt: str) -> Query:
        """From a bare prompt, as a client would send it in one user message."""
        return cls.of(ChatRequest(Kind.CHAT, b"", "auto", (Message("user", prompt),)))
