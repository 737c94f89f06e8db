"""The tools of a Responses request as functions of a chat, and back from the function's name to what was called.

Every engine knows functions; only OpenAI's own API knows free-form (`custom`) tools and namespaces. So a custom tool
becomes a function with one string, `input`, and a namespace's functions become plain ones under a joined name. What a
model then calls is shown to the client as the tool that it had offered.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from pointsman.core.scan import members
from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.translation.objections import Objections
from pointsman.translation.responses_json import NULL, array, is_null, is_text, object_of, quoted, read_at

NAME_MAX = 64
"""Characters of a function's name that OpenAI and the engines accept."""

HOSTED = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp", "tool_search")
"""How the types of tools begin that OpenAI's own servers run. Codex offers some of them beside its own in every request."""


class Called(msgspec.Struct, frozen=True, gc=False):
    """What a function of the chat stands for on the client's side."""

    name: str
    is_custom: bool = False
    namespace: str = ""


class _Head(msgspec.Struct, gc=False):
    type: str
    name: str | None = None


class _Custom(msgspec.Struct, gc=False):
    name: str
    description: str | None = None
    format: dict[str, Any] | None = None


class _Namespace(msgspec.Struct, gc=False):
    name: str
    tools: list[msgspec.Raw]


class _Choice(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str = "auto"
    tools: list[_Choice] = []


_raws = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_head = msgspec.json.Decoder(_Head).decode
_custom = msgspec.json.Decoder(_Custom).decode
_namespace = msgspec.json.Decoder(_Namespace).decode
_choice = msgspec.json.Decoder(_Choice).decode
_mode = msgspec.json.Decoder(str).decode


class Toolbox:
    """The tools of one request. Raises UnsupportedField for those that would have to run here, MalformedBody."""

    def __init__(self, tools: bytes = NULL, objections: Objections | None = None, choice: bytes = NULL) -> None:
        """Hosted tools are left out while the model has others and `choice` names none of them."""
        self._objections = objections or Objections()
        self._hosted: list[tuple[str, UnsupportedField]] = []
        self.offered: dict[str, bytes] = {}
        """Function name in the chat -> the tool, encoded; in the client's order."""
        self.called: dict[str, Called] = {}
        """Only of functions that stand for something else than a plain function of the same name."""
        self._names: dict[tuple[str, str], str] = {}
        for place, raw in enumerate(read_at("tools", _raws, tools) or ()):
            self._add(f"tools[{place}]", bytes(raw), "")
        self._objections.hosted(self._hosted, is_wanted=not self.offered or (bool(self._hosted) and _names_hosted(choice)))

    def chat_name(self, name: str, namespace: str | None = None) -> str:
        """The function's name in the chat; tools that are not offered (any more) keep or join theirs."""
        namespace = namespace or ""
        known = self._names.get((namespace, name))
        if known is None:
            known = name if not namespace else self._joined(namespace, name)
        return known

    def choice(self, raw: bytes) -> tuple[bytes, Collection[str]]:
        """`tool_choice` of the chat, and the tools that it leaves on offer."""
        if is_null(raw):
            return NULL, self.offered
        if is_text(raw):
            read_at("tool_choice", _mode, raw)
            return raw, self.offered
        choice = read_at("tool_choice", _choice, raw)
        if choice.type == "allowed_tools":
            only_hosted = all(tool.type.startswith(HOSTED) for tool in choice.tools)
            named = {self._chosen(f"tool_choice.tools[{i}]", tool) for i, tool in enumerate(choice.tools)
                     if only_hosted or not tool.type.startswith(HOSTED)}
            return quoted(choice.mode), [name for name in self.offered if name in named]
        name = self._chosen("tool_choice", choice)
        if not name:
            return NULL, self.offered
        return object_of((("type", b'"function"'), ("function", object_of((("name", quoted(name)),))))), self.offered

    def _chosen(self, path: str, choice: _Choice) -> str:
        if choice.type not in ("function", "custom"):
            self._objections.object(_built_in(path, choice.type))
            return ""
        if choice.name is None:
            raise MalformedBody(f"{path}.name: required", param=f"{path}.name")
        return self.chat_name(choice.name, choice.namespace)

    def _add(self, path: str, raw: bytes, namespace: str) -> None:
        head = read_at(path, _head, raw)
        match head.type:
            case "function":
                if head.name is None:
                    raise MalformedBody(f"{path}.name: required", param=f"{path}.name")
                name = self._enter(Called(head.name, namespace=namespace))
                self._offer(name, _as_function(raw, name))
            case "custom":
                tool = read_at(path, _custom, raw)
                name = self._enter(Called(tool.name, is_custom=True, namespace=namespace))
                self._offer(name, _as_text_function(name, tool))
            case "namespace" if not namespace:
                group = read_at(path, _namespace, raw)
                for place, inner in enumerate(group.tools):
                    self._add(f"{path}.tools[{place}]", bytes(inner), group.name)
            case other if other.startswith(HOSTED):
                self._hosted.append((other, _built_in(path, other)))
            case other:
                self._objections.object(_built_in(path, other))

    def _enter(self, called: Called) -> str:
        name = called.name if not called.namespace else self._joined(called.namespace, called.name)
        self._names[called.namespace, called.name] = name
        if called.is_custom or called.namespace:
            self.called[name] = called
        return name

    def _offer(self, name: str, function: bytes) -> None:
        self.offered[name] = object_of((("type", b'"function"'), ("function", function)))

    def _joined(self, namespace: str, name: str) -> str:
        """`crm` and `find` -> `crm__find`, shortened at its start when too long, and never a name that is taken."""
        wanted = f"{namespace}{'' if namespace.endswith('__') else '__'}{name}"[-NAME_MAX:]
        joined, number = wanted, 1
        while joined in self.offered:
            number += 1
            joined = f"{wanted[:NAME_MAX - 4]}_{number}"
        return joined


def _names_hosted(choice: bytes) -> bool:
    """`tool_choice` forces a hosted tool."""
    if is_null(choice) or is_text(choice):
        return False
    chosen = read_at("tool_choice", _choice, choice)
    allowed = chosen.tools if chosen.type == "allowed_tools" else [chosen]
    return bool(allowed) and all(tool.type.startswith(HOSTED) for tool in allowed)


def _as_function(raw: bytes, name: str) -> bytes:
    """The tool's own members, but for `type` and what is null: engines expect absent, not null."""
    fields, _ = members(raw)
    kept = [(field.key, raw[field.key_start : field.end]) for field in fields
            if field.key not in ("type", "name") and not is_null(raw[field.start : field.end])]
    return b'{"name":' + quoted(name) + b"".join(b"," + member for _, member in kept) + b"}"


def _as_text_function(name: str, tool: _Custom) -> bytes:
    """A function with one string. A grammar cannot be enforced on every engine, so the model is told about it."""
    said = [tool.description] if tool.description else []
    form = tool.format or {}
    if form.get("type") == "grammar":
        said.append(f"The input follows this {form.get('syntax', '')} grammar:\n{form.get('definition', '')}")
    parameters = {"type": "object", "properties": {"input": {"type": "string", "description": "the tool's whole input"}},
                  "required": ["input"], "additionalProperties": False}
    fields: dict[str, Any] = {"name": name}
    if said:
        fields["description"] = "\n\n".join(said)
    return msgspec.json.encode(fields | {"parameters": parameters})


def text_arguments(text: bytes) -> bytes:
    """The arguments (a JSON string, itself JSON) of a custom tool's function, from its input (a JSON string)."""
    return quoted('{"input":' + bytes(text).decode() + "}")


def text_of_arguments(arguments: str) -> str:
    """A custom tool's input from its function's arguments; what is not as expected is handed on as it is."""
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    text = value.get("input") if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def _built_in(path: str, kind: str) -> UnsupportedField:
    return UnsupportedField(
        f"{path}: the built-in tool {kind[:60]!r} would run on the server, and this router runs no tools; take it out, or "
        "offer a `function` or `custom` tool that your program runs", param=f"{path}.type")


def encoded_tools(box: Toolbox, names: Collection[str]) -> bytes:
    """The chat's `tools`: of those on offer, the named."""
    return array(box.offered[name] for name in names)
