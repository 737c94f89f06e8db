"""What engines publish about their prefix caches, read and put in order."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from pointsman.core.cache_event import Cleared, Missed, Removed, Stored
from pointsman.testing.factories import an_endpoint
from pointsman.upstream.cache_events import MOST_BYTES, Order, _Follower, read_batch

STORED = {"type": "BlockStored", "block_hashes": [b"a"], "parent_block_hash": None, "token_ids": [1, 2], "block_size": 2, "lora_id": None,
          "medium": "GPU", "lora_name": None}


def batch(*events, rank=0) -> bytes:
    return msgspec.msgpack.encode([1.5, list(events), rank])


def test_both_forms_of_events_are_read():
    old = ["BlockStored", [7, 8], 6, [1, 2, 3, 4], 2, None], ["BlockRemoved", [7]], ["AllBlocksCleared"]
    assert read_batch(batch(*old)) == [Stored((7, 8), 6, (1, 2, 3, 4), 2), Removed((7,)), Cleared()]
    new = STORED, {"type": "BlockRemoved", "block_hashes": [b"a"], "medium": "GPU"}, {"type": "AllBlocksCleared"}
    assert read_batch(batch(*new)) == [Stored((b"a",), None, (1, 2), 2), Removed((b"a",)), Cleared()]


@pytest.mark.parametrize("more", [
    {"lora_name": "poet"}, {"lora_id": 3}, {"extra_keys": [["salt"]]}, {"group_idx": 1}, {"medium": "STORAGE"}, {"type": "BlockBlessed"},
], ids=str)
def test_what_depends_on_more_than_tokens_or_is_elsewhere_is_left_out(more):
    assert read_batch(batch(STORED | more)) == []
    assert read_batch(batch(STORED | {"extra_keys": [None], "group_idx": 0, "session_id": "x"})) != []


@pytest.mark.parametrize("payload", [
    b"", b"\xc1", msgspec.msgpack.encode({}), msgspec.msgpack.encode([1.0]), batch(STORED | {"token_ids": "x"}), batch(5), b"\x00" * (MOST_BYTES + 1),
], ids=range(7))
def test_anything_else_is_refused(payload):
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        read_batch(payload)


def test_numbers_tell_what_was_lost_and_who_is_new():
    order = Order()
    assert [order.take(number) for number in (0, 1, 2, 4, 5, 0, 1, 7, 3)] == [
        "first", "next", "next", "gap", "next", "first", "next", "gap", "gap"]
    late = Order()
    assert [late.take(number) for number in (5, 6)] == ["gap", "next"]


def test_what_was_replayed_may_come_once_more():
    order = Order()
    order.replayed(4)
    assert [order.take(number) for number in (2, 3, 4, 5, 0)] == ["old", "old", "next", "next", "first"]


class Engine:
    """Publishes and replays what it is told to."""

    def __init__(self, *replayed: int, replays: bool = True) -> None:
        self.heard: list = []
        self.asked: list[int] = []
        self._replayed = replayed
        endpoint = an_endpoint(kv_events="tcp://e:1", kv_replay="tcp://e:2" if replays else None)
        self.follower = _Follower(endpoint, self.heard.append, self._again)

    async def _again(self, start: int):
        self.asked.append(start)
        for number in self._replayed:
            if number >= start:
                yield number, self.payload(number)

    @staticmethod
    def payload(number: int) -> bytes:
        return batch(["BlockRemoved", [number]])

    def say(self, *numbers: int, catches_up: bool = False) -> list:
        """What was told, blocks by their number."""
        async def story():
            if catches_up:
                await self.follower.catch_up()
            for number in numbers:
                await self.follower.take([b"", number.to_bytes(8, "big"), self.payload(number)])

        asyncio.run(story())
        return [event.hashes[0] if isinstance(event, Removed) else type(event) for event in self.heard]


def test_a_gap_is_filled_where_the_engine_replays_and_said_where_it_does_not():
    engine = Engine(0, 1, 2, 3, 4)
    assert engine.say(0, 1, 4) == [Cleared, 0, 1, 2, 3, 4]
    assert engine.asked == [2]
    assert Engine(replays=False).say(0, 1, 4) == [Cleared, 0, 1, Missed, 4]


def test_what_the_engine_keeps_no_more_was_missed():
    assert Engine(3, 4).say(0, 1, 4) == [Cleared, 0, 1, Missed, 3, 4]
    assert Engine().say(0, 3) == [Cleared, 0, Missed, 3]


def test_who_comes_late_is_told_everything_once():
    assert Engine(0, 1, 2).say(1, 2, 3, catches_up=True) == [Cleared, 0, 1, 2, 3]
    assert Engine(replays=False).say(5, 6, catches_up=True) == [Missed, 5, 6]


def test_another_engine_begins_with_nothing():
    assert Engine(replays=False).say(0, 1, 0, 1) == [Cleared, 0, 1, Cleared, 0, 1]
    assert Engine(0, 1, 2).say(0, 1, 2, 3, 1) == [Cleared, 0, 1, 2, 3, Cleared, 0, 1]


def test_nonsense_misguides_nobody(caplog):
    engine = Engine(replays=False)

    async def story():
        await engine.follower.take([b"", b"short", b""])
        await engine.follower.take([b"", (0).to_bytes(8, "big"), b"\xc1"])

    asyncio.run(story())
    assert [type(event) for event in engine.heard] == [Cleared, Missed]
    assert "cannot be read" in caplog.text
