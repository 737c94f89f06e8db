"""Where a demo keeps its files: `.pointsman/demo`, made new each time, or a neighbour while another demo runs there."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

PARENT = Path(".pointsman")


@contextmanager
def workspace(parent: Path = PARENT) -> Iterator[Path]:
    """An empty directory that is ours while the block runs; it stays afterwards, for whoever wants to look. OSError."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in count(1):
        name = "demo" if number == 1 else f"demo-{number}"
        lock = os.open(parent / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _claimed(lock):
                continue
            directory = parent / name
            if directory.exists():
                shutil.rmtree(directory)
            directory.mkdir(mode=0o700)
            yield directory
            return
        finally:
            os.close(lock)


def _claimed(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
