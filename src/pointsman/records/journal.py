"""Spool, importer and store as one thing: give it records, ask it for records."""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from pointsman.core.record import Record
from pointsman.core.settings import RecordsSettings
from pointsman.records.importer import EVERY_S, Importer
from pointsman.records.spool import Spool, spool_directory
from pointsman.records.store import Store


class Journal:
    """A Sink that remembers.

    `write` is quick and safe against `kill -9`; the record can be asked for within `every_s`. Building one opens the
    files: `ConfigError` when the place can never work (no permission, a newer schema). Trouble that may pass (a
    locked database, a full disk) shows in `health()` instead.
    """

    def __init__(self, settings: RecordsSettings, *, every_s: float = EVERY_S, imports: bool = True) -> None:
        """`imports=False`: another process moves what this one spools. The store is then never opened here."""
        self._imports = imports
        directory = spool_directory(settings.path)
        to_disk = settings.flush == "disk"
        self.store = Store(settings.path, to_disk=to_disk)
        self.spool = Spool(directory, fsync=to_disk)
        self.importer = Importer(directory, self.store, every_s=every_s)
        if not imports:
            return
        try:
            self.store.open()
        except (SQLAlchemyError, OSError) as exc:
            self.importer.last_error = f"the store cannot be opened yet: {getattr(exc, 'orig', None) or exc}"

    def start(self) -> None:
        """Starts importing in the background, if that is done here."""
        if self._imports:
            self.importer.start()

    def stop(self) -> None:
        """Imports what is left and closes everything; what cannot be imported waits in the spool for the next start."""
        self.spool.close()
        if self._imports:
            self.importer.stop()
        self.store.close()

    def write(self, record: Record) -> None:
        self.spool.write(record)

    def get(self, id: str) -> Record | None:
        """The record, wherever it is by now. Waits for the disk: call it from a thread."""
        found = self.store.get(id)
        if found is None and self.importer.flush():
            found = self.store.get(id)
        return found

    def recent(self, limit: int = 50, *, before: float | None = None, **equal: str) -> list[Record]:
        """The newest records that are in the store (see `Store.recent`). Waits for the disk: call it from a thread."""
        return self.store.recent(limit, before=before, **equal)

    def flush(self) -> bool:
        """Moves all that is written by now into the store; False: see `health()`."""
        return self.importer.flush()

    def health(self) -> dict[str, Any]:
        """For readiness: `ok`, what was dropped, how far the store is behind, the latest error of either half."""
        spool = self.spool.health()
        if not self._imports:
            return {**spool, "ok": spool["last_error"] is None}
        importer = self.importer.health()
        error = spool["last_error"] or importer["last_error"]
        return {**importer, **spool, "last_error": error, "ok": error is None}

    def __repr__(self) -> str:
        return f"<Journal {self.spool!r} {self.importer!r}>"
