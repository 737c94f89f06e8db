"""Faults of what an upstream says: statuses, bodies and streams (U17-U45)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pointsman.testing import fault_answers as answers
from pointsman.testing.fault_answers import chunk, event
from pointsman.testing.fault_catalogue import Fault, after_some, fault, pause, rng_of, says, somewhere
from pointsman.testing.fault_steps import Asked, Close, Complete, Drip, Plan, Reset, Send, Stall, Step

_MEGABYTE = chunk(b"x" * 1_048_576)
_HTML = b"<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"


def _status(status: str, *headers: str, **error: Any) -> Plan:
    fields = {"message": "it went wrong", "type": "server_error", "param": None, "code": None} | error
    return says(answers.plain(status, json.dumps({"error": fields}).encode(), *headers))


def _html(status: str) -> Plan:
    return says(answers.plain(status, _HTML, content_type="text/html"))


def _changed(**changes: Any) -> Plan:
    """The right plain answer but for some fields."""
    return lambda asked: [pause(asked), Send(answers.plain("200 OK", answers.completion(asked.id, **changes)),
                                             len(answers.pieces_of(asked.id))), Complete()]


def _cut_json(asked: Asked) -> list[Step]:
    body = answers.completion(asked.id)
    return [pause(asked), Send(answers.plain("200 OK", body[: rng_of(asked).randint(1, len(body) - 1)]))]


def _rewritten(change: Callable[[bytes], bytes], *, drip: bool = False) -> Plan:
    """The right stream in another spelling."""

    def plan(asked: Asked) -> list[Step]:
        data = change(b"".join(answers.events(asked)))
        tokens = len(answers.pieces_of(asked.id))
        if drip:
            framed = b"".join(chunk(data[i : i + 1]) for i in range(len(data)))
            return [Send(answers.stream_head()), Drip(framed, 0.0, 24, tokens), Send(answers.END), Complete()]
        return [Send(answers.stream_head()), Send(chunk(data), tokens), Send(answers.END), Complete()]

    return plan


def _several_lines(data: bytes) -> bytes:
    """JSON of each event over two data lines, where a line break may stand."""
    return data.replace(b', "choices"', b',\ndata: "choices"')


def _commented(data: bytes) -> bytes:
    return data.replace(b"\n\n", b"\n\n: ping\n\nevent: message\nid: 7\nretry: 10\n").rsplit(b"event:", 1)[0]


def _broken(data: bytes, *, least: int = 1, then: Step | None = None) -> Plan:
    """A right stream up to somewhere, then `data` in it, then nothing more."""

    def plan(asked: Asked) -> list[Step]:
        return [*answers.sends(asked, somewhere(asked, least) if least else 0), Send(chunk(data)), then or Stall()]

    return plan


def _endless(least: int) -> Plan:
    """A megabyte after the other of one line, up to twice what a router may ever hold of one."""

    def plan(asked: Asked) -> list[Step]:
        begun = answers.sends(asked, somewhere(asked, least) if least else 0)
        return [*begun, Send(chunk(b"data: ")), *[Send(_MEGABYTE)] * 32, Stall()]

    return plan


def _ending(*pieces: bytes, then: Step | None = None) -> Plan:
    """All of the text and its finish, and then an odd end."""

    def plan(asked: Asked) -> list[Step]:
        finish = b"".join(answers.finish_events(asked)[:-1])
        return [*answers.sends(asked), Send(chunk(finish)), Complete(), *(Send(chunk(p)) for p in pieces), then or Send(answers.END)]

    return plan


def _unfinished(*pieces: bytes) -> Plan:
    return lambda asked: [*answers.sends(asked), *(Send(chunk(p)) for p in pieces), Send(answers.END)]


def _sse_for_plain(asked: Asked) -> list[Step]:
    return list(answers.right(Asked(asked.id, stream=True, nth=asked.nth)))


def _json_for_stream(asked: Asked) -> list[Step]:
    return list(answers.right(Asked(asked.id, stream=False, nth=asked.nth)))


def _usage(**usage: Any) -> Plan:
    return _changed(usage=usage)


_ERROR = {"message": "the engine died", "type": "server_error", "code": 500}
_LATER = frozenset((429, 503))

STATUSES: tuple[Fault, ...] = (
    fault("U17", "429, Retry-After: 2", _status("429 Too Many Requests", "retry-after: 2"), alone=429, later=_LATER),
    fault("U18", "429 without Retry-After", _status("429 Too Many Requests"), alone=429, later=_LATER),
    *(fault(f"U19-{name}", f"429, Retry-After: {value}", _status("429 Too Many Requests", f"retry-after: {value}"), alone=429,
            later=_LATER)
      for name, value in (("huge", "99999999"), ("minus", "-5"), ("past", "Sun, 06 Nov 1994 08:49:37 GMT"), ("odd", "soon"))),
    fault("U20", "500", _status("500 Internal Server Error")),
    *(fault(f"U21-{status[:3]}", f"{status[:3]} with an HTML page", _html(status), alone=int(status[:3]))
      for status in ("502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout")),
    fault("U22", "529 overloaded", _status("529 Overloaded", type="overloaded_error"), alone=503),
    fault("U22-queue", "503, queue full", _status("503 Service Unavailable", message="queue is full"), alone=503, later=_LATER),
    fault("U23-401", "401 on our credential", _status("401 Unauthorized", code="invalid_api_key")),
    fault("U23-403", "403 on our credential", _status("403 Forbidden")),
    fault("U24", "404, unknown model", _status("404 Not Found", code="model_not_found")),
    fault("U25", "400, the request is at fault", _status("400 Bad Request", type="invalid_request_error"), "refusal", 400),
    fault("U25-422", "422, the request is at fault", _status("422 Unprocessable Entity", type="invalid_request_error"), "refusal", 422),
    fault("U26-413", "413, too large", _status("413 Payload Too Large"), "refusal", 413),
    fault("U26", "400, context length exceeded", _status("400 Bad Request", code="context_length_exceeded"), "refusal", 400),
    fault("U29-204", "204 without a body", says("HTTP/1.1 204 No Content\r\n\r\n")),
    fault("U29", "200 without a body", says(answers.plain("200 OK", b""))),
    fault("U30", "200 with an error inside", says(answers.plain("200 OK", json.dumps({"error": _ERROR}).encode()))),
    fault("U31", "200 with an HTML page", _html("200 OK")),
    fault("U32", "JSON although a stream was asked for", _json_for_stream, ("fine", None)),
    fault("U33", "a stream although JSON was asked for", _sse_for_plain, (None, "either")),
    fault("U34", "truncated JSON of the right length", _cut_json),
    fault("U34-bad", "no JSON", says(answers.plain("200 OK", b"{'choices': oops"))),
    fault("U35", "an answer without choices", says(answers.plain("200 OK", b'{"id":"x","object":"chat.completion"}'))),
    fault("U35-empty", "an answer with an empty list of choices", _changed(choices=[])),
    fault("U35-words", "usage in words", _usage(prompt_tokens="eleven", completion_tokens="many"), ("fine", "fine")),
    fault("U35-minus", "negative usage", _usage(prompt_tokens=-11, completion_tokens=-3, total_tokens=-14), "fine"),
    fault("U35-huge", "usage of 10^30 tokens", _usage(prompt_tokens=10**30, completion_tokens=10**30), "fine"),
)

STREAMS: tuple[Fault, ...] = (
    fault("U36", "every byte in a chunk of its own", _rewritten(lambda data: data, drip=True), ("fine", None)),
    fault("U36-bom", "a byte order mark first", _rewritten(lambda data: b"\xef\xbb\xbf" + data), ("fine", None)),
    fault("U36-crlf", "CRLF line ends", _rewritten(lambda data: data.replace(b"\n", b"\r\n")), ("fine", None)),
    fault("U36-cr", "CR line ends", _rewritten(lambda data: data.replace(b"\n", b"\r")), ("fine", None)),
    fault("U36-lines", "data over several lines", _rewritten(_several_lines), ("fine", None)),
    fault("U36-notes", "comments, ids and event names", _rewritten(_commented), ("fine", None)),
    fault("U36-tight", "no space after the colon", _rewritten(lambda data: data.replace(b"data: ", b"data:")), ("fine", None)),
    fault("U36-close", "no framing but the end of the connection", lambda asked: [
        Send(answers.stream_head(chunked=False)), Send(b"".join(answers.events(asked)), len(answers.pieces_of(asked.id))), Complete(),
        Close()], ("fine", None)),
    fault("U37", "invalid UTF-8 in the middle", _broken(b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n'),
          ("during", None)),
    fault("U38", "a line that does not end", _endless(1), ("during", None), most_runs=2),
    fault("U38-first", "a line that does not end, before any text", _endless(0), ("before", None), (502, 504), most_runs=2),
    fault("U39", "an event that is no JSON", _broken(b"data: not-json\n\n"), ("during", None)),
    fault("U39-first", "an event that is no JSON before any text", _broken(b"data: not-json\n\n", least=0), ("before", None)),
    fault("U40", "headers, then silence", lambda asked: [Send(answers.stream_head()), Stall()], ("before", None), 504),
    fault("U40-role", "headers and a role, then silence", lambda asked: [*answers.sends(asked, 0), Stall()], ("before", None), 504),
    fault("U40-ping", "headers, then comments for ever", lambda asked: [
        Send(answers.stream_head()), Drip(chunk(b": ping\n\n") * 2000, 0.02, 13)], ("before", None), 504),
    fault("U41", "silence in the middle", after_some(Stall()), ("during", "before"), 504),
    fault("U42", "FIN in the middle", after_some(Close()), ("during", "before")),
    fault("U42-end", "a clean end without finish or [DONE]", _unfinished(), ("during", None)),
    fault("U42-done", "[DONE] without a finish", _unfinished(answers.DONE), ("during", None)),
    fault("U43", "RST in the middle", after_some(Reset()), ("either", "before")),
    fault("U44", "an error event in the middle", _broken(b"data: " + json.dumps({"error": _ERROR}).encode() + b"\n\n"), ("during", None)),
    fault("U44-first", "an error event before any text", _broken(b"data: " + json.dumps({"error": _ERROR}).encode() + b"\n\n", least=0),
          ("before", None)),
    fault("U45", "more events after [DONE]", _ending(answers.DONE, event("x", {"content": "more"})), ("fine", None)),
    fault("U45-twice", "[DONE] twice", _ending(answers.DONE, answers.DONE), ("fine", None)),
    fault("U45-open", "[DONE], and the connection stays open", _ending(answers.DONE, then=Stall()), ("fine", None)),
    fault("U45-stall", "finish and usage, then silence", _ending(then=Stall()), ("fine", None)),
)
