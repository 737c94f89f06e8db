"""What the stages of a pipeline see of a request, read once.

Finding the user's own words and the signals in them takes most of a heuristic's time, and the trained stage goes by the
same. They share this; it remembers one request, and forgets it when the decision is made, so that no body is kept alive for
longer than that.
"""

from __future__ import annotations

from pointsman.classify import features
from pointsman.classify.features import Features
from pointsman.classify.subject import Subject, subject
from pointsman.core.request import ChatRequest

Sight = tuple[Subject, Features | None]
"""The subject, and its features; None when no user said a word."""


class Seen:
    """The last sight. One per pipeline, for one thread."""

    __slots__ = ("_request", "_sight")

    def __init__(self) -> None:
        self._request: ChatRequest | None = None
        self._sight: Sight | None = None

    def of(self, request: ChatRequest) -> Sight:
        if self._sight is None or self._request is not request:
            about = subject(request)
            self._sight = (about, features.read(request, about) if about.text else None)
            self._request = request
        return self._sight

    def forget(self) -> None:
        self._request = self._sight = None
