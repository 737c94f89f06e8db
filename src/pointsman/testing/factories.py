"""Values with sensible contents, for tests: override what the test is about."""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.fleet import Capabilities, EndpointSpec
from pointsman.core.price import GpuPrice
from pointsman.core.request import ChatRequest, Kind, Message, Needs, Span
from pointsman.core.scan import members
from pointsman.core.settings import PoolSettings, RouteSettings, Settings, TierSettings


def a_request(prompt: str = "What are your opening hours?", *, model: str = "auto", **overrides: Any) -> ChatRequest:
    """A chat request with one user message; its body is real JSON."""
    messages = overrides.pop("messages", (Message("user", prompt),))
    body = msgspec.json.encode({"model": model, "messages": [{"role": m.role, "content": m.text} for m in messages]})
    values: dict[str, Any] = {
        "kind": Kind.CHAT, "body": body, "model": model, "messages": tuple(messages),
        "needs": Needs(context=len(body) // 3), "fields_end": len(body) - 1,
        "spans": {field.key: Span(field.start, field.end) for field in members(body)[0]},
    }
    return ChatRequest(**(values | overrides))


def an_endpoint(id: str = "small/0", url: str = "http://127.0.0.1:9/v1", **overrides: Any) -> EndpointSpec:
    """A GPU-priced endpoint of pool `id.split('/')[0]`."""
    values: dict[str, Any] = {
        "id": id, "pool": id.split("/")[0], "url": url, "model": "test-model",
        "price": GpuPrice("RTX 4090", 0.51, 1, 1000.0), "slots": 256,
    }
    return EndpointSpec(**(values | overrides))


def a_pool(name: str = "small", *urls: str, **overrides: Any) -> PoolSettings:
    """Pool settings with one endpoint per URL (one unreachable endpoint by default)."""
    endpoints = tuple(an_endpoint(f"{name}/{i}", url) for i, url in enumerate(urls or ("http://127.0.0.1:9/v1",)))
    values: dict[str, Any] = {
        "name": name, "model": f"{name}-model", "endpoints": endpoints, "capabilities": Capabilities(),
    }
    return PoolSettings(**(values | overrides))


def a_settings(*pools: PoolSettings, **overrides: Any) -> Settings:
    """Settings in which every pool is a tier of its name, and route `auto` climbs them in order."""
    names = tuple(pool.name for pool in pools)
    route = overrides.pop("route", None) or RouteSettings("auto", ladder=names, default_tier=names[-1])
    values: dict[str, Any] = {
        "tiers": {n: TierSettings(n, (n,)) for n in names},
        "pools": {p.name: p for p in pools},
        "routes": {route.name: route},
    }
    return Settings(**(values | overrides))
