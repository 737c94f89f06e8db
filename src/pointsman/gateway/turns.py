"""Waiting in a pool's anteroom: until some endpoint has less to read, the promise cannot be kept any more, or the deadline is over."""

from __future__ import annotations

import asyncio
from math import inf

from pointsman.core.clock import Clock
from pointsman.core.request import ChatRequest
from pointsman.errors import DeadlineExceeded
from pointsman.pools.anteroom import Anteroom, Guest

LOOK_EVERY_S = 0.25
"""Room is also made by first tokens of other processes' requests, and by silence that ends: so whoever waits looks this often."""


async def turn(anteroom: Anteroom, request: ChatRequest, clock: Clock, *, limit_s: float = inf, deadline: float = inf, arrived: float) -> Guest:
    """Returns once it is known where the request may go; whoever gets the guest calls `leave` when it holds a lease, or takes none.
    Raises DeadlineExceeded. Cancelling leaves."""
    granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def call() -> None:
        if not granted.done():
            granted.set_result(None)

    guest = anteroom.enter(request, clock.now(), call, limit_s=limit_s)
    is_granted = False
    try:
        while not granted.done():
            now = clock.now()
            if now >= deadline:
                raise DeadlineExceeded("waiting for an endpoint that has less to read", round(deadline - arrived, 3))
            await asyncio.wait([granted], timeout=min(LOOK_EVERY_S, deadline - now))
            if not granted.done():
                anteroom.look(clock.now())
        is_granted = True
        return guest
    finally:
        if not is_granted:
            anteroom.leave(guest, clock.now())
