"""The conversation of an Anthropic request as OpenAI messages.

What has no counterpart is either of no use to another model (`cache_control`, thinking of earlier turns) and left out,
or the request would mean something else without it (a PDF, results of Anthropic's own tools): refused with its path.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.translation.objections import Objections

_MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}")
_THOUGHTS = frozenset(("thinking", "redacted_thinking"))
_ALREADY_AN_ERROR = ("Error", "error", "<tool_use_error>")
_BILLING = "x-anthropic-billing-header"
"""How the block begins that Claude Code puts before its system prompt: accounting for Anthropic, different with each
request, so that it would only keep engines from using their prefix cache."""


class Source(msgspec.Struct, gc=False):
    """Where an image or a document comes from."""

    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: str | list[Block] | None = None


class Block(msgspec.Struct, gc=False):
    """A content block of any type: which fields count depends on `type`."""

    type: str
    text: str | None = None
    source: str | Source | None = None
    title: str | None = None
    context: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    tool_use_id: str | None = None
    content: str | list[Block] | dict[str, msgspec.Raw] | None = None
    is_error: bool | None = None
    signature: str | None = None


class Turn(msgspec.Struct, gc=False):
    """One message."""

    role: str
    content: str | list[Block]


class Conversation:
    """OpenAI's messages, built turn by turn. Raises MalformedBody and UnsupportedField with the path."""

    def __init__(self, objections: Objections | None = None) -> None:
        self._objections = objections or Objections()
        self.messages: list[dict[str, Any]] = []
        self.has_unsigned = False
        """A thought without a signature: an engine's, which Anthropic refuses."""
        self.images = 0
        self.image_chars = 0
        """Characters of the messages that are pictures: no text, so they are not counted as tokens."""

    def instruct(self, system: str | list[Block], where: str) -> None:
        """A system prompt, as one string: many chat templates take no other."""
        text = system if isinstance(system, str) else "\n\n".join(
            text for text in (_text(block, f"{where}.{i}") for i, block in enumerate(system)) if _is_prompt(text))
        if text:
            self.messages.append({"role": "system", "content": text})

    def add(self, turn: Turn, number: int) -> None:
        where, content = f"messages.{number}", turn.content
        if turn.role not in ("user", "assistant", "system"):
            raise MalformedBody(f"{where}.role: {turn.role[:40]!r} is neither 'user' nor 'assistant'", param=f"{where}.role")
        if isinstance(content, str):
            self.messages.append({"role": turn.role, "content": content})
        elif turn.role == "user":
            self._user(content, f"{where}.content")
        elif turn.role == "assistant":
            self._assistant(content, f"{where}.content")
        else:
            self.instruct(content, f"{where}.content")
        if turn.role == "system":
            self._objections.is_plain = False  # turns of the system's in between are new, and not every engine's

    def _user(self, blocks: list[Block], where: str) -> None:
        """Tool results become messages of their own, before what the user says: OpenAI wants them right behind the calls."""
        shown: list[dict[str, Any]] = []
        parts: list[dict[str, Any]] = []
        for i, block in enumerate(blocks):
            if block.type == "tool_result":
                shown += self._result(block, f"{where}.{i}")
            else:
                parts += self._parts(block, f"{where}.{i}")
        parts = shown + parts
        if parts or not blocks:
            self.messages.append({"role": "user", "content": _content(parts)})

    def _result(self, block: Block, where: str) -> list[dict[str, Any]]:
        """Adds a `tool` message; returns what only a user's message can carry, its images."""
        if not block.tool_use_id:
            raise MalformedBody(f"{where}.tool_use_id: a tool result needs the id of its call", param=f"{where}.tool_use_id")
        parts = self._inner(block.content, f"{where}.content")
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        if block.is_error and not text.startswith(_ALREADY_AN_ERROR):
            text = f"Error: {text}"
        images = [part for part in parts if part["type"] != "text"]
        if images:
            text = f"{text}\n(images: see the next message)".lstrip()
            # In a tag that classifiers set aside: these are not the user's words.
            label = f"<tool-result>images that {block.tool_use_id} returned</tool-result>"
            images.insert(0, {"type": "text", "text": label})
        self.messages.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": text})
        return images

    def _assistant(self, blocks: list[Block], where: str) -> None:
        text, calls = "", []
        for i, block in enumerate(blocks):
            if block.type == "text":
                text += block.text or ""  # several are one text, cut where citations begin
            elif block.type == "tool_use":
                calls.append(_call(block, f"{where}.{i}"))
            elif block.type not in _THOUGHTS:
                self._objections.object(_unknown(block, f"{where}.{i}"))
            elif block.type == "thinking" and not block.signature:
                self.has_unsigned = True
            else:
                self._objections.is_plain = False  # Anthropic's own thought: no engine can use it
        message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
        self.messages.append(message | ({"tool_calls": calls} if calls else {}))

    def _inner(self, content: str | list[Block] | dict[str, msgspec.Raw] | None, where: str) -> list[dict[str, Any]]:
        if content is None or isinstance(content, str):
            return [_part(content or "")]
        if isinstance(content, dict):
            raise MalformedBody(f"{where}: expected text or a list of blocks", param=where)
        return [part for i, block in enumerate(content) for part in self._parts(block, f"{where}.{i}")]

    def _parts(self, block: Block, where: str) -> list[dict[str, Any]]:
        match block.type:
            case "text":
                return [_part(block.text)] if block.text else []
            case "image":
                return self._image(block, where)
            case "document":
                self._objections.is_plain = False
                return self._document(block, where)
            case "search_result":
                self._objections.is_plain = False
                source = block.source if isinstance(block.source, str) else ""
                head = [_part("\n".join(line for line in (block.title, source) if line))]
                return head + self._inner(block.content, f"{where}.content")
        self._objections.object(_unknown(block, where))
        return []

    def _image(self, block: Block, where: str) -> list[dict[str, Any]]:
        source = block.source
        if isinstance(source, Source) and source.type == "base64" and source.data and source.media_type:
            if not _MEDIA_TYPE.fullmatch(source.media_type):
                raise MalformedBody(f"{where}.source.media_type: not a media type", param=f"{where}.source.media_type")
            url = f"data:{source.media_type};base64,{source.data}"
        elif isinstance(source, Source) and source.type == "url" and source.url:
            url = source.url
        else:
            self._objections.object(UnsupportedField(
                f"{where}.source: send images as `base64` with data and media_type, or as `url`; files that were uploaded to "
                "Anthropic are only there", param=f"{where}.source"))
            url = ""
        self.images += 1
        self.image_chars += len(url)
        return [{"type": "image_url", "image_url": {"url": url}}]

    def _document(self, block: Block, where: str) -> list[dict[str, Any]]:
        source = block.source
        head = "\n".join(line for line in (block.title, block.context) if line)
        if isinstance(source, Source) and source.type == "text" and source.data is not None:
            return [_part("\n".join(text for text in (head, source.data) if text))]
        if isinstance(source, Source) and source.type == "content":
            return ([_part(head)] if head else []) + self._inner(source.content, f"{where}.source.content")
        self._objections.object(UnsupportedField(
            f"{where}: only documents of text can be translated for other models; send the text of this one, or its pages as "
            "images", param=where))
        return [_part(head)] if head else []


def _part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _content(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """One text as a string, as most clients write it; everything else as the list that it is."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _call(block: Block, where: str) -> dict[str, Any]:
    if not block.id or not block.name:
        missing = "name" if block.id else "id"
        raise MalformedBody(f"{where}.{missing}: a tool call needs its {missing}", param=f"{where}.{missing}")
    arguments = bytes(block.input).decode()
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def _text(block: Block, where: str) -> str:
    if block.type != "text":
        raise MalformedBody(f"{where}.type: a system prompt is made of `text` blocks, not {block.type[:40]!r}",
                            param=f"{where}.type")
    return block.text or ""


def _is_prompt(text: str) -> bool:
    return bool(text) and not text.startswith(_BILLING)


def _unknown(block: Block, where: str) -> UnsupportedField:
    return UnsupportedField(f"{where}.type: blocks of type {block.type[:60]!r} cannot be translated for other models",
                            param=f"{where}.type")
