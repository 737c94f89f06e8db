"""What a request asked for that an answer can be held against: its format, its tools, and how its tools fared so far."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pointsman.core.request import ChatRequest
from pointsman.core.surrogates import decoded

_ERROR = re.compile(r"""\s*(?:["'{\[\s]*(?:is_?)?error["']?\s*[:=]\s*+(?!["']?(?:null|none|false|0)\b)|(?:\w{0,40}error|exception|traceback)\b"""
                    r"""|(?:command |tool )?failed\b|invalid (?:arguments?|tool|json)\b)""", re.IGNORECASE)
"""How tools, frameworks and shells begin when something went wrong. Read at the start of a result only."""
_HEAD: Final = 400


class _Turn(msgspec.Struct):
    role: Any = None
    content: Any = None
    tool_calls: Any = None


class _Body(msgspec.Struct):
    response_format: Any = None
    tools: Any = None
    functions: Any = None
    tool_choice: Any = None
    guided_json: Any = None
    structured_outputs: Any = None
    messages: list[_Turn] = []


_decode = msgspec.json.Decoder(_Body).decode


class Asked(msgspec.Struct, frozen=True):
    """The request's own terms."""

    wants_json: bool = False
    """A JSON object, with or without a schema."""
    schema: Any = None
    """The schema of the answer; None = none was given."""
    tools: dict[str, Any] = {}
    """Name -> schema of the arguments; None = no schema, or free text."""
    must_call: bool = False
    """`tool_choice` leaves the model no choice."""
    only_tool: str = ""
    """The one tool that it must call."""
    failed_calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments of the calls whose results, last in the conversation, were errors."""
    failures_in_a_row: int = 0
    """Turns at the end of the conversation whose tool results were all errors."""


NOTHING_ASKED: Final = Asked()


def asked_of(request: ChatRequest) -> Asked:
    """Never raises: what cannot be read was not asked for."""
    try:
        body = decoded(_decode, request.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return NOTHING_ASKED
    wants_json, schema = _format(body)
    must_call, only_tool = _choice(body.tool_choice)
    failures, failed = _failures(body.messages)
    return Asked(wants_json, schema, _tools(body), must_call, only_tool, failed, failures)


def _format(body: _Body) -> tuple[bool, Any]:
    wanted = body.response_format if isinstance(body.response_format, dict) else {}
    guided = body.guided_json
    if guided is None and isinstance(body.structured_outputs, dict):
        guided = body.structured_outputs.get("json")
    match wanted.get("type"):
        case "json_object":
            return True, wanted.get("schema", guided)
        case "json_schema":
            holder = wanted.get("json_schema")
            return True, (holder.get("schema") if isinstance(holder, dict) else None) or wanted.get("schema")
    if isinstance(guided, str):
        try:
            guided = msgspec.json.decode(guided)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            guided = None
    return isinstance(guided, dict), guided if isinstance(guided, dict) else None


def _tools(body: _Body) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tool in body.tools if isinstance(body.tools, list) else []:
        if not isinstance(tool, dict):
            continue
        inner = tool.get("function") or tool.get("custom") or {}
        name = inner.get("name") if isinstance(inner, dict) else None
        if isinstance(name, str):
            found[name] = inner.get("parameters")
    for function in body.functions if isinstance(body.functions, list) else []:
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            found[function["name"]] = function.get("parameters")
    return found


def _choice(choice: Any) -> tuple[bool, str]:
    if isinstance(choice, dict):
        inner = choice.get("function") or choice.get("custom")
        name = inner.get("name") if isinstance(inner, dict) else None
        return isinstance(name, str), name if isinstance(name, str) else ""
    return choice == "required", ""


def _failures(turns: list[_Turn]) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Turns of tool errors at the end, and the calls of the last of them."""
    rows, at = 0, len(turns)
    failed: tuple[tuple[str, str], ...] = ()
    while at > 0 and turns[at - 1].role == "tool":
        end = at
        while at > 0 and turns[at - 1].role == "tool":
            at -= 1
        if not all(_is_error(turn.content) for turn in turns[at:end]):
            break
        calls = turns[at - 1].tool_calls if at > 0 else None
        if rows == 0:
            failed = _called(calls)
        rows += 1
        at -= 1
    return rows, failed


def _called(calls: Any) -> tuple[tuple[str, str], ...]:
    found = []
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            found.append((function["name"], str(function.get("arguments", ""))))
    return tuple(found)


def _is_error(content: Any) -> bool:
    if isinstance(content, list):
        content = next((part.get("text") for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)), "")
    return isinstance(content, str) and _ERROR.match(content[:_HEAD]) is not None
