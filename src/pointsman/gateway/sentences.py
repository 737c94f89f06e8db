"""Sentence vectors for the path, made on a thread of their own: never on the event loop, never more than is asked for.

Texts that wait together are embedded in one go of the thread. The line is short, and what leaves it (its decision's deadline
has passed) is not embedded any more. Over a few seconds the thread gets a share of one core and no more: under load the
static scores decide alone, since a router that reads better and answers less is no gain.

`classify` may not know threads, so this lives here; `SentenceStage` is the stage `sentence` that goes with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Protocol

from pointsman.classify.embedding import Embedding
from pointsman.core.decision import Answered, Decision, Refine, StageResult
from pointsman.core.protocols import BilledAsks
from pointsman.core.request import ChatRequest
from pointsman.gateway.consulting import StageBusy

if TYPE_CHECKING:
    from pointsman.classify.embedders.embedder import Embedder
    from pointsman.classify.embedding import Vector

WAITING = 16
"""Texts that may wait: at some milliseconds each, more would be late anyway."""
TOGETHER = 4
"""Texts of one go: between two goes the loop hands out what is ready."""
SAVED_S = 0.5
"""Seconds of work that an idle thread saves up for a burst."""
REMEMBERED = 1024
BAND = 0.02
"""How far a sentence vector moves a bound in nine cases of ten (measured on three models of RouterBench with 600 labels), for
artifacts that do not say it of themselves (`training.sentence_moves`): asked where a bound lies nearer to the bar than this."""
NAME = "sentence"


class Embeds(Protocol):
    """One vector of one text, as soon as may be; raises StageSilent."""

    @property
    def is_remote(self) -> bool: ...

    async def embed(self, text: str) -> Vector: ...


class Sentences:
    """The thread and its line."""

    is_remote: Final = False

    def __init__(self, embedder: Embedder, now: Callable[[], float], cpu_share: float) -> None:
        self._embedder, self._now, self.cpu_share = embedder, now, cpu_share
        self._pool = ThreadPoolExecutor(1, "sentences")
        self._line: deque[tuple[str, asyncio.Future[Vector]]] = deque()
        self._is_running = self._is_closed = False
        # Seconds of the thread that may still be spent; below zero nobody is let in.
        self._saved_s, self._saved_at = SAVED_S, now()

    @property
    def digest(self) -> str:
        return self._embedder.digest

    async def embed(self, text: str) -> Vector:
        """One vector. Raises StageBusy when the line is full or the thread has had its share."""
        now = self._now()
        self._saved_s = min(SAVED_S, self._saved_s + (now - self._saved_at) * self.cpu_share)
        self._saved_at = now
        if self._saved_s <= 0:
            raise StageBusy("its share of the processor is used up")
        if len(self._line) >= WAITING:
            raise StageBusy("too many wait")
        future: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        self._line.append((text, future))
        self._go()
        return await future

    def _go(self) -> None:
        if self._is_running:
            return
        if self._is_closed:
            while self._line:
                _, future = self._line.popleft()
                if not future.done():
                    future.set_exception(StageBusy("another configuration has been taken up"))
            return
        batch: list[tuple[str, asyncio.Future[Vector]]] = []
        while self._line and len(batch) < TOGETHER:
            text, future = self._line.popleft()
            if not future.done():
                batch.append((text, future))
        if not batch:
            return
        self._is_running = True
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._embed, [text for text, _ in batch])
        work.add_done_callback(lambda done: self._hand_out(done, [future for _, future in batch]))

    def _embed(self, texts: list[str]) -> tuple[Vector, float]:
        started = self._now()
        vectors = self._embedder.embed(texts)
        return vectors, self._now() - started

    def _hand_out(self, done: asyncio.Future[tuple[Vector, float]], futures: list[asyncio.Future[Vector]]) -> None:
        self._is_running = False
        if done.cancelled():
            for future in futures:
                future.cancel()
            return
        error = done.exception()
        if error is None:
            vectors, took = done.result()
            self._saved_s -= took
        for place, future in enumerate(futures):
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(vectors[place])
        self._go()

    def begin(self) -> None:
        """Nothing: its first run was when it was loaded."""

    def close(self) -> None:
        """The thread ends after what it is doing."""
        self._is_closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __repr__(self) -> str:
        return f"<Sentences {self._embedder.name} [{len(self._line)} waiting, {self._saved_s:.2f} s saved]>"


class SentenceStage:
    """Stage `sentence`: the trained scores again, with a sentence vector."""

    name = NAME

    def __init__(self, embedding: Embedding, sentences: Embeds, deadline_s: float, band: float = BAND) -> None:
        self._embedding, self._sentences = embedding, sentences
        self.deadline_s, self.band = deadline_s, band
        self._said: dict[tuple[bytes, tuple[float, ...]], Refine] = {}

    def saw(self) -> None:
        """Its share is one of the processor, not of requests."""

    def wants(self, decision: Decision) -> bool:
        return decision.margin is not None and decision.margin <= self.band

    async def consult(self, request: ChatRequest, so_far: Refine | None, asks: BilledAsks) -> StageResult | Answered:
        query = self._embedding.query(request)
        if query is None:
            return None
        key = (blake2b(query.data, digest_size=16).digest(), query.structural)
        said = self._said.get(key)
        is_new = said is None
        if said is None:
            said = self._embedding.refined(query, await self._sentences.embed(query.text))
            if len(self._said) >= REMEMBERED:
                self._said.clear()
            self._said[key] = said
        return Answered(said, "answered" if is_new else "remembered") if self._sentences.is_remote else said
