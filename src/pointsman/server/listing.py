"""What there is and how it fares: `/v1/models`, health and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pointsman.core.clock import Clock
from pointsman.errors import UnknownModel
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.names import Meaning
from pointsman.server.exchange import JSON, Exchange
from pointsman.server.front import Front


class ListingEndpoints:
    """Read-only views of the graph."""

    def __init__(self, gateway: Gateway, front: Callable[[], Front], clock: Clock,
                 metrics: Callable[[], tuple[bytes, str]], records: Callable[[], dict[str, Any]]) -> None:
        self._gateway, self._front, self._clock = gateway, front, clock
        self._metrics, self._records = metrics, records
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

    async def liveness(self, exchange: Exchange) -> None:
        await exchange.answer(200, b'{"status":"alive"}', [JSON])

    async def readiness(self, exchange: Exchange) -> None:
        """200 while every route has a way to answer; says which pools are missing either way."""
        graph, now = self._gateway.graph, self._clock.now()
        missing = [name for name, pool in graph.fleet.pools.items() if not pool.is_fit(now)]
        stuck = [
            route.name for route in graph.settings.routes.values()
            if all(pool in missing for tier in (*route.ladder, *route.fallbacks)
                   for pool in graph.settings.tiers[tier].pools)
        ]
        records = self._records()
        is_ready = not stuck and not self._gateway.is_draining
        status = "draining" if self._gateway.is_draining else "ready" if is_ready else "not ready"
        body = {
            "status": status, "missing_pools": missing, "routes_without_pool": stuck,
            "generation": graph.generation, "records": records,
            "warnings": ["records are being dropped"] if records.get("dropped") else [],
        }
        await exchange.answer(200 if is_ready else 503, msgspec.json.encode(body), [JSON])

    async def metrics(self, exchange: Exchange) -> None:
        self._front().admit(exchange)
        body, media = self._metrics()
        await exchange.answer(200, body, [(b"content-type", media.encode())])
