"""Errors as an Anthropic client reads them: status and headers as for everyone, the body in its shape.

The official SDKs choose their exception by status; `type` is for people and for streams, whose status is spent.
"""

from __future__ import annotations

import msgspec

from pointsman.errors import PointsmanError, UnsupportedField
from pointsman.server.problems import error_object

PATH = "/v1/messages"
"""Whatever is asked under this path is answered in this shape."""

_TYPES = {401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
          413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error",
          529: "overloaded_error"}
_NO_THREADS: dict[str, object] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
"""By which the SDK's tool runner, which asks for a thread first, understands to send whole conversations."""
_KEPT = ("param", "code", "upstream_status", "record_id")


def anthropic_error(error: PointsmanError, request_id: str = "") -> dict[str, object]:
    """`{"type": "error", "error": {...}, "request_id": ...}`; beside type and message what else is known."""
    found = error_object(error)
    status = error.client_status
    described: dict[str, object] = {
        "type": _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error"),
        "message": found.get("message") or str(error),
    }
    described |= {key: found[key] for key in _KEPT if found.get(key) is not None}
    if isinstance(error, UnsupportedField) and error.param == "thread":
        described["details"] = _NO_THREADS
    return {"type": "error", "error": described, "request_id": request_id or error.record_id or None}


def anthropic_body(error: PointsmanError, request_id: str = "") -> bytes:
    return msgspec.json.encode(anthropic_error(error, request_id))


def is_anthropic(path: str) -> bool:
    return path == PATH or path.startswith(f"{PATH}/")
