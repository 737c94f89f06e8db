"""The output items of a response, as they are when nothing more is said in them.

Texts are kept as the insides of JSON strings (see `responses_json`), so that joining them is all there is to do.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pointsman.translation.responses_json import array, inside, object_of, quoted
from pointsman.translation.responses_tools import Called, text_of_arguments

Status = Literal["in_progress", "completed", "incomplete"]
PartKind = Literal["output_text", "refusal", "reasoning_text"]


class Part:
    """One content part of a message or of reasoning."""

    def __init__(self, kind: PartKind, index: int) -> None:
        self.kind, self.index = kind, index
        self.pieces: list[bytes] = []
        self.logprobs: list[bytes] = []

    @property
    def text(self) -> bytes:
        """A JSON string."""
        return b'"' + b"".join(self.pieces) + b'"'

    def encoded(self) -> bytes:
        if self.kind == "output_text":
            return b'{"type":"output_text","text":%b,"annotations":[],"logprobs":%b}' % (self.text, array(self.logprobs))
        field = b"refusal" if self.kind == "refusal" else b"text"
        return b'{"type":"%b","%b":%b}' % (self.kind.encode(), field, self.text)


class Spoken:
    """A message, or the reasoning before it."""

    def __init__(self, kind: Literal["message", "reasoning"], owner: str, index: int) -> None:
        self.kind, self.index = kind, index
        self.id = f"{'msg' if kind == 'message' else 'rs'}_{owner}_{index}"
        self.parts: list[Part] = []

    def encoded(self, status: Status) -> bytes:
        content = array(part.encoded() for part in self.parts)
        own = (("role", b'"assistant"'),) if self.kind == "message" else (("summary", b"[]"),)
        return object_of((("id", quoted(self.id)), ("type", quoted(self.kind)), ("status", quoted(status)), *own,
                          ("content", content)))


class Call:
    """A call of a function or of a custom tool."""

    def __init__(self, owner: str, index: int, call_id: str, called: Called) -> None:
        self.index, self.call_id, self.called = index, call_id, called
        self.id = f"{'ctc' if called.is_custom else 'fc'}_{owner}_{index}"
        self.pieces: list[bytes] = []

    @property
    def kind(self) -> str:
        return "custom_tool_call" if self.called.is_custom else "function_call"

    @property
    def arguments(self) -> bytes:
        """A JSON string: what the model wrote, which is JSON itself as far as the model kept to it."""
        return b'"' + b"".join(self.pieces) + b'"'

    @property
    def input(self) -> bytes:
        """A custom tool's input, a JSON string."""
        return quoted(text_of_arguments(_plain(self.arguments)))

    def encoded(self, status: Status) -> bytes:
        payload = ("input", self.input if self.pieces else b'""') if self.called.is_custom else ("arguments", self.arguments)
        space = (("namespace", quoted(self.called.namespace)),) if self.called.namespace else ()
        return object_of((
            ("id", quoted(self.id)), ("type", quoted(self.kind)), ("status", quoted(status)),
            ("call_id", quoted(self.call_id)), ("name", quoted(self.called.name)), *space, payload,
        ))


Item = Spoken | Call


def _plain(text: bytes) -> str:
    return msgspec.json.decode(text, type=str)


def piece(text: str) -> bytes:
    """Decoded text as a piece."""
    return inside(quoted(text))
