"""Routers in front of real engines: the settings the tests share."""

from __future__ import annotations

from typing import Any

import msgspec
from engine import NAME

from pointsman.core.fleet import EndpointSpec
from pointsman.core.price import GpuPrice
from pointsman.core.settings import PoolSettings, RouteSettings, SaturationSettings, Settings, TierSettings

PRICE = GpuPrice("RTX 4090", 0.51, 1, 1000.0)
NEVER = SaturationSettings(waiting=10_000, kv_usage=1.1, probe_share=0.0)
"""For tests that are not about load. A small cache is full now and then, which is 1.0."""


def a_pool(name: str, *urls: str, balancer: str = "power_of_two", **endpoint: Any) -> PoolSettings:
    """A pool of real engines."""
    values = {"engine": "vllm", "price": PRICE, "slots": 256, "model": NAME} | endpoint
    specs = tuple(EndpointSpec(id=f"{name}/{i}", pool=name, url=url, **values) for i, url in enumerate(urls))
    return PoolSettings(name, "counting-model", specs, balancer=balancer)


def a_fleet(*pools: PoolSettings, saturation: SaturationSettings = NEVER, **route: Any) -> Settings:
    """Each pool a tier of its name; route `auto` begins on the first."""
    names = tuple(pool.name for pool in pools)
    values = {"ladder": names, "default_tier": names[0], "pipeline": (f"pinned:{names[0]}",)} | route
    return Settings(tiers={name: TierSettings(name, (name,), saturation=saturation) for name in names},
                    pools={pool.name: pool for pool in pools}, routes={"auto": RouteSettings("auto", **values)})


def with_spot(pool: PoolSettings) -> PoolSettings:
    """The same on machines that may vanish."""
    return msgspec.structs.replace(pool, endpoints=tuple(msgspec.structs.replace(e, spot=True) for e in pool.endpoints))
