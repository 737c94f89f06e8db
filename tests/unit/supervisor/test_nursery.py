"""The process that workers are forked from; what it does is in `tests/integration/test_workers.py`."""

from __future__ import annotations

import threading

import pytest

from pointsman.supervisor.nursery import Nursery


def test_it_is_not_forked_while_threads_run():
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name="a-thread-of-this-test")
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="a-thread-of-this-test"):
            Nursery.open(lambda seat, link: 0)
    finally:
        go.set()
        thread.join()
