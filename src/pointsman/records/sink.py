"""One record, several readers: spool, metrics, log line."""

from __future__ import annotations

import logging

from pointsman.core.protocols import Sink
from pointsman.core.record import Record

log = logging.getLogger(__name__)


class Fanout:
    """Hands each record to every sink, in order; put the spool first, so that the record is safe before it is read.

    A sink that raises loses its own copy of that record and nobody else's.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks
        self.failed = 0
        """Copies lost because a sink raised. Sinks promise not to: every one of these is a bug."""

    def write(self, record: Record) -> None:
        for sink in self._sinks:
            try:
                sink.write(record)
            except Exception:  # one sink never stops the others
                self.failed += 1
                log.exception("%s could not take record %s", type(sink).__name__, record.id)

    def __repr__(self) -> str:
        return f"<Fanout {' + '.join(type(s).__name__ for s in self._sinks)} [{self.failed} failed]>"
