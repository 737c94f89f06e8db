"""A chat body as the body of an Anthropic Messages request: for endpoints that speak no other API.

Anthropic refuses fields that it does not know, so only what is named here passes. What would change the answer's shape
and cannot be had there (`n`, logprobs, audio) is Untranslatable: another endpoint may have it. What only steers the
sampling (`seed`, penalties, `logit_bias`) is left out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.surrogates import decoded
from pointsman.errors import Untranslatable
from pointsman.translation.messages_turns import NOTHING, ChatTurn, Turns

_encode = msgspec.json.encode

PASSED = ("top_k", "thinking", "cache_control")
"""Anthropic's own, which its clients in OpenAI's format write as they are."""
LEFT_OUT = frozenset((
    "frequency_penalty", "presence_penalty", "seed", "logit_bias", "prediction", "store", "metadata", "service_tier",
    "stream_options", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "verbosity", "reasoning_effort",
))
"""Documented as such. `reasoning_effort`: what Anthropic has for it differs from model to model, and a wrong one is a 400."""
JSON_ONLY = "Answer with one JSON object and nothing else."
"""For `response_format: json_object`, which Anthropic has no field for."""
NO_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    description: str | None = None
    parameters: msgspec.Raw = NOTHING
    strict: bool | None = None


class _Tool(msgspec.Struct, gc=False):
    type: str = "function"
    function: _Function | None = None
    cache_control: msgspec.Raw = NOTHING


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Choice(msgspec.Struct, gc=False):
    type: str = ""
    function: _Named | None = None


class _JsonSchema(msgspec.Struct, gc=False):
    schema: msgspec.Raw = NOTHING


class _Format(msgspec.Struct, gc=False):
    type: str = "text"
    json_schema: _JsonSchema | None = None


class _Chat(msgspec.Struct, gc=False):
    model: str
    messages: list[ChatTurn]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream: bool | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    user: str | None = None
    tools: list[_Tool] | None = None
    functions: list[_Function] | None = None
    tool_choice: _Choice | str | None = None
    parallel_tool_calls: bool | None = None
    response_format: _Format | None = None
    modalities: list[str] | None = None
    web_search_options: msgspec.Raw = NOTHING
    top_k: msgspec.Raw = NOTHING
    thinking: msgspec.Raw = NOTHING
    cache_control: msgspec.Raw = NOTHING


_decode = msgspec.json.Decoder(_Chat).decode


def messages_body(body: bytes, max_output: int) -> bytes:
    """The Messages body for a chat body; `max_output` is the limit of an answer for which the client names none.

    Raises Untranslatable.
    """
    try:
        chat = decoded(_decode, body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Untranslatable(f"the body cannot be said to Anthropic: {exc}") from exc
    _check(chat)
    turns = Turns()
    for number, turn in enumerate(chat.messages):
        turns.add(turn, number)
    fields: dict[str, Any] = {"model": chat.model, "max_tokens": _limit(chat, max_output)}
    if chat.response_format is not None and chat.response_format.type == "json_object":
        turns.system.append({"type": "text", "text": JSON_ONLY})
    system, fields["messages"] = turns.finished()
    if system:
        fields["system"] = system
    return _encode(fields | _sampling(chat) | _tools(chat) | _format(chat))


def _check(chat: _Chat) -> None:
    if chat.n is not None and chat.n > 1:
        raise Untranslatable("n: Anthropic's models give one answer to a request")
    if chat.logprobs:
        raise Untranslatable("logprobs: Anthropic's models give none")
    if chat.modalities and "audio" in chat.modalities:
        raise Untranslatable("modalities: Anthropic's models answer in text")
    if bytes(chat.web_search_options) not in (b"", b"null"):
        raise Untranslatable("web_search_options: searching is OpenAI's own; offer a tool that your program runs")


def _limit(chat: _Chat, max_output: int) -> int:
    asked = chat.max_tokens if chat.max_completion_tokens is None else chat.max_completion_tokens
    return max_output if asked is None else asked


def _sampling(chat: _Chat) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if chat.stream:
        fields["stream"] = True
    stops = [chat.stop] if isinstance(chat.stop, str) else chat.stop or []
    if stops := [stop for stop in stops if stop.strip()]:  # Anthropic refuses those of space alone
        fields["stop_sequences"] = stops
    if chat.temperature is not None:
        fields["temperature"] = min(chat.temperature, 1.0)  # their scale ends at 1
    elif chat.top_p is not None:  # recent models take one of the two
        fields["top_p"] = chat.top_p
    if chat.user:
        fields["metadata"] = {"user_id": chat.user}
    return fields | {name: value for name in PASSED if bytes(value := getattr(chat, name)) not in (b"", b"null")}


def _tools(chat: _Chat) -> dict[str, Any]:
    tools = [_tool(tool, i) for i, tool in enumerate(chat.tools or ())]
    tools += [_function(function) for function in chat.functions or ()]
    if not tools:
        return {}
    choice = _choice(chat.tool_choice)
    if chat.parallel_tool_calls is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    return {"tools": tools} | ({"tool_choice": choice} if choice else {})


def _tool(tool: _Tool, place: int) -> dict[str, Any]:
    if tool.function is None:
        raise Untranslatable(f"tools[{place}]: a tool of type {tool.type[:40]!r} cannot be said to Anthropic; offer a function")
    cached = {"cache_control": tool.cache_control} if bytes(tool.cache_control)[:1] == b"{" else {}
    return _function(tool.function) | cached


def _function(function: _Function) -> dict[str, Any]:
    said: dict[str, Any] = {"name": function.name}
    if function.description:
        said["description"] = function.description
    said["input_schema"] = function.parameters if bytes(function.parameters)[:1] == b"{" else NO_SCHEMA
    if function.strict is not None:
        said["strict"] = function.strict
    return said


def _choice(choice: _Choice | str | None) -> dict[str, Any]:
    match choice:
        case None:
            return {}
        case "auto" | "none":
            return {"type": choice}
        case "required":
            return {"type": "any"}
        case _Choice(type="function", function=_Named(name=name)):
            return {"type": "tool", "name": name}
    kind = choice if isinstance(choice, str) else choice.type
    raise Untranslatable(f"tool_choice: {kind[:40]!r} cannot be said to Anthropic")


def _format(chat: _Chat) -> dict[str, Any]:
    wanted = chat.response_format
    if wanted is None or wanted.type != "json_schema" or wanted.json_schema is None:
        return {}
    return {"output_config": {"format": {"type": "json_schema", "schema": wanted.json_schema.schema}}}
