from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from pointsman.server.collector import BLOCKS_OF_ONE, GROWTH, NEVER, Collector


class Heap:
    """Blocks and requests that are set by hand."""

    def __init__(self, blocks: int, running: int = 0) -> None:
        self.blocks, self.running, self.collected = blocks, running, 0
        self.garbage = 0

    def collect(self) -> None:
        self.collected += 1
        self.blocks -= self.garbage
        self.garbage = 0

    def collector(self) -> Collector:
        return Collector(lambda: self.running, blocks=lambda: self.blocks, collect=self.collect)


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    found = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*found)


def _begun(heap: Heap) -> Collector:
    collector = heap.collector()
    collector.begin()
    return collector


def test_open_streams_are_no_reason_to_look_through_everything():
    heap = Heap(200_000)
    collector = _begun(heap)
    for _ in range(80):  # a hundred more each time, as measured
        heap.running += 100
        heap.blocks += 260 * 100
        assert not collector.look()
    assert heap.collected == 0


def test_what_no_request_explains_is_looked_through_once_it_has_grown_by_a_quarter():
    heap = Heap(200_000, running=10)
    collector = _begun(heap)
    allowed = int((200_000 - 10 * BLOCKS_OF_ONE) * (1 + GROWTH)) + 10 * BLOCKS_OF_ONE
    heap.blocks = allowed
    assert not collector.look()
    heap.blocks += 1
    heap.garbage = 50_000
    assert collector.look()
    assert not collector.look()


def test_what_stays_is_known_from_then_on_so_that_looks_do_not_come_again_and_again():
    heap = Heap(200_000)
    collector = _begun(heap)
    for _ in range(1000):  # something that grows for good: a table of sessions
        heap.blocks += 2_000
        collector.look()
    assert heap.collected <= 12  # log(2.2 million / 200,000) / log(1.25) = 10.7


def test_garbage_of_streams_shows_once_they_are_closed():
    heap = Heap(200_000)
    collector = _begun(heap)
    heap.running, heap.blocks = 8_000, 200_000 + 260 * 8_000
    assert not collector.look()
    heap.running = 0
    assert collector.look()


def test_the_interpreter_goes_on_with_the_young_and_leaves_the_old_alone():
    collector = Collector(int)
    gc.collect()
    collector.begin()
    before = gc.get_stats()
    kept = [[i] for i in range(500_000)]
    after = gc.get_stats()
    collector.end()
    assert len(kept) == 500_000
    assert after[0]["collections"] - before[0]["collections"] > 500
    assert after[1]["collections"] > before[1]["collections"]
    assert after[2]["collections"] == before[2]["collections"]


def test_cycles_that_outlived_their_youth_are_found():
    class Knot:
        def __init__(self) -> None:
            self.itself = self

    gc.collect()
    base = sys.getallocatedblocks()
    collector = Collector(int, blocks=lambda: 100_000 + sys.getallocatedblocks() - base)
    collector.begin()
    knots = [Knot() for _ in range(100_000)]
    gc.collect(1)
    knots.clear()
    assert collector.look()
    collector.end()
    assert not any(isinstance(thing, Knot) for thing in gc.get_objects())


def test_thresholds_are_given_back_by_whoever_took_them():
    first, second = Collector(int), Collector(int)
    first.begin()
    second.begin()
    assert gc.get_threshold() == (700, 10, NEVER)
    second.end()
    assert gc.get_threshold() == (700, 10, NEVER)
    first.end()
    first.end()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("thresholds", [(700, 10, 10), (0, 0, 0)])
def test_an_allocator_that_does_not_count_or_a_collector_that_is_off_stays_as_it_is(thresholds: tuple[int, int, int]):
    gc.set_threshold(*thresholds)
    heap = Heap(0 if thresholds[0] else 200_000)
    collector = _begun(heap)
    assert gc.get_threshold() == thresholds
    heap.blocks = 10_000_000
    assert not collector.look()
    assert heap.collected == 0
