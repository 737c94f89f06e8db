"""The messages of an OpenAI chat as the turns and the system prompt of an Anthropic request.

Every system and developer message moves into the one system prompt, in their order. Results of tools and what the user
says after them become one user turn, results first, as Anthropic wants them right behind the calls. Blocks without
text are left out, because Anthropic refuses them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from pointsman.core.surrogates import decoded
from pointsman.errors import Untranslatable
from pointsman.translation.tool_input import tool_input

_DATA_URL = re.compile(r"data:([\w.+-]{1,64}/[\w.+-]{1,64})(?:;[\w.+=-]{1,64})*;base64,", re.ASCII)
_BAD_IN_ID = re.compile(r"[^A-Za-z0-9_-]")
_decode = msgspec.json.decode
NOTHING = msgspec.Raw(b"")


class Image(msgspec.Struct, gc=False):
    url: str = ""


class File(msgspec.Struct, gc=False):
    file_data: str | None = None
    filename: str | None = None


class Part(msgspec.Struct, gc=False):
    """A content part of any type."""

    type: str = "text"
    text: str | None = None
    refusal: str | None = None
    image_url: Image | str | None = None
    file: File | None = None
    cache_control: msgspec.Raw = NOTHING


class Function(msgspec.Struct, gc=False):
    name: str = ""
    arguments: Any = None


class Call(msgspec.Struct, gc=False):
    id: str | None = None
    type: str | None = None
    function: Function | None = None


class ChatTurn(msgspec.Struct, gc=False):
    """One message of a chat."""

    role: str
    content: str | list[Part | str] | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None
    thinking_blocks: msgspec.Raw = NOTHING
    """Thoughts with their signatures, as some OpenAI clients keep them: only so can they be shown to Anthropic again."""
    cache_control: msgspec.Raw = NOTHING


class Turns:
    """Anthropic's messages, built one by one. Raises Untranslatable."""

    def __init__(self) -> None:
        self.system: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []

    def add(self, turn: ChatTurn, number: int) -> None:
        where = f"messages[{number}]"
        match turn.role:
            case "system" | "developer":
                self.system += _blocks(turn.content, where)
            case "assistant":
                self._join("assistant", _said(turn, where))
            case "tool" | "function":
                result = {"type": "tool_result", "tool_use_id": call_id(turn.tool_call_id or turn.name or "")}
                self._join("user", [result | _content_of(turn, where) | _cached(turn.cache_control)])
            case _:
                self._join("user", _blocks(turn.content, where))

    def finished(self) -> tuple[Any, list[dict[str, Any]]]:
        """`system` (a string where one text is all there is) and `messages`."""
        for message in self.messages:
            content = message["content"]
            if len(content) == 1 and content[0].keys() == {"type", "text"}:
                message["content"] = content[0]["text"]
        if self.messages and self.messages[-1]["role"] == "assistant":
            _without_trailing_space(self.messages[-1])
        if all(block.keys() == {"type", "text"} for block in self.system):
            return "\n\n".join(block["text"] for block in self.system), self.messages
        return self.system, self.messages

    def _join(self, role: str, blocks: list[dict[str, Any]]) -> None:
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})


def call_id(given: str) -> str:
    """An id that Anthropic takes; calls and their results change alike.

    >>> call_id("call_1"), call_id("functions.find:0")
    ('call_1', 'functions_find_0-93291b')
    """
    if given and not _BAD_IN_ID.search(given):
        return given
    mark = hashlib.blake2b(given.encode("utf-8", "replace"), digest_size=3).hexdigest()
    return f"{_BAD_IN_ID.sub('_', given)[:50]}-{mark}"


def _said(turn: ChatTurn, where: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if bytes(turn.thinking_blocks)[:1] == b"[":
        blocks += decoded(_decode, bytes(turn.thinking_blocks))
    blocks += _blocks(turn.content, where)
    if turn.refusal:
        blocks.append({"type": "text", "text": turn.refusal})
    for call in turn.tool_calls or ():
        if call.function is None:
            raise Untranslatable(f"{where}.tool_calls: a call of type {str(call.type)[:40]!r} cannot be said to Anthropic")
        blocks.append(_use(call.id or call.function.name, call.function))
    if turn.function_call is not None:
        blocks.append(_use(turn.function_call.name, turn.function_call))
    return blocks


def _use(id: str, function: Function) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id(id), "name": function.name, "input": tool_input(function.arguments)}


def _content_of(turn: ChatTurn, where: str) -> dict[str, Any]:
    if isinstance(turn.content, str):
        return {"content": turn.content}
    blocks = _blocks(turn.content, where)
    return {"content": blocks} if blocks else {}


def _blocks(content: str | list[Part | str] | None, where: str) -> list[dict[str, Any]]:
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    blocks = []
    for i, part in enumerate(content):
        if isinstance(part, str):
            part = Part(text=part)
        block = _block(part, f"{where}.content[{i}]")
        if block is not None:
            blocks.append(block | _cached(part.cache_control))
    return blocks


def _block(part: Part, where: str) -> dict[str, Any] | None:
    match part.type:
        case "text" | "input_text" | "output_text" | "refusal":
            text = part.refusal if part.type == "refusal" else part.text
            return {"type": "text", "text": text} if text else None
        case "image_url":
            url = part.image_url.url if isinstance(part.image_url, Image) else part.image_url or ""
            return {"type": "image", "source": _source(url, where)}
        case "file" if part.file is not None and part.file.file_data:
            block: dict[str, Any] = {"type": "document", "source": _source(part.file.file_data, where)}
            return block | ({"title": part.file.filename} if part.file.filename else {})
    raise Untranslatable(f"{where}: content of type {part.type[:40]!r} cannot be said to Anthropic's models")


def _source(url: str, where: str) -> dict[str, Any]:
    if match := _DATA_URL.match(url):
        return {"type": "base64", "media_type": match[1], "data": url[match.end():]}
    if url[:8].lower() == "https://" or url[:7].lower() == "http://":
        return {"type": "url", "url": url}
    raise Untranslatable(f"{where}: neither a base64 data URL nor an https URL")


def _cached(control: msgspec.Raw) -> dict[str, Any]:
    """`cache_control` beside a part is Anthropic's own: clients of OpenAI's format write it for Anthropic's models."""
    return {"cache_control": control} if bytes(control)[:1] == b"{" else {}


def _without_trailing_space(message: dict[str, Any]) -> None:
    """Anthropic refuses a last assistant turn, which it is to go on with, that ends in space."""
    content = message["content"]
    if isinstance(content, str):
        message["content"] = content.rstrip() or content
    elif content and content[-1].get("type") == "text":
        content[-1]["text"] = content[-1]["text"].rstrip() or content[-1]["text"]
