"""Streamed answers in OpenAI's shape: which events pass on, which bear content, and whether it ended well.

Sans-IO: `feed` takes event data, the caller does the reading. Success is a finish_reason for every choice, never
`[DONE]` alone: an engine that dies in the middle says `{"error": ...}` and then `[DONE]`, under a status of 200.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.reply import Batch, Reply
from pointsman.core.request import ChatRequest
from pointsman.core.surrogates import decoded
from pointsman.errors import BadAnswer, UpstreamError
from pointsman.upstream.formats.openai import ABORTED, Spoken, check_utf8
from pointsman.upstream.formats.openai_errors import in_band
from pointsman.upstream.formats.usage import read_usage, strip_usage

MAX_CHOICES = 1024
"""Choices that are followed in one stream; more than any engine offers."""


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Spoken | None = None
    text: str | None = None
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    model: Any = None
    object: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class StreamReader:
    """Follows one streamed answer from its first event to its end."""

    __slots__ = (
        "_chars", "_endpoint", "_keep_usage", "_model", "_reasons", "_unfinished", "_usage", "_wanted", "began", "done",
        "failure",
    )

    def __init__(self, endpoint: str, request: ChatRequest) -> None:
        self._endpoint = endpoint
        self._keep_usage = request.include_usage
        self._wanted = request.choices
        self._reasons: dict[int, str | None] = {}  # choice -> finish_reason, None while it is still growing
        self._unfinished = 0
        self._usage: Any = None
        self._model = ""
        self._chars = 0
        self.began = False
        """A content-bearing event has been seen."""
        self.done = False
        """`[DONE]` has been seen: nothing that follows is read."""
        self.failure: UpstreamError | None = None
        """What went wrong; the events before it are still good."""

    @property
    def finished(self) -> bool:
        """Every choice has its finish_reason: the answer is complete, only usage may follow."""
        return not self._unfinished and len(self._reasons) >= self._wanted

    @property
    def reply(self) -> Reply:
        reasons = tuple(r for _, r in sorted(self._reasons.items()) if r)
        return Reply(b"", read_usage(self._usage), self._model, reasons, self._chars)

    def feed(self, events: list[bytes]) -> Batch:
        """What passes on of these events. Stops at `[DONE]` and at the first failure (`failure` is set)."""
        passed: list[bytes] = []
        content = False
        for data in events:
            if data[:6] == b"[DONE]":
                self._say_done()
                self.done = True
                break
            if not data:
                continue
            try:
                check_utf8(self._endpoint, data)
                chunk = decoded(_decode, data)
                content = self._read(chunk, data) or content
            except (msgspec.DecodeError, RecursionError) as exc:
                self.failure = BadAnswer(f"endpoint {self._endpoint} sent an event that is no chunk: {exc}",
                                         body=data[:300])
                self.failure.__cause__ = exc
            except UpstreamError as exc:
                self.failure = exc
            if self.failure is not None:
                break
            if not self._keep_usage and b'"usage"' in data:
                if chunk.usage is not None and not chunk.choices:
                    continue
                data = strip_usage(data)
            passed.append(data)
        if content:
            self.began = True
        return Batch(passed, content)

    def _say_done(self) -> None:
        """`[DONE]`: what began must be finished. Engines that know no `n` give one choice, streamed as plain."""
        if self._unfinished or not self._reasons:
            self.end()

    def end(self) -> None:
        """The stream ended cleanly without `[DONE]`: sets `failure` unless every choice asked for is finished."""
        if self.failure is None and not self.finished:
            self.failure = BadAnswer(f"endpoint {self._endpoint} ended its stream without finish_reason")

    def _read(self, chunk: _Chunk, data: bytes) -> bool:
        """Takes note of a chunk; True when it is content-bearing."""
        if chunk.error or chunk.object == "error":
            raise in_band(self._endpoint, chunk.error or decoded(msgspec.json.decode, data))
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not self._model and isinstance(chunk.model, str):
            self._model = chunk.model
        if not chunk.choices:
            return False
        content = False
        for choice in chunk.choices:
            chars = len(choice.text) if choice.text else 0
            if choice.delta is not None:
                chars += choice.delta.chars()
            if chars:
                self._chars += chars
                content = True
            if self._follow(choice.index, choice.finish_reason):
                content = True
        return content

    def _follow(self, index: int, reason: Any) -> bool:
        if not reason or not isinstance(reason, str):
            if index not in self._reasons:
                if len(self._reasons) >= MAX_CHOICES:
                    raise BadAnswer(f"endpoint {self._endpoint} sent more than {MAX_CHOICES} choices")
                self._reasons[index] = None
                self._unfinished += 1
            return False
        if reason in ABORTED:
            raise in_band(self._endpoint, f"choice {index} ended with finish_reason {reason!r}", 500)
        if index not in self._reasons:
            self._reasons[index] = reason
        elif self._reasons[index] is None:
            self._unfinished -= 1
            self._reasons[index] = reason
        return True
