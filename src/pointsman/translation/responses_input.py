"""The items of a Responses request as the messages of a chat.

An assistant's text and the calls that follow it are several items here and one message there. What stands before the
first turn (`instructions`, system and developer messages) becomes one system message: many chat templates accept one
only, only at the start, and know no role `developer`.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.translation.objections import Objections
from pointsman.translation.responses_json import (
    BLANK_LINE,
    NULL,
    array,
    inside,
    is_null,
    is_text,
    object_of,
    quoted,
    read_at,
)
from pointsman.translation.responses_tools import Toolbox, text_arguments

_DROPPED = frozenset(("reasoning",))
_ROLES = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    role: str | None = None
    content: msgspec.Raw = NULL
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: msgspec.Raw = NULL
    input: msgspec.Raw = NULL
    output: msgspec.Raw = NULL


class _Part(msgspec.Struct, gc=False):
    type: str
    text: msgspec.Raw = NULL
    refusal: msgspec.Raw = NULL
    image_url: msgspec.Raw = NULL
    detail: msgspec.Raw = NULL
    input_audio: msgspec.Raw = NULL
    file_data: str | None = None
    filename: str | None = None


_items = msgspec.json.Decoder(list[_Item]).decode
_parts = msgspec.json.Decoder(list[_Part]).decode


class _Turn:
    """A message under construction."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.texts: list[bytes] = []
        """The insides of its texts, as long as there is nothing else."""
        self.parts: list[bytes] = []
        self.is_text = True
        self.calls: list[bytes] = []
        self.call_id = ""

    def add_text(self, raw: bytes) -> None:
        self.texts.append(inside(raw))
        self.parts.append(object_of((("type", b'"text"'), ("text", raw))))

    def add_part(self, part: bytes) -> None:
        self.is_text = False
        self.parts.append(part)

    def encoded(self) -> bytes:
        fields = [("role", quoted(self.role))]
        if self.call_id:
            fields.append(("tool_call_id", quoted(self.call_id)))
        fields.append(("content", self._content()))
        if self.calls:
            fields.append(("tool_calls", array(self.calls)))
        return object_of(fields)

    def _content(self) -> bytes:
        if not self.parts:
            return b"null" if self.calls else b'""'
        if self.is_text and len(self.texts) == 1:
            return b'"' + self.texts[0] + b'"'
        return array(self.parts)


def messages_of(instructions: bytes, given: bytes, box: Toolbox, objections: Objections | None = None) -> bytes:
    """`messages` of the chat. Raises MalformedBody or UnsupportedField with the path of the culprit."""
    objections = objections or Objections()
    turns: list[_Turn] = []
    if is_text(instructions):
        system = _Turn("system")
        system.add_text(instructions)
        turns.append(system)
    elif not is_null(instructions):
        raise MalformedBody("instructions: Expected `str`", param="instructions")
    if is_text(given):
        user = _Turn("user")
        user.add_text(given)
        turns.append(user)
    else:
        for place, item in enumerate(read_at("input", _items, given)):
            _take(f"input[{place}]", item, turns, box, objections)
    if not turns:
        raise MalformedBody("input: is empty; send a string or a list of items", param="input")
    return array(turn.encoded() for turn in _with_one_system_message(turns))


def _with_one_system_message(turns: list[_Turn]) -> list[_Turn]:
    count = 0
    while count < len(turns) and turns[count].role == "system" and turns[count].is_text:
        count += 1
    if count < 2 and not (count and len(turns[0].texts) > 1):
        return turns
    system = _Turn("system")
    system.add_text(b'"' + BLANK_LINE.join(text for turn in turns[:count] for text in turn.texts) + b'"')
    return [system, *turns[count:]]


def _take(path: str, item: _Item, turns: list[_Turn], box: Toolbox, objections: Objections) -> None:
    match item.type or ("message" if item.role is not None else ""):
        case "message":
            turn = _turn_for(path, item, turns)
            _fill(f"{path}.content", item.content, turn, objections)
        case "function_call":
            _call(path, item, _text(f"{path}.arguments", item.arguments), turns, box)
        case "custom_tool_call":
            _call(path, item, text_arguments(_text(f"{path}.input", item.input)), turns, box)
        case "function_call_output" | "custom_tool_call_output":
            turn = _Turn("tool")
            turn.call_id = _required(f"{path}.call_id", item.call_id)
            _fill(f"{path}.output", item.output, turn, objections)
            turns.append(turn)
        case kind if kind in _DROPPED:
            objections.is_plain = False
        case "item_reference":
            raise UnsupportedField(f"{path}: this router keeps no conversation state, so an `item_reference` refers to "
                                   "nothing; send the item itself", param=f"{path}.type")
        case "":
            raise MalformedBody(f"{path}.type: required", param=f"{path}.type")
        case kind:
            objections.object(UnsupportedField(
                f"{path}: an item of type {kind[:60]!r} belongs to a tool or a state that OpenAI's servers keep, and this "
                "router has neither; leave it out", param=f"{path}.type"))


def _turn_for(path: str, item: _Item, turns: list[_Turn]) -> _Turn:
    role = _ROLES.get(item.role or "")
    if role is None:
        raise MalformedBody(f"{path}.role: {str(item.role)[:60]!r} is none of user, assistant, system, developer",
                            param=f"{path}.role")
    if role == "assistant" and turns and turns[-1].calls and not turns[-1].parts:
        return turns[-1]  # the text of a turn whose calls came first
    turns.append(_Turn(role))
    return turns[-1]


def _call(path: str, item: _Item, arguments: bytes, turns: list[_Turn], box: Toolbox) -> None:
    name = box.chat_name(_required(f"{path}.name", item.name), item.namespace)
    if not turns or turns[-1].role != "assistant":
        turns.append(_Turn("assistant"))
    turns[-1].calls.append(object_of((
        ("id", quoted(_required(f"{path}.call_id", item.call_id))), ("type", b'"function"'),
        ("function", object_of((("name", quoted(name)), ("arguments", arguments)))),
    )))


def _fill(path: str, content: bytes, turn: _Turn, objections: Objections) -> None:
    """A string, or a list of content parts."""
    if is_text(content):
        turn.add_text(content)
        return
    for place, part in enumerate(read_at(path, _parts, content)):
        _add(f"{path}[{place}]", part, turn, objections)


def _add(path: str, part: _Part, turn: _Turn, objections: Objections) -> None:
    match part.type:
        case "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text":
            turn.add_text(_text(f"{path}.text", part.text))
        case "refusal":  # as text: to the model it is what it had said
            turn.add_text(_text(f"{path}.refusal", part.refusal))
        case "input_image":
            if not is_text(part.image_url):
                objections.object(UnsupportedField(
                    f"{path}: an image is sent as `image_url` (https or data URL); this router keeps no files, so there is none "
                    "by `file_id`", param=f"{path}.image_url"))
                return
            detail = () if is_null(part.detail) else (("detail", bytes(part.detail)),)
            url = object_of((("url", bytes(part.image_url)), *detail))
            turn.add_part(object_of((("type", b'"image_url"'), ("image_url", url))))
        case "input_audio":
            turn.add_part(object_of((("type", b'"input_audio"'), ("input_audio", bytes(part.input_audio)))))
        case "input_file":
            turn.add_text(quoted(_file_text(path, part, objections)))
        case other:
            objections.object(UnsupportedField(
                f"{path}: content of type {other[:60]!r} is not known here; send input_text or input_image", param=f"{path}.type"))


def _file_text(path: str, part: _Part, objections: Objections) -> str:
    """The text of a text file, its name in front."""
    objections.is_plain = False
    kind, _, data = (part.file_data or "").partition(",")
    if kind.startswith("data:text/") and kind.endswith(";base64"):
        try:
            text = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as exc:
            raise MalformedBody(f"{path}.file_data: not base64 of UTF-8 text: {exc}", param=f"{path}.file_data") from exc
        return f"{part.filename}:\n\n{text}" if part.filename else text
    objections.object(UnsupportedField(
        f"{path}: of files only texts are taken, as `file_data` with a `data:text/...;base64,` URL: models behind this router "
        "read text and images, and it keeps no files", param=f"{path}.file_data"))
    return part.filename or ""


def _text(path: str, raw: bytes) -> bytes:
    if not is_text(raw):
        raise MalformedBody(f"{path}: Expected `str`", param=path)
    return bytes(raw)


def _required(path: str, value: str | None) -> str:
    if not value:
        raise MalformedBody(f"{path}: required", param=path)
    return value
