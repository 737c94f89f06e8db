"""Plain answers of the Messages API: is this an answer, and what does it say about itself?

Two uses: a client that speaks Messages gets the bytes as they are (`read_message`); for any other the message becomes a
chat completion (`read_as_chat`).
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from pointsman.core.dialect import MESSAGES
from pointsman.core.reply import Reply, Usage
from pointsman.core.surrogates import decoded
from pointsman.errors import BadAnswer, UpstreamError
from pointsman.translation.messages_reply import completion, counted, finish_of
from pointsman.upstream.formats.openai import check_utf8, string_chars, unreadable
from pointsman.upstream.formats.openai_errors import in_band
from pointsman.upstream.formats.usage import ABSURD

PATH = "/messages"

_STATUSES = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504,
    "overloaded_error": 529,
}
"""What an error inside a stream would have had for a status; its `type` tells."""


class _Message(msgspec.Struct, gc=False):
    type: Any = None
    content: Any = None
    model: Any = None
    stop_reason: Any = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Message).decode


def read_message(endpoint: str, body: bytes) -> Reply:
    """The body of a 2xx as a message. BadAnswer, or the error that it reports inside."""
    check_utf8(endpoint, body)
    try:
        said = decoded(_decode, body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise unreadable(endpoint, body, exc) from exc
    if said.error or said.type == "error":
        raise message_error(endpoint, said.error)
    if not isinstance(said.content, list):
        raise BadAnswer(f"endpoint {endpoint} answered without content", body=body[:300])
    if not isinstance(said.stop_reason, str) or not said.stop_reason:
        raise BadAnswer(f"endpoint {endpoint} ended its message without stop_reason")
    model = said.model if isinstance(said.model, str) else ""
    return Reply(body, read_usage(said.usage), model, (finish_of(said.stop_reason),), string_chars(said.content), MESSAGES)


def read_as_chat(endpoint: str, body: bytes) -> Reply:
    """As `read_message`, with a chat completion for a body."""
    reply = read_message(endpoint, body)
    try:
        chat = completion(body, int(time.time()))
    except (AttributeError, TypeError, ValueError) as exc:  # blocks of odd shapes, each of which a client would stumble over
        raise BadAnswer(f"endpoint {endpoint} answered with an odd message: {exc}", body=body[:300]) from exc
    return Reply(chat, reply.usage, reply.model, reply.finish_reasons, reply.output_chars)


def read_usage(usage: Any) -> Usage | None:
    """All that went in, read from the cache or written to it included; None unless both counts make sense."""
    found = counted(usage)
    if found is None or found.given >= ABSURD or found.made >= ABSURD:
        return None
    return Usage(found.given, found.made, found.read, found.written or None)


def message_error(endpoint: str, error: Any) -> UpstreamError:
    """The error that `event: error`, or a 200 with one inside, is."""
    kind = error.get("type") if isinstance(error, dict) else None
    return in_band(endpoint, error or "an error without a word", _STATUSES.get(kind) if isinstance(kind, str) else None)
