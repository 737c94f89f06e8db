"""A stream that goes on elsewhere: what has been told so far becomes the start of the next answer.

When an endpoint goes away in the middle of an answer (a spot notice, a drain with a deadline, a crash without a word), another one of the same
model is given the conversation with the text so far as the assistant's unfinished message (vLLM's and SGLang's
`continue_final_message`, llama.cpp's way of reading a trailing assistant message), and its words follow the first ones under the
same id. The model reads its own words again and goes on; the client sees one stream.

Where is that sound? In a chat with one choice of plain text. Not with tools, JSON schemas, log-probabilities or hidden reasoning:
there the state of the first engine is more than the text, and what would come out might be neither. Those streams end
with an honest error.

Why is the text handed over without the white space at its end? Some chat templates cut it off there and some do not, and nobody says which. So
none gets it, each model says it again, and what the client has is not told twice.

How many tokens has the client been told? An event is a token only while the engine is at leisure; vLLM puts several into one
when it is busy. Spot machines, which go often, are asked for running counts (`continuous_usage_stats`), which the client does not see unless
it asked. Others are not: the count in every event would cost all answers for the sake of the few that break. Theirs are counted by
events, which are never more than the tokens.

What does it cost an answer that does not break? Its text is kept until its end: a few bytes a token, `MAX_BYTES` at most.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Usage
from pointsman.core.request import ChatRequest, Edit, Kind
from pointsman.core.scan import Member, members
from pointsman.core.splice import apply

ENGINES = frozenset(("vllm", "sglang", "llamacpp"))
"""Engines that go on with a trailing assistant message instead of answering it."""
MAX_BYTES = 262_144
"""Of an answer that is kept for going on: some 60,000 tokens, more than nearly all engines say in one answer."""
_FLAGS = frozenset(("vllm", "sglang"))
"""Of those: the ones that must be told so. llama.cpp does it unasked, and its template parser refuses the flags."""
_COUNTS = {"include_usage": True, "continuous_usage_stats": True}
_UNSOUND = frozenset(("tools", "functions", "response_format", "logprobs", "top_logprobs", "prompt_logprobs", "guided_json", "guided_regex",
                      "guided_choice", "guided_grammar", "structured_outputs", "grammar", "json_schema", "regex", "ebnf", "audio",
                      "modalities", "echo", "return_token_ids", "continue_final_message", "add_generation_prompt"))
_THOUGHTS = ("<think>", "</think>")
"""An engine that was not told to take its model's thoughts apart says them as text; templates leave them out of earlier messages."""
_LIMITS = {"max_tokens": 1, "max_completion_tokens": 1, "min_tokens": 0}
"""Fields that count tokens of the answer, and how few they may ask for."""
_OF_ALL = ("id", "object", "created", "model")
"""Fields that all events of one answer have alike."""

_encode = msgspec.json.encode
_decode = msgspec.json.decode
_options = msgspec.json.Decoder(dict[str, Any]).decode


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: Any = None


class _Event(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None


_event = msgspec.json.Decoder(_Event).decode


def may_continue(request: ChatRequest, endpoint: EndpointSpec, engine: str, which: str = "always") -> bool:
    """It is worth keeping what this endpoint tells: another one may be able to go on with it. `engine`: what the endpoint is; `which`:
    the route's `continue_streams`."""
    if engine not in ENGINES or which == "never" or (which == "spot" and not endpoint.spot):
        return False
    needs = request.needs
    return (request.stream and request.kind is Kind.CHAT and request.choices == 1 and not request.tools and request.native is None
            and not needs.json_schema and not needs.logprobs)


def is_plain(request: ChatRequest) -> bool:
    """What it asks for is plain text, and nothing else. Reads the whole body: for when a stream has broken."""
    if request.messages and request.messages[-1].role == "assistant":
        return False  # the answer would be to go on from two messages
    return _UNSOUND.isdisjoint(field.key for field in members(request.body)[0])


class Told:
    """What the client has been told, by however many endpoints."""

    def __init__(self, pool: str) -> None:
        self.is_sound = True
        """False: something came that another endpoint cannot go on from."""
        self.pool = pool
        """The pool whose model is talking."""
        self.turns = 0
        """Endpoints before the one that is talking now."""
        self.is_departure = False
        """One of them was taken away: a spot machine, or one that had announced it."""
        self._text = bytearray()
        # Pieces of text from the one that is talking now.
        self._pieces = 0
        # The first event: what later ones must look like. And what they take of it.
        self._first = b""
        self._head: dict[str, Any] | None = None
        # The request asks for plain text; None = nobody has looked yet.
        self._is_plain: bool | None = None
        # White space that the next one says again.
        self._again = ""
        # Tokens that those before have told.
        self._before = 0
        # Tokens of the client's prompt, once an engine has counted them.
        self._prompt: int | None = None
        # The client wants usage, but not with every event: that was our wish.
        self._hides_counts = False

    @property
    def text(self) -> str:
        return self._text.decode()

    @property
    def has_begun(self) -> bool:
        """There is text to go on from."""
        return len(self._text) > 0

    def hear(self, events: list[bytes]) -> list[bytes]:
        """Takes note of events on their way to the client, and returns what it is to see of them."""
        if self._hides_counts and not self.turns:  # later endpoints' events are written anew anyway
            events = [_without_count(data) for data in events]
        if self.is_sound:
            self._note(events)
        return events

    def _note(self, events: list[bytes]) -> None:
        if not self._first and events:
            self._first = events[0]
        for data in events:
            try:
                choices = _event(data).choices
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._cannot()
                return
            for choice in choices or ():
                delta = choice.delta
                if choice.finish_reason or (delta is not None and (
                        delta.reasoning or delta.reasoning_content or delta.refusal or delta.tool_calls or delta.function_call)):
                    self._cannot()
                    return
                if delta is not None and delta.content:
                    self._pieces += 1
                    self._text += delta.content.encode()
        if len(self._text) > MAX_BYTES:
            self._cannot()

    def _cannot(self) -> None:
        """Nobody could go on from here: what was kept is not needed."""
        self.is_sound, self._text = False, bytearray()

    def is_of(self, request: ChatRequest) -> bool:
        """All there is to the answer so far is its text."""
        if not self.is_sound or not self.has_begun:
            return False
        if self._is_plain is None:
            self._is_plain = is_plain(request)
        return self._is_plain and not any(mark in self.text for mark in _THOUGHTS)

    # -- the end of one endpoint

    def said(self, counted: Usage | None) -> int:
        """Tokens so far. `counted`: what the one that is talking has counted. None = it does not say: then a piece was a token."""
        return self._before + (self._pieces if counted is None else counted.output_tokens)

    def is_used_up(self, request: ChatRequest, counted: Usage | None) -> bool:
        """The answer is as long as it may be: what broke off was only its end."""
        return request.max_tokens is not None and self.said(counted) >= request.max_tokens

    def last_words(self, request: ChatRequest, counted: Usage | None) -> list[bytes]:
        """The end that it had, had it not broken off there; its usage where the client wants it and it is known."""
        events = [self._like_first({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})]
        if request.include_usage and (whole := self.usage(counted)) is not None:
            events.append(self._like_first({"choices": [], "usage": _spelled(whole)}))
        return events

    def hand_over(self, counted: Usage | None, *, is_departure: bool = False) -> None:
        """The one that was talking is gone; the next one goes on from here. `counted`: as in `said`."""
        if counted is not None and not self.turns:
            self._prompt = counted.input_tokens
        self._before = self.said(counted)
        self.turns, self._pieces = self.turns + 1, 0
        self.is_departure = self.is_departure or is_departure

    # -- the next one's question

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

    def body(self, spliced: bytes, engine: str) -> bytes:
        """`spliced`, asking to go on."""
        text = self.text
        begun = text.rstrip()
        self._again = text[len(begun):]
        fields, end = members(spliced)
        by_name = {field.key: field for field in fields}
        edits = [edit for name, least in _LIMITS.items() if name in by_name and (edit := self._left(spliced, by_name[name], least)) is not None]
        if begun:
            messages = by_name["messages"]
            edits.append(Edit(messages.end - 1, messages.end - 1, b"," + _encode({"role": "assistant", "content": begun})))
        if begun and engine in _FLAGS:
            edits.append(Edit(end, end, b',"continue_final_message":true,"add_generation_prompt":false'))
        return apply(spliced, edits)

    def _left(self, spliced: bytes, field: Member, least: int) -> Edit | None:
        """Of a number of tokens what is not told yet."""
        number = _decode(spliced[field.start:field.end])
        if not isinstance(number, int):
            return None
        return Edit(field.start, field.end, str(max(least, number - self._before)).encode())

    # -- the next one's answer

    def adapted(self, events: list[bytes]) -> list[bytes]:
        """Events of a later endpoint as the first one's: its id, no second beginning, usage of the whole."""
        return [data for event in events if (data := self._adapted(event)) is not None]

    def _adapted(self, data: bytes) -> bytes | None:
        event: dict[str, Any] = _decode(data)
        choices = event.get("choices") or []
        for choice in choices:
            delta = choice.get("delta") or {}
            delta.pop("role", None)
            if self._again and isinstance(content := delta.get("content"), str):
                delta["content"] = self._not_again(content)
            if not any(delta.values()) and choice.get("finish_reason") is None:
                return None
        usage = event.get("usage")
        if choices and self._hides_counts:
            event.pop("usage", None)
        elif isinstance(usage, dict):
            event["usage"] = self._whole(usage)
        return self._like_first(event)

    def _not_again(self, content: str) -> str:
        """`content` without the white space that the client has."""
        same = len([None for _ in takewhile(lambda pair: pair[0] == pair[1], zip(content, self._again, strict=False))])
        self._again = self._again[same:] if same == len(content) else ""
        return content[same:]

    def _like_first(self, event: dict[str, Any]) -> bytes:
        if self._head is None:
            first: dict[str, Any] = _decode(self._first) if self._first else {}
            self._head = {name: first[name] for name in _OF_ALL if name in first}
        return _encode(self._head | {name: value for name, value in event.items() if name not in self._head})

    def _whole(self, usage: dict[str, Any]) -> dict[str, Any]:
        """The prompt was the client's; what was read again as a prompt is output that has been told."""
        output, prompt = usage.get("completion_tokens"), usage.get("prompt_tokens")
        if not isinstance(output, int) or not isinstance(prompt, int):
            return usage
        return usage | _spelled(self._summed(Usage(prompt, output)))

    def usage(self, last: Usage | None) -> Usage | None:
        """The request's usage, from that of the last endpoint."""
        return last if last is None or not self.turns else self._summed(last)

    def _summed(self, last: Usage) -> Usage:
        prompt = max(0, last.input_tokens - self._before) if self._prompt is None else self._prompt
        return Usage(prompt, last.output_tokens + self._before, None if last.cached_tokens is None else min(last.cached_tokens, prompt))


def _spelled(usage: Usage) -> dict[str, int]:
    return {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens}


def _without_count(data: bytes) -> bytes:
    """An event of the answer without the count that came with it; the last event, which has nothing else, keeps it."""
    if b'"usage"' not in data:
        return data
    event: dict[str, Any] = _decode(data)
    if not event.get("choices"):
        return data
    event.pop("usage", None)
    return _encode(event)
