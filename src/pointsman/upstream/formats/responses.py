"""Answers of the Responses API, passed on as they are: is this an answer, and what does it say about itself?

Success is `response.completed` or `response.incomplete`, which carry the usage; nothing follows them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.dialect import RESPONSES
from pointsman.core.reply import Batch, Reply, Usage
from pointsman.core.request import ChatRequest
from pointsman.core.surrogates import decoded
from pointsman.errors import BadAnswer, UpstreamError
from pointsman.upstream.formats.openai import check_utf8, string_chars, unreadable
from pointsman.upstream.formats.openai_errors import in_band
from pointsman.upstream.formats.usage import read_usage as read_chat_usage

PATH = "/responses"
_CALLS = frozenset(("function_call", "custom_tool_call"))
_FINISHES = {"max_output_tokens": "length", "content_filter": "content_filter"}


class _Response(msgspec.Struct, gc=False):
    status: Any = None
    output: Any = None
    model: Any = None
    usage: Any = None
    error: Any = None
    incomplete_details: Any = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: Any = None
    item: Any = None
    response: _Response | None = None
    error: Any = None
    message: Any = None
    code: Any = None


_whole = msgspec.json.Decoder(_Response).decode
_event = msgspec.json.Decoder(_Event).decode


def read_response(endpoint: str, body: bytes) -> Reply:
    """The body of a 2xx as a response. BadAnswer, or the error that it reports inside."""
    check_utf8(endpoint, body)
    try:
        said = decoded(_whole, body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise unreadable(endpoint, body, exc) from exc
    if said.error or said.status == "failed":
        raise in_band(endpoint, said.error or "the response failed")
    if said.status not in ("completed", "incomplete"):
        raise BadAnswer(f"endpoint {endpoint} answered with a response that is {str(said.status)[:40]!r}")
    return _reply(said, body, string_chars(said.output))


def _reply(said: _Response, body: bytes, chars: int) -> Reply:
    model = said.model if isinstance(said.model, str) else ""
    return Reply(body, read_usage(said.usage), model, (_finish(said),), chars, RESPONSES)


def _finish(said: _Response) -> str:
    if said.status == "incomplete":
        details = said.incomplete_details
        reason = details.get("reason") if isinstance(details, dict) else None
        return _FINISHES.get(reason, "length") if isinstance(reason, str) else "length"
    items = said.output if isinstance(said.output, list) else ()
    calls = any(isinstance(item, dict) and item.get("type") in _CALLS for item in items)
    return "tool_calls" if calls else "stop"


def read_usage(usage: Any) -> Usage | None:
    """The counts under this API's names."""
    if not isinstance(usage, dict):
        return None
    return read_chat_usage({"prompt_tokens": usage.get("input_tokens"), "completion_tokens": usage.get("output_tokens"),
                            "prompt_tokens_details": usage.get("input_tokens_details")})


class ResponseReader:
    """Follows one streamed response; every event passes byte for byte."""

    __slots__ = ("_chars", "_endpoint", "_last", "began", "done", "failure")

    def __init__(self, endpoint: str, request: ChatRequest) -> None:
        self._endpoint = endpoint
        self._chars = 0
        self._last: _Response | None = None
        self.began = False
        self.done = False
        self.failure: UpstreamError | None = None

    @property
    def finished(self) -> bool:
        return self._last is not None

    @property
    def reply(self) -> Reply:
        if self._last is None:
            return Reply(output_chars=self._chars, dialect=RESPONSES)
        return _reply(self._last, b"", self._chars)

    def feed(self, events: list[bytes]) -> Batch:
        """What passes on of these events. Stops at the last one and at the first failure (`failure` is set)."""
        passed: list[bytes] = []
        content = False
        for data in events:
            if not data:
                continue
            try:
                check_utf8(self._endpoint, data)
                if data[:6] == b"[DONE]":
                    self.end()
                    break
                content = self._read(decoded(_event, data)) or content
            except (msgspec.DecodeError, RecursionError) as exc:
                self.failure = BadAnswer(f"endpoint {self._endpoint} sent an event that is none of a response: {exc}",
                                         body=data[:300])
                self.failure.__cause__ = exc
            except UpstreamError as exc:
                self.failure = exc
            if self.failure is not None:
                break
            passed.append(data)
            if self._last is not None:
                self.done = True
                break
        if content:
            self.began = True
        return Batch(passed, content)

    def end(self) -> None:
        """The stream ended cleanly: sets `failure` unless the response is complete."""
        if self.failure is None and not self.finished:
            self.failure = BadAnswer(f"endpoint {self._endpoint} ended its stream without response.completed")

    def _read(self, event: _Event) -> bool:
        kind = event.type
        if kind.endswith(".delta"):
            self._chars += len(event.delta) if isinstance(event.delta, str) else 1 if event.delta else 0
            return bool(event.delta)
        if kind in ("response.completed", "response.incomplete"):
            said = event.response or _Response()
            said.status = kind.removeprefix("response.")
            self._last = said
            return True
        if kind == "error":
            raise in_band(self._endpoint, event.error or {"message": event.message, "code": event.code})
        if kind in ("response.failed", "response.cancelled"):
            raise in_band(self._endpoint, (event.response and event.response.error) or f"the response ended as {kind!r}")
        item = event.item if isinstance(event.item, dict) else {}
        return kind == "response.output_item.added" and item.get("type") in _CALLS
