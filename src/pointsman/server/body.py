"""A client's bytes, read once: JSON in, `ChatRequest` out, every objection a 400 with its path.

Only what routing needs is typed; fields that we do not know are the upstream's business and are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pointsman.core.misfit import Misfit, typed
from pointsman.core.request import Caller, ChatRequest, Kind, Message, Needs, Span
from pointsman.core.scan import Member, TooDeep, members
from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.server.limits import CONSUMED, MAX_TAGS, cuts, limits_of, named_by_models, tags_asked, tags_of
from pointsman.server.session_id import MAX as SESSION_MAX

_REFUSED = {
    "api_base": "endpoints come from the configuration only",
    "base_url": "endpoints come from the configuration only",
    "api_key": "credentials come from the configuration only",
    "user_config": "endpoints come from the configuration only",
    "provider": "per-request provider preferences are not supported; order the pools of a tier instead",
}
_SPLICED = ("model", "stream_options", "messages", "prompt")
_READ = frozenset((
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "tools", "functions",
    "response_format", "logprobs", "top_logprobs", "metadata", "prompt", "best_of", "input", *_REFUSED, *CONSUMED,
))


_GUARDED = frozenset((*_SPLICED, "stream", "input", "models", "fallbacks", *_REFUSED))
"""Fields that decide where a request goes or how it is paid: a twin in other case (`Model`) must not slip past us to an
engine that matches names ignoring case, as servers written in Go do."""


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None


class _Turn(msgspec.Struct, gc=False):
    role: str
    content: str | list[_Part | str] | None = None


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Format(msgspec.Struct, gc=False):
    type: str = ""


class _Common(msgspec.Struct, gc=False, kw_only=True):
    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")


class _Chat(_Common, gc=False, kw_only=True):
    messages: list[_Turn]
    max_completion_tokens: int | None = None
    tools: list[msgspec.Raw] | None = None
    functions: list[msgspec.Raw] | None = None
    response_format: _Format | None = None
    logprobs: bool | None = None
    session_id: Any = None
    prompt_cache_key: Any = None


class _Completion(_Common, gc=False, kw_only=True):
    prompt: str | list[str | int | list[int]] | None = None
    best_of: int | None = None
    logprobs: int | bool | None = None


class _Embedding(msgspec.Struct, gc=False, kw_only=True):
    model: str
    input: str | list[str | int | list[int]]


_decode: dict[Kind, Callable[[bytes], Any]] = {
    Kind.CHAT: msgspec.json.Decoder(_Chat).decode,
    Kind.COMPLETION: msgspec.json.Decoder(_Completion).decode,
    Kind.EMBEDDING: msgspec.json.Decoder(_Embedding).decode,
}
_IMAGES = frozenset(("image_url", "input_image", "image"))
_PATHS = {Kind.CHAT: "/v1/chat/completions", Kind.COMPLETION: "/v1/completions", Kind.EMBEDDING: "/v1/embeddings"}


_ANYONE = Caller()


def parse(
    body: bytes,
    kind: Kind,
    *,
    caller: Caller = _ANYONE,
    headers: dict[str, str] | None = None,
    client_request_id: str = "",
    max_depth: int = 64,
) -> ChatRequest:
    """Reads one request. Raises MalformedBody or UnsupportedField, whose `param` is the path of the culprit."""
    try:
        wire, readable = typed(body, _decode[kind], _objection)
    except MalformedBody as error:
        named = named_by_models(body) if error.param == "model" else None
        if named is None:
            raise
        body, (wire, readable) = named, typed(named, _decode[kind], _objection)
    spans, fields_end, fields = _spans(readable, max_depth)
    common: dict[str, Any] = {
        "kind": kind, "body": body, "model": wire.model, "spans": spans, "fields_end": fields_end,
        "caller": caller, "headers": headers or {}, "path": _PATHS[kind], "client_request_id": client_request_id,
    }
    if fields:
        asked = [field for field in fields if field.key in CONSUMED]
        common |= {"limits": limits_of(readable, asked, kind, wire.model), "cuts": cuts(fields)}
        if tags := tags_asked(readable, asked):
            request = _request(wire, body, common)
            return msgspec.structs.replace(request, tags=(*request.tags, *tags)[:MAX_TAGS])
    return _request(wire, body, common)


def _request(wire: Any, body: bytes, common: dict[str, Any]) -> ChatRequest:
    if isinstance(wire, _Chat):
        return _chat(wire, body, common)
    if isinstance(wire, _Completion):
        return _completion(wire, body, common)
    return ChatRequest(**common, inputs=_count(wire.input), needs=Needs(context=len(body) // 3))


def _objection(misfit: Misfit) -> MalformedBody:
    """With its path as an OpenAI client writes it (`messages[0].role`)."""
    return misfit.objection(f"{misfit.path}.{misfit.missing}".lstrip(".") if misfit.missing else misfit.path)


def _spans(body: bytes, max_depth: int) -> tuple[dict[str, Span], int, list[Member]]:
    """Where what we splice stands, where the object ends, and, when some field is for us alone, all of them."""
    try:
        fields, end = members(body, max_depth=max_depth)
    except TooDeep as exc:
        raise MalformedBody(f"{exc.field[:64]}: the body is nested deeper than {max_depth} levels", param=exc.field[:64]) from exc
    spans: dict[str, Span] = {}
    seen: set[str] = set()
    is_asking = False
    for key, _, start, stop in fields:
        if key not in _READ:
            if key.casefold() in _GUARDED:
                raise MalformedBody(f"{key[:50]}: write it as {key.casefold()!r}; some engines ignore case and would "
                                    "read it instead", param=key[:50])
            continue
        if key in seen:
            raise MalformedBody(f"{key}: the field appears more than once", param=key)
        seen.add(key)
        if key in _REFUSED:
            raise UnsupportedField(f"{key}: {_REFUSED[key]}", param=key)
        if key in _SPLICED:
            spans[key] = Span(start, stop)
        elif key in CONSUMED:
            is_asking = True
    return spans, end, fields if is_asking else []


def _chat(wire: _Chat, body: bytes, common: dict[str, Any]) -> ChatRequest:
    images = 0
    turns = []
    for turn in wire.messages:
        content = turn.content
        if not isinstance(content, str):
            images += _images(content)
            content = _flat(content)
        turns.append(Message(turn.role, content))
    metadata, tags = _metadata(wire.metadata)
    tools = len(wire.tools or ()) + len(wire.functions or ())
    max_tokens = wire.max_completion_tokens if wire.max_completion_tokens is not None else wire.max_tokens
    schema = wire.response_format is not None and wire.response_format.type == "json_schema"
    return ChatRequest(
        **common, messages=tuple(turns), max_tokens=max_tokens, choices=_positive(wire.n), tools=tools, images=images,
        needs=Needs(_context(body, max_tokens), tools > 0, schema, images > 0, bool(wire.logprobs)),
        metadata=metadata, tags=tags, stream=bool(wire.stream), include_usage=_wants_usage(wire),
        session=_session(wire, metadata),
    )


def _session(wire: _Chat, metadata: dict[str, str]) -> str:
    """Codex names its conversation as the key of the prompt cache."""
    for said in (wire.session_id, metadata.get("session_id"), wire.prompt_cache_key):
        if isinstance(said, str) and said:
            return said[:SESSION_MAX]
    return ""


def _completion(wire: _Completion, body: bytes, common: dict[str, Any]) -> ChatRequest:
    prompt = wire.prompt
    text = prompt if isinstance(prompt, str) else "\n".join(p for p in prompt or () if isinstance(p, str))
    metadata, tags = _metadata(wire.metadata)
    prompts = 1 if prompt is None else _count(prompt)
    return ChatRequest(
        **common, messages=(Message("user", text),), max_tokens=wire.max_tokens, choices=_positive(wire.n) * prompts,
        needs=Needs(_context(body, wire.max_tokens), logprobs=bool(wire.logprobs)), metadata=metadata, tags=tags,
        stream=bool(wire.stream), include_usage=_wants_usage(wire),
    )


def _metadata(raw: msgspec.Raw) -> tuple[dict[str, str], tuple[str, ...]]:
    """The string members of `metadata`, and its tags; anything else in it is the upstream's business."""
    if bytes(raw)[:1] != b"{":
        return {}, ()
    values = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    tags = tags_of(values["tags"]) if "tags" in values else ()
    return {key: msgspec.json.decode(value, type=str) for key, value in values.items() if bytes(value)[:1] == b'"'}, tags


def _wants_usage(wire: _Common) -> bool:
    return wire.stream_options is not None and bool(wire.stream_options.include_usage)


def _context(body: bytes, max_tokens: int | None) -> int:
    """Tokens in and out: a token is at least three bytes of JSON on average, so this errs high."""
    return len(body) // 3 + max(0, max_tokens or 0)


def _positive(n: int | None) -> int:
    return n if n is not None and n > 0 else 1


def _images(content: list[_Part | str] | None) -> int:
    return sum(1 for part in content or () if isinstance(part, _Part) and part.type in _IMAGES)


def _flat(content: list[_Part | str] | None) -> str:
    texts = (part if isinstance(part, str) else part.text for part in content or ())
    return "\n".join(text for text in texts if text)


def _count(value: str | list[Any]) -> int:
    """How many inputs: one string or one list of token ids is one."""
    if isinstance(value, str) or not value or isinstance(value[0], int):
        return 1
    return len(value)
