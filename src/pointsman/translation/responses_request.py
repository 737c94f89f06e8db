"""A body of `POST /v1/responses` as the body of a chat, and what is needed to answer in the client's words.

Fields that both APIs have pass untouched, as do fields that we do not know: they are the engine's business. Fields that
ask for state are refused, since a stateless router that accepted them would answer another question than was asked.

Why `max_tokens` and not `max_completion_tokens`? Older llama.cpp, TGI and Ollama know only the first, and ignore the
second without a word: the client's limit would be no limit.
"""

from __future__ import annotations

import msgspec

from pointsman.core.misfit import check_utf8
from pointsman.core.scan import Member, TooDeep, members
from pointsman.errors import MalformedBody, UnsupportedField
from pointsman.translation.objections import Objections
from pointsman.translation.responses_input import messages_of
from pointsman.translation.responses_json import NULL, is_null, is_text, object_of, on_one_line, read_at
from pointsman.translation.responses_tools import Called, Toolbox, encoded_tools

_STATELESS = "this router keeps no conversation state"
STATEFUL = {
    "previous_response_id": f"{_STATELESS}; send the earlier items in `input` (`store: false`, as stateless clients do)",
    "conversation": f"{_STATELESS}; send the earlier items in `input`",
    "background": f"{_STATELESS}, so nothing could be fetched later; leave it out and stream",
    "prompt": f"{_STATELESS} and no prompt templates; send `instructions` and `input`",
    "context_management": f"{_STATELESS} and compacts none; send a shorter `input`",
}
"""Refused unless null (or false)."""

OF_CHAT = {
    "messages": "input", "max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format", "verbosity": "text.verbosity", "reasoning_effort": "reasoning.effort",
    "functions": "tools", "function_call": "tool_choice", "logprobs": "include: [\"message.output_text.logprobs\"]",
    "n": "several requests",
}
"""Fields of the chat API that this one has under another name: refused, since two names would contradict each other."""

MAPPED = frozenset((
    "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "text", "max_output_tokens", "top_logprobs",
    "include", "reasoning",
))
"""Arrive under the chat's names."""

ANSWERED = frozenset(("store", "truncation", "max_tool_calls", "stream_options", "client_metadata"))
"""Taken here, not passed on: they speak about what only this side does."""

PASSED = frozenset((
    "model", "stream", "temperature", "top_p", "metadata", "user", "prompt_cache_key", "safety_identifier", "service_tier",
))
"""The same in both APIs. As is every field that is named nowhere here, which is kept for the engine."""

_KNOWN = frozenset((*STATEFUL, *OF_CHAT, *MAPPED, *ANSWERED, *PASSED))
_ECHOED = {
    "instructions": b"null", "max_output_tokens": b"null", "max_tool_calls": b"null", "metadata": b"{}",
    "parallel_tool_calls": b"true", "prompt_cache_key": b"null", "reasoning": b'{"effort":null,"summary":null}',
    "safety_identifier": b"null", "temperature": b"null", "text": b'{"format":{"type":"text"}}', "tool_choice": b'"auto"',
    "tools": b"[]", "top_logprobs": b"null", "top_p": b"null", "user": b"null",
}
"""What a response repeats of its request, and what it says where the request said nothing."""
_OURS = b',"background":false,"previous_response_id":null,"store":false,"truncation":"disabled"'
_USAGE = b'{"include_usage":true}'
_LOGPROBS = "message.output_text.logprobs"


class Asked(msgspec.Struct, frozen=True):
    """What the answer needs to know of the request."""

    model: str
    stream: bool
    echo: bytes
    """Members of the response object that repeat the request, encoded, on one line, without braces."""
    called: dict[str, Called]
    """Functions of the chat that stand for custom tools or for functions of a namespace."""
    is_plain: bool = True
    """Engines that speak this API are known to understand all of the request."""
    only_at_origin: str = ""
    """Why there is no translation; the body is then only what classifiers read. "" = there is one."""
    dropped: tuple[str, ...] = ()
    """Hosted tools that the translation leaves out."""


class _Text(msgspec.Struct, gc=False):
    format: msgspec.Raw = NULL
    verbosity: msgspec.Raw = NULL


class _Format(msgspec.Struct, gc=False):
    type: str


class _Reasoning(msgspec.Struct, gc=False):
    effort: msgspec.Raw = NULL


_whole = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_flag = msgspec.json.Decoder(bool | None).decode
_number = msgspec.json.Decoder(int | None).decode
_word = msgspec.json.Decoder(str).decode
_words = msgspec.json.Decoder(list[str] | None).decode
_text = msgspec.json.Decoder(_Text | None).decode
_format = msgspec.json.Decoder(_Format).decode
_reasoning = msgspec.json.Decoder(_Reasoning | None).decode


class _Fields:
    """The top-level members of a body, each at most once."""

    def __init__(self, body: bytes, found: list[Member]) -> None:
        self.body = body
        self.unknown: list[bytes] = []
        self._values: dict[str, bytes] = {}
        for field in found:
            if field.key not in _KNOWN:
                self.unknown.append(body[field.key_start : field.end])
            elif field.key in self._values:
                raise MalformedBody(f"{field.key}: the field appears more than once", param=field.key)
            else:
                self._values[field.key] = body[field.start : field.end]

    def get(self, name: str) -> bytes:
        return self._values.get(name, b"null")

    def has(self, name: str) -> bool:
        return name in self._values


def translate_request(body: bytes, *, max_depth: int = 64, lenient: bool = False) -> tuple[bytes, Asked]:
    """The chat's body, and what the answer needs. Raises MalformedBody or UnsupportedField with the path of the culprit.

    `lenient`: what cannot be translated is left out and remembered, since OpenAI itself could be asked. State is refused
    all the same: it is on one endpoint, and the next turn may go to another.
    """
    fields = _fields(body, max_depth)
    _refuse(fields)
    objections = Objections(lenient=lenient)
    box = Toolbox(fields.get("tools"), objections, fields.get("tool_choice"))
    stream = bool(read_at("stream", _flag, fields.get("stream")))
    if not fields.has("input"):
        raise MalformedBody("input: required, a string or a list of items", param="input")
    messages = messages_of(fields.get("instructions"), fields.get("input"), box, objections)
    chat = [("messages", messages), *_tools(fields, box), *_format_fields(fields), *_limits(fields), *_reasoning_fields(fields)]
    if stream:
        chat.append(("stream_options", _USAGE))
    kept = [(name, fields.get(name)) for name in sorted(PASSED) if fields.has(name)]
    whole = object_of([*kept, *chat])
    if fields.unknown:
        whole = whole[:-1] + b"," + b",".join(fields.unknown) + b"}"
    model = fields.get("model")
    name = read_at("model", _word, model) if is_text(model) else ""
    is_plain = objections.is_plain and not box.called
    return whole, Asked(name, stream, _echo(fields), box.called, is_plain, objections.only_at_origin, tuple(objections.dropped))


def _fields(body: bytes, max_depth: int) -> _Fields:
    check_utf8(body)
    readable = _readable(body)
    try:
        return _Fields(readable, members(readable, max_depth=max_depth)[0])
    except TooDeep as exc:
        raise MalformedBody(f"the body is nested deeper than {max_depth} levels") from exc


def _readable(body: bytes) -> bytes:
    """The body, halves of characters made whole where there are any. Raises MalformedBody."""
    kept: list[bytes] = []

    def decode(data: bytes) -> None:
        _whole(data)
        kept.append(data)

    read_at("", decode, body)
    return kept[0]


def _refuse(fields: _Fields) -> None:
    for name, why in STATEFUL.items():
        if fields.get(name) not in (b"null", b"false"):
            raise UnsupportedField(f"{name}: {why}", param=name)
    for name, instead in OF_CHAT.items():
        if fields.has(name):
            raise UnsupportedField(f"{name}: a field of the chat API; here it is {instead}", param=name)


def _tools(fields: _Fields, box: Toolbox) -> list[tuple[str, bytes]]:
    """Without tools nothing is said about them: OpenAI and vLLM refuse a choice among none."""
    choice, names = box.choice(fields.get("tool_choice"))
    if not names:
        return []
    chat = [("tools", encoded_tools(box, names))]
    if not is_null(choice):
        chat.append(("tool_choice", choice))
    if not is_null(fields.get("parallel_tool_calls")):
        chat.append(("parallel_tool_calls", fields.get("parallel_tool_calls")))
    return chat


def _format_fields(fields: _Fields) -> list[tuple[str, bytes]]:
    text = read_at("text", _text, fields.get("text"))
    if text is None:
        return []
    chat = [] if is_null(text.verbosity) else [("verbosity", bytes(text.verbosity))]
    if is_null(text.format):
        return chat
    match read_at("text.format", _format, text.format).type:
        case "text":
            return chat
        case "json_object":
            return [*chat, ("response_format", b'{"type":"json_object"}')]
        case "json_schema":
            return [*chat, ("response_format", _schema(bytes(text.format)))]
        case other:
            raise UnsupportedField(f"text.format: {other[:60]!r} is none of text, json_object, json_schema",
                                   param="text.format.type")


def _schema(raw: bytes) -> bytes:
    """The format's own members, one level further in."""
    found, _ = members(raw)
    inner = b",".join(raw[field.key_start : field.end] for field in found
                      if field.key != "type" and not is_null(raw[field.start : field.end]))
    return b'{"type":"json_schema","json_schema":{' + inner + b"}}"


def _limits(fields: _Fields) -> list[tuple[str, bytes]]:
    chat = []
    if read_at("max_output_tokens", _number, fields.get("max_output_tokens")) is not None:
        chat.append(("max_tokens", fields.get("max_output_tokens")))
    alternatives = read_at("top_logprobs", _number, fields.get("top_logprobs"))
    if alternatives or _LOGPROBS in (read_at("include", _words, fields.get("include")) or ()):
        chat.append(("logprobs", b"true"))
        if alternatives is not None:
            chat.append(("top_logprobs", fields.get("top_logprobs")))
    return chat


def _reasoning_fields(fields: _Fields) -> list[tuple[str, bytes]]:
    reasoning = read_at("reasoning", _reasoning, fields.get("reasoning"))
    if reasoning is None or is_null(reasoning.effort):
        return []
    return [("reasoning_effort", bytes(reasoning.effort))]


def _echo(fields: _Fields) -> bytes:
    said = []
    for name, otherwise in _ECHOED.items():
        value = fields.get(name)
        said.append(b'"%b":%b' % (name.encode(), otherwise if is_null(value) else on_one_line(value)))
    return b",".join(said) + _OURS
