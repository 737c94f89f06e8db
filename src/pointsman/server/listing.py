"""What there is and how it fares: `/v1/models`, health and metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec

from pointsman.core.clock import Clock
from pointsman.core.fleet import EndpointSpec, EndpointState
from pointsman.core.price import TokenPrice
from pointsman.core.request import Caller
from pointsman.core.settings import PoolSettings
from pointsman.errors import UnknownModel
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.names import Meaning
from pointsman.server.exchange import JSON, Exchange
from pointsman.server.front import Front

_PER_MILLION = 1e6
"""Prices are dollars per million tokens; LiteLLM lists dollars per token."""


class ListingEndpoints:
    """Read-only views of the graph."""

    def __init__(self, gateway: Gateway, front: Callable[[], Front], clock: Clock,
                 metrics: Callable[[], Awaitable[tuple[bytes, str]]], records: Callable[[], dict[str, Any]],
                 warnings: Callable[[], list[str]] = list) -> None:
        """`warnings`: what else readiness should say."""
        self._gateway, self._front, self._clock = gateway, front, clock
        self._metrics, self._records, self._warnings = metrics, records, warnings
        self._created = int(clock.wall())

    async def models(self, exchange: Exchange) -> None:
        caller = self._front().admit(exchange)
        data = [self._card(name, meaning) for name, meaning in self._gateway.graph.names.listed(caller)]
        await exchange.answer(200, msgspec.json.encode({"object": "list", "data": data}), [JSON])

    async def model(self, exchange: Exchange, name: str) -> None:
        caller = self._front().admit(exchange)
        found = dict(self._gateway.graph.names.listed(caller)).get(name)
        if found is None:
            raise UnknownModel(name)
        await exchange.answer(200, msgspec.json.encode(self._card(name, found)), [JSON])

    def _card(self, name: str, meaning: Meaning) -> dict[str, Any]:
        """One model as OpenAI lists it, with the longest context that it can serve (null = nobody has said)."""
        settings = self._gateway.graph.settings
        tiers = settings.routes[meaning.route].ladder if meaning.is_route else (meaning.tier,)
        pools = meaning.pools or tuple(pool for tier in tiers for pool in settings.tiers[tier].pools)
        contexts = [settings.pools[pool].capabilities.context for pool in pools]
        known = [context for context in contexts if context is not None]
        return {
            "id": name, "object": "model", "created": self._created, "owned_by": "pointsman",
            "kind": "route" if meaning.is_route else "tier" if meaning.tier else "model",
            "context_length": max(known) if known else None, "max_model_len": max(known) if known else None,
            "pools": list(pools),
        }

    async def model_info(self, exchange: Exchange) -> None:
        """What there is as LiteLLM lists it: one entry for each route and tier, and one for each endpoint of a model."""
        caller = self._front().admit(exchange)
        data = [entry for name, meaning in self._gateway.graph.names.listed(caller)
                for entry in self._entries(name, meaning, caller)]
        await exchange.answer(200, msgspec.json.encode({"data": data}), [JSON])

    def _entries(self, name: str, meaning: Meaning, caller: Caller) -> Iterator[dict[str, Any]]:
        """Neither URLs nor credentials: where an engine is, is nobody's business but the operator's."""
        if not meaning.pools:
            info = {"id": name, "max_input_tokens": self._card(name, meaning)["context_length"]}
            yield {"model_name": name, "litellm_params": {"model": name}, "model_info": info}
        for pool in (self._gateway.graph.settings.pools[pool] for pool in meaning.pools):
            for endpoint in pool.endpoints:
                if meaning.provider in ("", endpoint.provider) and (caller.pools is None or pool.name in caller.pools):
                    yield {"model_name": name, "litellm_params": {"model": endpoint.model},
                           "model_info": _info(endpoint, pool)}

    async def health(self, exchange: Exchange) -> None:
        """Every endpoint as LiteLLM sorts them: in service, or not. From traffic and probes; asks no engine now."""
        caller = self._front().admit(exchange)
        graph, now = self._gateway.graph, self._clock.now()
        sorted_: dict[bool, list[dict[str, str]]] = {True: [], False: []}
        for name, pool in graph.fleet.pools.items():
            if caller.pools is None or name in caller.pools:
                for endpoint in pool.endpoints:
                    state = endpoint.view(now).state
                    entry = {"model": endpoint.spec.model, "model_id": endpoint.id, "state": state.value}
                    sorted_[state is EndpointState.HEALTHY].append(entry)
        body = {"healthy_endpoints": sorted_[True], "unhealthy_endpoints": sorted_[False],
                "healthy_count": len(sorted_[True]), "unhealthy_count": len(sorted_[False])}
        await exchange.answer(200, msgspec.json.encode(body), [JSON])

    async def liveness(self, exchange: Exchange) -> None:
        await exchange.answer(200, b'{"status":"alive"}', [JSON])

    async def readiness(self, exchange: Exchange) -> None:
        """200 while every route has a way to answer; says which pools are missing either way.

        Why is a router ready whose endpoints are all ejected? They are still asked when nobody else is left, and it is a
        client's request that finds out that one is back: taken out of service, it would never learn of it, and a short
        trouble of the engines would be an outage of every router at once. `degraded` says so.
        """
        graph, now = self._gateway.graph, self._clock.now()
        missing = [name for name, pool in graph.fleet.pools.items() if not pool.is_fit(now)]
        pools_of = {route.name: {pool for tier in (*route.ladder, *route.fallbacks) for pool in graph.settings.tiers[tier].pools}
                    for route in graph.settings.routes.values()}
        stuck = [route for route, pools in pools_of.items() if pools.issubset(missing)]
        records = self._records()
        warnings = (["records are being dropped"] if records.get("dropped") else []) + self._warnings()
        for route in stuck:
            asked = any(graph.fleet.pools[pool].may_be_asked(now) for pool in pools_of[route])
            warnings.append(f"route {route!r} has no endpoint in service; " + (
                "requests are tried at those that are out of it" if asked else "none may be asked: they drain, or said when to come back"))
        is_ready = not self._gateway.is_draining
        status = "draining" if not is_ready else "degraded" if stuck else "ready"
        body = {
            "status": status, "missing_pools": missing, "routes_without_pool": stuck,
            "generation": graph.generation, "records": records,
            "warnings": warnings,
        }
        await exchange.answer(200 if is_ready else 503, msgspec.json.encode(body), [JSON])

    async def metrics(self, exchange: Exchange) -> None:
        self._front().admit(exchange)
        body, media = await self._metrics()
        await exchange.answer(200, body, [(b"content-type", media.encode())])


def _info(endpoint: EndpointSpec, pool: PoolSettings) -> dict[str, Any]:
    """LiteLLM's names for what a model can do (null = nobody has said) and, where tokens have a price, costs."""
    can = pool.capabilities
    info: dict[str, Any] = {
        "id": endpoint.id, "mode": "embedding" if pool.embeddings else "chat", "max_input_tokens": can.context,
        "supports_function_calling": can.tools, "supports_vision": can.vision,
        "supports_response_schema": can.json_schema,
    }
    if isinstance(endpoint.price, TokenPrice):
        info["input_cost_per_token"] = endpoint.price.input / _PER_MILLION
        info["output_cost_per_token"] = endpoint.price.output / _PER_MILLION
    return info
