"""An Anthropic Messages request as an OpenAI chat body, and what must be remembered to answer it.

Values that mean the same on both sides (numbers, schemas, tool inputs) are carried over as the bytes that they are.
Fields that neither format knows go through untouched: they are for the engine (`top_k`, `min_p`, ...).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pointsman.core.misfit import Misfit, typed
from pointsman.core.scan import TooDeep, members
from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.translation.anthropic_turns import Block, Conversation, Turn
from pointsman.translation.objections import Objections

_encode = msgspec.json.encode

CHARS_PER_TOKEN = 4
"""A token of English is about four characters."""
TOKENS_PER_IMAGE = 1600
"""Anthropic's documented ceiling for one image at its standard resolution: width x height / 750 at 1.15 megapixels."""

DROPPED = frozenset((
    "cache_control", "context_management", "compaction", "service_tier", "speed", "diagnostics", "billing_policy",
    "fallback_credit_token", "user_profile_id", "workspace_id", "betas",
))
"""Advice to Anthropic's own service: an answer without it is as right."""
REFUSED = {
    "mcp_servers": "MCP servers are called by Anthropic; let your client call them and send its tools in `tools`",
    "container": "containers run at Anthropic; send your own tools in `tools`",
    "thread": "threads are stored at Anthropic; send the whole conversation in `messages`",
    "inference_geo": "where a request may run is set in the configuration: `regions` of a key",
}
"""A request that asks for these would get something else than it asked for."""
TRANSLATED = frozenset((
    "messages", "system", "stop_sequences", "tools", "tool_choice", "metadata", "thinking", "output_config",
    "output_format", "stream_options",
))
"""Fields that become others; `stream_options`, which only OpenAI has, is ours to set."""


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """What the answer depends on, beside the upstream's reply."""

    shows_thinking: bool = False
    """The client asked for thinking blocks; one that did not would stumble over them."""
    stop_sequences: tuple[str, ...] = ()
    input_tokens: int = 0
    """Estimated: see `estimate`."""
    metadata: dict[str, str] = {}
    """The string members of `metadata`, for rules."""
    tags: tuple[str, ...] = ()
    """The strings of `metadata.tags`, for rules."""
    is_plain: bool = True
    """Engines that speak this API are known to understand all of the request."""
    only_at_origin: str = ""
    """Why there is no translation; the body is then only what classifiers read. "" = there is one."""
    dropped: tuple[str, ...] = ()
    """Hosted tools that the translation leaves out."""
    has_unsigned: bool = False
    """Thoughts of another maker's models are among the messages, which Anthropic refuses."""


HOSTED = ("web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "mcp_toolset")
"""How the types of tools begin that Anthropic's own servers run."""


class _Tool(msgspec.Struct, gc=False):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = msgspec.Raw(b"")
    strict: bool | None = None


class _ToolChoice(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(msgspec.Struct, gc=False):
    type: str = ""
    display: str | None = None


class _Format(msgspec.Struct, gc=False):
    type: str = ""
    schema: msgspec.Raw = msgspec.Raw(b"")


class _OutputConfig(msgspec.Struct, gc=False):
    format: _Format | None = None


class _Wire(msgspec.Struct, gc=False):
    model: str
    messages: list[Turn]
    system: str | list[Block] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    metadata: dict[str, msgspec.Raw] | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None


_decode = msgspec.json.Decoder(_Wire).decode


def translated(body: bytes, *, max_depth: int = 64, lenient: bool = False) -> tuple[bytes, Remembered]:
    """The OpenAI chat body, and what to remember. Raises MalformedBody or UnsupportedField; `param` is the path.

    `lenient`: what cannot be translated is left out and remembered, since Anthropic itself could be asked.
    """
    wire, readable = typed(body, _decode, _objection)
    objections = Objections(lenient=lenient)
    fields = _carried(readable, max_depth, objections)
    conversation = Conversation(objections)
    if wire.system:
        conversation.instruct(wire.system, "system")
    for number, turn in enumerate(wire.messages):
        conversation.add(turn, number)
    offered = _tools(wire.tools or [], wire.tool_choice, objections)
    messages, tools = _encode(conversation.messages), _encode(offered) if offered else b""
    fields["messages"] = msgspec.Raw(messages)
    if tools:
        fields["tools"] = msgspec.Raw(tools)
    metadata = _strings(wire.metadata)
    fields |= _settings(wire, metadata, has_tools=bool(offered))
    if "response_format" in fields:
        objections.is_plain = False  # an engine that did not know the field would answer without the schema
    thinking = wire.thinking
    remembered = Remembered(
        shows_thinking=thinking is not None and thinking.type not in ("", "disabled") and thinking.display != "omitted",
        stop_sequences=tuple(wire.stop_sequences or ()), metadata=metadata, tags=_tags(wire.metadata),
        input_tokens=estimate(len(messages) + len(tools) - conversation.image_chars, conversation.images),
        is_plain=objections.is_plain, only_at_origin=objections.only_at_origin, dropped=tuple(objections.dropped),
        has_unsigned=conversation.has_unsigned,
    )
    return _encode(fields), remembered


def estimate(chars: int, images: int = 0) -> int:
    """Tokens of a prompt by our rule: messages and tools as JSON, a quarter of their bytes, and 1,600 for an image.

    Why not a tokenizer? Which one is right is known once an endpoint is chosen, and counting must not choose.
    """
    return -(-max(0, chars) // CHARS_PER_TOKEN) + TOKENS_PER_IMAGE * images


_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")


def _objection(misfit: Misfit) -> MalformedBody:
    """With its path as Anthropic writes it (`messages.0.role`), and in its words for what is missing."""
    path = _INDEX.sub(r".\1", misfit.path)
    if not misfit.missing:
        return misfit.objection(path)
    return msgspec.structs.replace(misfit, what="field required").objection(f"{path}.{misfit.missing}".lstrip("."))


def _carried(body: bytes, max_depth: int, objections: Objections) -> dict[str, Any]:
    """The top-level fields that stay what they are, as bytes."""
    try:
        found, _ = members(body, max_depth=max_depth)
    except TooDeep as exc:
        raise MalformedBody(f"the body is nested deeper than {max_depth} levels") from exc
    fields: dict[str, Any] = {}
    seen: set[str] = set()
    for key, _, start, end in found:
        if key in seen:
            raise MalformedBody(f"{key[:80]}: the field appears more than once", param=key[:80])
        seen.add(key)
        value = body[start:end]
        if key in REFUSED and value not in (b"null", b"[]", b'"global"'):
            objections.object(UnsupportedField(f"{key}: {REFUSED[key]}", param=key))
        if key not in TRANSLATED and key not in DROPPED and key not in REFUSED:
            fields[key] = msgspec.Raw(value)
    return fields


def _settings(wire: _Wire, metadata: dict[str, str], *, has_tools: bool) -> dict[str, Any]:
    """Stop sequences, tool choice, response format, user, usage: whatever has another name at OpenAI."""
    fields: dict[str, Any] = {}
    if wire.stop_sequences:
        fields["stop"] = wire.stop_sequences
    if wire.tool_choice is not None:
        choice = _choice(wire.tool_choice)
        if has_tools:  # OpenAI takes neither field without
            fields |= choice
    wanted = wire.output_config.format if wire.output_config is not None else None
    wanted = wanted or wire.output_format
    if wanted is not None:
        fields["response_format"] = _format(wanted)
    if "user_id" in metadata:
        fields["user"] = metadata["user_id"]
    if wire.stream:
        fields["stream_options"] = {"include_usage": True}  # `message_delta` must tell it
    return fields


def _tools(tools: list[_Tool], choice: _ToolChoice | None, objections: Objections) -> list[dict[str, Any]]:
    """The client's own tools. Hosted ones are left out while the model has others, and refused when it has not."""
    own: list[dict[str, Any]] = []
    hosted: list[tuple[str, UnsupportedField]] = []
    is_named = False
    for place, tool in enumerate(tools):
        if tool.type in (None, "custom"):
            own.append(_tool(tool, f"tools.{place}"))
        elif tool.type.startswith(HOSTED):
            hosted.append((tool.type, _foreign(tool.type, f"tools.{place}")))
            is_named |= choice is not None and choice.type == "tool" and choice.name == tool.name
        else:
            objections.object(_foreign(tool.type, f"tools.{place}"))
    objections.hosted(hosted, is_wanted=is_named or not own)
    return own


def _foreign(kind: str, where: str) -> UnsupportedField:
    return UnsupportedField(f"{where}.type: {kind[:60]!r} is a tool of Anthropic's, which other models do not know; "
                            "send one with `name` and `input_schema`", param=f"{where}.type")


def _tool(tool: _Tool, where: str) -> dict[str, Any]:
    if not tool.name or not bytes(tool.input_schema):
        missing = "input_schema" if tool.name else "name"
        raise MalformedBody(f"{where}.{missing}: field required", param=f"{where}.{missing}")
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.input_schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def _choice(choice: _ToolChoice) -> dict[str, Any]:
    if choice.type in _CHOICES:
        fields: dict[str, Any] = {"tool_choice": _CHOICES[choice.type]}
    elif choice.type == "tool" and choice.name:
        fields = {"tool_choice": {"type": "function", "function": {"name": choice.name}}}
    else:
        raise MalformedBody("tool_choice.type: one of 'auto', 'any', 'none', or 'tool' with a `name`", param="tool_choice.type")
    if choice.disable_parallel_tool_use:
        fields["parallel_tool_calls"] = False
    return fields


def _format(wanted: _Format) -> dict[str, Any]:
    if wanted.type != "json_schema" or not bytes(wanted.schema):
        raise MalformedBody("output_config.format: only `json_schema` with a `schema`", param="output_config.format")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted.schema, "strict": True}}


def _tags(metadata: dict[str, msgspec.Raw] | None) -> tuple[str, ...]:
    raw = (metadata or {}).get("tags", msgspec.Raw(b""))
    if bytes(raw)[:1] != b"[":
        return ()
    items = msgspec.json.decode(raw, type=list[msgspec.Raw])
    return tuple(msgspec.json.decode(item, type=str) for item in items if bytes(item)[:1] == b'"')


def _strings(metadata: dict[str, msgspec.Raw] | None) -> dict[str, str]:
    found = (metadata or {}).items()
    return {key: msgspec.json.decode(value, type=str) for key, value in found if bytes(value)[:1] == b'"'}
