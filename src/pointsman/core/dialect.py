"""The APIs in which a chat can be put to an endpoint, and which of them an attempt speaks.

A client asks in one of them. An endpoint that speaks it too gets the client's own bytes; any other gets them translated,
attempt by attempt, so that a retry may change the API and the client never sees it.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.core.request import ChatRequest, Edit, Native
from pointsman.core.splice import apply, spliced
from pointsman.core.surrogates import decoded
from pointsman.errors import Untranslatable

CHAT: Final = "chat"
MESSAGES: Final = "messages"
RESPONSES: Final = "responses"
Dialect = Literal["chat", "messages", "responses"]

_encode = msgspec.json.encode
_text = msgspec.json.Decoder(str).decode


def is_native(endpoint: EndpointSpec, request: ChatRequest) -> bool:
    """The endpoint gets the client's own bytes in the client's own API."""
    native = request.native
    return native is not None and native.dialect in endpoint.dialects and (endpoint.is_origin or native.is_plain)


def body_for(endpoint: EndpointSpec, request: ChatRequest, system: str | None = None) -> bytes:
    """What this endpoint is sent: the client's own body where it can read that, else the chat that it was translated to.

    `system` is what a rule adds to the conversation. Raises Untranslatable.
    """
    native = request.native
    if native is None:
        return spliced(request, endpoint.model, system)
    if is_native(endpoint, request):
        return _own(native, endpoint, system)
    if native.only_at_origin:
        raise Untranslatable(f"endpoint {endpoint.id} cannot do what only the API's own provider does: {native.only_at_origin}")
    return spliced(request, endpoint.model, system)


def _own(native: Native, endpoint: EndpointSpec, system: str | None) -> bytes:
    edits = [Edit(native.model.start, native.model.end, _encode(endpoint.model))]
    edits += [Edit(cut.start, cut.end, b"") for cut in native.cuts]
    if endpoint.is_origin:
        edits += [Edit(span.start, span.end, said) for span, said in native.for_origin]
    elif native.billing is not None:
        edits.append(Edit(native.billing.start, native.billing.end, b""))
    if system:
        edits.append(_with_system(native, system))
    return apply(native.body, edits)


def _with_system(native: Native, system: str) -> Edit:
    """In front of what the client instructs, as in a chat."""
    field = b"instructions" if native.dialect == RESPONSES else b"system"
    span, body = native.system, native.body
    if span is None:
        return Edit(native.fields_end, native.fields_end, b',"%b":%b' % (field, _encode(system)))
    value = body[span.start : span.end]
    if value[:1] == b'"':
        return Edit(span.start, span.end, _encode(f"{system}\n\n{decoded(_text, value)}"))
    if value[:1] == b"[":
        comma = b"" if value[1:].lstrip()[:1] == b"]" else b","
        return Edit(span.start + 1, span.start + 1, _encode({"type": "text", "text": system}) + comma)
    return Edit(span.start, span.end, _encode(system))
