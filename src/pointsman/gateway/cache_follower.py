"""Follows what engines tell about their prefix caches, so that `prefix` need not guess. Off the request path, and opt-in.

Events name blocks of tokens; the balancer knows beginnings of text (`pools.balancers.held` ties the two together). The tokens of a
prompt are asked from the endpoint that it was sent to, a moment later and for a part of the prompts only: asking costs its
front a millisecond or two. What is not asked for stays a guess, as for every other endpoint.

Each prompt is looked at twice. Shortly after it was sent, whatever is held by then is believed, of every endpoint of the pool
whose engine tells: also what another router has sent there. And later once more: what is not held by then, and was not
overheard either, is forgotten.

Why not forget at the first look? A prompt may still stand in the engine's queue. Why not keep what is known over lost events?
Among them may have been the end of any block.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol

from pointsman.core.cache_event import CacheEvent
from pointsman.core.clock import Clock
from pointsman.core.fleet import EndpointId, EndpointSpec
from pointsman.core.request import ChatRequest
from pointsman.errors import UpstreamError
from pointsman.pools.balancers.beginnings import Beginning
from pointsman.pools.balancers.held import Held
from pointsman.pools.fleet import Fleet
from pointsman.pools.pool import Pool

ASK_PER_S = 10.0
"""Prompts whose tokens are asked for, at most and by this process: 1 to 2 % of an engine's front."""
FIRST_LOOK_S, SECOND_LOOK_S = 1.0, 20.0
"""After a prompt was sent: by the first most have been computed, by the second all that ever will."""
MOST_WAITING = 256
"""Prompts between the two looks; newer ones are not looked at then."""
MOST_BODY = 512 * 1024
"""Bytes of a request that is asked about: more is mostly pictures, which are no tokens."""
ASK_TIMEOUT_S = 5.0
BACK_OFF_S = 30.0
"""How long an endpoint that told no tokens is left alone; and how long following rests after an error of its own."""

_log = logging.getLogger(__name__)


class Events(Protocol):
    """Where events come from."""

    def __call__(self, endpoint: EndpointSpec, told: Callable[[CacheEvent], None]) -> Awaitable[None]:
        """Tells until cancelled. ImportError: the extra is not installed."""
        ...


class Tokenizer(Protocol):
    """Who tells the tokens of a prompt."""

    async def of(self, endpoint: EndpointSpec, request: ChatRequest, until: float) -> tuple[int, ...]: ...


class _Sent:
    """A prompt on its way from being sent to being looked at."""

    __slots__ = ("at", "endpoint", "parts", "pool", "request", "tokens")

    def __init__(self, pool: str, endpoint: EndpointId, request: ChatRequest, parts: Sequence[Beginning], at: float) -> None:
        self.pool, self.endpoint, self.parts, self.at = pool, endpoint, parts, at
        # Dropped once its tokens are known.
        self.request: ChatRequest | None = request
        self.tokens: tuple[int, ...] = ()


class CacheFollower:
    """What is known of the caches of all followed endpoints. `watch` says whom; `run` until cancelled."""

    def __init__(self, events: Events, tokenizer: Tokenizer, *, clock: Clock,
                 sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._events, self._tokenizer, self._clock, self._sleep = events, tokenizer, clock, sleep
        self._pools: dict[str, Pool] = {}
        self._specs: dict[EndpointId, EndpointSpec] = {}
        self._held: dict[EndpointId, Held] = {}
        self._following: dict[tuple[EndpointId, EndpointSpec], asyncio.Task[None]] = {}
        self._new: deque[_Sent] = deque()
        self._looked_at: deque[_Sent] = deque()
        self._next_ask = 0.0
        self._quiet_until: dict[EndpointId, float] = {}
        self._is_running = False
        self.counts: Counter[str] = Counter()
        """Since the start: `events`, `asked`, `failed`, `believed`, `forgotten`."""

    @property
    def follows(self) -> bool:
        """Somebody is followed: without that nothing of this costs anything."""
        return bool(self._specs)

    def watch(self, fleet: Fleet) -> None:
        """Whom to follow from now on."""
        self._pools = {name: pool for name, pool in fleet.pools.items()
                       if pool.memory is not None and any(e.spec.kv_events is not None for e in pool.endpoints)}
        self._specs = {e.id: e.spec for pool in self._pools.values() for e in pool.endpoints if e.spec.kv_events is not None}
        for name, pool in self._pools.items():
            if pool.memory is not None:
                pool.memory.watch(self._listener(name))
        if self._is_running:
            self._begin()

    def _listener(self, pool: str) -> Callable[[EndpointId, ChatRequest, Sequence[Beginning]], None]:
        def sent(endpoint: EndpointId, request: ChatRequest, parts: Sequence[Beginning]) -> None:
            """In the request's path: notes it down, at most `ASK_PER_S` times a second."""
            now = self._clock.now()
            if now < self._next_ask or endpoint not in self._specs or not parts or len(request.body) > MOST_BODY:
                return
            if request.images or len(self._new) + len(self._looked_at) >= MOST_WAITING or now < self._quiet_until.get(endpoint, 0.0):
                return
            self._next_ask = now + 1.0 / ASK_PER_S
            self._new.append(_Sent(pool, endpoint, request, parts, now))

        return sent

    async def run(self) -> None:
        """Follows and looks until cancelled; then nothing is left running."""
        self._is_running = True
        self._begin()
        try:
            while True:
                await self.look()
                await self._sleep(FIRST_LOOK_S / 4)
        finally:
            self._is_running = False
            tasks = list(self._following.values())
            self._following.clear()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self) -> None:
        """Follows whom it should, and nobody else."""
        wanted = {(id_, spec) for id_, spec in self._specs.items()}
        for key in self._following.keys() - wanted:
            self._following.pop(key).cancel()
            self._held.pop(key[0], None)
        loop = asyncio.get_running_loop()
        for id_, spec in wanted - self._following.keys():
            self._held[id_] = Held()
            self._following[id_, spec] = loop.create_task(self._follow(spec))

    async def _follow(self, endpoint: EndpointSpec) -> None:
        while True:
            try:
                await self._events(endpoint, lambda event: self.hear(endpoint.id, event))
            except ImportError:
                _log.warning("endpoint %s has `kv_events`, which need ZeroMQ: pip install 'pointsman[events]'; until then its cache "
                             "is guessed", endpoint.id)
                return
            except Exception:  # noqa: BLE001  whatever it is, requests go on without
                _log.exception("endpoint %s: its cache cannot be followed at %s; next try in %.0f s", endpoint.id, endpoint.kv_events,
                               BACK_OFF_S)
            await self._sleep(BACK_OFF_S)

    def hear(self, endpoint: EndpointId, event: CacheEvent) -> None:
        """One event of one engine."""
        held, pool = self._held.get(endpoint), self._pool_of(endpoint)
        if held is None or pool is None or pool.memory is None:
            return
        self.counts["events"] += 1
        gone = held.hear(event)
        if gone is None or gone:
            self.counts["forgotten"] += len(gone or ())
            pool.memory.forget(endpoint, gone)

    # -- looking

    async def look(self) -> None:
        """Whatever is due."""
        now = self._clock.now()
        for sent in _due(self._new, now - FIRST_LOOK_S):
            if await self._ask(sent):
                self._believe(sent)
                self._looked_at.append(sent)
        for sent in _due(self._looked_at, self._clock.now() - SECOND_LOOK_S):
            self._believe(sent, forgets=True)

    async def _ask(self, sent: _Sent) -> bool:
        endpoint, request = self._specs.get(sent.endpoint), sent.request
        if endpoint is None or request is None:
            return False
        self.counts["asked"] += 1
        try:
            sent.tokens = await self._tokenizer.of(endpoint, request, asyncio.get_running_loop().time() + ASK_TIMEOUT_S)
        except (UpstreamError, ValueError) as error:
            self.counts["failed"] += 1
            self._quiet_until[endpoint.id] = self._clock.now() + BACK_OFF_S
            _log.info("the cache of endpoint %s is guessed for now: %s", endpoint.id, error)
            return False
        sent.request = None
        return True

    def _believe(self, sent: _Sent, *, forgets: bool = False) -> None:
        """Compares one prompt with what every followed endpoint of its pool holds."""
        pool = self._pools.get(sent.pool)
        if pool is None or pool.memory is None:
            return
        for endpoint in pool.endpoint_ids:
            if (held := self._held.get(endpoint)) is None:
                continue
            there, absent = held.tie(sent.parts, sent.tokens)
            if there:
                self.counts["believed"] += len(there)
                pool.memory.believe(endpoint, there)
            if forgets and absent and held.is_whole:
                self.counts["forgotten"] += len(absent)
                pool.memory.forget(endpoint, absent)

    def _pool_of(self, endpoint: EndpointId) -> Pool | None:
        spec = self._specs.get(endpoint)
        return None if spec is None else self._pools.get(spec.pool)

    def status(self) -> dict[str, Any]:
        """For the operator: per endpoint what is known, and what was done."""
        return {"endpoints": {id_: {"blocks": len(held), "block_tokens": held.size, "is_whole": held.is_whole}
                              for id_, held in self._held.items()}, **self.counts}

    def __repr__(self) -> str:
        return f"<CacheFollower [{len(self._specs)} followed, {len(self._new)} to ask about, {len(self._looked_at)} to look at]>"


def _due(line: deque[_Sent], until: float) -> Iterator[_Sent]:
    while line and line[0].at <= until:
        yield line.popleft()
