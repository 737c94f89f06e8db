"""What an upstream's refusal means: statuses, error bodies in the engines' dialects, and errors inside a 200.

Dialects met in captures: OpenAI and vLLM `{"error": {...}}` (vLLM's `code` is a number) · vLLM 401 and TGI
`{"error": "text"}` · SGLang `{"object": "error", "message": ...}` · FastAPI `{"detail": ...}` · HTML and plain text of
whatever stands in front. The client always sees one shape: an `error` object.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from pointsman.core.surrogates import decoded
from pointsman.errors import (
    CredentialRefused,
    Misconfigured,
    RateLimited,
    RequestRefused,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
)

RETRY_AFTER_MAX_S = 86_400.0
"""A day: what a quota that renews at midnight may say, and the client is told so. How long the endpoint is left alone
for it is `health.cooldown_max_s`, so that one wrong header does not take it away for a day."""

_OVERLOADED = re.compile(
    rb"queue (?:is |was )?full|overload|engine is currently busy|cannot accept new requests|too many (?:concurrent )?requests"
    rb"|no (?:available|free) slots?|no slots? available|at (?:max(?:imum)? )?capacity", re.IGNORECASE)
_OF_THE_REQUEST = re.compile(rb"\b(?:image|audio|video|file) (?:input|content)s? (?:is|are) not supported|\b\d+ validation errors?:", re.IGNORECASE)
"""In a 500: the engine means the request (llama.cpp to a picture, llama-cpp-python to a field it does not know)."""
_HTML = re.compile(rb"\s*(?:<!doctype\s+html|<html|<head|<body|<center|<\?xml)", re.IGNORECASE)
_DIGITS = re.compile(r"\d{1,9}(?:\.\d{0,9})?")

_BY_WORD = (
    (("rate_limit", "ratelimit", "insufficient_quota", "too_many_requests"), 429),
    (("overloaded",), 529),
    (("unavailable",), 503),
    (("authentication", "unauthorized", "permission", "invalid_api_key", "billing"), 401),
    (("notfound", "not_found"), 404),
    (("badrequest", "bad request", "bad_request", "invalid_request", "context_length", "context_size", "validation"), 400),
    (("timeout",), 504),
)
"""Words in an in-band error's `type` or `code`, and the status it would have had."""


def from_status(endpoint: str, status: int, headers: Mapping[bytes, bytes], body: bytes) -> UpstreamError:
    """The error that a response with this status (not 2xx) and body (possibly cut) is."""
    html = bool(_HTML.match(body)) or b"html" in headers.get(b"content-type", b"").lower()
    described = {} if html else describe(body)
    error = _error(endpoint, status, described, retry_after(headers), html=html)
    match headers.get(b"x-should-retry", b"").strip().lower():
        case b"false":  # by who knows best: the same again would meet the same
            error.should_retry = False
        case b"true" if isinstance(error, RequestRefused):  # a 409, say: it was not about the request
            error.retryable = error.should_retry = True
    return error


def in_band(endpoint: str, found: Any, status: int | None = None) -> UpstreamError:
    """An error inside a 200: `found` is the value of `error`, or the whole object with `"object": "error"`."""
    described = _as_object(found)
    return _error(endpoint, status or _status_of(described), described, None, inside=True)


def describe(body: bytes) -> dict[str, Any]:
    """An error body as one `error` object with at least `message`; empty when there is nothing to say."""
    try:
        value = decoded(msgspec.json.decode, body)
    except (msgspec.DecodeError, RecursionError):
        text = body[:300].decode("utf-8", "replace").strip()
        return _as_object(text) if text else {}
    if not isinstance(value, dict):
        return _as_object(value) if isinstance(value, str) else {}
    inner = value.get("error")
    if isinstance(inner, dict):
        return _as_object(inner)
    if isinstance(inner, str):
        return _as_object(inner) | ({"type": value["error_type"]} if isinstance(value.get("error_type"), str) else {})
    for key in ("message", "detail"):
        if key in value:
            return _as_object(value if key == "message" else value[key])
    return {}


def retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """`retry-after-ms` or `Retry-After` (seconds or a date) in seconds, at most `RETRY_AFTER_MAX_S`; None = none usable."""
    millis = headers.get(b"retry-after-ms", b"").decode("latin-1").strip()
    if _DIGITS.fullmatch(millis):
        return min(float(millis) / 1000, RETRY_AFTER_MAX_S)
    text = headers.get(b"retry-after", b"").decode("latin-1").strip()
    if text.isdecimal() and text.isascii():
        return RETRY_AFTER_MAX_S if len(text) > 9 else min(float(text), RETRY_AFTER_MAX_S)
    if _DIGITS.fullmatch(text):
        return min(float(text), RETRY_AFTER_MAX_S)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(seconds, RETRY_AFTER_MAX_S) if seconds > 0 else None


def _as_object(found: Any) -> dict[str, Any]:
    if isinstance(found, dict):
        described = {k: v for k, v in found.items() if not (k == "object" and v == "error")}
        if not isinstance(described.get("message"), str):
            described = {"message": _text(described.get("message") or found), **{
                k: v for k, v in described.items() if k != "message"}}
        return described
    return {"message": _text(found), "type": None, "param": None, "code": None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()[:1000]


def _status_of(described: Mapping[str, Any]) -> int:
    for key in ("code", "status", "type"):
        value = described.get(key)
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    words = f"{described.get('type')} {described.get('code')}".lower()
    return next((status for known, status in _BY_WORD if any(w in words for w in known)), 500)


def _error(
    endpoint: str, status: int, described: dict[str, Any], wait_s: float | None, *, html: bool = False,
    inside: bool = False,
) -> UpstreamError:
    message = described.get("message") or ("an HTML page" if html else "no explanation")
    how = "reported an error inside a 200" if inside else f"answered {status}"
    sentence = f"endpoint {endpoint} {how}: {message[:500]}"
    body = msgspec.json.encode(described) if described else None
    text = message.encode("utf-8", "replace")[:4096]
    error = _classify(status, sentence, text, html)
    error.upstream_status, error.retry_after_s, error.body = status, wait_s, body
    return error


def _classify(status: int, sentence: str, text: bytes, html: bool) -> UpstreamError:
    if status == 429:
        return RateLimited(sentence)
    if status in (401, 402, 403):  # 402: our account is empty, which a client can do nothing about
        # Not a word of its own: providers repeat half of the key, or what account it belongs to.
        return CredentialRefused(f"{sentence.partition(':')[0]} to the router's own credential; "
                                 "its operator has to look at the endpoint's `api_key`")
    if status in (404, 405, 410, 421) or 300 <= status < 400:
        return Misconfigured(sentence)
    if status == 529 or (status == 503 and _OVERLOADED.search(text)):
        return UpstreamOverloaded(sentence)
    if 400 <= status < 500 and status not in (408, 425) and (not html or status == 413):
        refused = RequestRefused(sentence)
        refused.status = status
        return refused
    failed = UpstreamFailed(sentence)
    failed.status = status if status in (503, 504) else 502
    # Another endpoint may take it, so it is tried there; but nobody's pictures may put this one out of service.
    failed.sick = status != 500 or not _OF_THE_REQUEST.search(text)
    return failed
