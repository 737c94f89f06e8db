"""The capability gate: which tiers could serve this request at all, whatever they score.

An undeclared capability fits and is listed, so that it can be counted: refusing what nobody has said would break
every minimal configuration. A tier fits if any of its pools does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf
from typing import Any, Generic, TypeVar

import msgspec

from pointsman.core.decision import GateView
from pointsman.core.request import Needs
from pointsman.core.settings import PoolSettings, TierSettings

T = TypeVar("T")
REMEMBERED = 1024
"""Answers kept: a handful of kinds of requests times the keys that may use some pools only."""

_FLAGS: tuple[tuple[str, str], ...] = (
    ("tools", "tools"), ("json_schema", "JSON schema"), ("vision", "vision"), ("logprobs", "logprobs"),
)


def lacks(needs: Needs, pool: PoolSettings, allowed: Collection[str] | None = None) -> tuple[str, ...]:
    """What keeps this pool from serving, in words; empty = it fits."""
    found: list[str] = []
    capabilities = pool.capabilities
    if pool.embeddings:
        found.append("it serves embeddings only")
    if allowed is not None and pool.name not in allowed:
        found.append("the caller may not use it")
    if capabilities.context is not None and needs.context > capabilities.context:
        found.append(f"context of {capabilities.context:,} tokens, about {needs.context:,} needed")
    for field, words in _FLAGS:
        if getattr(needs, field) and getattr(capabilities, field) is False:
            found.append(f"no {words}")
    if needs.dialect and not any(e.is_origin and needs.dialect in e.dialects for e in pool.endpoints):
        found.append(f"not the maker of the {needs.dialect} API, whose own tools or files this request uses")
    return tuple(found)


def unknown(needs: Needs, pool: PoolSettings) -> tuple[str, ...]:
    """Needed capabilities that the pool does not declare."""
    capabilities = pool.capabilities
    names = [field for field, _ in _FLAGS if getattr(needs, field) and getattr(capabilities, field) is None]
    return ("context", *names) if capabilities.context is None and needs.context else tuple(names)


def check(
    needs: Needs, tier: TierSettings, pools: Mapping[str, PoolSettings], allowed: Collection[str] | None = None
) -> GateView:
    """May this tier serve the request? `allowed`: names of pools the caller may use, None = all."""
    missing: list[str] = []
    for name in tier.pools:
        pool = pools[name]
        reasons = lacks(needs, pool, allowed)
        if not reasons:
            holes = unknown(needs, pool)
            return GateView(tier.name, True, f"undeclared: {', '.join(holes)}" if holes else "fits", holes)
        words = " and ".join(reasons)
        missing.append(words if len(tier.pools) == 1 else f"{name}: {words}")
    return GateView(tier.name, False, "; ".join(missing) or "it has no pool")


class Memory(Generic[T]):
    """What a question to the gate was answered before. Most requests need the same, and little.

    Requests that are too long for some pool are asked anew: their length is in the answer.
    """

    def __init__(self, pools: Iterable[PoolSettings], ask: Callable[[Needs, Collection[str] | None], T]) -> None:
        """`ask` must go by nothing but its arguments and these pools."""
        self._room = min((c for pool in pools if (c := pool.capabilities.context) is not None), default=inf)
        self._ask = ask
        self._said: dict[tuple[bool, tuple[Any, ...], frozenset[str] | None], T] = {}
        # Of a request that needs nothing but room, as nearly every one: its key would take longer than the rest.
        self._plain: T | None = None

    def __call__(self, needs: Needs, allowed: Collection[str] | None) -> T:
        if needs.context > self._room:
            return self._ask(needs, allowed)
        if allowed is None and needs.context > 0 and not (needs.tools or needs.json_schema or needs.vision or needs.logprobs or needs.dialect):
            if self._plain is None:
                self._plain = self._ask(needs, allowed)
            return self._plain
        # Of the context, which comes first, only whether it is there.
        key = (needs.context > 0, msgspec.structs.astuple(needs)[1:], None if allowed is None else frozenset(allowed))
        said = self._said.get(key)
        if said is None:
            if len(self._said) >= REMEMBERED:
                self._said.clear()
            said = self._said[key] = self._ask(needs, allowed)
        return said
