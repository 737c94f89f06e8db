"""Sentence vectors for the path, made on a thread of their own: never on the event loop, never more than is asked for.

Those that wait are embedded in one go of the thread, one text after another, and each is handed on as soon as it is there. The line is
as long as a decision's patience; what leaves it (its deadline has passed) is not embedded any more. Over a few seconds the
thread gets a share of one core and no more, and while the loop is busy nothing (`gateway.spare`): then the static scores decide alone.

Why is it said before asking that there is no room? Under load that is the answer nearly every time, and finding it out with a
deadline, an exception and a second decision costs as much as the static scores themselves.

`classify` may not know threads, so this lives here; `SentenceStage` is the stage `sentence` that goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Protocol

from pointsman.classify.embedding import Embedding
from pointsman.core.decision import Answered, Decision, Refine, Scores, StageResult, StageView
from pointsman.core.protocols import BilledAsks
from pointsman.core.request import ChatRequest
from pointsman.gateway.allowance import Share
from pointsman.gateway.consulting import StageBusy
from pointsman.gateway.spare import IS_BUSY, USED_UP, Spare

if TYPE_CHECKING:
    from pointsman.classify.embedders.embedder import Embedder
    from pointsman.classify.embedding import Vector

WAITING: Final = 16
"""Texts that may wait, however quick they seem."""
USUAL_S: Final = 0.004
"""What a text is taken to cost before the first was measured: 60 words with six layers (bench/overhead/RESULTS.md)."""
REMEMBERED = 1024
BAND = 0.01
"""How near to its bar a score is asked about by an artifact that tells no better (`classify.asking`): one of few labels. With a
hundred a vector moves differences between two models by at most .001 to .010 in nine cases of ten, by development source."""
SHARE = 0.03
"""Of a route's requests, those that may be asked about."""
NAME = "sentence"
AGAIN_S: Final = 1.0
"""How often a text is tried while they usually come too late: who asks then waits in vain, and shows when that has changed."""
TOO_MANY: Final = "too many wait"
TOO_SLOW: Final = "vectors came too late lately"
TOO_OFTEN: Final = "as many of the last hundred requests were asked about as may be"
RESULTS: Final = {IS_BUSY: "busy", USED_UP: "share", TOO_MANY: "busy", TOO_SLOW: "resting", TOO_OFTEN: "share"}
"""In one word, for who counts."""


class Embeds(Protocol):
    """One vector of one text, as soon as may be; raises StageSilent."""

    @property
    def is_remote(self) -> bool: ...

    def refusal(self) -> str:
        """Why it would be no use to ask now; "" = it may be. Quick."""

    async def embed(self, text: str) -> Vector: ...


class Sentences:
    """The thread and its line."""

    is_remote: Final = False

    def __init__(self, embedder: Embedder, now: Callable[[], float], cpu_share: float, patience_s: float = 0.010, *,
                 spare: Spare | None = None, cpu: Callable[[], float] = time.thread_time) -> None:
        """`patience_s`: how long a decision waits. `cpu`: seconds that the calling thread has run."""
        self._embedder, self._now, self._cpu = embedder, now, cpu
        self.cpu_share, self.patience_s = cpu_share, patience_s
        self._spare = Spare(cpu_share, now) if spare is None else spare
        self._pool = ThreadPoolExecutor(1, "sentences")
        self._line: deque[tuple[str, asyncio.Future[Vector]]] = deque()
        self._is_running = self._is_closed = False
        # A text is with the thread. Written on either side: it is false before its vector is handed on.
        self._is_at_work = False
        # From the thread's beginning with a text to its vector being there, as of late.
        self._usual_s = USUAL_S
        self._again_at = float("-inf")

    @property
    def digest(self) -> str:
        return self._embedder.digest

    def refusal(self) -> str:
        waiting = len(self._line) + self._is_at_work
        if waiting and (waiting > WAITING or (waiting + 1) * self._usual_s > self.patience_s):
            return TOO_MANY
        if self._usual_s > self.patience_s and self._now() < self._again_at:
            return TOO_SLOW
        return self._spare.refusal()

    async def embed(self, text: str) -> Vector:
        """One vector. Raises StageBusy when it would come too late, or the thread may not work now."""
        if why := self.refusal():
            raise StageBusy(why, RESULTS[why])
        if self._usual_s > self.patience_s:
            self._again_at = self._now() + AGAIN_S
        future: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        self._line.append((text, future))
        self._go()
        return await future

    def _go(self) -> None:
        if self._is_running or not self._line:
            return
        if self._is_closed:
            while self._line:
                _turn_away(self._line.popleft()[1])
            return
        self._is_running = self._is_at_work = True
        text, future = self._line.popleft()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._pool, self._work, loop, text, future)
        work.add_done_callback(lambda done: self._rested(done, future))

    def _work(self, loop: asyncio.AbstractEventLoop, text: str, future: asyncio.Future[Vector]) -> None:
        """On the thread: this text, and the line until nobody waits."""
        while True:
            if not future.done():
                self._embed(loop, text, future)
            self._is_at_work = False
            try:
                text, future = self._line.popleft()
            except IndexError:
                return
            if self._is_closed:
                self._line.appendleft((text, future))
                return

    def _embed(self, loop: asyncio.AbstractEventLoop, text: str, future: asyncio.Future[Vector]) -> None:
        vector, error, began, ran = None, None, self._now(), self._cpu()
        self._is_at_work = True
        try:
            vector = self._embedder.embed((text,))[0]
        except Exception as exc:  # noqa: BLE001 - told to the decision, which counts it
            error = exc
        self._is_at_work = False
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            loop.call_soon_threadsafe(self._hand_on, future, vector, error, self._cpu() - ran, began)

    def _hand_on(self, future: asyncio.Future[Vector], vector: Vector | None, error: Exception | None, ran_s: float, began: float) -> None:
        self._spare.spend(ran_s)
        took_s = min(self._now() - began, 2 * self.patience_s)  # one pause is no habit
        self._usual_s += (took_s - self._usual_s) / 8
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        elif vector is not None:
            future.set_result(vector)

    def _rested(self, done: asyncio.Future[None], first: asyncio.Future[Vector]) -> None:
        self._is_running = False
        if done.cancelled():  # closed before it began
            _turn_away(first)
        self._go()

    def begin(self) -> None:
        """Nothing: its first run was when it was loaded."""

    def close(self) -> None:
        """The thread ends after what it is doing."""
        self._is_closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __repr__(self) -> str:
        return f"<Sentences {self._embedder.name} [{len(self._line)} waiting, {self._spare!r}]>"


def _turn_away(future: asyncio.Future[Vector]) -> None:
    if not future.done():
        future.set_exception(StageBusy("another configuration has been taken up"))


class SentenceStage:
    """Stage `sentence`: the trained scores again, with a sentence vector.

    Asked where a score lies within `band` of its bar, and about what is unlike anything labelled: by its meaning it may be like
    something after all. `band` is what earlier requests show to be worth it; that these are not too many is held to be true of each hundred requests,
    whatever they are. What was asked before costs nothing and is in no share.
    """

    name = NAME

    def __init__(self, embedding: Embedding, sentences: Embeds, deadline_s: float, band: float = BAND, share: float = SHARE) -> None:
        self._embedding, self._sentences = embedding, sentences
        self.deadline_s, self.band, self.share = deadline_s, band, Share(share)
        self.not_asked = f"no score within {band:.2g} of its bar, where a sentence vector may move it across"
        self._said: dict[tuple[bytes, tuple[float, ...]], Refine] = {}
        # Scores of the stage before, by identity: they are remembered too, so that the same words bring the same object.
        self._known: dict[int, Scores] = {}

    def saw(self) -> None:
        self.share.saw()

    def wants(self, decision: Decision) -> bool:
        margin = decision.margin
        return margin is not None and (margin < self.band or margin <= 0.0)

    def refusal(self, decision: Decision) -> StageView | None:
        """No thread has room for it, or its share is used up, and it is not known already what its vector would say."""
        why = self._sentences.refusal() or ("" if self.share.has_some_for_next else TOO_OFTEN)
        return None if not why or (self._known and self._knows(decision)) else _REFUSALS[why]

    def _knows(self, decision: Decision) -> bool:
        for view in decision.stages:  # noqa: SIM110 - asked of every request: a generator costs more than the question
            if id(view.scores) in self._known:
                return True
        return False

    async def consult(self, request: ChatRequest, so_far: Refine | None, asks: BilledAsks) -> StageResult | Answered:
        query = self._embedding.query(request)
        if query is None:
            return None
        key = (blake2b(query.data, digest_size=16).digest(), query.structural)
        said = self._said.get(key)
        is_new = said is None
        if said is None:
            if not self.share.take():
                raise StageBusy(TOO_OFTEN, RESULTS[TOO_OFTEN])
            said = self._embedding.refined(query, await self._sentences.embed(self._embedding.text(query)))
            if len(self._said) >= REMEMBERED:
                self._said.clear()
                self._known.clear()
            self._said[key] = said
        if so_far is not None and len(self._known) < 2 * REMEMBERED:
            self._known[id(so_far.scores)] = so_far.scores
        return Answered(said, "answered" if is_new else "remembered") if self._sentences.is_remote else said


_REFUSALS: Final = {why: StageView(NAME, "abstained", why, 0.0, result=result) for why, result in RESULTS.items()}
