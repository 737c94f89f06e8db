from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pointsman.core.record import Record
from pointsman.errors import ConfigError
from pointsman.records.spool import Spool, spool_directory
from pointsman.testing.clock import ManualClock


def a_record(id: str = "r1", **overrides: Any) -> Record:
    values: dict[str, Any] = {
        "id": id, "at": 1_800_000_000.0, "kind": "chat", "requested_model": "auto", "route": "auto", "tenant": "", "key": "",
        "stream": False, "outcome": "answered", "status": 200, "duration_s": 0.5, "ttft_s": 0.1,
    }
    return Record(**(values | overrides))


def lines(directory: Path) -> list[bytes]:
    return [line for path in sorted(directory.glob("spool-*.jsonl")) for line in path.read_bytes().splitlines()]


def ids(directory: Path) -> list[str]:
    return [msgspec.json.decode(line, type=Record).id for line in lines(directory)]


class Disk:
    """A write(2) whose next results are scripted: an errno to raise, a number of bytes to take, or None for all."""

    def __init__(self, *script: int | str | None) -> None:
        self.script: Iterator[int | str | None] = iter(script)

    def __call__(self, fd: int, data: bytes) -> int:
        step = next(self.script, None)
        if isinstance(step, str):
            raise OSError(getattr(errno, step), os.strerror(getattr(errno, step)))
        return os.write(fd, data if step is None else data[:step])


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Spool]]:
    made: list[Spool] = []

    def _make(**options: Any) -> Spool:
        made.append(Spool(tmp_path / "spool", **options))
        return made[-1]

    yield _make
    for spool in made:
        spool.close()


def test_a_record_is_on_disk_as_one_line_when_write_returns(make: Callable[..., Spool], tmp_path: Path) -> None:
    record = a_record(prompt="two\nlines \u2028 and a \"quote\"")
    make().write(record)

    (line,) = lines(tmp_path / "spool")
    assert msgspec.json.decode(line, type=Record) == record


def test_only_the_owner_may_read_it(make: Callable[..., Spool], tmp_path: Path) -> None:
    make()
    (path,) = (tmp_path / "spool").iterdir()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.name.startswith(f"spool-{os.getpid()}-")


def test_the_writer_holds_the_lock_until_it_closes(make: Callable[..., Spool], tmp_path: Path) -> None:
    spool = make()
    (path,) = (tmp_path / "spool").iterdir()
    with path.open("rb") as reader:
        with pytest.raises(BlockingIOError):
            fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
        spool.close()
        fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_full_file_is_left_for_a_new_one(make: Callable[..., Spool], tmp_path: Path) -> None:
    spool = make(max_bytes=1000)
    for i in range(10):
        spool.write(a_record(f"r{i}"))

    assert len(list((tmp_path / "spool").iterdir())) > 2
    assert sorted(ids(tmp_path / "spool")) == [f"r{i}" for i in range(10)]


def test_a_full_disk_drops_the_record_and_says_so_without_raising(make: Callable[..., Spool], tmp_path: Path) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        spool = make(write=lambda _, data: os.write(full.fileno(), data))
        spool.write(a_record())

    health = spool.health()
    assert (health["dropped"], health["written"]) == (1, 0)
    assert "No space left on device" in health["last_error"]
    assert lines(tmp_path / "spool") == []


def test_the_log_says_once_that_records_are_dropped_and_once_that_they_are_kept_again(
    make: Callable[..., Spool], caplog: pytest.LogCaptureFixture,
) -> None:
    spool = make(write=Disk("ENOSPC", "ENOSPC", None))
    for name in ("lost", "lost too", "kept", "kept too"):
        spool.write(a_record(name))

    said = [record.getMessage() for record in caplog.records if record.name == "pointsman.records.spool"]
    assert [words.split(":")[0] for words in said] == ["records are being dropped", "records are kept again; 2 were dropped since the start"]


def test_a_place_that_is_not_there_yet_is_told_and_nothing_is_counted(make: Callable[..., Spool], monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OSError(errno.ENOENT, "no such file")

    monkeypatch.setattr(Path, "mkdir", gone)
    health = make().health()
    assert (health["dropped"], health["written"]) == (0, 0)
    assert "no such file" in health["last_error"]


def test_the_error_goes_away_with_the_next_record_that_is_kept(make: Callable[..., Spool]) -> None:
    spool = make(write=Disk("ENOSPC"))
    spool.write(a_record("lost"))
    spool.write(a_record("kept"))

    assert spool.health() == {"written": 1, "dropped": 1, "last_error": None}


def test_a_torn_half_line_is_cut_off_again(make: Callable[..., Spool], tmp_path: Path) -> None:
    spool = make(write=Disk(None, 40, None))
    for name in ("first", "torn", "third"):
        spool.write(a_record(name))

    assert ids(tmp_path / "spool") == ["first", "third"]
    assert spool.dropped == 1


def test_where_it_cannot_be_cut_the_next_line_starts_on_a_new_line(
    make: Callable[..., Spool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "ftruncate", refuse)
    spool = make(write=Disk(None, 40, None))
    for name in ("first", "torn", "third"):
        spool.write(a_record(name))

    found = lines(tmp_path / "spool")
    assert len(found) == 3
    assert len(found[1]) == 40
    assert msgspec.json.decode(found[2], type=Record).id == "third"


def test_text_that_has_no_utf8_is_kept_with_a_question_mark(make: Callable[..., Spool], tmp_path: Path) -> None:
    make().write(a_record(error_message="half \ud800 a pair"))

    (line,) = lines(tmp_path / "spool")
    assert msgspec.json.decode(line, type=Record).error_message == "half ? a pair"


def test_what_has_no_json_is_counted(make: Callable[..., Spool]) -> None:
    spool = make()
    spool.write(a_record(error=object()))

    assert spool.dropped == 1
    assert "r1" in str(spool.last_error)


def test_a_removed_file_is_noticed_and_replaced(make: Callable[..., Spool], tmp_path: Path) -> None:
    spool = make()
    (path,) = (tmp_path / "spool").iterdir()
    path.unlink()

    assert "removed while in use" in spool.health()["last_error"]
    spool.write(a_record("after"))
    assert ids(tmp_path / "spool") == ["after"]


def test_a_directory_that_comes_back_is_used_again_after_a_pause(tmp_path: Path, make: Callable[..., Spool]) -> None:
    clock = ManualClock()
    spool = make(write=Disk(None), now=clock.now)
    (path,) = (tmp_path / "spool").iterdir()
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("in the way")
    spool.health()
    spool.write(a_record("lost"))
    path.parent.unlink()
    spool.write(a_record("too early"))
    clock.advance(1.5)
    spool.write(a_record("kept"))

    assert ids(tmp_path / "spool") == ["kept"]
    assert spool.dropped == 2


def test_a_place_that_can_never_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"records\.path"):
        Spool(tmp_path / "file" / "spool")


def test_a_closed_spool_drops_and_counts(make: Callable[..., Spool]) -> None:
    spool = make()
    spool.close()
    spool.write(a_record())

    assert spool.dropped == 1


def test_with_fsync_each_record_is_flushed(make: Callable[..., Spool], monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    spool = make(fsync=True)
    assert len(flushed) == 2, "the file's name, and its folder's"
    spool.write(a_record())
    spool.write(a_record())
    assert len(flushed) == 4
    make(fsync=False).write(a_record())
    assert len(flushed) == 4


def test_the_spool_lives_beside_its_store() -> None:
    assert spool_directory("/var/lib/records.db") == Path("/var/lib/records.spool")
