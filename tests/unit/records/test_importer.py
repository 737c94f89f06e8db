from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pointsman.core.record import Record
from pointsman.records import store as store_module
from pointsman.records.importer import Importer
from pointsman.records.spool import Spool
from pointsman.records.store import Store


def a_record(id: str, **overrides: Any) -> Record:
    values: dict[str, Any] = {
        "id": id, "at": 1_800_000_000.0, "kind": "chat", "requested_model": "auto", "route": "auto", "tenant": "", "key": "",
        "stream": False, "outcome": "answered", "status": 200, "duration_s": 0.5, "ttft_s": 0.1,
    }
    return Record(**(values | overrides))


class Desk:
    """A spool, a store and an importer between them."""

    def __init__(self, directory: Path) -> None:
        self.place, self.directory = directory / "records.db", directory / "spool"
        self.spool = Spool(self.directory)
        self.store = Store(self.place)
        self.importer = Importer(self.directory, self.store, batch=3)

    def write(self, *ids: str) -> None:
        for name in ids:
            self.spool.write(a_record(name))

    def stored(self) -> list[str]:
        return sorted(record.id for record in self.store.recent(1000))

    def files(self) -> list[Path]:
        return sorted(self.directory.iterdir())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.spool.close()
    desk.store.close()


def test_what_was_written_can_be_asked_for(desk: Desk) -> None:
    desk.write(*"abcdefgh")

    assert desk.importer.lag_bytes() > 0
    assert desk.importer.flush()
    assert desk.stored() == list("abcdefgh")
    assert desk.importer.health() == {"imported": 8, "skipped": 0, "failures": 0, "lag_bytes": 0, "last_error": None}


def test_a_living_writer_keeps_its_file_and_later_lines_follow(desk: Desk) -> None:
    desk.write("a")
    desk.importer.flush()
    desk.write("b")
    desk.importer.flush()

    assert desk.stored() == ["a", "b"]
    assert desk.importer.imported == 2
    assert len(desk.files()) == 1


def test_a_file_whose_writer_is_gone_is_removed_once_it_is_in(desk: Desk) -> None:
    desk.write("a", "b")
    desk.spool.close()
    desk.importer.flush()

    assert desk.stored() == ["a", "b"]
    assert desk.files() == []


def test_importing_the_same_lines_twice_adds_nothing(desk: Desk) -> None:
    desk.write("a", "b")
    copy = desk.files()[0].read_bytes()
    desk.importer.flush()
    (desk.directory / "spool-1-1.jsonl").write_bytes(copy)
    desk.importer.flush()

    assert desk.stored() == ["a", "b"]
    assert desk.importer.imported == 2


def test_another_importer_goes_on_where_the_last_one_stopped(desk: Desk) -> None:
    desk.write("a", "b")
    desk.importer.flush()
    desk.write("c")
    other = Importer(desk.directory, desk.store)
    other.flush()

    assert other.imported == 1
    assert desk.stored() == ["a", "b", "c"]


def test_spools_of_dead_processes_are_picked_up(desk: Desk) -> None:
    desk.write("a")
    (desk.directory / "spool-99999-1.jsonl").write_bytes(desk.files()[0].read_bytes().replace(b'"a"', b'"dead"'))
    desk.importer.flush()

    assert desk.stored() == ["a", "dead"]
    assert len(desk.files()) == 1


def test_a_torn_last_line_waits_for_its_end_while_its_writer_lives(desk: Desk) -> None:
    desk.write("a", "b")
    whole = desk.files()[0].read_bytes()
    with desk.files()[0].open("r+b") as file:
        file.truncate(len(whole) - 20)
    desk.importer.flush()
    assert desk.stored() == ["a"]
    assert desk.importer.skipped == 0

    with desk.files()[0].open("ab") as file:
        file.write(whole[-20:])
    desk.importer.flush()
    assert desk.stored() == ["a", "b"]


def test_a_torn_last_line_of_a_dead_writer_is_skipped_and_counted(desk: Desk) -> None:
    desk.write("a", "b")
    with desk.files()[0].open("r+b") as file:
        file.truncate(file.seek(0, 2) - 20)
    desk.spool.close()
    desk.importer.flush()

    assert desk.stored() == ["a"]
    assert desk.importer.skipped == 1
    assert desk.files() == []


@pytest.mark.parametrize("junk", [b"\0" * 50, b"{}", b"[1,2]", b'{"id":"x"', b"\xff\xfe", b'{"id":1,"at":"soon"}'])
def test_a_line_that_is_no_record_costs_only_itself(desk: Desk, junk: bytes) -> None:
    desk.write("a")
    with desk.files()[0].open("ab") as file:
        file.write(junk + b"\n\n")
    desk.write("b")
    desk.importer.flush()

    assert desk.stored() == ["a", "b"]
    assert desk.importer.skipped == 1


def test_a_locked_database_is_tried_again_and_nothing_is_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_S", 0.01)
    store = Store(desk.place)
    store.open()
    importer = Importer(desk.directory, store)
    desk.write("a")
    with desk.files()[0].open("ab") as file:
        file.write(b"junk\n")
    with sqlite3.connect(desk.place, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert not importer.flush()
        assert (importer.failures, "locked" in str(importer.last_error)) == (1, True)
        other.execute("ROLLBACK")
    other.close()

    assert importer.flush()
    assert importer.last_error is None
    assert importer.skipped == 1
    assert desk.stored() == ["a"]
    store.close()


def test_the_thread_imports_by_itself_and_a_stop_takes_the_rest(desk: Desk) -> None:
    desk.write("a")
    desk.importer.start()
    desk.write("b", "c")
    desk.spool.close()
    desk.importer.stop()

    assert desk.stored() == ["a", "b", "c"]
    assert desk.files() == []


def test_absurd_numbers_from_an_upstream_do_not_stop_the_line(desk: Desk) -> None:
    desk.write("a")
    line = desk.files()[0].read_bytes().replace(b'"usage":null', b'"usage":{"input_tokens":1' + b"0" * 30 + b',"output_tokens":1}')
    (desk.directory / "spool-1-1.jsonl").write_bytes(line.replace(b'"a"', b'"huge"'))
    desk.importer.flush()

    assert desk.stored() == ["a", "huge"]


def test_the_litter_of_a_writer_killed_at_birth_is_swept_and_a_newborn_is_not(desk: Desk) -> None:
    old, new = desk.directory / "spool-1-1.new", desk.directory / "spool-2-2.new"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    desk.importer.flush()

    assert not old.exists()
    assert new.exists()
