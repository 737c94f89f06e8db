"""Sentence vectors of an embedder elsewhere (`/v1/embeddings`): asked in small batches, remembered, and left alone when it fails.

Texts that come while questions are under way wait and go together with the next. When the router starts, and every ten minutes beside
the traffic, two probe texts show whether it is still the embedder that the artifact was trained beside; while it is not, its vectors
are not used: a head fitted to one model's vectors reads another's as noise. Whatever goes wrong, the static scores decide.

Why may a question outlast the deadline? A vector that comes too late for one request is there for the next that has the same
words. Lateness counts as failing all the same: an embedder that is always late costs every request its deadline.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from pointsman.classify.embedders.remote import MOST_BYTES, PROBES, Elsewhere, Unusable, question, vectors_of
from pointsman.core.breaker import Breaker
from pointsman.core.fleet import EndpointSpec
from pointsman.core.protocols import Posts
from pointsman.core.settings import RemoteEmbedderSettings
from pointsman.errors import UpstreamError
from pointsman.gateway.consulting import StageBusy, StageSilent
from pointsman.gateway.silence import silence

if TYPE_CHECKING:
    from typing import TypeAlias

    from pointsman.classify.embedding import Vector

    Waiting: TypeAlias = tuple[bytes, str, asyncio.Future[Vector]]
    Batch: TypeAlias = list[Waiting]

_log = logging.getLogger(__name__)
REMEMBERED: Final = 2048
"""Vectors kept: 3 MB at 384 numbers, 25 MB at 3,072."""
WAITING: Final = 256
"""Texts that may wait: more would be late anyway."""
PROBED_FOR_S: Final = 600.0
"""How long an embedder is taken for what it was: who replaces one does so once in days."""
PROBED_AGAIN_S: Final = 30.0
"""When the probes are sent again if nothing came of them."""
REFUSED_FOR_S: Final = 60.0
"""How long one that answered otherwise is not asked again."""
SLOWEST_S: Final = 2.0
"""Of a question; beyond, its vectors would be no use to anybody."""


class RemoteSentences:
    """The way to one embedder, as all routes of this process use it."""

    is_remote: Final = True

    def __init__(self, elsewhere: Elsewhere, settings: RemoteEmbedderSettings, posts: Posts | None) -> None:
        """`posts` None: nobody is asked here (a check of the configuration, `explain`)."""
        self.made_of = (elsewhere, settings)
        self._elsewhere, self._settings, self._posts = elsewhere, settings, posts
        self._endpoint = EndpointSpec(id=f"embedder {settings.model}", pool="", url=settings.url, model=settings.model, api_key=settings.api_key)
        self._together, self._at_once = (1, 1) if elsewhere.alone else (settings.together, settings.max_in_flight)
        self._breaker = Breaker()
        self._line: deque[Waiting] = deque()
        self._known: OrderedDict[bytes, Vector] = OrderedDict()
        # Questions under way. Returns to zero when the last one has ended.
        self._asking: dict[asyncio.Task[None], Batch] = {}
        self._is_closed = False
        # It answered the probes as the artifact remembers; when it is to be asked them again; until when it is left alone, being another.
        self._is_trusted = False
        self._probe_at = self._refused_until = float("-inf")
        self._why_refused = ""
        self._probing: asyncio.Task[None] | None = None

    @property
    def digest(self) -> str:
        return self._elsewhere.digest

    @property
    def deadline_s(self) -> float:
        return self._settings.deadline_s

    def refusal(self) -> str:
        """Nothing: it has to be asked what it remembers, and nearly all the time of asking is spent elsewhere."""
        return ""

    async def embed(self, text: str) -> Vector:
        """One vector. Raises StageSilent with what came of asking."""
        key = blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known
        now = _now()
        posts = self._let_in(now)
        if now >= self._probe_at:
            self._probe(posts)
        if not self._is_trusted and self._probing is not None:
            await asyncio.shield(self._probing)
        future: asyncio.Future[Vector] = asyncio.get_running_loop().create_future()
        self._line.append((key, text, future))
        self._go()
        return await future

    def begin(self) -> None:
        """Sends the probes now, so that no request has to wait for them."""
        if self._posts is not None and not self._is_trusted:
            self._probe(self._posts)

    def _probe(self, posts: Posts) -> None:
        if self._probing is None:
            self._probing = asyncio.get_running_loop().create_task(self._compared(posts))
            self._probing.add_done_callback(self._probed)

    def _probed(self, task: asyncio.Task[None]) -> None:
        self._probing = None
        if not task.cancelled():
            task.exception()  # whoever waited has it, and it is nobody's where nobody did

    async def _compared(self, posts: Posts) -> None:
        """Raises StageSilent where it is another embedder, or does not answer."""
        try:
            rows = [(await self._vectors(posts, [text]))[0] for text in PROBES]
        except (UpstreamError, Unusable) as error:
            self._probe_at = _now() + (PROBED_AGAIN_S if self._is_trusted else 0.0)
            self._breaker.failed(_now())
            raise silence(error) from error
        if why := self._elsewhere.differs(*rows):
            self._refuse(why, _now())
            raise StageSilent(why, "refused")
        self._is_trusted, self._probe_at = True, _now() + PROBED_FOR_S

    async def _vectors(self, posts: Posts, texts: Sequence[str]) -> Vector:
        """Raises UpstreamError, Unusable."""
        settings, until = self._settings, _now() + max(SLOWEST_S, self.deadline_s)
        body = question(settings.model, texts, settings.dims, settings.max_chars)
        return vectors_of(await posts(self._endpoint, "/embeddings", body, until=until, most=MOST_BYTES), len(texts))

    def _let_in(self, now: float) -> Posts:
        """Raises StageSilent for all that may not be asked."""
        if self._posts is None:
            raise StageBusy(f"{self._settings.url} would be asked; here nothing is", "nobody")
        if self._is_closed:
            raise StageBusy("another configuration has been taken up", "busy")
        if now < self._refused_until:
            raise StageSilent(self._why_refused, "refused")
        if len(self._line) >= WAITING:
            raise StageBusy("too many wait", "busy")
        if not self._breaker.lets(now):
            raise StageBusy("it failed too often lately", "resting")
        return self._posts

    def _go(self) -> None:
        while self._line and len(self._asking) < self._at_once and self._posts is not None:
            batch: Batch = []
            while self._line and len(batch) < self._together:
                entry = self._line.popleft()
                if not entry[2].done():
                    batch.append(entry)
            if batch:
                task = asyncio.get_running_loop().create_task(self._ask(self._posts, batch))
                self._asking[task] = batch
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        batch = self._asking.pop(task)
        if task.cancelled():  # perhaps before it began
            self._give_up(batch, StageBusy("another configuration has been taken up", "busy"))
        self._go()

    async def _ask(self, posts: Posts, batch: Batch) -> None:
        """Hands every waiting text its vector, or why there is none. Raises CancelledError only."""
        began = _now()
        try:
            rows = await self._vectors(posts, [text for _, text, _ in batch])
        except (UpstreamError, Unusable) as error:
            self._breaker.failed(_now())
            self._give_up(batch, silence(error))
            return
        now = _now()
        if now - began > self.deadline_s:
            self._breaker.failed(now)
        else:
            self._breaker.succeeded()
        if rows.shape[1] != self._elsewhere.dims:
            self._give_up(batch, StageSilent(f"its vectors have {rows.shape[1]} numbers, the artifact was trained on {self._elsewhere.dims}", "refused"))
            return
        for (key, _, future), row in zip(batch, rows, strict=True):
            self._remember(key, row)
            if not future.done():
                future.set_result(row)

    def _refuse(self, why: str, now: float) -> None:
        _log.warning("the sentence embedder %s at %s is not used: %s; train again beside it, or bring the old one back",
                     self._settings.model, self._settings.url, why)
        self._known.clear()
        self._is_trusted, self._why_refused, self._refused_until, self._probe_at = False, why, now + REFUSED_FOR_S, now

    def _give_up(self, batch: Batch, why: StageSilent) -> None:
        for _, _, future in batch:
            if not future.done():
                future.set_exception(why)

    def _remember(self, key: bytes, row: Vector) -> None:
        self._known[key] = row
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def close(self) -> None:
        """What is under way is cancelled; who waits is told."""
        self._is_closed = True
        for task in (*self._asking, *([self._probing] if self._probing is not None else [])):
            task.cancel()
        self._give_up(list(self._line), StageBusy("another configuration has been taken up", "busy"))
        self._line.clear()

    def __repr__(self) -> str:
        return (f"<RemoteSentences {self._settings.model} [{len(self._line)} waiting, {len(self._asking)} under way, {len(self._known)} known | "
                f"{self._breaker!r}]>")


def _now() -> float:
    return asyncio.get_running_loop().time()
