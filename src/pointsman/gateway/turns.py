"""Waiting in a pool's anteroom: until some endpoint has less to read, the promise cannot be kept any more, or the deadline is over.

Whoever waits is called when its turn comes, and sleeps until then. What happens without anybody telling is seen by one clock for each
anteroom, not by each who waits: four thousand would look four thousand times as often as one.
"""

from __future__ import annotations

import asyncio
from math import inf

from pointsman.core.clock import Clock
from pointsman.core.request import ChatRequest
from pointsman.errors import DeadlineExceeded
from pointsman.pools.anteroom import Anteroom
from pointsman.pools.guest import Guest

LOOK_EVERY_S = 0.25
"""Room is also made by first tokens of other processes' requests, and by silence that ends, and promises are over by themselves: so somebody
looks this often for as long as anyone waits."""


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
        if not granted.done():
            _watch(anteroom, clock)
            async with asyncio.timeout(None if deadline == inf else max(0.0, deadline - clock.now())):
                await granted
        is_granted = True
        return guest
    except TimeoutError:
        raise DeadlineExceeded("waiting for an endpoint that has less to read", round(deadline - arrived, 3)) from None
    finally:
        if not is_granted:
            anteroom.leave(guest, clock.now())


def _watch(anteroom: Anteroom, clock: Clock) -> None:
    """Somebody looks in from now on, until nobody waits any more."""
    if not anteroom.is_watched:
        anteroom.is_watched = True
        asyncio.get_running_loop().call_later(LOOK_EVERY_S, _look, anteroom, clock)


def _look(anteroom: Anteroom, clock: Clock) -> None:
    anteroom.is_watched = False
    anteroom.look(clock.now())
    if len(anteroom):
        _watch(anteroom, clock)
