"""A streamed OpenAI answer as Anthropic's events: a state machine, chunks in, frames out.

The order is what the official SDKs rely on: `message_start`, then block after block (start, deltas, stop, numbered from
0), then `message_delta` with reason and usage, then `message_stop`.

Why may a delta wait? Blocks come one after the other, while an engine may mix the pieces of several tool calls. A call
is left for another only when its arguments are whole; until then what belongs elsewhere waits, so that nothing is lost.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pointsman.core.surrogates import decoded
from pointsman.translation.anthropic_reply import name_of, stopped, text_of, tool_id, usage
from pointsman.translation.anthropic_request import Remembered
from pointsman.translation.tool_input import is_object

_encode = msgspec.json.encode


class _Delta(msgspec.Struct, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: Any = None
    stop_reason: Any = None
    matched_stop: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Any = None
    model: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class _Block:
    """One block to be: what has come for it, and how much of that has been sent."""

    __slots__ = ("_checked", "_is_whole", "id", "kind", "name", "said", "waiting")

    def __init__(self, kind: Literal["text", "thinking", "tool_use"], id: str = "") -> None:
        self.kind, self.id, self.name = kind, id, ""
        self.said = ""
        """Tool calls: the arguments so far."""
        self.waiting = ""
        """Not sent yet."""
        self._checked, self._is_whole = -1, False

    @property
    def may_end(self) -> bool:
        """Nothing that belongs to it can still come. Text and thinking may go on in another block."""
        if self.kind != "tool_use":
            return True
        if self._checked != len(self.said):
            self._checked, self._is_whole = len(self.said), bool(self.name) and is_object(self.said)
        return self._is_whole

    def take(self, text: str) -> None:
        self.waiting += text
        if self.kind == "tool_use":
            self.said += text

    def start(self) -> dict[str, Any]:
        if self.kind == "text":
            return {"type": "text", "text": ""}
        if self.kind == "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": {}}

    def delta(self, text: str) -> dict[str, Any]:
        if self.kind == "text":
            return {"type": "text_delta", "text": text}
        if self.kind == "thinking":
            return {"type": "thinking_delta", "thinking": text}
        return {"type": "input_json_delta", "partial_json": text}


class MessageStream:
    """Follows one answer. `feed` the data of each event as it comes, then `finish` once."""

    def __init__(self, id: str, remembered: Remembered) -> None:
        self._id, self._remembered = id, remembered
        self.is_hiding = False
        """The last that was heard is thinking which this client did not ask to see."""
        self._frames: list[bytes] = []
        self._is_started = False
        self._index = -1
        self._open: _Block | None = None
        self._queue: list[_Block] = []
        """Blocks whose turn has not come, in the order in which they began."""
        self._calls: dict[int, _Block] = {}
        """By the engine's number: the call that its next piece belongs to."""
        self._made = 0
        self._chars = 0
        self._finish: Any = None
        self._matched: Any = None
        self._is_refused = False
        self._usage: Any = None

    def feed(self, events: list[bytes]) -> bytes:
        """The frames that these chunks bring; may be none."""
        for event in events:
            self._chunk(decoded(_decode, event))
        return self._flush()

    def finish(self) -> bytes:
        """The rest: every block closed, why it stopped, what it used."""
        self._start("")
        self._advance(is_last=True)
        self._close()
        reason, sequence = stopped(self._finish, self._matched, self._remembered, has_tools=self._made > 0,
                                   is_refused=self._is_refused)
        self._frame("message_delta", {
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": usage(self._usage, self._remembered, self._chars),
        })
        self._frame("message_stop", {})
        return self._flush()

    def _chunk(self, chunk: _Chunk) -> None:
        self._start(chunk.model)
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index != 0:
                continue  # a message has one answer
            if choice.delta is not None:
                self._hear(choice.delta)
            if choice.finish_reason:
                self._finish = choice.finish_reason
                self._matched = choice.stop_reason or choice.matched_stop

    def _hear(self, delta: _Delta) -> None:
        self._say("thinking", text_of(delta.reasoning_content) or text_of(delta.reasoning))
        self._say("text", text_of(delta.content))
        if delta.refusal:
            self._is_refused = True
            self._say("text", text_of(delta.refusal))
        for position, call in enumerate(delta.tool_calls if isinstance(delta.tool_calls, list) else ()):
            if isinstance(call, dict):
                self._call(call, position)

    def _say(self, kind: Literal["text", "thinking"], text: str) -> None:
        if not text:
            return
        self._chars += len(text)
        self.is_hiding = kind == "thinking" and not self._remembered.shows_thinking
        if self.is_hiding:
            return
        newest = self._queue[-1] if self._queue else self._open
        if newest is None or newest.kind != kind:
            newest = _Block(kind)
            self._queue.append(newest)
        newest.take(text)
        self._advance()

    def _call(self, call: dict[str, Any], position: int) -> None:
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        name, arguments = name_of(function.get("name")), function.get("arguments")
        block = self._of_call(call, name, position)
        block.name = block.name or name
        if isinstance(arguments, dict):  # some engines send the object itself
            arguments = _encode(arguments).decode()
        if isinstance(arguments, str):
            self._chars += len(arguments)
            block.take(arguments)
        self._advance()

    def _of_call(self, call: dict[str, Any], name: str, position: int) -> _Block:
        """The block that a piece belongs to.

        Some engines number none of their calls, or all of them 0: a piece with a name and another id is another call.
        """
        number, given = call.get("index"), call.get("id")
        number = number if isinstance(number, int) else position
        known = self._calls.get(number)
        if known is not None and not (name and isinstance(given, str) and given not in ("", known.id)):
            return known
        block = self._calls[number] = _Block("tool_use", tool_id(given, self._id, self._made))
        self._made += 1
        self._queue.append(block)
        return block

    def _advance(self, *, is_last: bool = False) -> None:
        """Sends what may be sent now: of the open block, then of those that wait for it to end."""
        while True:
            block = self._open
            if block is not None and block.waiting:
                self._frame("content_block_delta", {"index": self._index, "delta": block.delta(block.waiting)})
                block.waiting = ""
            if not self._queue or not (block is None or block.may_end or is_last):
                return
            if not (is_last or self._queue[0].kind != "tool_use" or self._queue[0].name):
                return  # a call without a name yet cannot begin
            self._close()
            self._open = self._queue.pop(0)
            self._index += 1
            self._frame("content_block_start", {"index": self._index, "content_block": self._open.start()})

    def _close(self) -> None:
        block, self._open = self._open, None
        if block is None:
            return
        if block.kind == "thinking":
            self._frame("content_block_delta", {
                "index": self._index, "delta": {"type": "signature_delta", "signature": ""}})
        self._frame("content_block_stop", {"index": self._index})

    def _start(self, model: Any) -> None:
        if self._is_started:
            return
        self._is_started = True
        # The input is an estimate until `message_delta` brings the engine's own count, which comes last.
        self._frame("message_start", {"message": {
            "id": self._id, "type": "message", "role": "assistant", "model": name_of(model), "content": [],
            "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": self._remembered.input_tokens, "output_tokens": 0},
        }})

    def _frame(self, kind: str, fields: dict[str, Any]) -> None:
        self._frames.append(frame(kind, fields))

    def _flush(self) -> bytes:
        frames, self._frames = b"".join(self._frames), []
        return frames


def frame(kind: str, fields: dict[str, Any]) -> bytes:
    """One event as it goes over the wire; its type stands in both places."""
    return b"event: " + kind.encode() + b"\ndata: " + _encode({"type": kind} | fields) + b"\n\n"
