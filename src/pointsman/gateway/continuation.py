"""A stream that goes on elsewhere: what has been told so far becomes the start of the next answer.

When an endpoint goes away in the middle of an answer (a spot notice, a drain with a deadline), another one of the same
model is given the conversation with the text so far as the assistant's unfinished message (vLLM's and SGLang's
`continue_final_message`, llama.cpp's way of reading a trailing assistant message), and its words follow the first ones under the
same id. The model reads its own words again and goes on; the client sees one stream.

Where is that sound? In a chat with one choice of plain text. Not with tools, JSON schemas, log-probabilities or hidden reasoning:
there the state of the first engine is more than the text, and what would come out might be neither. Those streams end
with an honest error.

How many tokens has the client been told? An event is a token only while the engine is at leisure; vLLM puts several into one
when it is busy. So it is asked for running counts (`continuous_usage_stats`), which the client does not see unless it asked.
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
_COUNTS = {"include_usage": True, "continuous_usage_stats": True}
_UNSOUND = frozenset(("tools", "functions", "response_format", "logprobs", "guided_json", "guided_regex", "guided_choice",
                      "guided_grammar", "structured_outputs", "audio", "modalities", "echo"))
_LIMITS = ("max_tokens", "max_completion_tokens")

_encode = msgspec.json.encode
_options = msgspec.json.Decoder(dict[str, Any]).decode


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


def may_continue(request: ChatRequest, endpoint: EndpointSpec, engine: str) -> bool:
    """The request's stream could go on elsewhere if this endpoint went away. `engine`: what the endpoint is."""
    if not endpoint.spot or engine not in ENGINES:
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
        """Tokens that those have told."""
        self._pieces_before = 0
        self._prompt: int | None = None
        """Tokens of the client's prompt, once an engine has counted them."""
        self._hides_counts = False
        """The client wants usage, but not with every event: that was our wish."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def hear(self, events: list[bytes]) -> list[bytes]:
        """Takes note of events on their way to the client, and returns what it is to see of them."""
        if self._hides_counts and not self.turns:  # later endpoints' events are written anew anyway
            events = [_without_count(data) for data in events]
        self._note(events)
        return events

    def _note(self, events: list[bytes]) -> None:
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

    def hand_over(self, counted: Usage | None) -> None:
        """The one that was talking is gone; the next one goes on from here.

        `counted`: what it had counted so far. None = it does not say; then a piece was a token, as engines at leisure stream them.
        """
        if counted is not None and not self.turns:
            self._prompt = counted.input_tokens
        self._before += len(self.pieces) - self._pieces_before if counted is None else counted.output_tokens
        self.turns, self._pieces_before = self.turns + 1, len(self.pieces)

    def counting(self, request: ChatRequest, spliced: bytes, engine: str) -> bytes:
        """`spliced`, asking for running counts where the engine has them and the client does not ask itself."""
        field = next((field for field in members(spliced)[0] if field.key == "stream_options"), None)
        if engine not in _FLAGS or field is None:
            return spliced
        options = _options(spliced[field.start:field.end])
        if "continuous_usage_stats" in options:
            return spliced
        self._hides_counts = request.include_usage
        return apply(spliced, [Edit(field.start, field.end, _encode(options | _COUNTS))])

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
        if choices and self._hides_counts:
            event.pop("usage", None)
        elif isinstance(usage, dict):
            event["usage"] = self._whole(usage)
        return _encode(event)

    def _whole(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The prompt was the client's; what was read again as a prompt is output that has been told."""
        output, prompt = usage.get("completion_tokens"), usage.get("prompt_tokens")
        if not isinstance(output, int) or not isinstance(prompt, int):
            return usage
        whole = self._summed(Usage(prompt, output))
        return usage | {"prompt_tokens": whole.input_tokens, "completion_tokens": whole.output_tokens,
                        "total_tokens": whole.input_tokens + whole.output_tokens}

    def usage(self, last: Usage | None) -> Usage | None:
        """The request's usage, from that of the last endpoint."""
        return last if last is None or not self.turns else self._summed(last)

    def _summed(self, last: Usage) -> Usage:
        prompt = max(0, last.input_tokens - self._before) if self._prompt is None else self._prompt
        return Usage(prompt, last.output_tokens + self._before, last.cached_tokens)


def _without_count(data: bytes) -> bytes:
    """An event of the answer without the count that came with it; the last event, which has nothing else, keeps it."""
    if b'"usage"' not in data:
        return data
    event: dict[str, Any] = msgspec.json.decode(data)
    if not event.get("choices"):
        return data
    event.pop("usage", None)
    return _encode(event)
