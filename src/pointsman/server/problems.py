"""Where errors meet HTTP, and nowhere else: status, headers and the OpenAI-shaped body."""

from __future__ import annotations

import math

import msgspec

from pointsman.errors import MethodNotAllowed, PointsmanError, UpstreamError

Headers = list[tuple[bytes, bytes]]

_LEAST: dict[str, object] = {"message": "", "type": None, "param": None, "code": None}
"""What the error of a terminal frame has at least, also when it is an upstream's own that says less."""


def body_of(error: PointsmanError) -> bytes:
    """`{"error": {...}}` with cause and next step; the upstream's own `error` when the request was at fault."""
    return msgspec.json.encode({"error": error_object(error)})


def error_object(error: PointsmanError) -> dict[str, object]:
    if isinstance(error, UpstreamError) and not error.retryable and error.body:
        own = _object(error.body)
        if own is not None:
            return own
    fields: dict[str, object] = {"message": str(error), "type": error.type, "param": error.param, "code": error.code}
    if isinstance(error, UpstreamError) and error.upstream_status is not None:
        fields["upstream_status"] = error.upstream_status
    if error.record_id:
        fields["record_id"] = error.record_id
    return fields


def _object(body: bytes) -> dict[str, object] | None:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"]
    return value if isinstance(value, dict) else None


def headers_of(error: PointsmanError) -> Headers:
    """`Retry-After` (whole seconds, at least 1) on 429/503, and whether an SDK should try again at all."""
    headers: Headers = []
    status = error.client_status
    wait = error.retry_after_s
    if wait is None and status in (429, 503):
        wait = 1.0
    if wait is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(wait))))
    if error.should_retry is False:
        headers.append((b"x-should-retry", b"false"))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def terminal_frame(error: PointsmanError, *, is_chat: bool, first: bytes = b"") -> bytes:
    """The one event that ends an open stream without an answer; the official SDKs raise on its `error`.

    `first`: data of the stream's first event, whose id, time and model this one bears too; empty = there was none.
    """
    choice: dict[str, object] = {"index": 0, "finish_reason": "error"}
    if is_chat:
        choice["delta"] = {}
    else:
        choice["text"] = ""
    return msgspec.json.encode({
        "id": f"chatcmpl-{error.record_id}" if is_chat else f"cmpl-{error.record_id}",
        "object": "chat.completion.chunk" if is_chat else "text_completion",
        **_name_of(first),
        "choices": [choice],
        "error": _LEAST | error_object(error) | {"record_id": error.record_id},
    })


def _name_of(first: bytes) -> dict[str, object]:
    """What all events of a stream have in common, as far as it can be read."""
    try:
        event = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(event, dict):
        return {}
    kinds = {"id": str, "created": int, "model": str}
    return {name: event[name] for name, kind in kinds.items() if isinstance(event.get(name), kind)}
