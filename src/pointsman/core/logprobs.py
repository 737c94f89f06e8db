"""Asking an engine for log-probabilities that its client did not ask for, and taking them out of the answer again.

What the client gets is what the engine would have said unasked, byte for byte: most engines write `"logprobs":null` then,
llama.cpp writes nothing.
"""

from __future__ import annotations

import msgspec

from pointsman.core.request import ChatRequest, Edit, Kind
from pointsman.core.scan import members
from pointsman.core.splice import apply

_encode = msgspec.json.encode
_SILENT = frozenset(("llamacpp",))
"""Engines whose answers have no `logprobs` at all unless asked."""


def asking(request: ChatRequest, body: bytes, top: int) -> bytes | None:
    """`body`, a chat or a completion, asking for log-probabilities with `top` alternatives; None = the client asks itself."""
    fields, end = members(body)
    spans = {field.key: field for field in fields}
    own = spans.get("logprobs")
    if own is not None and body[own.start : own.end] not in (b"null", b"false"):
        return None
    wanted = {"logprobs": _encode(top)} if request.kind is Kind.COMPLETION else {"logprobs": b"true"}
    if top and request.kind is Kind.CHAT:
        wanted["top_logprobs"] = _encode(top)
    edits = []
    for name, value in wanted.items():
        if name in spans:
            edits.append(Edit(spans[name].start, spans[name].end, value))
        else:
            edits.append(Edit(end, end, b',"%b":%b' % (name.encode(), value)))
    return apply(body, _joined(edits))


def _joined(edits: list[Edit]) -> list[Edit]:
    """Insertions at one place in one edit: sorting would be free to swap them."""
    ends = {edit.start for edit in edits if edit.start == edit.end}
    inserted = [Edit(at, at, b"".join(edit.text for edit in edits if edit.start == edit.end == at)) for at in ends]
    return [*(edit for edit in edits if edit.start != edit.end), *inserted]


def stripped(data: bytes, engine: str) -> bytes:
    """`data` (a valid answer or event) without the log-probabilities in its choices; every other byte stays."""
    if b'"logprobs"' not in data:
        return data
    edits: list[Edit] = []
    for at in _choices(data):
        fields, _ = members(data, at)
        for place, field in enumerate(fields):
            if field.key != "logprobs" or data[field.start : field.end] == b"null":
                continue
            if engine not in _SILENT:
                edits.append(Edit(field.start, field.end, b"null"))
            elif place:  # with the comma in front of it
                edits.append(Edit(fields[place - 1].end, field.end, b""))
            else:
                edits.append(Edit(field.key_start, fields[1].key_start if len(fields) > 1 else field.end, b""))
    return apply(data, edits) if edits else data


def _choices(data: bytes) -> list[int]:
    """Where each choice begins."""
    top, _ = members(data)
    found: list[int] = []
    for field in top:
        if field.key == "choices" and data[field.start] == 0x5B:  # [
            at = _after_space(data, field.start + 1)
            while data[at] == 0x7B:  # {
                found.append(at)
                _, end = members(data, at)
                at = _after_space(data, end + 1)
                if data[at] != 0x2C:  # ,
                    break
                at = _after_space(data, at + 1)
    return found


def _after_space(data: bytes, at: int) -> int:
    while data[at] in b" \t\r\n":
        at += 1
    return at
