"""What a model says, piece by piece, as the output of a response: which item a piece belongs to, and which events tell it.

A piece of another kind closes the text before it; calls stay open to the end, because engines may go on with any of
them at any time. So every item is opened once and closed once, whatever the order in which pieces come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pointsman.core.surrogates import decoded
from pointsman.translation.responses_items import Call, Item, Part, PartKind, Spoken, Status, piece
from pointsman.translation.responses_json import NULL, array, inside, is_null, is_text, on_one_line, quoted
from pointsman.translation.responses_tools import Called

Emit = Callable[[bytes, bytes], None]
"""Takes an event's name and its own fields, encoded, without braces."""

_NAMES: dict[PartKind, bytes] = {
    "output_text": b"response.output_text", "refusal": b"response.refusal", "reasoning_text": b"response.reasoning_text",
}


class Said(msgspec.Struct, gc=False):
    """A message of a chat, or the delta of one."""

    content: msgspec.Raw = NULL
    reasoning: msgspec.Raw = NULL
    reasoning_content: msgspec.Raw = NULL
    refusal: msgspec.Raw = NULL
    tool_calls: Any = None


_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_logprobs = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Pending:
    """A call as the engine streams it: known by its index, shown once it has a name."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.pieces: list[bytes] = []
        self.item: Call | None = None


class Output:
    """Collects items and emits their events. `owner` makes their ids (the record's id)."""

    def __init__(self, owner: str, called: dict[str, Called], emit: Emit) -> None:
        self._owner, self._called, self._emit = owner, called, emit
        self.items: list[Item] = []
        self.statuses: list[Status] = []
        self._text: Spoken | None = None
        """The message or reasoning that is open."""
        self._calls: dict[int, _Pending] = {}
        self._pending: list[_Pending] = []
        self._last: Item | None = None

    def add(self, said: Said, logprobs: bytes = b"null") -> None:
        """One delta, or a whole message. Reasoning comes first: engines that say both in one think before they speak."""
        reasoning = said.reasoning_content if _has_text(said.reasoning_content) else said.reasoning
        if _has_text(reasoning):
            self._say("reasoning_text", text_of(reasoning), [])
        if _has_text(said.content):
            self._say("output_text", text_of(said.content), _entries(logprobs))
        if _has_text(said.refusal):
            self._say("refusal", text_of(said.refusal), [])
        if isinstance(said.tool_calls, list):
            for place, call in enumerate(said.tool_calls):
                if isinstance(call, dict):
                    self._call(place, call)

    def close(self, *, is_cut: bool) -> None:
        """Closes what is open. `is_cut`: the model was stopped, so the item it was at is not whole."""
        for pending in self._pending:
            if pending.item is None and pending.pieces:  # never named: what was written of it is not lost
                self._show(pending, "")
        for item in self.items:
            if self.statuses[item.index] == "in_progress":
                self._done(item, "incomplete" if is_cut and item is self._last else "completed")

    def encoded(self) -> list[bytes]:
        """All items as they stand."""
        return [item.encoded(status) for item, status in zip(self.items, self.statuses, strict=True)]

    def encoded_broken(self) -> list[bytes]:
        """The items of an answer that broke off. Calls that are not whole are left out: nobody may carry them out."""
        return [item.encoded("completed" if status == "completed" else "incomplete")
                for item, status in zip(self.items, self.statuses, strict=True)
                if status == "completed" or isinstance(item, Spoken)]

    # -- text

    def _say(self, kind: PartKind, text: bytes, logprobs: list[bytes]) -> None:
        if not text:
            return
        item = self._spoken(kind)
        part = item.parts[-1] if item.parts else None
        if part is None or part.kind != kind:
            if part is not None:
                self._part_done(item, part)
            part = Part(kind, len(item.parts))
            self._emit(b"response.content_part.added", b"%b,%b" % (_at_part(item, part), b'"part":' + part.encoded()))
            item.parts.append(part)
        part.pieces.append(text)
        part.logprobs += logprobs
        self._last = item
        more = b',"logprobs":' + array(logprobs) if kind == "output_text" else b""
        self._emit(_NAMES[kind] + b".delta", b'%b,"delta":"%b"%b' % (_at_part(item, part), text, more))

    def _spoken(self, kind: PartKind) -> Spoken:
        wanted = "reasoning" if kind == "reasoning_text" else "message"
        if self._text is not None and self._text.kind == wanted:
            return self._text
        self._close_text()
        self._text = item = Spoken("reasoning" if wanted == "reasoning" else "message", self._owner, len(self.items))
        self._open(item)
        return item

    def _close_text(self) -> None:
        item, self._text = self._text, None
        if item is not None:
            self._done(item, "completed")

    def _part_done(self, item: Spoken, part: Part) -> None:
        at = _at_part(item, part)
        field = b"refusal" if part.kind == "refusal" else b"text"
        more = b',"logprobs":' + array(part.logprobs) if part.kind == "output_text" else b""
        self._emit(_NAMES[part.kind] + b".done", b'%b,"%b":%b%b' % (at, field, part.text, more))
        self._emit(b"response.content_part.done", b'%b,"part":%b' % (at, part.encoded()))

    # -- calls

    def _call(self, place: int, delta: dict[str, Any]) -> None:
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        name = function.get("name")
        pending = self._pending_of(place, delta, has_name=bool(name))
        arguments = function.get("arguments")
        if arguments:
            text = piece(arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode())
            pending.pieces.append(text)
            if pending.item is not None:
                self._go_on(pending.item, text)
        if pending.item is None and isinstance(name, str) and name:
            self._show(pending, name)

    def _pending_of(self, place: int, delta: dict[str, Any], *, has_name: bool) -> _Pending:
        """Which call a delta goes on with. Some engines number every call 0: a new id with a name is a new call."""
        index, said_id = delta.get("index"), delta.get("id")
        key = index if isinstance(index, int) else place
        pending = self._calls.get(key)
        if pending is not None and not (has_name and said_id and pending.item is not None and said_id != pending.call_id):
            if not pending.call_id and isinstance(said_id, str) and pending.item is None:
                pending.call_id = said_id
            return pending
        pending = self._calls[key] = _Pending(said_id if isinstance(said_id, str) else "")
        self._pending.append(pending)
        return pending

    def _show(self, pending: _Pending, name: str) -> None:
        self._close_text()
        index = len(self.items)
        if not pending.call_id or any(isinstance(item, Call) and item.call_id == pending.call_id for item in self.items):
            pending.call_id = f"call_{self._owner}_{index}"  # two calls under one id could not be told apart
        called = self._called.get(name) or Called(name)
        item = Call(self._owner, index, pending.call_id, called)
        self._open(item)
        pending.item = item
        for text in pending.pieces:
            self._go_on(item, text)

    def _go_on(self, item: Call, text: bytes) -> None:
        item.pieces.append(text)
        self._last = item
        if not item.called.is_custom:  # a custom tool's input can only be read once its JSON is whole
            self._emit(b"response.function_call_arguments.delta", b'%b,"delta":"%b"' % (_at(item), text))

    # -- items

    def _open(self, item: Item) -> None:
        self.items.append(item)
        self.statuses.append("in_progress")
        self._last = item
        self._emit(b"response.output_item.added", b'"output_index":%d,"item":%b' % (item.index, item.encoded("in_progress")))

    def _done(self, item: Item, status: Status) -> None:
        self.statuses[item.index] = status
        if isinstance(item, Spoken):
            if item is self._text:
                self._text = None
            self._part_done(item, item.parts[-1])
        elif item.called.is_custom:
            self._emit(b"response.custom_tool_call_input.delta", b'%b,"delta":%b' % (_at(item), item.input))
            self._emit(b"response.custom_tool_call_input.done", b'%b,"input":%b' % (_at(item), item.input))
        else:
            named = b'%b,"name":%b,"arguments":%b' % (_at(item), quoted(item.called.name), item.arguments)
            self._emit(b"response.function_call_arguments.done", named)
        self._emit(b"response.output_item.done", b'"output_index":%d,"item":%b' % (item.index, item.encoded(status)))


def text_of(raw: bytes) -> bytes:
    """The inside of a string; of a list of parts (Mistral streams those) the insides of its texts."""
    if is_text(raw):
        return inside(raw)
    value = decoded(msgspec.json.decode, raw)
    parts = value if isinstance(value, list) else ()
    return b"".join(piece(part["text"]) for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _has_text(raw: bytes) -> bool:
    return bytes(raw) not in (b"null", b'""')


def _entries(logprobs: bytes) -> list[bytes]:
    """The tokens' entries; the two APIs write them alike."""
    if is_null(logprobs):
        return []
    try:
        content = decoded(_logprobs, logprobs).get("content", NULL)
        return [on_one_line(bytes(entry)) for entry in decoded(_raws, content)]
    except msgspec.ValidationError:  # a provider's odd shape: an answer without them is still an answer
        return []


def _at(item: Item) -> bytes:
    return b'"item_id":"%b","output_index":%d' % (item.id.encode(), item.index)


def _at_part(item: Spoken, part: Part) -> bytes:
    return b'%b,"content_index":%d' % (_at(item), part.index)
