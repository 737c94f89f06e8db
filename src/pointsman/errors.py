"""Everything that can go wrong, one class each: fields for the data, a sentence for the person.

`status`, `type` and `code` are what an OpenAI client sees; `server/problems.py` is the only place that
turns an error into HTTP. Errors of the upstream additionally say what the cascade machine may do next.

Why flags on the error and not a table in the machine? The one who raises knows whether a byte was sent
and whether somebody else could do better; the machine only has to read it.
"""

from __future__ import annotations

from typing import ClassVar


class PointsmanError(Exception):
    """The family. `status` is the HTTP status a client sees when nothing else answered."""

    status: int = 500
    type: str = "server_error"
    code: str = "internal_error"
    param: str | None = None
    """The path of the offending field, when there is one (`messages[0].role`)."""
    retry_after_s: float | None = None
    """What to put into `Retry-After`, in seconds."""
    should_retry: bool | None = None
    """False: an SDK that retries would only repeat the failure (`x-should-retry: false`)."""

    record_id: str = ""
    """The record that tells the rest, once there is one."""

    @property
    def client_status(self) -> int:
        """The HTTP status a client sees."""
        return self.status


class ConfigError(PointsmanError):
    """The configuration cannot be used; `problems` lists all of them."""

    code = "config_error"

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


# ---------------------------------------------------------------------------------------------------------
# Trained classifiers


class DataRefused(PointsmanError):
    """Data for training or measuring that cannot be read as what it should be."""

    code = "data_refused"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


class ArtifactRefused(PointsmanError):
    """An artifact that cannot be used: not one, damaged, or made for something else."""

    code = "artifact_refused"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"artifact {self.path}: {self.why}"


class ArtifactOfAnotherVersion(ArtifactRefused):
    """The artifact was made for another version of something than the one that runs here."""

    code = "artifact_version"

    def __init__(self, path: str, what: str, theirs: object, ours: object) -> None:
        super().__init__(path, f"its {what} is {theirs!r}, this Pointsman has {ours!r}; train it again with this version, "
                               "or run the version that made it")
        self.what, self.theirs, self.ours = what, theirs, ours


class ArtifactUnwritable(PointsmanError):
    """The artifact could not be written; what was there before is untouched."""

    code = "artifact_unwritable"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"artifact {self.path} cannot be written: {self.why}"


# ---------------------------------------------------------------------------------------------------------
# The client's side


class RequestError(PointsmanError):
    """The request cannot be served as it stands."""

    status, type, code = 400, "invalid_request_error", "invalid_request"
    should_retry: bool | None = False

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def __str__(self) -> str:
        return self.message


class MalformedBody(RequestError):
    """The body is not the JSON that this endpoint reads."""

    code = "malformed_body"


class UnsupportedField(RequestError):
    """A router-only or forbidden field that we refuse instead of forwarding."""

    code = "unsupported_field"


class UnknownModel(RequestError):
    """`model` names nothing that is configured or that this key may use."""

    status, code = 404, "model_not_found"

    def __init__(self, model: str, near: tuple[str, ...] = ()) -> None:
        hint = f"; did you mean {', '.join(repr(n) for n in near)}?" if near else "; GET /v1/models lists what is there"
        super().__init__(f"model {model[:200]!r} does not exist here{hint}", param="model")
        self.near = near


class NothingFits(RequestError):
    """No tier of the route has the capabilities this request needs."""

    code = "no_capable_model"


class BodyTooLarge(RequestError):
    """The body is larger than `server.max_body`."""

    status, code = 413, "body_too_large"


class UnsupportedMediaType(RequestError):
    """The body is not JSON, or compressed."""

    status, code = 415, "unsupported_media_type"


class NoSuchPath(RequestError):
    """Nothing is served at this path."""

    status, code = 404, "not_found"


class MethodNotAllowed(RequestError):
    """The path exists, for another method."""

    status, code = 405, "method_not_allowed"

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Unauthorized(RequestError):
    """No key, or one that is not known."""

    status, type, code = 401, "authentication_error", "invalid_api_key"


class Forbidden(RequestError):
    """The key, or a stranger at an open router, may not do this."""

    status, type, code = 403, "permission_error", "forbidden"


class MisdirectedHost(RequestError):
    """The Host header names a host that this server does not serve (DNS rebinding)."""

    status, code = 421, "misdirected_request"


class BodyTimeout(RequestError):
    """The client did not finish sending its body in time."""

    status, code = 408, "request_timeout"
    should_retry = None


class MalformedHttp(RequestError):
    """The bytes on the connection are no HTTP request, or one whose end two readers would see at different places."""

    code = "malformed_http"


class HeadTooLarge(RequestError):
    """Request line and headers are larger than we read."""

    status, code = 431, "head_too_large"


class HeadTimeout(RequestError):
    """The client did not finish its request's head in time."""

    status, code = 408, "request_timeout"


class Draining(PointsmanError):
    """This process is going away and takes no new work."""

    status, code, retry_after_s = 503, "draining", 1.0

    def __str__(self) -> str:
        return "this router is draining and takes no new requests; try again"


class Shed(PointsmanError):
    """Every fitting tier is full, and waiting would take longer than the request may wait. Nobody has seen it."""

    status, code = 503, "overloaded"

    def __init__(self, tier: str, why: str, comeback_s: float) -> None:
        super().__init__(tier, why, comeback_s)
        self.tier, self.why, self.retry_after_s = tier, why, comeback_s

    def __str__(self) -> str:
        return f"tier {self.tier!r} is full: {self.why}; try again in {self.retry_after_s:.0f} s, or add capacity to it"


class ClientGone(PointsmanError):
    """The client left before its answer was complete. 499 as nginx logs it; nobody reads it."""

    status, code = 499, "client_gone"

    def __str__(self) -> str:
        return "the client closed the connection"


class Stopped(PointsmanError):
    """This process was told to stop and its grace is over: what still ran was cut."""

    status, code, retry_after_s = 503, "router_stopped", 1.0

    def __str__(self) -> str:
        return "this router was stopped before the answer was complete; try again"


class DeadlineExceeded(PointsmanError):
    """The request's one deadline ran out; `phase` says while doing what."""

    status, type, code = 504, "timeout_error", "deadline_exceeded"

    def __init__(self, phase: str, deadline_s: float) -> None:
        super().__init__(phase, deadline_s)
        self.phase, self.deadline_s = phase, deadline_s

    def __str__(self) -> str:
        return (f"the deadline of {self.deadline_s:g} s ran out while {self.phase}; "
                "raise the route's `deadline` or ask for less")


# ---------------------------------------------------------------------------------------------------------
# The upstream's side


class UpstreamError(PointsmanError):
    """One attempt did not bring an answer.

    Class attributes are the usual case; a raiser may override them on the instance.
    """

    status, type, code = 502, "upstream_error", "upstream_error"

    retryable: bool = True
    """Another endpoint may do better. False: the request itself is at fault and goes back to the client."""
    sick: bool = True
    """Counts against the endpoint's health. 4xx, rate limits and full queues never do."""
    phase: ClassVar[str] = "answering"

    def __init__(
        self,
        message: str,
        *,
        sent: bool = True,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
        body: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
        """False only when certainly no byte of the request reached the engine."""
        self.upstream_status = upstream_status
        self.retry_after_s = retry_after_s
        self.body = body
        """The upstream's own `error` object as JSON bytes: passed on for 4xx about the request, else kept for logs."""
        self.endpoint = ""
        """Set by dispatch: the endpoint that failed, so that the machine can exclude it."""

    @property
    def client_status(self) -> int:
        """An upstream's 4xx about the request is kept, and which of 502/503/504 a gateway before it said."""
        kept = not self.retryable or self.upstream_status in (502, 503, 504)
        return self.upstream_status if kept and self.upstream_status is not None else self.status

    def __str__(self) -> str:
        return self.message


class ConnectFailed(UpstreamError):
    """Refused, unreachable, unresolved, TLS failed or not connected in time: nothing was sent."""

    status, code, phase = 503, "upstream_unreachable", "connecting"


class ConnectionLost(UpstreamError):
    """The connection broke before the answer was complete."""

    code = "upstream_connection_lost"


class UpstreamTimeout(UpstreamError):
    """The upstream did not deliver in time. `code` says which wait: first_token, stall, answer."""

    status, type, code = 504, "timeout_error", "upstream_timeout"


class FirstTokenTimeout(UpstreamTimeout):
    """No content-bearing event within `ttft_timeout`."""

    code = "upstream_first_token_timeout"


class StreamStalled(UpstreamTimeout):
    """No event within `stall_timeout` after the stream had begun."""

    code = "upstream_stalled"


class AnswerTimeout(UpstreamTimeout):
    """A plain answer was not complete within `answer_timeout`."""

    code = "upstream_answer_timeout"


class EndpointLeaving(UpstreamError):
    """The endpoint goes away (a spot notice, a drain) in the middle of an answer that can go on elsewhere."""

    status, code, sick = 503, "endpoint_leaving", False


class BadAnswer(UpstreamError):
    """The upstream answered with something that is not an answer: HTML, garbage, no choices, no finish_reason."""

    code = "upstream_bad_answer"


class UpstreamFailed(UpstreamError):
    """The upstream said 5xx, or reported an error inside a 200."""

    code = "upstream_failed"


class UpstreamOverloaded(UpstreamError):
    """503 with a full queue, or 529: load, not sickness."""

    status, code, sick = 503, "upstream_overloaded", False


class RateLimited(UpstreamError):
    """429: the endpoint cools down for `retry_after_s`."""

    status, type, code, sick = 429, "rate_limit_error", "rate_limited", False


class CredentialRefused(UpstreamError):
    """401/403 on *our* credential: quarantined, and never shown to the client as theirs."""

    code, sick = "upstream_credential_refused", False
    should_retry = False


class Misconfigured(UpstreamError):
    """404/405: the endpoint does not serve what the configuration says it does."""

    code, sick = "upstream_misconfigured", False
    should_retry = False


class NotSpoken(UpstreamError):
    """The endpoint has no such path after all: an older version, perhaps. Translated, the request may be put to it again."""

    code, sick = "upstream_misconfigured", False


class RequestRefused(UpstreamError):
    """4xx about the request: kept with its status and `error`, no retry, endpoint untouched."""

    status, type, code = 400, "invalid_request_error", "invalid_request"
    retryable, sick = False, False
    should_retry = False


class Untranslatable(UpstreamError):
    """This endpoint speaks another API, in which the request cannot be said. Another endpoint may be able to."""

    status, type, code, sick = 400, "invalid_request_error", "untranslatable", False
    should_retry = False
    phase = "translating"

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class NoEndpoint(UpstreamError):
    """No endpoint of the tier can take this attempt."""

    status, code, sick, phase = 503, "no_healthy_endpoint", False, "choosing an endpoint"

    def __init__(self, tier: str, *, ejected: int = 0, cooling: int = 0, saturated: int = 0, tried: int = 0,
                 next_try_s: float | None = None) -> None:
        parts = [f"{n} {word}" for n, word in ((ejected, "ejected"), (cooling, "cooling down"),
                                               (saturated, "saturated"), (tried, "already tried")) if n]
        text = f"tier {tier!r} has no endpoint to try: {', '.join(parts) or 'none configured'}"
        if next_try_s is not None:
            text += f"; next try in {next_try_s:.0f} s"
        super().__init__(text, sent=False, retry_after_s=next_try_s)
        self.tier, self.ejected, self.cooling, self.saturated, self.tried = tier, ejected, cooling, saturated, tried
