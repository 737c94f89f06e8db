"""One structured line per request, and the program's own log.

A request's line is a reading of its record: what was asked for, who answered, why, how long, how much. It never
holds prompt or answer text, nor an upstream's error message (which may quote the prompt): the error's code, and the
record id under which the rest is kept.

Why a thread and a bounded buffer? Standard output may be a pipe that nobody empties. A blocking write would stop the
event loop, and setting O_NONBLOCK would change the pipe for everyone who shares it (a terminal, for instance). So
`write` appends to a buffer, a thread empties it every tenth of a second, and what does not fit is counted. Up to that
tenth of a second of lines is lost by `kill -9`; the records are not (see `records/spool.py`).
"""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, TextIO

import msgspec

from pointsman.core.record import Record
from pointsman.money.ledger import usd

MAX_BUFFER = 1024 * 1024
"""Bytes of lines kept for a reader that is late: some 2,000 requests."""

_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The log line. Fields that have nothing to say are left out."""

    at: str
    id: str
    kind: str
    outcome: str
    status: int
    duration_ms: float
    route: str = ""
    tier: str = ""
    rung: int = 0
    original_tier: str = ""
    model: str = ""
    endpoint: str = ""
    requested_model: str = ""
    decided_by: str = ""
    reason: str = ""
    decision_ms: float | None = None
    stream: bool = False
    ttft_ms: float | None = None
    attempts: int = 0
    escalations: tuple[str, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: str | None = None
    """Exact decimal; absent = unknown."""
    cost_basis: str = ""
    error: str | None = None
    tenant: str = ""
    key: str = ""
    client_request_id: str = ""
    simulated: bool = False


def _stamp(at: float) -> str:
    """Seconds since the epoch as a date with milliseconds."""
    second, micros = divmod(round(at * 1e6), 1_000_000)
    return f"{_second(second)}.{micros // 1000:03d}+00:00"


@lru_cache(maxsize=16)
def _second(second: int) -> str:
    """Kept: a busy second has thousands of lines."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def line_of(record: Record) -> Line:
    """The line that tells this record."""
    decision, usage = record.decision, record.usage
    return Line(
        at=_stamp(record.at),
        id=record.id, kind=record.kind, outcome=record.outcome, status=record.status,
        duration_ms=round(record.duration_s * 1000, 3),
        route=record.route, tier=record.routing_tier, rung=record.rung, original_tier=record.original_tier,
        model=record.model_id, endpoint=record.endpoint, requested_model=record.requested_model[:200],
        decided_by=decision.decided_by if decision else "", reason=decision.reason[:200] if decision else "",
        decision_ms=round(decision.duration_s * 1000, 3) if decision else None,
        stream=record.stream, ttft_ms=None if record.ttft_s is None else round(record.ttft_s * 1000, 3),
        attempts=len(record.attempts),
        escalations=tuple(f"{e.from_tier}>{e.to_tier}:{e.reason}" for e in record.escalations),
        input_tokens=usage.input_tokens if usage else None, output_tokens=usage.output_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        cost_usd=usd(record.cost_nano_usd), cost_basis=record.cost_basis, error=record.error,
        tenant=record.tenant, key=record.key, client_request_id=record.client_request_id, simulated=record.simulated,
    )


class LogSink:
    """Writes one JSON line per record to a file descriptor, without ever waiting for its reader.

    `close` gives the reader `timeout_s` to take what is left.
    """

    def __init__(self, fd: int = 1, *, every_s: float = 0.1, max_buffer: int = MAX_BUFFER, shared: bool = False) -> None:
        """`shared`: other processes write to the same pipe, which keeps only so much together."""
        self.dropped = 0
        """Lines lost: the buffer was full, the reader was gone, or a field had no JSON."""
        self.last_error: str | None = None
        self._fd, self._every_s, self._max = fd, every_s, max_buffer
        self._together = select.PIPE_BUF if shared else max_buffer
        self._lines: list[bytes] = []
        # Bytes in `_lines` plus those the thread is writing: what memory a blocked reader costs.
        self._held = 0
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._closing = threading.Event()
        # Daemon: a reader that never comes back must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="pointsman-log", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        """Queues the record's line; counts it as dropped when there is no room."""
        try:
            line = _encode(line_of(record)) + b"\n"
        except (ValueError, OverflowError, OSError) as exc:  # surrogates, or a time beyond the calendar
            self._drop(1, f"record {record.id} has no log line: {exc}")
            return
        with self._lock:
            room = self._held + len(line) <= self._max
            if room:
                self._lines.append(line)
                self._held += len(line)
        if not room:
            self._drop(1, "nobody reads the log fast enough")
        elif not self._some.is_set():
            self._some.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Writes what is left, waiting at most `timeout_s` for the reader. Idempotent."""
        self._closing.set()
        self._some.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._some.wait()
            closing = self._closing.wait(self._every_s)
            self._some.clear()
            with self._lock:
                lines, self._lines = self._lines, []
            data = b"".join(lines)
            try:
                for piece in _pieces(lines, self._together):
                    _write_all(self._fd, piece)
            except OSError as exc:
                self._drop(len(lines), f"the log cannot be written: {exc}")
            with self._lock:
                self._held -= len(data)
                finished = closing and not self._lines
            if finished:
                return

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        self.last_error = why

    def __repr__(self) -> str:
        return f"<LogSink fd {self._fd} [{self._held} bytes held, {self.dropped} dropped]>"


def _pieces(lines: Sequence[bytes], most: int) -> Iterator[bytes]:
    """Whole lines, as many as fit into `most` bytes; a longer line alone."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > most:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    if piece:
        yield b"".join(piece)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view):]
        except BlockingIOError:  # somebody else made the pipe non-blocking: wait for its reader here, in the thread
            select.select([], [fd], [], 1.0)


# ---------------------------------------------------------------------------------------------------------
# The program's own log

_SECRET = re.compile(
    r"""(?ix) \b(?:bearer|basic)\s+\S+
      | ((?:api[-_]?key|token|password|secret|cookie)["']?\s*[:=]\s*["']?) [^\s'",}&]+
      | \bsk-[\w-]{8,}""")


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """`text` without the given secrets and without what looks like a credential.

    >>> redact("GET /?api_key=abc Authorization: Bearer xyz")
    'GET /?api_key=*** Authorization: ***'
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    return _SECRET.sub(lambda m: (m[1] or "") + "***", text)


class _Formatter(logging.Formatter):
    """One line per message: a control character in it cannot fake another."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__()
        # A secret of a few letters would blot out ordinary words; nobody uses one in earnest.
        self._secrets = sorted((s for s in secrets if len(s) >= 6), key=len, reverse=True)

    def said(self, entry: logging.LogRecord) -> tuple[str, str, str | None]:
        at = datetime.fromtimestamp(entry.created, UTC).isoformat(timespec="milliseconds")
        trace = self.formatException(entry.exc_info) if entry.exc_info else None
        return at, redact(entry.getMessage(), self._secrets), trace and redact(trace, self._secrets)


class _Text(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at, message, trace = self.said(record)
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        return f"{at} {record.levelname:<7} {record.name}: {line}" + (f"\n{trace}" if trace else "")


class _Json(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at, message, trace = self.said(record)
        entry = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": message}
        if trace:
            entry["trace"] = trace
        text = msgspec.json.encode({k: v.encode("utf-8", "replace").decode() for k, v in entry.items()})
        return text.decode()


def configure_logging(
    level: str = "info",
    format: Literal["text", "json"] = "text",
    *,
    secrets: Sequence[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Sends the log of the whole program to standard error, as text or JSON lines, with credentials blotted out.

    `secrets` are the configuration's own (upstream keys, admin token). Call again to change anything; the earlier
    handler goes away. `stream` gives another file, for tests.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter((_Json if format == "json" else _Text)(secrets))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h.formatter, _Formatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
