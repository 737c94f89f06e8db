"""The client's bytes with a few spans changed: what goes upstream.

Changed are `model` (each endpoint knows the model by its own name), `stream_options` (usage is always asked for on
streams, or their cost could not be known) and, when a rule adds a system prompt, the start of the conversation.
Fields for the router itself (`fallbacks`, `timeout` ...) are taken out.
Every other byte arrives as the client sent it.
"""

from __future__ import annotations

import msgspec

from pointsman.core.request import ChatRequest, Edit, Kind
from pointsman.core.scan import members
from pointsman.core.surrogates import decoded

_encode = msgspec.json.encode
_text = msgspec.json.Decoder(str).decode
_options = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_USAGE = b'{"include_usage":true}'


def spliced(request: ChatRequest, model: str, system: str | None = None) -> bytes:
    """The body for an endpoint that knows the model as `model`."""
    start, end = _span(request, "model")
    if not request.cuts and not system and (request.include_usage or not request.stream):  # nearly every plain request
        return b"%b%b%b" % (request.body[:start], _encode(model), request.body[end:])
    edits = [Edit(start, end, _encode(model))]
    if request.cuts:
        edits += [Edit(cut.start, cut.end, b"") for cut in request.cuts]
    if request.stream and not request.include_usage:
        edits.append(_asking_for_usage(request))
    if system:
        edits.append(_with_system(request, system))
    return apply(request.body, edits)


def apply(body: bytes, edits: list[Edit]) -> bytes:
    """`body` with all `edits` made; they must not overlap.

    >>> apply(b"abcd", [Edit(1, 2, b"X"), Edit(3, 3, b"-")])
    b'aXc-d'
    """
    pieces: list[bytes] = []
    at = 0
    for edit in sorted(edits, key=_start):
        pieces += (body[at : edit.start], edit.text)
        at = edit.end
    pieces.append(body[at:])
    return b"".join(pieces)


def _start(edit: Edit) -> int:
    return edit.start


def _span(request: ChatRequest, field: str) -> tuple[int, int]:
    span = request.spans[field]
    return span.start, span.end


def _asking_for_usage(request: ChatRequest) -> Edit:
    if "stream_options" not in request.spans:
        return Edit(request.fields_end, request.fields_end, b',"stream_options":' + _USAGE)
    start, end = _span(request, "stream_options")
    options = decoded(_options, request.body[start:end]) or {}
    return Edit(start, end, _encode(options | {"include_usage": True}))


def _with_system(request: ChatRequest, system: str) -> Edit:
    """Chat: into the leading system message, or as one before all others. Completions: before the prompt, or each of several; where
    prompts are tokens nothing can stand before them.

    Why merge? Many chat templates accept one system message only, and only at the start.
    """
    if request.kind is Kind.COMPLETION:
        if "prompt" not in request.spans:
            return Edit(request.fields_end, request.fields_end, b',"prompt":' + _encode(system))
        start, end = _span(request, "prompt")
        prompt = decoded(msgspec.json.decode, request.body[start:end])
        if isinstance(prompt, str):
            return Edit(start, end, _encode(f"{system}\n\n{prompt}"))
        if isinstance(prompt, list) and any(isinstance(each, str) for each in prompt):
            return Edit(start, end, _encode([f"{system}\n\n{each}" if isinstance(each, str) else each for each in prompt]))
        return Edit(start, start, b"")
    start, _ = _span(request, "messages")
    if request.messages and request.messages[0].role in ("system", "developer"):
        fields, _ = members(request.body, start + 1)
        # Of duplicates the last counts, as for every JSON reader behind us.
        content = next((field for field in reversed(fields) if field.key == "content"), None)
        if content is not None and request.body[content.start] == 0x22:  # a string
            text = decoded(_text, request.body[content.start : content.end])
            return Edit(content.start, content.end, _encode(f"{system}\n\n{text}"))
    comma = b"," if request.messages else b""
    return Edit(start + 1, start + 1, _encode({"role": "system", "content": system}) + comma)
