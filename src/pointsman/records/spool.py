"""A record's first home: one JSON line, appended by one `write(2)`, in a file of this process alone.

Why a file and not the store? `write` returns within microseconds and what it wrote survives `kill -9` of the
process, whatever the store is doing. The importer moves the lines on.

Who owns a file? Whoever holds its lock (`flock`). The kernel drops the lock when the writer rotates or dies, however
it dies, so a reader learns from the lock alone that no further line will come; process ids are reused, locks are not.
A file gets its final name only once it is locked.

What if the disk is full? The record is dropped, counted and told in `health()`; the torn half of its line is cut off.
If even that fails, the next line starts on a new line and the importer skips and counts the torn one.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pointsman.core.record import Record
from pointsman.errors import ConfigError

_log = logging.getLogger(__name__)

MAX_BYTES = 8 * 1024 * 1024
"""A file is closed beyond this size; some 5,000 records, a second's work for the importer."""
REOPEN_S = 1.0
"""How long to wait before trying again to open a file on a disk that refused."""

PATTERN = "spool-*.jsonl"
UNNAMED = "spool-*.new"
"""A file that is not locked yet; always empty."""

_HOPELESS = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EROFS)


def spool_directory(records_path: str | Path) -> Path:
    """Where the spool of a store lives: beside it, `records.db` -> `records.spool/`."""
    return Path(records_path).with_suffix(".spool")


class Spool:
    """Appends records to `directory/spool-<pid>-<start>.jsonl` (mode 0600). Safe to call from several threads.

    With `fsync` a record also survives a power cut, at the price of a disk flush per request.
    A directory that may not be written is told at once (`ConfigError`); any other trouble is counted and outlived.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        max_bytes: int = MAX_BYTES,
        fsync: bool = False,
        write: Callable[[int, bytes], int] = os.write,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = Path(directory)
        self.written = 0
        self.dropped = 0
        self.last_error: str | None = None
        """Why the latest drop happened; cleared by the next record that is kept."""
        self._max_bytes, self._fsync = max_bytes, fsync
        self._write, self._now = write, now
        self._encode = msgspec.json.Encoder().encode
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._path: Path | None = None
        # Where the last file that was let go of had come to.
        self._left = ("", 0)
        self._size = 0
        # True while the file may end in a half-line that could not be cut off.
        self._torn = False
        self._retry_at = 0.0
        self._closed = False
        # The latest record was dropped: told in the log when it begins and when it ends, and not in between.
        self._is_dropping = False
        try:
            self._open()
        except OSError as exc:
            if exc.errno in _HOPELESS:
                raise ConfigError((f"records.path: the spool {self.directory} cannot be written: {exc.strerror}",)) from exc
            self._wait(exc)

    def write(self, record: Record) -> None:
        """Keeps the record, or counts it as dropped. When this returns, killing the process no longer matters."""
        try:
            line = self._encode(record) + b"\n"
        except UnicodeError:
            line = self._encode(_without_surrogates(msgspec.to_builtins(record))) + b"\n"
        except (TypeError, ValueError, OverflowError) as exc:
            self._dropped(f"record {record.id} cannot be written as JSON: {exc}")
            return
        with self._lock:
            try:
                self._append(line)
            except OSError as exc:
                self._failed(exc)

    def health(self) -> dict[str, Any]:
        """What readiness shows: records written and dropped, and the latest error. Reopens a file that was removed."""
        with self._lock:
            self._check_file()
        return {"written": self.written, "dropped": self.dropped, "last_error": self.last_error}

    @property
    def place(self) -> tuple[str, int]:
        """The file that is being written, or was last, and its size: what comes after belongs to later records. ("", 0) = none."""
        return (self._path.name, self._size) if self._path is not None else self._left

    def close(self) -> None:
        """Lets go of the file, so that the importer may finish and remove it. Records written later are dropped."""
        with self._lock:
            self._closed = True
            self._release()

    def _append(self, line: bytes) -> None:
        fd = self._fd if self._fd is not None else self._open_again()
        if fd is None:
            self._dropped(self.last_error or "the spool is closed")
            return
        data = b"\n" + line if self._torn else line
        count = self._write(fd, data)
        if count != len(data):
            self._cut(fd)
            raise OSError(errno.ENOSPC, f"only {count} of {len(data)} bytes of a record could be written")
        if self._fsync:
            os.fsync(fd)
        self._size += count
        self._torn = False
        self.written += 1
        self.last_error = None
        if self._is_dropping:
            self._is_dropping = False
            _log.warning("records are kept again; %d were dropped since the start", self.dropped)
        if self._size >= self._max_bytes:
            self._rotate(fd)

    def _cut(self, fd: int) -> None:
        """Takes the half-line off again, so that the next line starts clean."""
        try:
            os.ftruncate(fd, self._size)
        except OSError:
            self._torn = True
            self._size = os.fstat(fd).st_size

    def _rotate(self, old: int) -> None:
        try:
            self._open()
        except OSError as exc:  # the old file still serves; nothing is lost
            self.last_error = f"the spool cannot start a new file: {exc}"
        else:
            os.close(old)

    def _open_again(self) -> int | None:
        if self._closed or self._now() < self._retry_at:
            return None
        return self._open()

    def _open(self) -> int:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f"spool-{os.getpid()}-{time.time_ns()}.jsonl"
        hidden = path.with_suffix(".new")
        fd = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
            if self._fsync:
                self._flush_names()
        except OSError:
            os.close(fd)
            hidden.unlink(missing_ok=True)
            raise
        self._fd, self._path, self._size, self._torn = fd, path, 0, False
        return fd

    def _flush_names(self) -> None:
        """A flushed file whose name is lost is lost."""
        for directory in (self.directory, self.directory.parent):
            fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            if self._path is not None:
                self._left = (self._path.name, self._size)
        self._fd = self._path = None

    def _check_file(self) -> None:
        """A file that somebody removed would swallow records in silence."""
        if self._fd is None or self._path is None:
            return
        try:
            gone = not os.path.samestat(os.fstat(self._fd), self._path.stat())
        except OSError:
            gone = True
        if gone:
            self.last_error = f"the spool file {self._path.name} was removed while in use; records in it are lost"
            self._release()

    def _wait(self, exc: OSError) -> None:
        self._retry_at = self._now() + REOPEN_S
        self.last_error = f"the spool in {self.directory} cannot be written: {exc}"
        self._tell(self.last_error)

    def _failed(self, exc: OSError) -> None:
        self._wait(exc)
        self.dropped += 1

    def _dropped(self, why: str) -> None:
        self.dropped += 1
        self.last_error = why
        self._tell(why)

    def _tell(self, why: str) -> None:
        if not self._is_dropping:
            self._is_dropping = True
            _log.error("records are being dropped: %s", why)

    def __repr__(self) -> str:
        return f"<Spool {self._path and self._path.name} [{self.written} written, {self.dropped} dropped]>"


def _without_surrogates(value: Any) -> Any:
    """Half of a surrogate pair has no UTF-8; a question mark stands in for it."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(v) for v in value]
    return value
