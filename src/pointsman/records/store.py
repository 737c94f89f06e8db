"""Where records are kept and asked for: SQLite in one file, or another database by URL.

All that only SQLite understands stands in `_sqlite` and `_insert_or_ignore`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, delete, event, func, insert, select, update
from sqlalchemy.dialects import postgresql

from pointsman.core.record import Record
from pointsman.errors import ConfigError
from pointsman.records.rows import METADATA, RECORDS, SPOOLS, VERSIONS, Row, record_of

SCHEMA_VERSION = 1

BUSY_TIMEOUT_S = 5.0
"""How long SQLite waits for another writer (a person's shell, a backup) before the importer tries again later."""

PAGE_BYTES = 16 * 1024
"""Of a new file. A record is 2.5 KB: SQLite's own 4 KB hold one each, so that a third of the file is nothing and each is written alone. With
four times as much, records take 2.8 KB instead of 4.2, and putting them in seven tenths of the processor time. Files that exist keep theirs."""
WAL_PAGES = 256
"""Pages of the log after which they move into the file: 4 MB, as SQLite's own thousand of the smaller pages; of a file that has these, 1 MB."""


class Store:
    """Records by id and by time. Safe to use from several threads; every call may wait for the disk.

    Raises SQLAlchemy's errors when the database does not answer.
    """

    def __init__(self, place: str | Path, *, to_disk: bool = False) -> None:
        """`place`: a file, or a database URL (`postgresql+psycopg://...`). `to_disk`: what was added survives a power cut (a file; of
        another database its own settings say). Nothing is opened yet."""
        text = str(place)
        self._file = None if "://" in text else Path(text)
        self._engine = create_engine(text, pool_pre_ping=True) if self._file is None else _sqlite(self._file, "FULL" if to_disk else "NORMAL")
        self._insert = _insert_or_ignore(self._engine)
        self._opened = False

    def open(self) -> None:
        """Creates file (0600), directory (0700) and tables where they are missing. Raises `ConfigError` when the
        database was written by a newer Pointsman. Idempotent."""
        if self._opened:
            return
        if self._file is not None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with self._engine.begin() as db:
            METADATA.create_all(db)
            version = db.scalar(select(func.max(VERSIONS.c.version)))
            if version is None:
                db.execute(insert(VERSIONS).values(version=SCHEMA_VERSION))
            elif version > SCHEMA_VERSION:
                raise ConfigError((
                    f"records.path: {self._file or self._engine.url!r} has schema {version}, this version of Pointsman "
                    f"knows {SCHEMA_VERSION}; use the newer one, or another file",))
        self._opened = True

    def close(self) -> None:
        self._engine.dispose()

    def add(self, slices: Iterable[Sequence[Row]], *, file: str, position: int) -> int:
        """Inserts rows, slice by slice, and remembers how far `file` has been read: all together or not at all.

        Rows whose id is already there are left alone. Returns how many were new.
        """
        self.open()
        with self._engine.begin() as db:
            added = sum(self._insert(db, rows) for rows in slices if rows)
            moved = db.execute(update(SPOOLS).where(SPOOLS.c.file == file).values(position=position)).rowcount
            if not moved:
                db.execute(insert(SPOOLS).values(file=file, position=position))
        return added

    def position(self, file: str) -> int:
        """How far `file` has been imported, in bytes."""
        self.open()
        with self._engine.connect() as db:
            return int(db.scalar(select(SPOOLS.c.position).where(SPOOLS.c.file == file)) or 0)

    def forget(self, file: str) -> None:
        """`file` is gone; so is its position."""
        with self._engine.begin() as db:
            db.execute(delete(SPOOLS).where(SPOOLS.c.file == file))

    def get(self, id: str) -> Record | None:
        """The whole record, or None when there is no such id."""
        found = self._records(select(*_WHOLE).where(RECORDS.c.id == id))
        return found[0] if found else None

    def recent(self, limit: int = 50, *, before: float | None = None, **equal: str) -> list[Record]:
        """The newest records first, at most `limit`; `before` a wall-clock time; `equal` names a column: `route="auto"`."""
        query = select(*_WHOLE).order_by(RECORDS.c.at.desc(), RECORDS.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(RECORDS.c.at < before)
        for column, value in equal.items():
            query = query.where(RECORDS.c[column] == value)
        return self._records(query)

    def with_prompts(self, batch: int = 1000) -> Iterator[Record]:
        """Every record whose prompt was kept, the oldest first."""
        last = ("", 0.0)
        while True:
            query = select(*_WHOLE, RECORDS.c.id, RECORDS.c.at).where(RECORDS.c.prompt.is_not(None)).order_by(RECORDS.c.at, RECORDS.c.id).limit(batch)
            if last[0]:
                query = query.where((RECORDS.c.at > last[1]) | ((RECORDS.c.at == last[1]) & (RECORDS.c.id > last[0])))
            self.open()
            with self._engine.connect() as db:
                rows = [tuple(row) for row in db.execute(query)]
            for *whole, id_, at in rows:
                last = (id_, at)
                yield record_of(*whole)
            if len(rows) < batch:
                return

    def _records(self, query: Select[Any]) -> list[Record]:
        self.open()
        with self._engine.connect() as db:
            return [record_of(*row) for row in db.execute(query)]

    def __repr__(self) -> str:
        return f"<Store {self._file or repr(self._engine.url)}>"


_WHOLE = (RECORDS.c.document, RECORDS.c.prompt, RECORDS.c.answer)


def _sqlite(path: Path, synchronous: str) -> Engine:
    """WAL: readers never wait for the importer. `synchronous=NORMAL`: a power cut may take the last batch, `kill -9`
    takes nothing. `FULL`: nor does a power cut."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        for pragma in (f"page_size={PAGE_BYTES}", "journal_mode=WAL", f"wal_autocheckpoint={WAL_PAGES}", f"synchronous={synchronous}"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _insert_or_ignore(engine: Engine) -> Callable[[Connection, Sequence[Row]], int]:
    """Inserts rows, leaving those alone whose id is there; returns how many were new."""
    if engine.dialect.name == "sqlite":
        # As text, once: having SQLAlchemy arrange each row's values costs more than SQLite needs to insert it.
        text = str(insert(RECORDS).prefix_with("OR IGNORE").compile(dialect=engine.dialect))
        return lambda db, rows: db.exec_driver_sql(text, list(rows)).rowcount
    statement = postgresql.insert(RECORDS).on_conflict_do_nothing(index_elements=["id"])
    names = RECORDS.c.keys()
    return lambda db, rows: db.execute(statement, [dict(zip(names, row, strict=True)) for row in rows]).rowcount
