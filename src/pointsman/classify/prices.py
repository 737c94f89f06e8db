"""What a request on a tier costs, roughly: enough to order tiers, to hold a budget and to print a price.

The exact cost of an attempt is `money`'s business; this is an expectation before anything is known:

    input x input price + (tokens the tier has in its prompt cache) x (cached - input price) + output x output price

with dollars per token from the tier's first pool, the one that is asked first, averaged over its endpoints. A GPU's token
costs its hour's price by its speed, in or out, cached or not: that is what the ledger will write.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from pointsman.core.price import GpuPrice, Price, TokenPrice
from pointsman.core.request import ChatRequest
from pointsman.core.settings import PoolSettings, Settings

TYPICAL_INPUT_TOKENS = 500
TYPICAL_OUTPUT_TOKENS = 200
"""The published shape of a request: 500 tokens in, 200 out."""


class Tariff(msgspec.Struct, frozen=True, gc=False):
    """Dollars per token."""

    input: float
    output: float
    cached: float
    """Input that is in the prompt cache already."""

    def usd(self, input_tokens: float, output_tokens: float, cached_tokens: float = 0.0) -> float:
        return input_tokens * self.input + cached_tokens * (self.cached - self.input) + output_tokens * self.output


def tariff(settings: Settings, tier: str) -> Tariff | None:
    """Of a tier; None = the price of one of its endpoints is unknown."""
    pools = settings.tiers[tier].pools
    return _tariff_of_pool(settings.pools[pools[0]]) if pools else None


def tier_usd(settings: Settings, tier: str) -> float | None:
    """Dollars per typical request on a tier (its first pool: the one that is asked first); None = unknown."""
    found = tariff(settings, tier)
    return None if found is None else found.usd(TYPICAL_INPUT_TOKENS, TYPICAL_OUTPUT_TOKENS)


def input_tokens(request: ChatRequest) -> int:
    """Estimated tokens of the prompt: what the gate counts, less the room for the answer."""
    return max(1, request.needs.context - (request.max_tokens or 0))


def output_tokens(request: ChatRequest) -> int:
    """Where nothing is known of the model: a typical answer, or what the client allows if that is less."""
    most = request.max_tokens
    return TYPICAL_OUTPUT_TOKENS if most is None else min(most, TYPICAL_OUTPUT_TOKENS)


def are_always_in_one_order(tariffs: Iterable[Tariff | None]) -> bool:
    """Whoever is cheaper per token in is so per token out as well: no length of a request changes the order."""
    known = [found for found in tariffs if found is not None]
    known.sort(key=lambda one: (one.input, one.output))
    return all(one.output <= other.output for one, other in pairwise(known))


def _tariff(price: Price | None) -> Tariff | None:
    match price:
        case TokenPrice(input=per_input, output=per_output, cached_input=cached):
            return Tariff(per_input / 1e6, per_output / 1e6, (per_input if cached is None else cached) / 1e6)
        case GpuPrice(usd_per_hour=usd, count=count, tokens_per_s=speed) if speed:
            each = usd * count / 3600 / speed
            return Tariff(each, each, each)
        case _:
            return None


def _tariff_of_pool(pool: PoolSettings) -> Tariff | None:
    """Mean over the pool's endpoints, None as soon as one is unknown."""
    found = [_tariff(endpoint.price) for endpoint in pool.endpoints]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    n = len(known)
    return Tariff(sum(one.input for one in known) / n, sum(one.output for one in known) / n, sum(one.cached for one in known) / n)
