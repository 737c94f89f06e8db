"""The chunks of a streamed chat as the events of a streamed response.

    events = ResponseEvents(asked, origin)
    events.feed([chunk, chunk])     # response.created, response.in_progress, ...added, ...delta
    events.end()                    # ...done, response.completed (or response.incomplete)

Sequence numbers count from 0 without a gap. Items are closed only in `end`, when the answer is known to be whole: a
client that carries out a call as soon as its item is done never carries out half of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pointsman.core.surrogates import decoded
from pointsman.translation.responses_json import NULL
from pointsman.translation.responses_output import Output, Said
from pointsman.translation.responses_reply import Frame, Origin, usage_of
from pointsman.translation.responses_request import Asked


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Said | None = None
    logprobs: msgspec.Raw = NULL
    finish_reason: Any = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    model: msgspec.Raw = NULL
    usage: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class ResponseEvents:
    """Server-sent events of one response, as bytes ready to be sent."""

    def __init__(self, asked: Asked, origin: Origin) -> None:
        self._frame = Frame(asked, origin)
        self._output = Output(origin.record_id, asked.called, self._emit)
        self._waiting: list[bytes] = []
        self._sequence = 0
        self._finish = ""
        self._usage: Any = None
        self._cost: int | None = None

    def feed(self, events: list[bytes], cost_nano_usd: int | None = None) -> bytes:
        """Event data of a chat stream, each a valid chunk; `cost_nano_usd` once the usage has been seen."""
        for data in events:
            self._read(decoded(_decode, data))
        if cost_nano_usd is not None:
            self._cost = cost_nano_usd
        return self._taken()

    def end(self) -> bytes:
        """The answer is complete."""
        self._begin()
        status, response = self._frame.finished(self._output, self._finish, usage_of(self._usage, self._cost))
        self._emit(b"response." + status.encode(), b'"response":' + response)
        return self._taken()

    def fail(self, error: Mapping[str, object]) -> bytes:
        """The answer broke off: `response.failed` with `error`. What is open stays open, for it never became whole."""
        self._begin()
        said = dict(error) | {"code": str(error.get("code")), "message": str(error.get("message"))}
        response = self._frame.encoded("failed", self._output.encoded_broken(), error=msgspec.json.encode(said),
                                       usage=usage_of(self._usage, self._cost))
        self._emit(b"response.failed", b'"response":' + response)
        return self._taken()

    def _read(self, chunk: _Chunk) -> None:
        if not self._sequence:  # the same name in every event of a response
            self._frame.named(chunk.model)
        self._begin()
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index:
                continue  # never asked for
            if choice.delta is not None:
                self._output.add(choice.delta, choice.logprobs)
            if isinstance(choice.finish_reason, str) and choice.finish_reason:
                self._finish = choice.finish_reason

    def _begin(self) -> None:
        """The first two events, once."""
        if not self._sequence:
            response = b'"response":' + self._frame.encoded("in_progress", [])
            self._emit(b"response.created", response)
            self._emit(b"response.in_progress", response)

    def _emit(self, name: bytes, fields: bytes) -> None:
        self._waiting.append(b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n'
                             % (name, name, self._sequence, fields))
        self._sequence += 1

    def _taken(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        return data
