"""Whatever the disk does and whenever the importer looks: what was kept arrives exactly once, and nothing else does."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.core.record import Record
from pointsman.records.importer import Importer
from pointsman.records.spool import Spool
from pointsman.records.store import Store

steps = st.lists(
    st.one_of(
        st.just("keep"), st.just("full"), st.tuples(st.just("tear"), st.integers(0, 300)), st.just("look"),
        st.just("rotate"), st.just("die"),
    ),
    max_size=25,
)


class Disk:
    """write(2) in the mood of the day."""

    mood: str | int = "keep"

    def __call__(self, fd: int, data: bytes) -> int:
        if self.mood == "full":
            raise OSError(errno.ENOSPC, "full")
        return os.write(fd, data[:self.mood] if isinstance(self.mood, int) else data)


@given(steps)
@settings(deadline=None, max_examples=60)
def test_what_was_kept_arrives_exactly_once(steps: list[str | tuple[str, int]]) -> None:
    disk, kept = Disk(), []
    with TemporaryDirectory() as place:
        directory = Path(place) / "spool"
        store = Store(Path(place) / "records.db")
        importer = Importer(directory, store, batch=2)
        spool = Spool(directory, write=disk)
        for number, step in enumerate(steps):
            if step == "look":
                assert importer.flush()
            elif step in ("rotate", "die"):
                spool.close()
                spool = Spool(directory, write=disk)
                if step == "die":  # whoever comes next knows nothing but what is on disk
                    importer = Importer(directory, store, batch=2)
            else:
                disk.mood = step[1] if isinstance(step, tuple) else step
                before = spool.written
                spool.write(Record(f"{number:03}", float(number), "chat", "auto", "auto", "", "", False, "answered", 200, 0.5, None))
                kept += [f"{number:03}"] * (spool.written - before)
        spool.close()
        assert importer.flush()

        assert [r.id for r in store.recent(100)] == kept[::-1]
        assert list(directory.iterdir()) == []
        store.close()
