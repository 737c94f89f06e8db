"""Why somebody outside who was asked during a decision said nothing: a failed question as a stage's silence."""

from __future__ import annotations

from pointsman.errors import BadAnswer, RateLimited, UpstreamError, UpstreamOverloaded, UpstreamTimeout
from pointsman.gateway.consulting import StageBusy, StageSilent

REASON_CHARS = 200
"""Of what went wrong, as views and records show it."""


def silence(error: UpstreamError | ValueError) -> StageSilent:
    """`ValueError`: an answer came that is none of what was asked for."""
    if isinstance(error, UpstreamTimeout):
        return StageSilent("it did not answer in time", "slow", "late")
    if isinstance(error, ValueError | BadAnswer):
        return StageSilent(str(error)[:REASON_CHARS], "garbage")
    if isinstance(error, UpstreamOverloaded | RateLimited):
        return StageBusy(f"it is full: {error}"[:REASON_CHARS], "busy")
    return StageSilent(str(error)[:REASON_CHARS], "down", "failed")
