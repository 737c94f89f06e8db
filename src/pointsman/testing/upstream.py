"""An upstream without sockets: plays a script of outcomes per call, for tests of everything above it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Batch, Reply, Usage
from pointsman.core.request import ChatRequest
from pointsman.errors import UpstreamError

ANSWER = Reply(b'{"choices":[{"finish_reason":"stop"}]}', Usage(10, 5), "m", ("stop",), 20)


@dataclass
class Play:
    """What one call does: `events` of a stream pass, then `error` is raised or the answer is complete.

    `waits`: hangs before anything comes, until cancelled. An error with `before` is raised when the call is made.
    """

    events: int = 2
    error: UpstreamError | None = None
    before: bool = False
    waits: bool = False
    reply: Reply = ANSWER


@dataclass
class ScriptedUpstream:
    """`core.protocols.Upstream`; the last play repeats."""

    plays: list[Play] = field(default_factory=lambda: [Play()])
    calls: list[str] = field(default_factory=list)
    """Endpoint ids, in order of the calls."""
    open_streams: int = 0

    def _next(self, endpoint: EndpointSpec) -> Play:
        self.calls.append(endpoint.id)
        return self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]

    async def ask(self, endpoint: EndpointSpec, request: ChatRequest, body: Sequence[bytes], *, until: float) -> Reply:
        play = self._next(endpoint)
        if play.waits:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        if play.error is not None:
            raise play.error
        return play.reply

    async def stream(self, endpoint: EndpointSpec, request: ChatRequest, body: Sequence[bytes], *,
                     until: float) -> ScriptedStream:
        play = self._next(endpoint)
        await asyncio.sleep(0)
        if play.error is not None and play.before:
            raise play.error
        self.open_streams += 1
        return ScriptedStream(self, play)

    async def aclose(self) -> None:
        return None


class ScriptedStream:
    """`core.protocols.ReplyStream`."""

    def __init__(self, upstream: ScriptedUpstream, play: Play) -> None:
        self._upstream, self._play, self._left = upstream, play, play.events
        self._is_open = True

    @property
    def reply(self) -> Reply:
        return self._play.reply

    async def next(self, until: float) -> Batch | None:
        if self._play.waits:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        if self._left:
            self._left -= 1
            return Batch([b'{"choices":[{"delta":{"content":"x"}}]}'], True)
        if self._play.error is not None:
            raise self._play.error
        self.close()
        return None

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._upstream.open_streams -= 1


def plays(outcomes: Iterable[UpstreamError | None]) -> list[Play]:
    """A play per outcome: None answers, an error fails before anything came."""
    return [Play(error=error, before=True, events=0 if error else 2) for error in outcomes]
