"""How busy an endpoint is, in tokens: what balancers compare."""

from __future__ import annotations

from pointsman.core.fleet import EndpointView
from pointsman.core.request import ChatRequest

READS_TOKENS = 1_600
"""What an endpoint may have to read and still be sent more, in tokens: less than a step of an engine (2,048 by vLLM's default), so that none runs dry
between a first token and the next prompt's arrival. Where all of it was 0.3 s, engines twice as fast had four times the queue that they need, and
13 points fewer were in time on Mooncake's trace at 150 % of capacity."""
READS_LEAST_S, READS_MOST_S = 0.05, 0.3
"""But never less than it takes to hear of a first token and send the next prompt, nor more than this: with 0.5 five points fewer are in time on
Azure's trace at 150 % of capacity."""
LATE_S, LATE_TIMES = 1.0, 2.0
"""Who has waited this, and so many times what its prompt takes to read, is late: nothing says when, where nothing is promised."""
BEYOND, LATER, LEAST_OVER = 0.5, 1.0, 0.05
"""A home may have so much more in flight than its slots, and be so much later than counts as full, both as shares of those; and
what being full costs at least, as a share of the whole bonus."""


def room_s(token_s: float) -> float:
    """An endpoint with so much to read, beside an answer's own time, is sent nothing more that could go elsewhere. `token_s`: what a token
    takes at an endpoint of the middle."""
    return min(READS_MOST_S, max(READS_LEAST_S, READS_TOKENS * token_s))


def cost(view: EndpointView, tokens: int) -> float:
    """Tokens in flight with this request, and what the engine reports beyond its siblings; more while it starts slowly."""
    return (view.in_flight_tokens + view.excess_tokens + tokens) / view.weight


def tokens_of(request: ChatRequest) -> int:
    """Estimated tokens of one request, in and out; at least one."""
    return request.needs.context or 1


def prompt_tokens_of(request: ChatRequest) -> int:
    """Estimated tokens of its prompt."""
    answer = request.max_tokens
    prompt = request.needs.context - answer if answer is not None and answer > 0 else request.needs.context
    return prompt if prompt > 0 else 0


def is_full(view: EndpointView) -> bool:
    """All slots are taken, or a first token would come late."""
    return (view.slots is not None and view.in_flight >= view.slots) or view.lateness >= 1.0


def overbooking(view: EndpointView) -> float:
    """How far a full endpoint would be taken beyond its limits, as a share of how far a home may be: 0 = it is not full, 1 = no
    further.

    Half of its slots again: whoever comes home to them waits for half of an answer at most. And twice the expected time to a
    first token at which it counts as full, which is still within the promise.
    """
    over = max(LEAST_OVER, (view.lateness - 1.0) / LATER) if view.lateness >= 1.0 else 0.0
    if view.slots is not None and view.in_flight >= view.slots:
        over = max(over, (view.in_flight - view.slots + 1) / (BEYOND * view.slots + 1))
    return over
