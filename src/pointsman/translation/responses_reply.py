"""A chat completion as a Response object, plain or at the end of a stream."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pointsman.core.price import NANO
from pointsman.core.surrogates import decoded
from pointsman.translation.responses_json import NULL, array, is_text, object_of, quoted
from pointsman.translation.responses_output import Output, Said
from pointsman.translation.responses_request import Asked

ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed"]
_CUT = {"length": b'{"reason":"max_output_tokens"}', "content_filter": b'{"reason":"content_filter"}'}
"""Finish reasons of an answer that is not whole, and what the response says about it."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where ids and times of a response come from."""

    record_id: str
    created_at: int
    """Unix time, seconds."""


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    message: Said | None = None
    logprobs: msgspec.Raw = NULL
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice]
    model: msgspec.Raw = NULL
    usage: Any = None


_answer = msgspec.json.Decoder(_Answer).decode


class Frame:
    """The response object of one request, whatever its state."""

    def __init__(self, asked: Asked, origin: Origin) -> None:
        self._asked = asked
        self._head = b'{"id":"resp_%b","object":"response","created_at":%d' % (origin.record_id.encode(), origin.created_at)
        self.model = quoted(asked.model)
        """A JSON string: what was asked for, until the engine says what answers."""

    def named(self, model: bytes) -> None:
        if is_text(model) and len(model) > 2:
            self.model = bytes(model)

    def encoded(self, status: ResponseStatus, output: list[bytes], *, usage: bytes = b"null", error: bytes = b"null",
                cut: bytes = b"null") -> bytes:
        return b'%b,"status":"%b","error":%b,"incomplete_details":%b,"model":%b,"output":%b,"usage":%b,%b}' % (
            self._head, status.encode(), error, cut, self.model, array(output), usage, self._asked.echo)

    def finished(self, output: Output, finish_reason: str, usage: bytes) -> tuple[ResponseStatus, bytes]:
        """Closes the output: `completed`, or `incomplete` with the reason."""
        cut = _CUT.get(finish_reason)
        output.close(is_cut=cut is not None)
        status: ResponseStatus = "completed" if cut is None else "incomplete"
        return status, self.encoded(status, output.encoded(), usage=usage, cut=cut or b"null")


def translate_reply(body: bytes, asked: Asked, origin: Origin) -> bytes:
    """The response object for `body`, a valid chat completion."""
    answer = decoded(_answer, body)
    choice = next((choice for choice in answer.choices if choice.index == 0), answer.choices[0])
    frame = Frame(asked, origin)
    frame.named(answer.model)
    output = Output(origin.record_id, asked.called, _unheard)
    if choice.message is not None:
        output.add(choice.message, choice.logprobs)
    return frame.finished(output, choice.finish_reason or "", usage_of(answer.usage))[1]


def usage_of(usage: Any, cost_nano_usd: int | None = None) -> bytes:
    """`usage` of a response from that of a chat; `null` when the engine did not count.

    The details are whole numbers in this API's schema: where an engine says nothing they are 0.
    """
    if not isinstance(usage, dict):
        return b"null"
    given, made = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if given is None or made is None:
        return b"null"
    total = _count(usage.get("total_tokens"))
    of_input, of_output = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    fields = [
        ("input_tokens", b"%d" % given),
        ("input_tokens_details", object_of((("cached_tokens", _detail(of_input, "cached_tokens")),
                                            ("cache_write_tokens", _detail(of_input, "cache_write_tokens"))))),
        ("output_tokens", b"%d" % made),
        ("output_tokens_details", object_of((("reasoning_tokens", _detail(of_output, "reasoning_tokens")),))),
        ("total_tokens", b"%d" % (given + made if total is None else total)),
    ]
    if cost_nano_usd is not None:
        fields.append(("cost_usd", b"%d.%09d" % divmod(cost_nano_usd, NANO)))
    return object_of(fields)


def _detail(details: Any, name: str) -> bytes:
    return b"%d" % ((_count(details.get(name)) if isinstance(details, dict) else None) or 0)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _unheard(_name: bytes, _fields: bytes) -> None:
    """A plain answer has no events."""
