"""How busy an endpoint is, in tokens: what balancers compare."""

from __future__ import annotations

from pointsman.core.fleet import EndpointView
from pointsman.core.request import ChatRequest


def cost(view: EndpointView, tokens: int) -> float:
    """Tokens in flight with this request, and what the engine reports beyond its siblings; more while it starts slowly."""
    return (view.in_flight_tokens + view.excess_tokens + tokens) / view.weight


def tokens_of(request: ChatRequest) -> int:
    """Estimated tokens of one request, in and out; at least one."""
    return request.needs.context or 1


def is_full(view: EndpointView) -> bool:
    return view.slots is not None and view.in_flight >= view.slots
