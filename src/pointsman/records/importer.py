"""Moves spool lines into the store, in batches, on a thread of its own.

A file's position moves in the same transaction as its rows, and rows are idempotent by id: whatever dies in between,
each record arrives exactly once. A file is removed once its writer has let go of the lock and its last line is in.

Why does it rest between slices? It shares a core and the interpreter with the router. A slice is parsed and inserted in
half a millisecond; resting as long gives the event loop its turn, instead of making it wait for the interpreter's switch
interval. That is still some 30,000 records a second.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from pointsman.errors import ConfigError
from pointsman.records.rows import Row, row_of
from pointsman.records.spool import PATTERN, UNNAMED
from pointsman.records.store import Store

log = logging.getLogger(__name__)

EVERY_S = 0.5
"""How old a record is at most before it can be asked for. Half a second: a person who looks it up has not typed it yet."""
BATCH = 2000
"""Lines per transaction."""
READ_BYTES = 1024 * 1024
SLICE = 32
REST_S = 0.0005
BACKOFF_MAX_S = 30.0
UNNAMED_S = 60.0
"""Age from which a file without its final name is litter; a living writer names it within microseconds."""


class Importer:
    """`start` it, or call `flush`. One pass at a time, whoever asks."""

    def __init__(self, directory: str | Path, store: Store, *, every_s: float = EVERY_S, batch: int = BATCH) -> None:
        self.imported = 0
        self.skipped = 0
        """Lines that are no record: torn by a full disk or a power cut, or written by somebody else."""
        self.failures = 0
        """Passes that the database or the disk refused; they are tried again, nothing is lost."""
        self.last_error: str | None = None
        """Why the latest pass failed; None once one has succeeded."""
        self._directory, self._store = Path(directory), store
        self._every_s, self._batch = every_s, batch
        self._positions: dict[str, int] = {}
        # Skipped lines of the batch under way: a batch that is tried again must not count them twice.
        self._junk = 0
        self._rest_s = 0.0
        self._swept = False
        self._pass = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to import every `every_s` seconds, spools left behind by dead processes first."""
        self._rest_s = REST_S
        self._thread = threading.Thread(target=self._run, name="pointsman-importer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after one last pass. Idempotent."""
        self._stop.set()
        self._rest_s = 0.0
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.flush()

    def flush(self) -> bool:
        """Imports all that is written by now, in the caller's thread. False: it did not work, see `last_error`."""
        try:
            self._import_all()
        except (SQLAlchemyError, OSError, ConfigError) as exc:
            self.failures += 1
            # SQLAlchemy's own text repeats the statement with all its values: prompts do not belong into logs.
            self.last_error = f"records wait in the spool: {getattr(exc, 'orig', None) or type(exc).__name__ + f': {exc}'[:200]}"
            log.warning("%s", self.last_error)
            return False
        self.last_error = None
        return True

    def lag_bytes(self) -> int:
        """Bytes in the spool that are not in the store."""
        lag = 0
        for path in self._files():
            try:
                lag += path.stat().st_size - self._positions.get(path.name, 0)
            except FileNotFoundError:  # imported and removed meanwhile
                continue
        return lag

    def health(self) -> dict[str, Any]:
        return {"imported": self.imported, "skipped": self.skipped, "failures": self.failures,
                "lag_bytes": self.lag_bytes(), "last_error": self.last_error}

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            wait_s = self._every_s if self.flush() else min(max(wait_s, self._every_s) * 2, BACKOFF_MAX_S)

    def _import_all(self) -> None:
        with self._pass:
            self._sweep()
            for path in self._files():
                try:
                    with path.open("rb") as file:
                        self._import(path, file)
                except FileNotFoundError:  # another process was quicker
                    self._positions.pop(path.name, None)

    def _sweep(self) -> None:
        """Once: a writer killed between creating its file and naming it leaves an empty one behind."""
        if not self._swept:
            for path in self._directory.glob(UNNAMED):
                with suppress(FileNotFoundError):  # its writer has just named it
                    if time.time() - path.stat().st_mtime > UNNAMED_S:
                        path.unlink()
            self._swept = True

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob(PATTERN))

    def _import(self, path: Path, file: BinaryIO) -> None:
        name = path.name
        # Asked before reading: once the lock is free, no line can come after those that we are about to read.
        is_final = _is_released(file)
        if name not in self._positions:
            self._positions[name] = self._store.position(name)
        file.seek(self._positions[name])
        for lines, size in _batches(file, self._batch, is_final=is_final):
            self._junk = 0
            self.imported += self._store.add(self._slices(lines), file=name, position=self._positions[name] + size)
            self._positions[name] += size
            self.skipped += self._junk
        if is_final:
            path.unlink()
            self._store.forget(name)
            del self._positions[name]

    def _slices(self, lines: list[bytes]) -> Iterator[list[Row]]:
        for start in range(0, len(lines), SLICE):
            yield list(self._rows(lines[start:start + SLICE]))
            if self._rest_s:
                time.sleep(self._rest_s)

    def _rows(self, lines: list[bytes]) -> Iterator[Row]:
        for line in filter(None, lines):
            try:
                yield row_of(line)
            except (msgspec.MsgspecError, UnicodeError):
                self._junk += 1

    def __repr__(self) -> str:
        return f"<Importer [{self.imported} imported, {self.skipped} skipped, {self.failures} failures]>"


def _is_released(file: BinaryIO) -> bool:
    """Whether the writer is gone or has gone on to another file."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _batches(file: BinaryIO, batch: int, *, is_final: bool) -> Iterator[tuple[list[bytes], int]]:
    """(lines, their size in bytes) up to the last complete line; a final file's torn end counts as a line."""
    rest = b""
    while data := file.read(READ_BYTES):
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        for start in range(0, len(lines), batch):
            part = lines[start:start + batch]
            yield part, sum(map(len, part)) + len(part)
    if rest and is_final:
        yield [rest], len(rest)


