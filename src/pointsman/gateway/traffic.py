"""What we see of each endpoint ourselves, for comparing with what it says: a sink of records, and nothing else.

Requests in flight are not counted here: the pools know them.
"""

from __future__ import annotations

from collections import deque

import msgspec

from pointsman.core.fleet import EndpointId
from pointsman.core.record import Record


class Answers(msgspec.Struct, frozen=True, gc=False):
    """One endpoint's, added up. Differences of two readings are what happened between them."""

    answered: int = 0
    """Attempts answered to the end."""
    ttft_sum_s: float = 0.0
    ttft_n: int = 0

    def __add__(self, other: Answers) -> Answers:
        return Answers(
            self.answered + other.answered, self.ttft_sum_s + other.ttft_sum_s, self.ttft_n + other.ttft_n)


NONE = Answers()
MOST_TTFTS = 200
"""Times to first token of an endpoint that wait to be taken: more than it begins between two tellings."""


class Traffic:
    """Satisfies `Sink`: counts answered attempts by endpoint."""

    def __init__(self) -> None:
        self._answers: dict[EndpointId, Answers] = {}
        self._ttfts: dict[EndpointId, deque[float]] = {}

    def write(self, record: Record) -> None:
        """Streams only give first tokens: a plain answer's time is its length."""
        for attempt in record.attempts:
            if attempt.outcome == "answered":
                old = self._answers.get(attempt.endpoint, NONE)
                ttft_s = attempt.ttft_s if record.stream else None
                self._answers[attempt.endpoint] = Answers(
                    old.answered + 1, old.ttft_sum_s + (ttft_s or 0.0), old.ttft_n + (ttft_s is not None))
                if ttft_s is not None:
                    self._ttfts.setdefault(attempt.endpoint, deque(maxlen=MOST_TTFTS)).append(ttft_s)

    def add(self, answers: dict[EndpointId, Answers]) -> None:
        """What another process of this router has counted since it last said."""
        for endpoint, more in answers.items():
            self._answers[endpoint] = self.of(endpoint) + more

    def take(self) -> dict[EndpointId, Answers]:
        """What was counted since the last `take`, for another process to `add`."""
        taken, self._answers = self._answers, {}
        return taken

    def take_ttfts(self) -> dict[EndpointId, tuple[float, ...]]:
        """The latest times to first token since the last `take_ttfts`, oldest first."""
        taken, self._ttfts = self._ttfts, {}
        return {endpoint: tuple(ttfts) for endpoint, ttfts in taken.items()}

    def of(self, endpoint: EndpointId) -> Answers:
        return self._answers.get(endpoint, NONE)
