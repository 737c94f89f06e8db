"""Plain answers in OpenAI's shape: is this an answer, and what does it say about itself?

Only what the router needs is decoded; the bytes pass on untouched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pointsman.core.reply import Reply
from pointsman.core.request import ChatRequest, Kind
from pointsman.core.surrogates import decoded
from pointsman.errors import BadAnswer
from pointsman.upstream.formats.openai_errors import in_band
from pointsman.upstream.formats.usage import read_usage

PATHS = {Kind.CHAT: "/chat/completions", Kind.COMPLETION: "/completions", Kind.EMBEDDING: "/embeddings"}
"""Appended to the path of the endpoint's URL."""

ABORTED = frozenset(("abort", "error"))
"""Finish reasons by which an engine says that it broke off: not an answer."""


class Spoken(msgspec.Struct, gc=False):
    """A message, or the delta of one: whatever may carry content. Any, since a provider's odd type is its business."""

    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None
    audio: Any = None
    tool_calls: Any = None
    function_call: Any = None

    def chars(self) -> int:
        """Characters of content; 0 = nothing here that answers."""
        count = 0
        for value in (self.content, self.reasoning, self.reasoning_content, self.refusal):
            if value:
                count += len(value) if isinstance(value, str) else string_chars(value)
        if self.tool_calls:
            count += string_chars(self.tool_calls)
        if self.function_call:
            count += string_chars(self.function_call)
        if self.audio:
            count += string_chars(self.audio)
        return count


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    message: Spoken | None = None
    text: str | None = None
    finish_reason: Any = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Any = None
    model: Any = None
    error: Any = None
    object: Any = None


class _Vector(msgspec.Struct, gc=False):
    embedding: msgspec.Raw


class _Vectors(msgspec.Struct, gc=False):
    data: list[_Vector] | None = None
    usage: Any = None
    model: Any = None
    error: Any = None
    object: Any = None


_answers = msgspec.json.Decoder(_Answer)
_vectors = msgspec.json.Decoder(_Vectors)


def check_encoding(endpoint: str, headers: Mapping[bytes, bytes]) -> None:
    """We ask for `identity`; a body compressed all the same cannot be passed on as it is. BadAnswer."""
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() not in (b"", b"identity"):
        raise BadAnswer(f"endpoint {endpoint} compressed its answer ({coding[:20].decode('latin-1')!r}) although asked not to")


def check_utf8(endpoint: str, data: bytes) -> None:
    """The decoder skips strings that we do not read without looking into them. BadAnswer."""
    if not data.isascii():
        try:
            str(data, "utf-8")
        except UnicodeDecodeError as exc:
            raise BadAnswer(f"endpoint {endpoint} sent invalid UTF-8") from exc


def read_reply(endpoint: str, request: ChatRequest, body: bytes) -> Reply:
    """The body of a 2xx as an answer. BadAnswer, or the error that it reports inside."""
    check_utf8(endpoint, body)
    if request.is_embedding:
        return _read_vectors(endpoint, request, body)
    try:
        answer = decoded(_answers.decode, body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise unreadable(endpoint, body, exc) from exc
    if answer.error or answer.object == "error":
        raise in_band(endpoint, answer.error or decoded(msgspec.json.decode, body))
    if not answer.choices:
        raise BadAnswer(f"endpoint {endpoint} answered without choices")
    reasons, chars = [], 0
    for choice in answer.choices:
        reason = choice.finish_reason
        if not isinstance(reason, str) or not reason:
            raise BadAnswer(f"endpoint {endpoint} ended choice {choice.index} without finish_reason")
        if reason in ABORTED:
            raise in_band(endpoint, f"choice {choice.index} ended with finish_reason {reason!r}", 500)
        reasons.append(reason)
        chars += len(choice.text) if choice.text else 0
        chars += choice.message.chars() if choice.message is not None else 0
    return Reply(body, read_usage(answer.usage), _name(answer.model), tuple(reasons), chars)


def _read_vectors(endpoint: str, request: ChatRequest, body: bytes) -> Reply:
    try:
        answer = _vectors.decode(body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise unreadable(endpoint, body, exc) from exc
    if answer.error or answer.object == "error":
        raise in_band(endpoint, answer.error or decoded(msgspec.json.decode, body))
    found = len(answer.data or ())
    if not found or found != (request.inputs or found):
        raise BadAnswer(f"endpoint {endpoint} answered {found} vectors for {request.inputs or 'some'} inputs")
    return Reply(body, read_usage(answer.usage, embedding=True), _name(answer.model))


def unreadable(endpoint: str, body: bytes, exc: Exception) -> BadAnswer:
    what = "an empty body" if not body.strip() else "HTML" if body.lstrip()[:1] == b"<" else f"no answer ({exc})"
    return BadAnswer(f"endpoint {endpoint} answered with {what}", body=body[:300])


def _name(model: Any) -> str:
    return model if isinstance(model, str) else ""


def string_chars(value: Any) -> int:
    """Characters in tool calls, content parts and the like: their string leaves, of a depth that engines use."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, dict | list):
        return 1
    total = 0
    level: list[Any] = [value]
    for _ in range(6):
        level = [leaf for node in level for leaf in (node.values() if isinstance(node, dict) else node)]
        total += sum(len(leaf) for leaf in level if isinstance(leaf, str))
        level = [leaf for leaf in level if isinstance(leaf, dict | list)]
        if not level:
            break
    return total or 1
