"""Which format an attempt is written and read in: the chat of OpenAI's for nearly all, chosen once per attempt.

An endpoint that speaks the client's own API gets and gives the client's own bytes. One that speaks no chat at all is
spoken to in Messages, whatever the client speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from pointsman.core.dialect import CHAT, MESSAGES, is_native
from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Batch, Reply
from pointsman.core.request import ChatRequest, Kind
from pointsman.errors import BadAnswer, Untranslatable, UpstreamError
from pointsman.translation.messages_request import messages_body
from pointsman.upstream.formats import anthropic, openai, responses
from pointsman.upstream.formats.anthropic_stream import ChatOverMessages, MessageReader
from pointsman.upstream.formats.openai_convert import as_events
from pointsman.upstream.formats.openai_stream import StreamReader
from pointsman.upstream.formats.responses import ResponseReader


class Reader(Protocol):
    """Follows one streamed answer."""

    began: bool
    done: bool
    failure: UpstreamError | None

    @property
    def finished(self) -> bool: ...

    @property
    def reply(self) -> Reply: ...

    def feed(self, events: list[bytes]) -> Batch: ...

    def end(self) -> None: ...


class Form(msgspec.Struct, frozen=True):
    """One format, as four functions."""

    path: Callable[[ChatRequest], str]
    written: Callable[[EndpointSpec, Sequence[bytes]], Sequence[bytes]]
    """The body as it goes over the wire. Raises Untranslatable."""
    read: Callable[[str, ChatRequest, bytes], Reply]
    """A plain answer (endpoint, request, body)."""
    reader: Callable[[str, ChatRequest], Reader]
    events: Callable[[str, ChatRequest, bytes], list[bytes]]
    """A plain answer to a streamed request as events (endpoint, request, body)."""
    is_native: bool = False
    """The client's own API, which this endpoint may turn out not to speak."""


def form_of(endpoint: EndpointSpec, request: ChatRequest) -> Form:
    if request.native is not None and is_native(endpoint, request):
        return NATIVE_MESSAGES if request.native.dialect == MESSAGES else NATIVE_RESPONSES
    return OPENAI if CHAT in endpoint.dialects else OVER_MESSAGES


def _as_is(endpoint: EndpointSpec, body: Sequence[bytes]) -> Sequence[bytes]:
    return body


def _to_messages(endpoint: EndpointSpec, body: Sequence[bytes]) -> Sequence[bytes]:
    return (messages_body(b"".join(body), endpoint.max_output),)


def _chat_only(request: ChatRequest) -> str:
    if request.kind is not Kind.CHAT:
        raise Untranslatable(f"Anthropic's API has no {request.kind.value}s; name a model of another endpoint")
    return anthropic.PATH


def _not_streamed(endpoint: str, request: ChatRequest, body: bytes) -> list[bytes]:
    raise BadAnswer(f"endpoint {endpoint} answered a streamed request with a whole answer")


def _chat_events(endpoint: str, request: ChatRequest, body: bytes) -> list[bytes]:
    return as_events(request, anthropic.read_as_chat(endpoint, body).body)


OPENAI = Form(
    lambda request: openai.PATHS[request.kind], _as_is, openai.read_reply, StreamReader,
    lambda _endpoint, request, body: as_events(request, body))
OVER_MESSAGES = Form(
    _chat_only, _to_messages, lambda endpoint, _request, body: anthropic.read_as_chat(endpoint, body), ChatOverMessages,
    _chat_events)
NATIVE_MESSAGES = Form(
    lambda _request: anthropic.PATH, _as_is, lambda endpoint, _request, body: anthropic.read_message(endpoint, body),
    MessageReader, _not_streamed, is_native=True)
NATIVE_RESPONSES = Form(
    lambda _request: responses.PATH, _as_is, lambda endpoint, _request, body: responses.read_response(endpoint, body),
    ResponseReader, _not_streamed, is_native=True)
