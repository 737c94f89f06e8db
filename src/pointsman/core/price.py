"""Money as integer nano-dollars (1 USD = 10^9)."""

from __future__ import annotations

import msgspec

NANO = 1_000_000_000


class TokenPrice(msgspec.Struct, frozen=True, gc=False, tag_field="priced_by", tag="token"):
    """Dollars per million tokens, as providers publish them."""

    input: float
    output: float
    cached_input: float | None = None
    """None = cached tokens cost the input price."""
    cache_write: float | None = None
    """Prompt tokens that were written to the cache; None = a quarter more than `input`."""


class GpuPrice(msgspec.Struct, frozen=True, gc=False, tag_field="priced_by", tag="hour"):
    """A rented GPU: what an hour costs and how many tokens it does in a second."""

    type: str
    usd_per_hour: float
    count: int = 1
    tokens_per_s: float | None = None
    """None = nominal: the catalogue's midpoint for this GPU type."""


Price = TokenPrice | GpuPrice


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What an attempt cost. `nano_usd` None = unknown, which is an alarm and never zero."""

    nano_usd: int | None
    basis: str
    """`tokens`, `gpu`, `gpu-nominal`, `estimated` (no usage came; charged conservatively), `unsent` (nothing
    was sent, so nothing is owed) or `unpriced`."""
