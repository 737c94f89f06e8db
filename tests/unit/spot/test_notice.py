"""What a machine learns about its end."""

from __future__ import annotations

import dataclasses

import pytest

from pointsman.spot.clouds import Aws, Azure, Gcp
from pointsman.spot.hook import HookFile
from pointsman.spot.notice import Notice


def test_a_notice_may_know_neither_when_nor_how_long():
    notice = Notice("outbid")
    assert (notice.reason, notice.at, notice.lead_s) == ("outbid", None, None)


def test_a_notice_does_not_change_once_it_was_seen():
    with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
        Notice("outbid").reason = "something else"  # type: ignore[misc]


@pytest.mark.parametrize("source", [Aws, Gcp, Azure, HookFile])
def test_every_source_has_a_name_and_looks_often_enough_for_a_drain_within_a_second(source):
    assert source.name
    assert 0 < source.every_s <= 1.0
