"""What a client may ask of the way itself: how long, how often, where else. Fields and headers of other routers.

The fields are for us, not for an engine: they are cut out of the body. Each only lowers what the route allows or
names alternatives that the key may use anyway, so none of them needs a right of its own. Given as field and as header,
the stricter counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from pointsman.core.request import PRIORITIES, Alternative, ChatRequest, Kind, Limits, Span
from pointsman.core.scan import Member, members
from pointsman.core.surrogates import decoded
from pointsman.errors import MalformedBody, MalformedHttp, RequestError, UnsupportedField

CONSUMED = frozenset((
    "fallbacks", "models", "disable_fallbacks", "num_retries", "timeout", "stream_timeout", "tags", "mock_testing_fallbacks",
))
TIMEOUT, RETRIES, TAGS = b"x-litellm-timeout", b"x-litellm-num-retries", b"x-litellm-tags"
STREAM_TIMEOUT = b"x-litellm-stream-timeout"
TTFT_SLO, DEADLINE, PRIORITY = b"x-ttft-slo-ms", b"x-request-timeout-ms", b"x-priority"
HEADERS = frozenset((TIMEOUT, RETRIES, TAGS, STREAM_TIMEOUT, TTFT_SLO, DEADLINE, PRIORITY))
"""What `with_headers` reads."""
MAX_ALTERNATIVES = 16
"""Three attempts reach at most three of them; more are a mistake, or a way to make us search for names."""
MAX_TAGS = 64

N = TypeVar("N", int, float)

_alternatives = msgspec.json.Decoder(list[str | dict[str, msgspec.Raw]] | None).decode
_names = msgspec.json.Decoder(list[str] | None).decode
_name = msgspec.json.Decoder(str).decode
_flag = msgspec.json.Decoder(bool | None).decode
_retries = msgspec.json.Decoder(int | None).decode
_seconds = msgspec.json.Decoder(float | None).decode


def limits_of(body: bytes, fields: Sequence[Member], kind: Kind, model: str) -> Limits:
    """What `fields` of a body ask for. Raises MalformedBody or UnsupportedField with the field's path."""
    found = {field.key: body[field.start : field.end] for field in fields}
    if _read(found, "mock_testing_fallbacks", _flag):
        raise UnsupportedField("mock_testing_fallbacks: nothing fails here on request; `pointsman simulate` has engines that "
                               "do, and `disable_fallbacks` shows the answer without them", param="mock_testing_fallbacks")
    names = [Alternative("models", name) for name in _read(found, "models", _names) or ()]
    names += [_alternative(i, item, model) for i, item in enumerate(_read(found, "fallbacks", _alternatives) or ())]
    if names and kind is Kind.EMBEDDING:
        raise UnsupportedField(f"{names[0].field}: embeddings have no alternatives, vectors of different models do not compare",
                               param=names[0].field)
    if len(names) > MAX_ALTERNATIVES:
        raise MalformedBody(f"{names[-1].field}: at most {MAX_ALTERNATIVES} alternatives", param=names[-1].field)
    return Limits(
        max_sent=_sent(_read(found, "num_retries", _retries), "num_retries", MalformedBody),
        deadline_s=_positive(_read(found, "timeout", _seconds), "timeout", MalformedBody),
        first_content_s=_positive(_read(found, "stream_timeout", _seconds), "stream_timeout", MalformedBody),
        stays=bool(_read(found, "disable_fallbacks", _flag)), alternatives=tuple(names),
    )


def _read(found: Mapping[str, bytes], field: str, decode: Callable[[bytes], Any]) -> Any:
    """The value of a field; None when it is missing or null."""
    if field not in found:
        return None
    try:
        return decoded(decode, found[field])
    except (msgspec.DecodeError, ValueError, OverflowError) as exc:
        what, _, path = str(exc).partition(" - at `$")
        raise MalformedBody(f"{field}: {what}", param=field + path.rstrip("`").replace("[...]", "")) from exc


def _alternative(index: int, item: str | dict[str, msgspec.Raw], model: str) -> Alternative:
    """A name, `{"model": name}`, or LiteLLM's `{asked: [name]}`."""
    path = f"fallbacks[{index}]"
    if isinstance(item, str):
        return Alternative(path, item)
    if len(item) != 1:
        raise UnsupportedField(f"{path}: write a name or {{\"model\": name}}; an alternative gets the same request, so nothing "
                               "else can be set for it", param=path)
    (key, raw), = item.items()
    try:
        if key == "model":
            return Alternative(path, decoded(_name, bytes(raw)))
        found = decoded(_names, bytes(raw)) or []
    except msgspec.DecodeError as exc:
        raise MalformedBody(f"{path}.{key[:50]}: {exc}", param=f"{path}.{key[:50]}") from exc
    if key != model:
        raise UnsupportedField(f"{path}: it is for {key[:200]!r}, and this request names {model[:200]!r}", param=path)
    if len(found) != 1:
        raise UnsupportedField(f"{path}: name one model in each object; write several as several", param=path)
    return Alternative(path, found[0])


def _sent(retries: int | None, where: str, error: type[RequestError]) -> int | None:
    if retries is None:
        return None
    if retries < 0:
        raise error(f"{where}: it must be 0 or more", param=where)
    return min(retries, 100) + 1


def _positive(seconds: float | None, where: str, error: type[RequestError]) -> float | None:
    if seconds is not None and not 0 < seconds < float("inf"):
        raise error(f"{where}: it must be a number above 0", param=where)
    return seconds


def with_headers(request: ChatRequest, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """The request with what its headers ask for. Raises MalformedHttp naming the header."""
    limits = request.limits
    seconds = _positive(_number(headers, TIMEOUT, float), "x-litellm-timeout", MalformedHttp)
    first_s = _positive(_number(headers, STREAM_TIMEOUT, float), "x-litellm-stream-timeout", MalformedHttp)
    sent = _sent(_number(headers, RETRIES, int), "x-litellm-num-retries", MalformedHttp)
    text = headers.get(TAGS, b"").decode("utf-8", "replace")
    slo_ms = _positive(_number(headers, TTFT_SLO, float), "x-ttft-slo-ms", MalformedHttp)
    deadline_ms = _positive(_number(headers, DEADLINE, float), "x-request-timeout-ms", MalformedHttp)
    seconds = _stricter(seconds, None if deadline_ms is None else deadline_ms / 1000)
    tags = (*request.tags, *(tag for part in text.split(",") if (tag := part.strip())))
    limits = msgspec.structs.replace(
        limits, max_sent=_stricter(limits.max_sent, sent), deadline_s=_stricter(limits.deadline_s, seconds),
        first_content_s=_stricter(limits.first_content_s, first_s),
        ttft_slo_s=None if slo_ms is None else slo_ms / 1000, priority=_priority(headers))
    return msgspec.structs.replace(request, limits=limits, tags=tags[:MAX_TAGS])


def _number(headers: Mapping[bytes, bytes], name: bytes, read: Callable[[str], N]) -> N | None:
    if name not in headers:
        return None
    text = headers[name].decode("latin-1").strip()
    try:
        return read(text)
    except ValueError as exc:
        raise MalformedHttp(f"{name.decode()}: {text[:50]!r} is no number", param=name.decode()) from exc


def _priority(headers: Mapping[bytes, bytes]) -> int | None:
    if PRIORITY not in headers:
        return None
    name = headers[PRIORITY].decode("latin-1").strip().lower()
    if name not in PRIORITIES:
        raise MalformedHttp(f"x-priority: {name[:50]!r} is none of {', '.join(PRIORITIES)}", param="x-priority")
    return PRIORITIES.index(name)


def _stricter(one: N | None, other: N | None) -> N | None:
    return one if other is None else other if one is None else min(one, other)


def cuts(fields: Sequence[Member]) -> tuple[Span, ...]:
    """What to take out of an object so that it stays one, each member of CONSUMED with one comma.

    >>> cuts([Member("timeout", 1, 11, 12), Member("model", 13, 21, 24)])
    (Span(start=1, end=13),)
    """
    found: list[Span] = []
    last_kept = None
    for at, field in enumerate(fields):
        if field.key not in CONSUMED:
            if last_kept is None and at:
                found.append(Span(fields[0].key_start, field.key_start))
            last_kept = field
        elif last_kept is not None:
            found.append(Span(fields[at - 1].end, field.end))
    return tuple(found)


def tags_asked(body: bytes, fields: Sequence[Member]) -> tuple[str, ...]:
    """The top-level `tags`. Raises MalformedBody with the path."""
    found = {field.key: body[field.start : field.end] for field in fields if field.key == "tags"}
    return tuple((_read(found, "tags", _names) or ())[:MAX_TAGS])


def named_by_models(body: bytes) -> bytes | None:
    """For a body that names no `model`: the same with the first of its `models` in that place. None when there is none.

    As OpenRouter has it: the list is the order of preference, and `model` may be left out.
    """
    try:
        fields, _ = members(body)
    except (ValueError, IndexError, msgspec.DecodeError):  # no JSON behind a `"model": null`: the caller's error says so
        return None
    found = {field.key: field for field in fields}
    own, listed = found.get("model"), found.get("models")
    if listed is None or (own is not None and body[own.start : own.end] != b"null"):
        return None
    names = _read({"models": body[listed.start : listed.end]}, "models", _names)
    if not names:
        return None
    name = msgspec.json.encode(names[0])
    if own is not None:
        return body[: own.start] + name + body[own.end :]
    return body[: fields[0].key_start] + b'"model":' + name + b"," + body[fields[0].key_start :]


def tags_of(raw: msgspec.Raw) -> tuple[str, ...]:
    """The strings of a body's `metadata.tags`; anything else there is the upstream's business."""
    if bytes(raw)[:1] != b"[":
        return ()
    items = msgspec.json.decode(raw, type=list[msgspec.Raw])
    return tuple(msgspec.json.decode(item, type=str) for item in items[:MAX_TAGS] if bytes(item)[:1] == b'"')
