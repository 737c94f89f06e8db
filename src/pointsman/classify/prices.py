"""What a request on a tier costs, roughly: enough to order tiers and to print a price per thousand requests.

The exact cost of an attempt is `money`'s business; this is an expectation before anything is known.
"""

from __future__ import annotations

from pointsman.core.price import GpuPrice, Price, TokenPrice
from pointsman.core.settings import PoolSettings, Settings

TYPICAL_INPUT_TOKENS = 500
TYPICAL_OUTPUT_TOKENS = 200
"""The published shape of a request: 500 tokens in, 200 out."""


def tier_usd(settings: Settings, tier: str) -> float | None:
    """Dollars per typical request on a tier (its first pool: the one that is asked first); None = unknown."""
    pools = settings.tiers[tier].pools
    return _pool_usd(settings.pools[pools[0]]) if pools else None


def request_usd(price: Price | None) -> float | None:
    """Dollars per typical request at a price; None = unknown, also for a GPU of unknown speed."""
    match price:
        case TokenPrice(input=per_input, output=per_output):
            return (TYPICAL_INPUT_TOKENS * per_input + TYPICAL_OUTPUT_TOKENS * per_output) / 1e6
        case GpuPrice(usd_per_hour=usd, count=count, tokens_per_s=speed) if speed:
            return (TYPICAL_INPUT_TOKENS + TYPICAL_OUTPUT_TOKENS) / speed * usd * count / 3600
        case _:
            return None


def _pool_usd(pool: PoolSettings) -> float | None:
    """Mean over the pool's endpoints, None as soon as one is unknown."""
    costs = [request_usd(endpoint.price) for endpoint in pool.endpoints]
    known = [cost for cost in costs if cost is not None]
    return sum(known) / len(known) if known and len(known) == len(costs) else None
