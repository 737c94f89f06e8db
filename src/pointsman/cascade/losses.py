"""The failures of a request so far, and which of them tells the client most.

An engine that saw the request tells more than a connection that was refused, and that more than an empty tier.
"""

from __future__ import annotations

from pointsman import errors
from pointsman.errors import NoEndpoint, UpstreamError

COMEBACK_S = 1.0
"""`Retry-After` when nothing was reachable and nobody said when it will be: long enough for a reconnect."""

_OURS = (errors.CredentialRefused, errors.Misconfigured)
_LOAD = (errors.UpstreamOverloaded, errors.RateLimited)


class Losses:
    """Failed attempts by how much they tell."""

    __slots__ = ("_no_endpoint", "_unreached", "sent")

    def __init__(self) -> None:
        self.sent: list[UpstreamError] = []
        self._unreached: UpstreamError | None = None
        self._no_endpoint: NoEndpoint | None = None

    def add(self, error: UpstreamError, *, sent: bool) -> None:
        if sent:
            self.sent.append(error)
        elif isinstance(error, NoEndpoint):
            self._no_endpoint = error
        else:
            self._unreached = error

    def telling(self, tier: str, *, final: bool, refused: bool) -> UpstreamError:
        """The error for the client.

        `final`: every attempt that a request may have is used up; `refused`: a retry budget said no. Both mean that
        an SDK's own tries would only multiply ours, unless the endpoints were just busy.
        """
        if not self.sent:
            return self._nobody_reached(tier)
        error = _most_telling(self.sent)
        if refused or (final and not isinstance(error, _LOAD)):
            error.should_retry = False
        return error

    def _nobody_reached(self, tier: str) -> UpstreamError:
        nowhere = self._no_endpoint or NoEndpoint(tier)
        error = self._unreached or nowhere
        if error.retry_after_s is None and error.should_retry is not False:
            error.retry_after_s = nowhere.retry_after_s or COMEBACK_S
        return error


def is_load(error: UpstreamError) -> bool:
    """The tier is busy, not sick."""
    if isinstance(error, NoEndpoint):
        return bool(getattr(error, "cooling", 0) or getattr(error, "saturated", 0))
    return isinstance(error, _LOAD)


def _most_telling(failures: list[UpstreamError]) -> UpstreamError:
    """The earliest comeback if all were 429, else the last failure that is not about our own configuration."""
    if all(isinstance(e, errors.RateLimited) for e in failures):
        timed = [e for e in failures if e.retry_after_s is not None]
        return min(timed, key=lambda e: e.retry_after_s or 0.0) if timed else failures[-1]
    return next((e for e in reversed(failures) if not isinstance(e, _OURS)), failures[-1])
