"""kill -9, and a file that may not grow: real processes, real kernel."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from pointsman.core.settings import RecordsSettings
from pointsman.records.journal import Journal

WRITER = """
import sys
from pointsman.core.record import Record
from pointsman.records.spool import Spool

spool = Spool(sys.argv[1], max_bytes=20_000)
for number in range(int(sys.argv[2])):
    spool.write(Record(f"{number:06}", 1.0, "chat", "auto", "auto", "", "", False, "answered", 200, 0.5, None))
    print(f"{number:06}" if spool.dropped == 0 else "dropped", flush=True)
"""


def test_kill_9_loses_no_record_whose_write_returned(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "records.spool"), "1000000"], stdout=subprocess.PIPE, text=True,
    ) as writer:
        assert writer.stdout is not None
        promised = [writer.stdout.readline().strip() for _ in range(500)]
        writer.kill()
        promised += writer.stdout.read().split()

    journal = Journal(RecordsSettings(path=str(tmp_path / "records.db")))
    assert journal.flush()
    stored = [r.id for r in journal.recent(1_000_000)]
    journal.stop()

    # The last line may be cut in the pipe, and one record may be on disk whose id was not printed any more.
    assert len(stored) == len(set(stored))
    assert set(promised) - set(stored) <= {i for i in promised if len(i) < 6}
    assert len(stored) - len(promised) <= 1
    assert journal.importer.imported == len(stored)


def test_the_importer_may_run_while_the_writer_is_killed(tmp_path: Path) -> None:
    journal = Journal(RecordsSettings(path=str(tmp_path / "records.db")), every_s=0.001)
    journal.start()
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "records.spool"), "1000000"], stdout=subprocess.PIPE, text=True,
    ) as writer:
        assert writer.stdout is not None
        promised = [writer.stdout.readline().strip() for _ in range(2000)]
        writer.kill()
    journal.stop()
    journal = Journal(RecordsSettings(path=str(tmp_path / "records.db")))
    stored = [r.id for r in journal.recent(1_000_000)]
    journal.stop()

    assert set(promised) <= set(stored)
    assert len(stored) == len(set(stored))
    assert list((tmp_path / "records.spool").glob("*.jsonl")) == []


def test_a_file_that_may_not_grow_drops_records_and_never_the_writer(tmp_path: Path) -> None:
    """The kernel tears the write at the limit, then refuses: what a full disk does, without a disk to fill."""
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path / "records.spool"), "100"], capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    kept = [line for line in done.stdout.split() if line != "dropped"]
    journal = Journal(RecordsSettings(path=str(tmp_path / "records.db")))
    journal.flush()

    assert 0 < len(kept) < 100
    assert sorted(r.id for r in journal.recent(1000)) == kept
    assert journal.importer.skipped == 0
    journal.stop()
