"""When a request must be over: the one deadline that all of its attempts, pauses and verdicts share."""

from __future__ import annotations

from pointsman.errors import DeadlineExceeded, UpstreamError

TIMER_SLACK_S = 0.001
"""Timers of event loops are that coarse: what ends this close before the deadline ended at the deadline."""


class Deadline:
    """Of one request, in monotonic seconds."""

    __slots__ = ("_began", "_late_at", "at")

    def __init__(self, began: float, at: float) -> None:
        self._began, self.at = began, at
        self._late_at = at - TIMER_SLACK_S

    def is_past(self, now: float) -> bool:
        return now >= self._late_at

    def left_s(self, now: float) -> float:
        return self.at - now

    def exceeded(self, phase: str) -> DeadlineExceeded:
        """What the client is told; `phase`: what the request was at."""
        return DeadlineExceeded(phase, round(self.at - self._began, 3))


def doing(error: UpstreamError | None, *, is_committed: bool, is_stream: bool) -> str:
    """What the running attempt was at when the deadline came; `error`: what it said last."""
    if error is not None and error.phase != UpstreamError.phase:
        return error.phase
    if is_committed:
        return "streaming the answer"
    return "waiting for the first token" if is_stream else "waiting for the answer"
