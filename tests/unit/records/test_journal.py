from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from pointsman.core.record import Record
from pointsman.core.settings import RecordsSettings
from pointsman.errors import ConfigError
from pointsman.records import store as store_module
from pointsman.records.journal import Journal


def a_record(id: str, at: float = 1.0) -> Record:
    return Record(id, at, "chat", "auto", "auto", "", "", False, "answered", 200, 0.5, None)


def a_journal(directory: Path) -> Journal:
    return Journal(RecordsSettings(path=str(directory / "records.db")))


def test_a_record_can_be_asked_for_as_soon_as_it_is_written(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.write(a_record("a"))

    assert journal.get("a") == a_record("a")
    assert journal.get("b") is None
    assert journal.health()["ok"]
    journal.stop()


@pytest.mark.parametrize(("flush", "flushes", "synchronous"), [("system", 0, 1), ("disk", 1, 2)])
def test_a_record_is_flushed_to_the_disk_where_that_is_asked_for_and_so_is_the_store(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flush: str, flushes: int, synchronous: int) -> None:
    journal = Journal(RecordsSettings(path=str(tmp_path / "records.db"), flush=flush))
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    journal.write(a_record("a"))
    assert len(flushed) == flushes
    with journal.store._engine.connect() as db:
        assert db.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
    journal.stop()


def test_stopping_leaves_nothing_in_the_spool(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.start()
    journal.write(a_record("a"))
    journal.stop()

    assert list((tmp_path / "records.spool").iterdir()) == []
    again = a_journal(tmp_path)
    assert [r.id for r in again.recent(5)] == ["a"]
    again.stop()


def test_a_locked_database_shows_in_health_and_the_records_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.01)
    with sqlite3.connect(tmp_path / "records.db", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        journal = a_journal(tmp_path)
        journal.write(a_record("a"))
        assert not journal.flush()
        health = journal.health()
        assert (health["ok"], health["dropped"]) == (False, 0)
        assert health["lag_bytes"] > 0
        other.execute("ROLLBACK")
    other.close()

    assert journal.flush()
    assert journal.health()["ok"]
    assert journal.get("a") is not None
    journal.stop()


def test_a_path_that_cannot_work_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError):
        a_journal(tmp_path / "file")


def test_one_that_does_not_import_leaves_its_records_to_one_that_does(tmp_path: Path) -> None:
    worker = Journal(RecordsSettings(path=str(tmp_path / "records.db")), imports=False)
    worker.start()
    worker.write(a_record("a"))
    assert not (tmp_path / "records.db").exists()
    assert worker.health() == {"written": 1, "dropped": 0, "last_error": None, "ok": True}
    worker.stop()

    house = a_journal(tmp_path)
    assert house.get("a") == a_record("a")
    house.stop()
