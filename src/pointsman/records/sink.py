"""One record, several readers: spool, metrics, log line."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from pointsman.core.protocols import Sink
from pointsman.core.record import Record

log = logging.getLogger(__name__)


class Fanout:
    """Hands each record to every sink, in order; put the spool first, so that the record is safe before it is read.

    Only the first has it when `write` returns. The others read it in the loop's next turn, when the client has its last
    byte: nobody waits for metrics and a log line. Without a running loop they read it at once. A sink that raises loses
    its own copy of that record and nobody else's.
    """

    def __init__(self, first: Sink, *others: Sink) -> None:
        self._first, self._others = first, others
        # Records that only the first sink has.
        self._waiting: deque[Record] = deque()
        self.failed = 0
        """Copies lost because a sink raised. Sinks promise not to: every one of these is a bug."""

    def write(self, record: Record) -> None:
        self._give(self._first, record)
        if not self._others:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._tell(record)
        else:
            self._waiting.append(record)
            loop.call_soon(self._tell_next)

    def catch_up(self) -> None:
        """Hands the others all that waits, now: afterwards all sinks have seen the same records."""
        while self._waiting:
            self._tell(self._waiting.popleft())

    def _tell_next(self) -> None:
        if self._waiting:
            self._tell(self._waiting.popleft())

    def _tell(self, record: Record) -> None:
        for sink in self._others:
            self._give(sink, record)

    def _give(self, sink: Sink, record: Record) -> None:
        try:
            sink.write(record)
        except Exception:  # one sink never stops the others
            self.failed += 1
            log.exception("%s could not take record %s", type(sink).__name__, record.id)

    def __repr__(self) -> str:
        names = " + ".join(type(sink).__name__ for sink in (self._first, *self._others))
        return f"<Fanout {names} [{self.failed} failed]>"
