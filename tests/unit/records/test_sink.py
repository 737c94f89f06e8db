from __future__ import annotations

import asyncio
import logging

import pytest

from pointsman.core.record import Record
from pointsman.records.sink import Fanout

RECORD = Record("r1", 0.0, "chat", "auto", "auto", "", "", False, "answered", 200, 0.5, None)


class Keeps:
    def __init__(self) -> None:
        self.kept: list[Record] = []

    def write(self, record: Record) -> None:
        self.kept.append(record)


class Breaks:
    def write(self, record: Record) -> None:
        raise RuntimeError("no")


def test_every_sink_gets_the_record() -> None:
    one, other = Keeps(), Keeps()
    Fanout(one, other).write(RECORD)

    assert one.kept == other.kept == [RECORD]


def test_the_first_has_it_at_once_and_the_others_when_the_client_has_its_answer() -> None:
    async def answering() -> tuple[int, int, int]:
        first, reader = Keeps(), Keeps()
        Fanout(first, reader).write(RECORD)
        before = len(first.kept), len(reader.kept)
        await asyncio.sleep(0)
        return *before, len(reader.kept)

    assert asyncio.run(answering()) == (1, 0, 1)


def test_a_sink_that_raises_stops_nobody_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    last = Keeps()
    fanout = Fanout(Breaks(), last)
    with caplog.at_level(logging.ERROR):
        fanout.write(RECORD)

    assert last.kept == [RECORD]
    assert fanout.failed == 1
    assert "Breaks could not take record r1" in caplog.text


def test_after_catching_up_all_have_seen_the_same_and_nothing_twice() -> None:
    async def answering() -> tuple[list[str], list[str]]:
        first, reader = Keeps(), Keeps()
        fanout = Fanout(first, reader)
        fanout.write(RECORD)
        fanout.write(RECORD)
        fanout.catch_up()
        caught_up = [record.id for record in reader.kept]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return caught_up, [record.id for record in reader.kept]

    assert asyncio.run(answering()) == (["r1", "r1"], ["r1", "r1"])
