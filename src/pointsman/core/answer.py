"""What an answer says, whatever API it came in: the common view that every verifier reads.

Made once from a `Reply`'s body, or from the events of a stream that was held back. Reading never fails: what is not there,
not of the expected kind or not JSON at all is simply not in the view, for judging that is the verifiers' business.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

import msgspec

from pointsman.core.reply import Reply
from pointsman.core.surrogates import decoded

NO_FIGURE: Final = -9999.0
"""What OpenAI writes, and engines write for minus infinity, where a token has no log-probability worth a number."""
TOP_MAX: Final = 20


class Token(msgspec.Struct, frozen=True, gc=False):
    """One token of the answer as the engine reported it."""

    text: str
    logprob: float | None
    """Natural logarithm; None = not given, or given as `NO_FIGURE`."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens at this place with their log-probabilities, likeliest first; empty = not asked for."""


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    name: str
    arguments: str
    """As the model wrote them: JSON, if it did well."""
    is_custom: bool = False
    """A tool with free text for input instead of JSON arguments."""


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One of the answers (`n` may ask for several)."""

    text: str = ""
    reasoning: str = ""
    """What the model thought, where the engine tells it apart from the answer."""
    refusal: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = ""
    """In the words of the chat API: `stop`, `length`, `tool_calls`, `content_filter`; "" = not there (yet)."""
    tokens: tuple[Token, ...] | None = None
    """None = no log-probabilities came with it."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """All choices in order of their index."""

    choices: tuple[Choice, ...] = ()
    is_whole: bool = True
    """False: the beginning of an answer that is still being written."""

    @property
    def text(self) -> str:
        """Of the first choice."""
        return self.choices[0].text if self.choices else ""


def answer_of(reply: Reply) -> Answer:
    """The view of a plain reply, in any dialect that bodies are written in. Never raises."""
    body = _object(reply.body)
    if reply.dialect == "messages":
        return Answer((_message(body),))
    if reply.dialect == "responses":
        return Answer((_response(body),))
    return Answer(tuple(_choice(choice) for choice in _in_order(_objects(body.get("choices")))))


class Listener:
    """Collects the events of one stream into an answer."""

    __slots__ = ("_blocks", "_choices", "_dialect", "_stop")

    def __init__(self, dialect: str = "chat") -> None:
        self._dialect = dialect
        self._choices: dict[int, _Growing] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._stop = ""

    def hear(self, events: Iterable[bytes]) -> None:
        """Takes note of event data (without `[DONE]`); what it cannot read it passes over."""
        for data in events:
            event = _object(data)
            if self._dialect == "messages":
                self._hear_message(event)
            elif self._dialect == "responses":
                self._hear_response(event)
            else:
                for choice in _objects(event.get("choices")):
                    self._growing(choice.get("index")).add(choice)

    def answer(self, *, is_whole: bool = True) -> Answer:
        if self._dialect == "messages":
            blocks = [self._blocks[i] for i in sorted(self._blocks)]
            choices: tuple[Choice, ...] = (_message({"content": blocks, "stop_reason": self._stop}),)
        else:
            choices = tuple(self._choices[i].choice() for i in sorted(self._choices))
        return Answer(choices, is_whole)

    def _growing(self, index: object) -> _Growing:
        return self._choices.setdefault(index if isinstance(index, int) else 0, _Growing())

    def _hear_message(self, event: dict[str, Any]) -> None:
        index = event.get("index") if isinstance(event.get("index"), int) else 0
        delta = _dict(event.get("delta"))
        match event.get("type"):
            case "content_block_start":
                self._blocks[index or 0] = dict(_dict(event.get("content_block")))
            case "content_block_delta":
                block = self._blocks.setdefault(index or 0, {"type": "text"})
                for field in ("text", "thinking"):
                    if isinstance(delta.get(field), str):
                        block[field] = _text(block.get(field)) + delta[field]
                if isinstance(delta.get("partial_json"), str):
                    block["written"] = _text(block.get("written")) + delta["partial_json"]
            case "message_delta":
                self._stop = _text(delta.get("stop_reason")) or self._stop

    def _hear_response(self, event: dict[str, Any]) -> None:
        growing = self._growing(0)
        match event.get("type"):
            case "response.output_text.delta":
                growing.text.append(_text(event.get("delta")))
            case "response.completed" | "response.incomplete":
                growing.whole = _response(_dict(event.get("response")))


class _Growing:
    """A choice that is being streamed."""

    __slots__ = ("calls", "finish_reason", "reasoning", "refusal", "text", "tokens", "whole")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, tuple[str, list[str]]] = {}
        self.tokens: list[Token] | None = None
        self.finish_reason = ""
        self.whole: Choice | None = None

    def add(self, choice: dict[str, Any]) -> None:
        delta = _dict(choice.get("delta"))
        self.text.append(_content(delta.get("content")) or _text(choice.get("text")))
        self.reasoning.append(_reasoning(delta))
        self.refusal.append(_text(delta.get("refusal")))
        for call in _objects(delta.get("tool_calls")):
            index, function = call.get("index"), _dict(call.get("function"))
            name, written = self.calls.get(index if isinstance(index, int) else 0, ("", []))
            written.append(_text(function.get("arguments")))
            self.calls[index if isinstance(index, int) else 0] = (name + _text(function.get("name")), written)
        self.finish_reason = _text(choice.get("finish_reason")) or self.finish_reason
        tokens = _tokens(choice.get("logprobs"))
        if tokens is not None:
            self.tokens = [*(self.tokens or ()), *tokens]

    def choice(self) -> Choice:
        return self.whole or Choice(
            "".join(self.text), "".join(self.reasoning), "".join(self.refusal),
            tuple(ToolCall(name, "".join(written)) for _, (name, written) in sorted(self.calls.items())),
            self.finish_reason, None if self.tokens is None else tuple(self.tokens),
        )


# ---------------------------------------------------------------------------------------------------------
# The dialects


def _choice(choice: dict[str, Any]) -> Choice:
    """One of a chat's or a completion's choices."""
    message = _dict(choice.get("message"))
    return Choice(
        _content(message.get("content")) or _text(choice.get("text")), _reasoning(message), _text(message.get("refusal")),
        _calls(message), _text(choice.get("finish_reason")), _tokens(choice.get("logprobs")),
    )


def _calls(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    calls = []
    for call in _objects(message.get("tool_calls")):
        custom = call.get("custom")
        if isinstance(custom, dict):
            calls.append(ToolCall(_text(custom.get("name")), _text(custom.get("input")), is_custom=True))
        else:
            function = _dict(call.get("function"))
            calls.append(ToolCall(_text(function.get("name")), _written(function.get("arguments"))))
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and not calls:
        calls.append(ToolCall(_text(legacy.get("name")), _written(legacy.get("arguments"))))
    return tuple(calls)


def _reasoning(message: dict[str, Any]) -> str:
    return _text(message.get("reasoning_content")) or _text(message.get("reasoning"))


def _content(content: object) -> str:
    """Text as such, or the text parts of a list."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in _objects(content) if part.get("type") in ("text", "output_text"))
    return _text(content)


_STOPS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter",
          "model_context_window_exceeded": "length"}


def _message(body: dict[str, Any]) -> Choice:
    """An answer in Anthropic's Messages."""
    texts, thoughts, calls = [], [], []
    for block in _objects(body.get("content")):
        match block.get("type"):
            case "text":
                texts.append(_text(block.get("text")))
            case "thinking":
                thoughts.append(_text(block.get("thinking")))
            case "tool_use":
                calls.append(ToolCall(_text(block.get("name")), _text(block.get("written")) or _written(block.get("input"))))
    stop = _text(body.get("stop_reason"))
    return Choice("".join(texts), "".join(thoughts), "", tuple(calls), _STOPS.get(stop, stop))


def _response(body: dict[str, Any]) -> Choice:
    """An answer in the Responses API."""
    texts, thoughts, refusals, calls = [], [], [], []
    tokens: list[Token] | None = None
    for item in _objects(body.get("output")):
        match item.get("type"):
            case "message":
                for part in _objects(item.get("content")):
                    texts.append(_text(part.get("text")))
                    refusals.append(_text(part.get("refusal")))
                    if part.get("logprobs"):
                        tokens = [*(tokens or ()), *_chat_tokens(part.get("logprobs"))]
            case "function_call":
                calls.append(ToolCall(_text(item.get("name")), _text(item.get("arguments"))))
            case "custom_tool_call":
                calls.append(ToolCall(_text(item.get("name")), _text(item.get("input")), is_custom=True))
            case "reasoning":
                thoughts += [_text(part.get("text")) for part in _objects(item.get("content"))]
    finish = "length" if body.get("status") == "incomplete" else "tool_calls" if calls else "stop"
    if _dict(body.get("incomplete_details")).get("reason") == "content_filter":
        finish = "content_filter"
    return Choice("".join(texts), "".join(thoughts), "".join(refusals), tuple(calls), finish if body.get("status") else "",
                  None if tokens is None else tuple(tokens))


# ---------------------------------------------------------------------------------------------------------
# Log-probabilities


def _tokens(logprobs: object) -> tuple[Token, ...] | None:
    """A chat's `{"content": [...]}`, or a completion's parallel lists; None = neither."""
    if not isinstance(logprobs, dict):
        return None
    if isinstance(logprobs.get("content"), list):
        return _chat_tokens(logprobs["content"])
    figures = logprobs.get("token_logprobs")
    if not isinstance(figures, list):
        return None
    texts, tops = _list(logprobs.get("tokens")), _list(logprobs.get("top_logprobs"))
    return tuple(
        Token(_text(texts[i]) if i < len(texts) else "", _figure(figure), _top(_dict(tops[i]).items() if i < len(tops) else ()))
        for i, figure in enumerate(figures)
    )


def _chat_tokens(entries: object) -> tuple[Token, ...]:
    return tuple(
        Token(_text(entry.get("token")), _figure(entry.get("logprob")),
              _top((other.get("token"), other.get("logprob")) for other in _objects(others))
              if (others := entry.get("top_logprobs")) else ())
        for entry in _objects(entries)
    )


def _top(pairs: Iterable[tuple[object, object]]) -> tuple[tuple[str, float], ...]:
    known = [(_text(token), figure) for token, said in pairs if (figure := _figure(said)) is not None]
    return tuple(sorted(known, key=lambda pair: -pair[1])[:TOP_MAX])


def _figure(said: object) -> float | None:
    """None for what is no log-probability: not a number, not finite, above zero (but for rounding), or `NO_FIGURE`."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    try:
        figure = float(said)
    except OverflowError:
        return None
    return min(figure, 0.0) if isfinite(figure) and NO_FIGURE < figure <= 1e-3 else None


# ---------------------------------------------------------------------------------------------------------
# Whatever is there


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder().decode


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = decoded(_decode, data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _written(value: object) -> str:
    """Arguments as text; some engines send the object itself."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return _encode(value).decode()
    except (RecursionError, msgspec.EncodeError):
        return ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[dict[str, Any]]:
    return [entry for entry in _list(value) if isinstance(entry, dict)]


def _in_order(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By index; the ones without keep their place at the front."""
    return sorted(choices, key=lambda choice: choice["index"] if isinstance(choice.get("index"), int) else 0)
