"""Follows what vLLM publishes about its prefix cache: ZeroMQ messages of (topic, sequence, MessagePack batch).

Numbers have no holes unless something was lost: a slow reader, a broken connection. What was lost is asked for where the
engine replays (`kv_replay`), and is said to be missed where it does not, or not that far back. A number that falls is another
engine, which begins with an empty cache.

Two forms of events are in use: maps with a `type`, and, before vLLM 0.12, arrays that begin with it. What depends on more than
tokens (adapters, images, salts), what is not in the accelerator's memory, and groups of blocks beside the first one are left out.

ZeroMQ is the extra `events`. Messages are as trusted as the network they come over: they are bounded and checked, and can do no
more than misguide the balancer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from pointsman.core.cache_event import CacheEvent, Cleared, Hash, Missed, Removed, Stored
from pointsman.core.fleet import EndpointSpec

MOST_BYTES = 16 * 1024 * 1024
"""Of one message: a step stores some thousand tokens, a few ten KB."""
REPLAY_TIMEOUT_S = 5.0
BUFFERED = 100_000
"""Batches that wait here while we are busy; vLLM's own bound on its side."""
_END = (-1).to_bytes(8, "big", signed=True)
_FIELDS = ("type", "block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium", "lora_name", "extra_keys", "group_idx")
_HERE = (None, "GPU", "CPU_KV", "cpu")

_log = logging.getLogger(__name__)


class _Stored(msgspec.Struct):
    block_hashes: tuple[Hash, ...]
    parent_block_hash: Hash | None
    token_ids: tuple[int, ...]
    block_size: int
    lora_id: int | None = None
    medium: str | None = None
    lora_name: str | None = None
    extra_keys: list[Any] | None = None
    group_idx: int | None = None


class _Removed(msgspec.Struct):
    block_hashes: tuple[Hash, ...]
    medium: str | None = None
    group_idx: int | None = None


def read_batch(payload: bytes) -> list[CacheEvent]:
    """The events of one batch that concern us. Raises ValueError: it is none."""
    if len(payload) > MOST_BYTES:
        raise ValueError(f"a batch of {len(payload)} bytes")
    batch = msgspec.msgpack.decode(payload)
    if not isinstance(batch, list) or len(batch) < 2 or not isinstance(batch[1], list):
        raise ValueError("no batch of events")
    return [event for raw in batch[1] if (event := _event(raw)) is not None]


def _event(raw: Any) -> CacheEvent | None:
    """None: of no concern, or of a kind that came later than this code."""
    named = raw if isinstance(raw, dict) else _named(raw)
    match named.get("type"):
        case "BlockStored":
            stored = msgspec.convert(named, _Stored)
            is_plain = stored.lora_id is None and stored.lora_name is None and not any(stored.extra_keys or ())
            if not is_plain or stored.group_idx or stored.medium not in _HERE:
                return None
            return Stored(stored.block_hashes, stored.parent_block_hash, stored.token_ids, stored.block_size)
        case "BlockRemoved":
            removed = msgspec.convert(named, _Removed)
            return None if removed.group_idx or removed.medium not in _HERE else Removed(removed.block_hashes)
        case "AllBlocksCleared":
            return Cleared()
    return None


def _named(raw: Any) -> dict[str, Any]:
    """An event as an array, by the names of its fields."""
    if not isinstance(raw, list) or not raw:
        raise ValueError("an event that is neither a map nor an array")
    fields = ("type", "block_hashes", "medium") if raw[0] == "BlockRemoved" else _FIELDS
    return dict(zip(fields, raw, strict=False))


class Order:
    """Which batch comes next, and what to make of the one that did."""

    __slots__ = ("_may_repeat", "expected")

    def __init__(self) -> None:
        self.expected: int | None = None
        """None = none was heard yet."""
        # What was replayed may come once more, until something new does.
        self._may_repeat = False

    def replayed(self, following: int) -> None:
        self.expected, self._may_repeat = following, True

    def take(self, number: int) -> str:
        """`next`, `gap` (some were lost before it), `first` (of an engine that has just started), or `old` (heard already)."""
        expected = self.expected
        if expected is not None and number < expected and self._may_repeat:
            return "old"
        self.expected, self._may_repeat = number + 1, False
        if number == 0:
            return "first"
        return "next" if number == expected else "gap"


async def follow(endpoint: EndpointSpec, told: Callable[[CacheEvent], None]) -> None:
    """Tells every event of an endpoint's engine, in order, until cancelled. Connections come back by themselves.

    Raises ImportError without the extra, ValueError for an endpoint that names no address of events.
    """
    import zmq  # an extra: pyzmq
    import zmq.asyncio as asyncio_zmq

    if endpoint.kv_events is None:
        raise ValueError(f"endpoint {endpoint.id} has no `kv_events`")
    context = asyncio_zmq.Context()
    try:
        with context.socket(zmq.SUB) as socket:
            socket.set_hwm(BUFFERED)
            socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)
            socket.setsockopt(zmq.SUBSCRIBE, b"")
            socket.connect(endpoint.kv_events)
            follower = _Follower(endpoint, told, lambda start: _replay(zmq, context, endpoint, start))
            await follower.catch_up()
            while True:
                await follower.take(await socket.recv_multipart())
    finally:
        context.destroy(linger=0)


class _Follower:
    """Puts batches in order."""

    def __init__(self, endpoint: EndpointSpec, told: Callable[[CacheEvent], None],
                 replay: Callable[[int], AsyncIterator[tuple[int, bytes]]]) -> None:
        self._endpoint, self._told, self._replay = endpoint, told, replay
        self._order = Order()

    async def catch_up(self) -> None:
        """What was published before we came."""
        if self._endpoint.kv_replay is not None:
            await self._again(0)

    async def take(self, frames: list[bytes]) -> None:
        if len(frames) != 3 or len(frames[1]) != 8:
            _log.warning("endpoint %s: a message of %d parts is no event of its cache", self._endpoint.id, len(frames))
            return
        number, expected = int.from_bytes(frames[1], "big"), self._order.expected
        match self._order.take(number):
            case "first":
                self._told(Cleared())
            case "gap":
                # A number that falls is another engine, whose first batches were missed: from its beginning.
                start = expected if expected is not None and expected < number else 0
                if self._endpoint.kv_replay is None or not await self._again(start, until=number):
                    self._told(Missed())
            case "old":
                return
        self._tell(frames[2])

    async def _again(self, start: int, until: int | None = None) -> bool:
        """Asks for what was published from `start` on, to before `until`. False: some of it is gone."""
        wanted = start
        async for number, payload in self._replay(start):
            if until is not None and number >= until:
                break
            if number < wanted:
                continue
            if number > wanted:
                self._told(Missed())
            if number == 0:
                self._told(Cleared())
            self._tell(payload)
            wanted = number + 1
        if until is None and wanted > start:
            self._order.replayed(wanted)
        return wanted == until

    def _tell(self, payload: bytes) -> None:
        try:
            events = read_batch(payload)
        except (ValueError, msgspec.MsgspecError) as error:
            _log.warning("endpoint %s: a batch of events cannot be read (%s)", self._endpoint.id, error)
            events = [Missed()]
        for event in events:
            self._told(event)


async def _replay(zmq: Any, context: Any, endpoint: EndpointSpec, start: int) -> AsyncIterator[tuple[int, bytes]]:
    """Batches from `start` on, as far back as the engine keeps them. Ends early when it says nothing for too long."""
    with context.socket(zmq.DEALER) as socket:
        socket.connect(endpoint.kv_replay)
        await socket.send_multipart((b"", start.to_bytes(8, "big")))
        while True:
            try:
                frames = await asyncio.wait_for(socket.recv_multipart(), REPLAY_TIMEOUT_S)
            except TimeoutError:
                _log.warning("endpoint %s does not replay its events at %s", endpoint.id, endpoint.kv_replay)
                return
            if len(frames) < 3 or frames[-2] == _END:
                return
            yield int.from_bytes(frames[-2], "big"), frames[-1]
