"""The records that a process had written and not yet told of when it was killed.

Why is that needed when the importer reads every line anyway? The importer knows what is in the store; what has been
*counted* is another question, and a process tells its counts only now and then. Reading the end of its spool gives
exactly the records in between.

Why is the file held open? The importer removes a finished spool as soon as it is in the store; an open file stays
readable until it is closed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from pointsman.core.record import Record

_decode = msgspec.json.Decoder(Record).decode


class Tail:
    """What one process wrote to its spool after the place that it told last."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name, self._position = "", 0
        self._file: BinaryIO | None = None
        self.unread = 0
        """Lines that are no record, and files that could not be opened: counts that may be missing."""

    def told(self, name: str, position: int) -> None:
        """All up to `position` of the file `name` has been counted, and all files before it."""
        if name != self._name:
            self.close()
            self._name = name
            if name:
                try:
                    self._file = (self._directory / name).open("rb")
                except OSError:
                    self.unread += 1
        self._position = position

    def rest(self) -> Iterator[Record]:
        """The records after that, in order; ends the use of this tail."""
        if self._file is not None:
            with contextlib.closing(self._file):
                self._file.seek(self._position)
                yield from self._records(self._file.read())
            self._file = None
        for path in self._later():
            try:
                data = path.read_bytes()
            except OSError:  # the importer was quicker: its lines are in the store, and in no count
                self.unread += 1
                continue
            yield from self._records(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _later(self) -> list[Path]:
        """Files that the same process began after the one it told of: `spool-<pid>-<start>.jsonl`."""
        if not self._name:
            return []
        process = self._name.rsplit("-", 1)[0]
        return sorted(path for path in self._directory.glob(f"{process}-*.jsonl") if path.name > self._name)

    def _records(self, data: bytes) -> Iterator[Record]:
        for line in filter(None, data.split(b"\n")):
            try:
                yield _decode(line)
            except (msgspec.MsgspecError, UnicodeError):  # torn by the kill: its write never returned
                self.unread += 1

    def __repr__(self) -> str:
        return f"<Tail {self._name} from {self._position}>"
