"""Streamed answers of the Messages API: passed on as they are, or as the chunks of a chat.

Sans-IO, as `openai_stream`. Success is a `stop_reason`; `message_stop` ends the stream. An engine that dies in the middle
says `event: error`, or nothing.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from pointsman.core.dialect import CHAT, MESSAGES
from pointsman.core.reply import Batch, Reply
from pointsman.core.request import ChatRequest
from pointsman.core.surrogates import decoded
from pointsman.errors import BadAnswer, UpstreamError
from pointsman.translation.messages_reply import finish_of
from pointsman.translation.messages_stream import ChatChunks, StreamEvent
from pointsman.upstream.formats.anthropic import message_error, read_usage
from pointsman.upstream.formats.openai import check_utf8

_decode = msgspec.json.Decoder(StreamEvent).decode


class MessageReader:
    """Follows one streamed message; a client that speaks Messages gets every event byte for byte."""

    __slots__ = ("_chars", "_endpoint", "_model", "_reason", "_usage", "began", "done", "failure")

    dialect = MESSAGES

    def __init__(self, endpoint: str, request: ChatRequest) -> None:
        self._endpoint = endpoint
        self._model = ""
        self._chars = 0
        self._reason = ""
        self._usage: dict[str, Any] = {}
        self.began = False
        """A content-bearing event has been seen."""
        self.done = False
        """`message_stop` has been seen: nothing that follows is read."""
        self.failure: UpstreamError | None = None
        """What went wrong; the events before it are still good."""

    @property
    def finished(self) -> bool:
        """The answer is complete, only its end may follow."""
        return bool(self._reason)

    @property
    def reply(self) -> Reply:
        reasons = (finish_of(self._reason),) if self._reason else ()
        return Reply(b"", read_usage(self._usage), self._model, reasons, self._chars, self.dialect)

    def feed(self, events: list[bytes]) -> Batch:
        """What passes on of these events. Stops at `message_stop` and at the first failure (`failure` is set)."""
        passed: list[bytes] = []
        content = False
        for data in events:
            if not data:
                continue
            try:
                check_utf8(self._endpoint, data)
                if data[:6] == b"[DONE]":  # some engines end every stream so
                    self.end()
                    self.done = self.failure is None
                    break
                event = decoded(_decode, data)
                content = self._read(event) or content
            except (msgspec.DecodeError, RecursionError) as exc:
                self.failure = BadAnswer(f"endpoint {self._endpoint} sent an event that is none of a message: {exc}",
                                         body=data[:300])
                self.failure.__cause__ = exc
            except UpstreamError as exc:
                self.failure = exc
            if self.failure is not None:
                break
            self._pass(event, data, passed)
            if self.done:
                break
        if content:
            self.began = True
        return Batch(passed, content)

    def end(self) -> None:
        """The stream ended cleanly without `message_stop`: sets `failure` unless it said why it stopped."""
        if self.failure is None and not self.finished:
            self.failure = BadAnswer(f"endpoint {self._endpoint} ended its stream without stop_reason")

    def _pass(self, event: StreamEvent, data: bytes, passed: list[bytes]) -> None:
        passed.append(data)

    def _read(self, event: StreamEvent) -> bool:
        """Takes note of an event; True when it is content-bearing."""
        match event.type:
            case "content_block_delta" if event.delta is not None:
                delta = event.delta
                chars = len(delta.text or "") + len(delta.thinking or "") + len(delta.partial_json or "")
                self._chars += chars
                return chars > 0
            case "content_block_start" if event.content_block is not None:
                block = event.content_block
                self._chars += len(block.text or "") + len(block.name or "")
                return bool(block.text or block.name)
            case "message_start" if event.message is not None:
                self._model = event.message.model or ""
                self._usage |= event.message.usage or {}
            case "message_delta":
                self._usage |= {name: value for name, value in (event.usage or {}).items() if value is not None}
                if event.delta is not None and event.delta.stop_reason:
                    self._reason = event.delta.stop_reason
                    return True
            case "message_stop":
                self.end()
                self.done = self.failure is None
            case "error":
                raise message_error(self._endpoint, event.error)
        return False


class ChatOverMessages(MessageReader):
    """The same, heard by a client that speaks another API: chunks of a chat come out."""

    __slots__ = ("_chunks", "_tells_usage")

    dialect = CHAT

    def __init__(self, endpoint: str, request: ChatRequest) -> None:
        super().__init__(endpoint, request)
        self._chunks = ChatChunks(int(time.time()))
        self._tells_usage = request.include_usage

    def _pass(self, event: StreamEvent, data: bytes, passed: list[bytes]) -> None:
        passed += self._chunks.read(event)
        if self.done and self._tells_usage and (last := self._chunks.usage_chunk()) is not None:
            passed.append(last)
