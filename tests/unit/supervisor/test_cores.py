"""`server.workers: auto`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pointsman.supervisor.cores import usable_cores


@pytest.mark.parametrize(("quota", "cores"), [("250000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("1600000 100000", 8), ("", 8)])
def test_the_lesser_of_cores_and_quota(quota, cores, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path / "cpu.max") == cores


def test_without_a_quota_all_that_we_are_allowed_on(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert usable_cores(tmp_path / "none") == 2
