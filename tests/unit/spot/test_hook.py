"""A file that somebody puts down when the machine will be taken away."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pointsman.spot.hook import HookFile
from pointsman.spot.notice import Notice, Unavailable


@pytest.fixture
def file(tmp_path):
    return tmp_path / "leaving"


def test_as_long_as_it_is_not_there_nobody_leaves(file):
    assert HookFile(file).is_here()
    assert HookFile(file).look() is None


@pytest.mark.parametrize(("content", "notice"), [
    (b"", Notice("hook file")),
    (b"  \n", Notice("hook file")),
    (b'{"deadline": 60}', Notice("hook file", lead_s=60.0)),
    (b'{"deadline": 0.5, "reason": "outbid"}', Notice("outbid", lead_s=0.5)),
    (b'{"deadline": "2026-11-22T12:00:00Z"}', Notice("hook file", at=datetime(2026, 11, 22, 12, tzinfo=UTC))),
    (b'{"reason": "rack 7"}', Notice("rack 7")),
])  # fmt: skip
def test_what_it_says_is_the_notice(file, content, notice):
    file.write_bytes(content)
    assert HookFile(file).look() == notice


def test_a_time_without_a_zone_says_nothing_about_when(file):
    file.write_bytes(b'{"deadline": "2026-11-22T12:00:00", "reason": "outbid"}')
    assert HookFile(file).look() == Notice("outbid")


@pytest.mark.parametrize("content", [b"soon", b"[1]", b'{"dead_line": 5}', b"\xff\xfe", b'{"deadline": "tomorrow"}', b'{"reason": "'
                                     + b"x" * 5_000 + b'"}'])
def test_one_that_cannot_be_read_still_means_something(file, content):
    file.write_bytes(content)
    notice = HookFile(file).look()
    assert notice is not None
    assert "cannot be read" in notice.reason


def test_a_place_that_cannot_be_looked_at_is_unavailable_and_no_notice(file):
    file.mkdir()
    with pytest.raises(Unavailable, match="leaving"):
        HookFile(file).look()
