"""What `model` may say: route, `auto:<route>`, tier, pool model name, `<provider>/<pool model>`.

Looked up in that order. Why is a name with two meanings refused, when the order would settle it? Because the one who
adds a tier called like somebody's model would silently redirect that somebody's traffic.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pointsman.config.pools import BalancerName, Endpoint, Pool
from pointsman.config.problems import Loc, Report
from pointsman.config.schema import Root, Route, Tier

MOST_BY_PREFIX = 32
"""Engines of a pool that goes by prefix unasked: 1 us each and request, and 4 for the whole."""


class PlacedPool(msgspec.Struct, frozen=True):
    """A pool and where it stands: under `pools`, or inline in a tier."""

    name: str
    loc: Loc
    model: str
    endpoints: list[Endpoint]
    source: Pool | Tier

    @property
    def balancer(self) -> BalancerName:
        """As configured; else by prefix among engines of one's own, whose caches it fills, and by two at random where tokens are bought or
        so many engines stand side by side that looking at each of them would take longer than the rest of the path."""
        own = sum(endpoint.provider is None and endpoint.usd_per_million is None for endpoint in self.endpoints)
        by_prefix = own == len(self.endpoints) <= MOST_BY_PREFIX
        return self.source.balancer or ("prefix" if by_prefix else "power_of_two")

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of this pool's model that clients and rules may use; `<provider>/<model>` for each of its providers."""
        providers = dict.fromkeys(endpoint.provider for endpoint in self.endpoints if endpoint.provider)
        return (self.model, *(f"{provider}/{self.model}" for provider in providers))


def placed_pools(root: Root) -> list[PlacedPool]:
    """Inline pools in the order of the tiers, then those under `pools`."""
    found = [
        PlacedPool(name, ("tiers", name), tier.model, tier.endpoints, tier)
        for name, tier in root.tiers.items()
        if tier.model is not None and tier.endpoints
    ]
    found += [PlacedPool(name, ("pools", name), pool.model, pool.endpoints, pool) for name, pool in root.pools.items()]
    return found


def pools_of(name: str, tier: Tier) -> tuple[str, ...]:
    """The pools a tier is bound to; an inline one has the tier's name."""
    return tuple(tier.pools) if tier.pools is not None else (name,)


def routes_of(root: Root) -> dict[str, Route]:
    """The configured routes, or the one that is there when none is."""
    return dict(root.routes) if root.routes else {"auto": Route()}


class _Meaning(msgspec.Struct, frozen=True):
    what: str
    """Equal for names that lead to the same place."""
    said: str
    loc: Loc


def check_names(root: Root, report: Report) -> None:
    """A name with two meanings is a problem, at the later of the two."""
    first: dict[str, _Meaning] = {}
    for name, meaning in _meanings(root):
        known = first.setdefault(name, meaning)
        if known.what != meaning.what:
            report.problem(
                meaning.loc, f"`model: {name}` would be ambiguous: it is {known.said} and {meaning.said}",
                "rename one of them (a pool's `model` may be any name: its endpoints can have their own)",
            )


def _meanings(root: Root) -> Iterator[tuple[str, _Meaning]]:
    for name in routes_of(root):
        meaning = _Meaning(f"route {name}", f"route {name!r}", ("routes", name))
        yield name, meaning
        yield f"auto:{name}", meaning
    for name, tier in root.tiers.items():
        pools = pools_of(name, tier)
        # A tier of a single pool leads where the pool's model name leads: the same name for both is no surprise.
        what = f"pool {pools[0]}" if len(pools) == 1 else f"tier {name}"
        yield name, _Meaning(what, f"tier {name!r}", ("tiers", name))
    for pool in placed_pools(root):
        for model in pool.model_names:
            yield model, _Meaning(f"pool {pool.name}", f"the model of pool {pool.name!r}", (*pool.loc, "model"))
