"""Reads what came back and says what is wrong with it: bytes in, complaints out. No socket."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from cases import Case

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\Z")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)\Z")
_UPSTREAM_DOWN = 503
_NOT_A_REQUEST = (400, 408, 431)
"""Said before anybody could know that it was a HEAD: with a body, and the connection closes."""


class NotHttp(Exception):
    """The router's bytes are no HTTP response."""


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Reading:
    """What came back so far."""

    answers: list[Answer] = field(default_factory=list)
    rest: bytes = b""
    is_closed: bool = False


def read(data: bytes, *, is_closed: bool, is_head: bool = False) -> Reading:
    """All complete responses in `data`. NotHttp when the bytes can be no response."""
    reading, at = Reading(is_closed=is_closed), 0
    while at < len(data):
        found = _one(data, at, is_head=is_head and not reading.answers)
        if found is None:
            break
        answer, at = found
        reading.answers.append(answer)
    reading.rest = data[at:]
    if is_closed and reading.rest and not reading.rest.startswith(b"HTTP/1.1 "):
        raise NotHttp(f"bytes after the last response: {reading.rest[:80]!r}")
    return reading


def _one(data: bytes, at: int, *, is_head: bool) -> tuple[Answer, int] | None:
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        if not b"HTTP/1.1 ".startswith(data[at : at + 9]):
            raise NotHttp(f"no status line: {data[at : at + 80]!r}")
        return None
    first, *lines = data[at:end].split(b"\r\n")
    status = _STATUS.match(first)
    if status is None:
        raise NotHttp(f"no status line: {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.match(line)
        if header is None:
            raise NotHttp(f"no header: {line[:80]!r}")
        name = header[1].decode().lower()
        if name in headers and name in ("content-length", "transfer-encoding", "content-type"):
            raise NotHttp(f"{name} twice")
        headers[name] = header[2].decode("latin-1")
    answer, at = Answer(int(status[1]), headers), end + 4
    if (is_head and answer.status not in _NOT_A_REQUEST) or answer.status in (204, 304) or answer.status < 200:
        return answer, at
    if headers.get("transfer-encoding") == "chunked":
        return _chunks(answer, data, at)
    if not headers.get("content-length", "").isdigit():
        raise NotHttp(f"no length: {headers}")
    length = int(headers["content-length"])
    if len(data) < at + length:
        return None
    answer.body = data[at : at + length]
    return answer, at + length


def _chunks(answer: Answer, data: bytes, at: int) -> tuple[Answer, int] | None:
    parts = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        try:
            size = int(data[at:end], 16)
        except ValueError:
            raise NotHttp(f"no chunk size: {data[at:end][:40]!r}") from None
        at = end + 2
        if len(data) < at + size + 2:
            return None
        if data[at + size : at + size + 2] != b"\r\n":
            raise NotHttp("a chunk does not end where it says")
        parts.append(data[at : at + size])
        at += size + 2
        if size == 0:
            answer.body = b"".join(parts)
            return answer, at


def complaint(case: Case, reading: Reading) -> str | None:
    """What is wrong with the answers to a case; None = nothing."""
    finals = [answer for answer in reading.answers if answer.status >= 200]
    if case.is_whole and not finals and not reading.is_closed:
        return "no answer to a whole request"
    if case.answers is not None and len(finals) > case.answers:
        return f"{len(finals)} answers where at most {case.answers} may be"
    for answer in finals:
        wrong = _wrong(case, answer)
        if wrong:
            return wrong
    if finals and case.allowed is not None and finals[0].status not in case.allowed:
        return f"status {finals[0].status}, allowed is {sorted(case.allowed)}: {finals[0].body[:200]!r}"
    if case.is_whole and case.allowed == frozenset((200,)) and not finals:
        return "the connection was closed on a right request"
    return None


def _wrong(case: Case, answer: Answer) -> str | None:
    status = answer.status
    if status >= 500 and not (status == _UPSTREAM_DOWN and b"dead" in case.data):
        return f"status {status}: {answer.body[:300]!r}"
    if status < 400:
        return _wrong_stream(answer)
    if not answer.body:
        return None if case.data[:5] == b"HEAD " else f"status {status} with no body"
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return f"status {status} is no JSON: {answer.headers.get('content-type')} {answer.body[:80]!r}"
    return _wrong_error(answer)


def _wrong_error(answer: Answer) -> str | None:
    """OpenAI's shape: {"error": {message, type, param, code}}."""
    try:
        error = json.loads(answer.body)["error"]
        is_shaped = isinstance(error["message"], str) and error["message"] and isinstance(error["type"], str)
        is_shaped = is_shaped and {"param", "code"} <= error.keys()
    except (ValueError, KeyError, TypeError):
        is_shaped = False
    return None if is_shaped else f"status {answer.status} has no OpenAI-shaped error: {answer.body[:200]!r}"


def _wrong_stream(answer: Answer) -> str | None:
    """A stream ends in [DONE]; the upstream is always right, so no error may stand in it."""
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        return None
    if not answer.body.endswith(b"data: [DONE]\n\n"):
        return f"a stream without its end: {answer.body[-300:]!r}"
    return None
