"""The events of an Anthropic stream as the chunks of a chat: a state machine, event data in, chunk data out."""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.translation.messages_reply import chat_usage, finish_of

_encode = msgspec.json.encode


class Delta(msgspec.Struct, gc=False):
    """What a `content_block_delta` or a `message_delta` adds."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")


class Begun(msgspec.Struct, gc=False):
    """The message of `message_start`."""

    id: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None


class StreamEvent(msgspec.Struct, gc=False):
    """An event of any type: which fields count depends on `type`."""

    type: str = ""
    message: Begun | None = None
    index: int = 0
    content_block: Block | None = None
    delta: Delta | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class ChatChunks:
    """Follows one message; `read` each event as it comes. `usage_chunk` at the end, if the client asked for it."""

    def __init__(self, created: int) -> None:
        self._head: dict[str, Any] = {"id": None, "object": "chat.completion.chunk", "created": created, "model": None}
        self._calls = -1
        self._in_call = False
        self._has_arguments = False
        self._given = b"{}"
        self.usage: dict[str, Any] = {}
        """As Anthropic counts, the latest word on each."""

    def read(self, event: StreamEvent) -> list[bytes]:
        """The chunks that this event is; may be none."""
        match event.type:
            case "message_start":
                return self._start(event.message or Begun())
            case "content_block_start" if event.content_block is not None:
                return self._open(event.content_block)
            case "content_block_delta" if event.delta is not None:
                return self._go_on(event.delta)
            case "content_block_stop":
                return self._close()
            case "message_delta":
                self._count(event.usage)
                delta = event.delta or Delta()
                return [self._chunk({}, delta.stop_reason, delta.stop_sequence)] if delta.stop_reason else []
        return []

    def usage_chunk(self) -> bytes | None:
        """The last chunk of a stream whose client asked for the usage; None when nothing was counted."""
        usage = chat_usage(self.usage)
        return None if usage is None else _encode(self._head | {"choices": [], "usage": usage})

    def _start(self, message: Begun) -> list[bytes]:
        self._head |= {"id": message.id, "model": message.model}
        self._count(message.usage)
        return [self._chunk({"role": "assistant", "content": ""})]

    def _open(self, block: Block) -> list[bytes]:
        self._in_call = block.type == "tool_use"
        if self._in_call:
            self._calls += 1
            self._has_arguments, self._given = False, bytes(block.input)
            function = {"name": block.name, "arguments": ""}
            return [self._call({"id": block.id, "type": "function", "function": function})]
        if block.type == "redacted_thinking":
            return [self._chunk({"thinking_blocks": [{"type": "redacted_thinking", "data": block.data}]})]
        delta = Delta("text_delta", text=block.text or "") if block.text else Delta("thinking_delta", thinking=block.thinking or "")
        return self._go_on(delta)

    def _go_on(self, delta: Delta) -> list[bytes]:
        if delta.type == "text_delta" and delta.text:
            return [self._chunk({"content": delta.text})]
        if delta.type == "thinking_delta" and delta.thinking:
            return [self._chunk({"reasoning_content": delta.thinking})]
        if delta.type == "signature_delta" and delta.signature:
            return [self._chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": delta.signature}]})]
        if delta.type == "input_json_delta" and delta.partial_json and self._in_call:
            self._has_arguments = True
            return [self._call({"function": {"arguments": delta.partial_json}})]
        return []

    def _close(self) -> list[bytes]:
        """A call without a piece of arguments had them whole at its start, or takes none: `{}` is what clients can read."""
        was_in_call, self._in_call = self._in_call, False
        if was_in_call and not self._has_arguments:
            return [self._call({"function": {"arguments": self._given.decode()}})]
        return []

    def _count(self, usage: dict[str, Any] | None) -> None:
        if usage:
            self.usage |= {name: value for name, value in usage.items() if value is not None}

    def _call(self, piece: dict[str, Any]) -> bytes:
        return self._chunk({"tool_calls": [{"index": self._calls} | piece]})

    def _chunk(self, delta: dict[str, Any], reason: str | None = None, sequence: str | None = None) -> bytes:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "logprobs": None,
                                  "finish_reason": finish_of(reason) if reason else None}
        if sequence:
            choice["stop_reason"] = sequence
        return _encode(self._head | {"choices": [choice]})
