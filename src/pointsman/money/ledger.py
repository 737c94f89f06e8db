"""What an attempt cost, in integer nano-dollars.

    token-priced   (input - cached - written) x input + cached x cached_input + written x cache_write + output x output
                                                                                          [$ per million tokens]
    GPU-priced     (input + output) / tokens_per_s x usd_per_hour x count / 3600

Each price is turned into exact integer rates once; an attempt is then a few integer multiplications and one
division, rounded half up to a nano-dollar. Tokens that cost something cost at least one nano-dollar: only a price of
zero makes an attempt free.

Why exact, when prices are floats? `0.88` means eighty-eight cents, so the decimal a person wrote is taken at its
word. Sums over millions of records then agree to the nano-dollar whoever adds them up, in whatever order.

Why is the missing usage guessed high? A bill that is too low is found at the end of the month, one that is too
high on the first day. The guess is marked `estimated` wherever it shows, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from pointsman.core.price import NANO, Cost, GpuPrice, Price, TokenPrice
from pointsman.core.record import Attempt
from pointsman.core.reply import Usage
from pointsman.money.catalogue import nominal_tokens_per_s

NOTHING = Usage(0, 0)
"""The usage of an attempt that was refused before a byte was sent."""

CACHE_WRITE = Fraction(5, 4)
"""Of the input price, where nobody says: what Anthropic's price list asks for its cache of five minutes."""

# From the firmest to the weakest: a sum is as firm as its weakest part.
_FIRMNESS = {"tokens": 0, "gpu": 1, "gpu-nominal": 2, "estimated": 3, "unpriced": 4}

_UNPRICED = Cost(None, "unpriced")


class Rates(NamedTuple):
    """Nano-dollars per token as fractions over one denominator."""

    input: int
    cached: int
    output: int
    per: int
    basis: str
    written: int

    def nano_usd(self, usage: Usage) -> int:
        cached = usage.cached_tokens
        spent = usage.input_tokens * self.input + usage.output_tokens * self.output
        if cached:
            # An engine that counts the cache apart from the input must not make the input negative.
            spent += min(cached, usage.input_tokens) * (self.cached - self.input)
        if usage.written_tokens:
            spent += min(usage.written_tokens, usage.input_tokens - min(cached or 0, usage.input_tokens)) * (self.written - self.input)
        if spent <= 0:
            return 0
        return (2 * spent + self.per) // (2 * self.per) or 1


@lru_cache(maxsize=4096)
def rates_of(price: Price) -> Rates | None:
    """The exact integer rates of a price; None = it cannot price anything (no speed known, not a number, negative)."""
    if isinstance(price, TokenPrice):
        cached = price.input if price.cached_input is None else price.cached_input
        rates = [_exact(usd) for usd in (price.input, cached, price.output, price.input if price.cache_write is None else price.cache_write)]
        per_token = [rate * NANO / 1_000_000 for rate in rates if rate is not None]
        if len(per_token) < 4:
            return None
        if price.cache_write is None:
            per_token[3] *= CACHE_WRITE
        return _over_one_denominator(per_token, "tokens")
    return _gpu_rates(price)


def _gpu_rates(price: GpuPrice) -> Rates | None:
    measured = price.tokens_per_s is not None
    speed = _exact(price.tokens_per_s if measured else nominal_tokens_per_s(price.type))
    usd_per_hour = _exact(price.usd_per_hour)
    if not speed or usd_per_hour is None or price.count < 1:
        return None
    per_token = usd_per_hour * price.count * NANO / (3600 * speed)
    return _over_one_denominator([per_token] * 4, "gpu" if measured else "gpu-nominal")


def _exact(value: float | None) -> Fraction | None:
    """The decimal that was written; None for what is no amount."""
    return Fraction(Decimal(repr(value))) if value is not None and math.isfinite(value) and value >= 0 else None


def _over_one_denominator(rates: list[Fraction], basis: str) -> Rates:
    per = math.lcm(*(rate.denominator for rate in rates))
    whole = [rate.numerator * (per // rate.denominator) for rate in rates]
    return Rates(whole[0], whole[1], whole[2], per, basis, whole[3])


def cost_of(price: Price | None, usage: Usage | None, *, estimate: Usage | None) -> Cost:
    """What `usage` costs at `price`.

    Without usage the `estimate` is charged and the cost says `estimated`. Without a price, or with neither usage
    nor estimate, the cost is unknown: `Cost(None, "unpriced")`.
    """
    rates = None if price is None else rates_of(price)
    if rates is None:
        return _UNPRICED
    if usage is not None:
        return Cost(rates.nano_usd(usage), rates.basis)
    return _UNPRICED if estimate is None else Cost(rates.nano_usd(estimate), "estimated")


def estimated_usage(*, request_bytes: int, output_chars: int = 0, output_events: int = 0) -> Usage:
    """A high guess at what an attempt used when the upstream did not say.

    A token of English is about four characters, so a third of the UTF-8 bytes (input) and of the characters seen
    (output) errs upwards; each content-bearing event brought at least one token.
    """
    return Usage(-(-request_bytes // 3), max(-(-output_chars // 3), output_events))


def sum_costs(attempts: Iterable[Attempt]) -> tuple[int | None, str]:
    """(nano-dollars, basis) of a whole request: as firm as the weakest attempt, None as soon as one is unknown.

    Attempts of which no byte was sent cost nothing, whatever their price. No attempts: (0, "tokens").
    """
    total: int | None = 0
    basis = "tokens"
    for attempt in attempts:
        if not attempt.sent:
            continue
        if _FIRMNESS.get(attempt.cost_basis, 4) > _FIRMNESS[basis]:
            basis = attempt.cost_basis if attempt.cost_basis in _FIRMNESS else "unpriced"
        total = None if total is None or attempt.cost_nano_usd is None else total + attempt.cost_nano_usd
    return (None, "unpriced") if total is None else (total, basis)


def against(price: Price | None, usage: Usage | None) -> int | None:
    """The counterfactual: nano-dollars if this `usage` had been served at `price` (the largest tier's).

    Assumes the other model would have used the same number of tokens; say so where the number shows.
    """
    return cost_of(price, usage, estimate=None).nano_usd


def usd(nano: int | None) -> str | None:
    """Nano-dollars as an exact decimal with nine places; None stays None.

    >>> usd(-1_500_000_001)
    '-1.500000001'
    """
    if nano is None:
        return None
    whole, rest = divmod(abs(nano), NANO)
    return f"{'-' if nano < 0 else ''}{whole}.{rest:09d}"
