"""The client's side of a request, as the gateway sees it: no HTTP, only what happened and what to say about it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pointsman.core.reply import Reply
from pointsman.errors import PointsmanError


class Facts(msgspec.Struct, frozen=True, gc=False):
    """Who answered and why; becomes response headers."""

    record_id: str
    request_id: str
    """The client's own id when it sent one, else `record_id`."""
    route: str = ""
    tier: str = ""
    rung: int = 0
    model: str = ""
    decided_by: str = ""
    reason: str = ""
    attempts: int = 0
    cost_nano_usd: int | None = None
    cost_basis: str = "unpriced"
    """As on the record; `expected` while a stream has only begun."""
    simulated: bool = False
    requested: str = ""
    """What the client put into `model`."""
    endpoint: str = ""
    retries: int = 0
    """How many of the attempts followed one on the same tier."""
    changes: int = 0
    """How often the tier changed: climbs, fallbacks, last resorts."""
    overhead_s: float | None = None
    """Of the time so far, what no attempt took."""
    hold: str = ""
    """How much of the answer was kept back until verifiers had judged it: `answer`, `24 tokens`; "" = nothing."""
    is_native: bool = False
    """The events of this stream are in the client's own API, as the endpoint wrote them; else they are a chat's."""


class Port(Protocol):
    """Where the answer goes. `open`, then `begin`, `events`..., `end`; or `reply`; or at any point `fail`."""

    @property
    def is_gone(self) -> bool:
        """The client has left."""
        ...

    def abort(self) -> None:
        """Cuts the connection: the client does not take what it is sent."""
        ...

    async def open(self, facts: Facts) -> None:
        """Opens a streamed response before anything is known, or keeps an open one alive."""
        ...

    async def begin(self, facts: Facts) -> None:
        """Commit of a stream: headers, unless they are out already."""
        ...

    async def events(self, events: list[bytes], cost_nano_usd: int | None) -> None:
        """Passes event data on; `cost_nano_usd` is set when the usage is among them and the client asked for it."""
        ...

    async def end(self) -> None:
        """The stream is complete."""
        ...

    async def reply(self, reply: Reply, facts: Facts) -> None:
        """A plain answer, whole."""
        ...

    async def fail(self, error: PointsmanError, facts: Facts) -> None:
        """No answer: an error response, or one terminal frame when the response is open."""
        ...
