"""The records that a killed process had written and not told of."""

from __future__ import annotations

from pathlib import Path

from pointsman.core.record import Record
from pointsman.records.spool import Spool
from pointsman.records.tail import Tail


def a_record(id: str) -> Record:
    return Record(id, 0.0, "chat", "auto", "auto", "", "", False, "answered", 200, 0.5, None)


def ids(tail: Tail) -> list[str]:
    return [record.id for record in tail.rest()]


def test_what_came_after_the_place_that_was_told(tmp_path: Path):
    spool, tail = Spool(tmp_path), Tail(tmp_path)
    spool.write(a_record("counted"))
    tail.told(*spool.place)
    spool.write(a_record("not counted"))
    spool.close()

    assert ids(tail) == ["not counted"]
    assert tail.unread == 0


def test_a_file_that_was_imported_and_removed_can_still_be_read(tmp_path: Path):
    spool, tail = Spool(tmp_path), Tail(tmp_path)
    tail.told(*spool.place)
    spool.write(a_record("one"))
    for file in tmp_path.glob("*.jsonl"):
        file.unlink()

    assert ids(tail) == ["one"]


def test_files_that_were_begun_since_are_read_too(tmp_path: Path):
    spool, tail = Spool(tmp_path, max_bytes=1), Tail(tmp_path)  # a file for each record
    tail.told(*spool.place)
    for name in ("one", "two", "three"):
        spool.write(a_record(name))

    assert ids(tail) == ["one", "two", "three"]


def test_other_processes_files_are_not_its(tmp_path: Path):
    spool, tail = Spool(tmp_path), Tail(tmp_path)
    tail.told(*spool.place)
    (tmp_path / "spool-9999999-99999999999999999999.jsonl").write_bytes(b"{}\n")

    assert ids(tail) == []


def test_a_torn_line_is_told_and_not_counted(tmp_path: Path):
    spool, tail = Spool(tmp_path), Tail(tmp_path)
    tail.told(*spool.place)
    spool.write(a_record("whole"))
    (file,) = tmp_path.glob("*.jsonl")
    with file.open("ab") as end:
        end.write(b'{"id": "tor')

    assert ids(tail) == ["whole"]
    assert tail.unread == 1


def test_a_file_that_is_gone_is_told(tmp_path: Path):
    tail = Tail(tmp_path)
    tail.told("spool-1-1.jsonl", 0)

    assert ids(tail) == []
    assert tail.unread == 1


def test_nothing_told_is_nothing_to_read(tmp_path: Path):
    assert ids(Tail(tmp_path)) == []


def test_a_writer_that_let_go_of_its_file_still_says_how_far_it_came(tmp_path: Path):
    """Its last word, after everything is closed: what it has counted must not be counted again."""
    spool, tail = Spool(tmp_path), Tail(tmp_path)
    tail.told(*spool.place)
    spool.write(a_record("counted"))
    spool.close()
    tail.told(*spool.place)

    assert ids(tail) == []
