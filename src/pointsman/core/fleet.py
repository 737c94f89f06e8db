"""What a balancer and the cascade see of the fleet: frozen views, never live objects."""

from __future__ import annotations

from enum import Enum

import msgspec

from pointsman.core.price import Price

EndpointId = str
"""`pool/index`, for instance `small/0`: short, stable over reloads that keep the order, safe as a label."""


class EndpointState(Enum):
    HEALTHY = "healthy"
    EJECTED = "ejected"
    PROBING = "probing"
    DRAINING = "draining"


class Capabilities(msgspec.Struct, frozen=True, gc=False):
    """What a model can do. None = unknown: allowed and counted."""

    context: int | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    vision: bool | None = None
    logprobs: bool | None = None


class EndpointSpec(msgspec.Struct, frozen=True, gc=False):
    """One URL serving a pool's model: everything needed to call it, nothing that changes while serving."""

    id: EndpointId
    pool: str
    url: str
    """Base URL including the API prefix, without trailing slash: `http://10.0.0.10:8001/v1`."""
    model: str
    """The name this endpoint knows the model by; spliced into the body."""
    api_key: str | None = None
    engine: str = "openai"
    """`vllm`, `sglang`, `tgi`, `llamacpp`, `ollama` or `openai` (anything compatible)."""
    provider: str | None = None
    slots: int | None = None
    """Requests it runs at once; None = unknown."""
    price: Price | None = None
    connect_timeout_s: float = 2.0


class LoadReport(msgspec.Struct, frozen=True, gc=False):
    """What an engine said about itself. None = it did not say."""

    waiting: int | None
    running: int | None
    kv_usage: float | None
    """0..1."""
    at: float
    """Monotonic seconds when it was read."""


class EndpointView(msgspec.Struct, frozen=True, gc=False):
    """An endpoint as a balancer sees it."""

    id: EndpointId
    state: EndpointState
    in_flight: int
    in_flight_tokens: int
    slots: int | None
    report: LoadReport | None = None
