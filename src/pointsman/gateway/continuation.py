"""A stream that goes on elsewhere: what has been told so far becomes the start of the next answer.

When an endpoint goes away in the middle of an answer (a spot notice, a drain with a deadline), another one of the same
model is given the conversation with the text so far as the assistant's unfinished message (vLLM's and SGLang's
`continue_final_message`, llama.cpp's way of reading a trailing assistant message), and its words follow the first ones under the
same id. The model reads its own words again and goes on; the client sees one stream.

Where is that sound? In a chat with one choice of plain text. Not with tools, JSON schemas, log-probabilities or hidden reasoning:
there the state of the first engine is more than the text, and what would come out might be neither. Those streams end
with an honest error.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Usage
from pointsman.core.request import ChatRequest, Edit, Kind
from pointsman.core.scan import members
from pointsman.core.splice import apply

ENGINES = frozenset(("vllm", "sglang", "llamacpp"))
"""Engines that go on with a trailing assistant message instead of answering it."""
_FLAGS = frozenset(("vllm", "sglang"))
"""Of those: the ones that must be told so. llama.cpp does it unasked, and its template parser refuses the flags."""
_UNSOUND = frozenset(("tools", "functions", "response_format", "logprobs", "guided_json", "guided_regex", "guided_choice",
                      "guided_grammar", "structured_outputs", "audio", "modalities", "echo"))
_LIMITS = ("max_tokens", "max_completion_tokens")

_encode = msgspec.json.encode


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None


class _Event(msgspec.Struct):
    id: str = ""
    choices: list[_Choice] = []
    usage: msgspec.Raw | None = None


_event = msgspec.json.Decoder(_Event).decode


def may_continue(request: ChatRequest, endpoint: EndpointSpec) -> bool:
    """The request's stream could go on elsewhere if this endpoint went away."""
    if not endpoint.spot or endpoint.engine not in ENGINES:
        return False
    is_plain = request.stream and request.kind is Kind.CHAT and request.choices == 1 and not request.tools and request.native is None
    return is_plain and _UNSOUND.isdisjoint(field.key for field in members(request.body)[0])


class Told:
    """What the client has been told, by however many endpoints."""

    def __init__(self, pool: str) -> None:
        self.id: str | None = None
        self.is_sound = True
        """False: something came that another endpoint cannot go on from."""
        self.pieces: list[str] = []
        self.pool = pool
        """The pool whose model is talking."""
        self.turns = 0
        """Endpoints before the one that is talking now."""
        self._before = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def hear(self, events: list[bytes]) -> None:
        """Events on their way to the client."""
        for data in events:
            try:
                event = _event(data)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.is_sound = False
                return
            if self.id is None:
                self.id = event.id
            for choice in event.choices:
                delta = choice.delta
                if delta.content:
                    self.pieces.append(delta.content)
                if delta.reasoning or delta.reasoning_content or delta.refusal or delta.tool_calls or choice.finish_reason:
                    self.is_sound = False

    def hand_over(self) -> None:
        """The one that was talking is gone; the next one goes on from here. A piece was a token, as engines stream them."""
        self.turns += 1
        self._before = len(self.pieces)

    def body(self, request: ChatRequest, spliced: bytes, engine: str) -> bytes:
        """`spliced`, asking to go on."""
        fields, end = members(spliced)
        by_name = {field.key: field for field in fields}
        messages = by_name["messages"]
        edits = [Edit(messages.end - 1, messages.end - 1, b"," + _encode({"role": "assistant", "content": self.text}))]
        if engine in _FLAGS:
            edits.append(Edit(end, end, b',"continue_final_message":true,"add_generation_prompt":false'))
        for name in _LIMITS:
            if name in by_name and request.max_tokens is not None:
                left = max(1, request.max_tokens - self._before)
                edits.append(Edit(by_name[name].start, by_name[name].end, str(left).encode()))
        return apply(spliced, edits)

    def adapted(self, events: list[bytes]) -> list[bytes]:
        """Events of a later endpoint as the first one's: its id, no second beginning, usage of the whole."""
        return [data for event in events if (data := self._adapted(event)) is not None]

    def _adapted(self, data: bytes) -> bytes | None:
        event: dict[str, Any] = msgspec.json.decode(data)
        if self.id:
            event["id"] = self.id
        choices = event.get("choices") or []
        for choice in choices:
            delta = choice.get("delta") or {}
            delta.pop("role", None)
            if not any(delta.values()) and choice.get("finish_reason") is None:
                return None
        usage = event.get("usage")
        if isinstance(usage, dict):
            event["usage"] = self._whole(usage)
        return _encode(event)

    def _whole(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The prompt was the client's; what was read again as a prompt is output that has been told."""
        told = self._before
        output = usage.get("completion_tokens")
        prompt = usage.get("prompt_tokens")
        if not isinstance(output, int) or not isinstance(prompt, int):
            return usage
        return usage | {"prompt_tokens": max(0, prompt - told), "completion_tokens": output + told,
                        "total_tokens": max(prompt, told) + output}

    def usage(self, last: Usage | None) -> Usage | None:
        """The request's usage, from that of the last endpoint."""
        if last is None or not self.turns:
            return last
        return Usage(max(0, last.input_tokens - self._before), last.output_tokens + self._before, last.cached_tokens)
