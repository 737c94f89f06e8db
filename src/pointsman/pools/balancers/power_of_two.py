"""Two endpoints at random, the less loaded of them: nearly as even as asking all, and no herd on the idlest one.

Load is our own estimated tokens in flight plus the queue that the engine reported. An engine that reported nothing is
compared by what we know ourselves, on both sides: silence must never look like an empty queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pointsman.core.fleet import EndpointId, EndpointView
from pointsman.core.request import ChatRequest

TOKENS_PER_WAITING = 500
"""A queued request of which we know nothing else: the middle of what chat traffic asks, in and out."""


class PowerOfTwo:
    """Power of two choices on tokens; endpoints with all slots taken only if all are full."""

    def pick(self, request: ChatRequest, views: Sequence[EndpointView], rng: Random) -> EndpointId:
        """One of `views` (never empty)."""
        first, second = _two(views, rng)
        if is_full(first) or is_full(second):
            free = [view for view in views if not is_full(view)]
            if free:
                first, second = _two(free, rng)
        return lighter(first, second).id


def _two(views: Sequence[EndpointView], rng: Random) -> tuple[EndpointView, EndpointView]:
    count = len(views)
    i = int(rng.random() * count)
    if count == 1:
        return views[i], views[i]
    j = int(rng.random() * (count - 1))
    return views[i], views[j + (j >= i)]


def is_full(view: EndpointView) -> bool:
    return view.slots is not None and view.in_flight >= view.slots


def lighter(a: EndpointView, b: EndpointView) -> EndpointView:
    """The less loaded; `a`, the first at random, of equals."""
    load_a, load_b = a.in_flight_tokens, b.in_flight_tokens
    if a.report is not None and b.report is not None:
        waiting_a, waiting_b = a.report.waiting, b.report.waiting
        if waiting_a is not None and waiting_b is not None:
            load_a += waiting_a * TOKENS_PER_WAITING
            load_b += waiting_b * TOKENS_PER_WAITING
    return b if (load_b, b.in_flight) < (load_a, a.in_flight) else a
