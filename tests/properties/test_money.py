"""Whatever the price and the tokens: never negative, exact to a nano-dollar, more tokens never cheaper."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.price import GpuPrice, Price, TokenPrice
from pointsman.core.record import Attempt
from pointsman.core.reply import Usage
from pointsman.money.ledger import cost_of, sum_costs

dollars = st.floats(0, 1000, allow_nan=False, allow_infinity=False)
tokens = st.integers(0, 2_000_000)
token_prices = st.builds(TokenPrice, dollars, dollars, st.none() | dollars)
gpu_prices = st.builds(GpuPrice, st.just("any"), dollars, st.integers(1, 16), st.floats(0.1, 1e6))
usages = st.builds(Usage, tokens, tokens, st.none() | tokens)


def nano(price: Price, usage: Usage) -> int:
    cost = cost_of(price, usage, estimate=None).nano_usd
    assert cost is not None
    return cost


def by_the_formula(price: Price, usage: Usage) -> Fraction:
    """The definition, in fractions and in dollars, with none of the ledger's shortcuts."""
    def exact(value: float) -> Fraction:
        return Fraction(Decimal(repr(value)))

    if isinstance(price, GpuPrice):
        assert price.tokens_per_s is not None
        seconds = (usage.input_tokens + usage.output_tokens) / exact(price.tokens_per_s)
        return seconds * exact(price.usd_per_hour) * price.count / 3600 * 10**9
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    cached_price = price.input if price.cached_input is None else price.cached_input
    per_million = ((usage.input_tokens - cached) * exact(price.input) + cached * exact(cached_price)
                   + usage.output_tokens * exact(price.output))
    return per_million / 1_000_000 * 10**9


@given(token_prices | gpu_prices, usages)
def test_the_ledger_agrees_with_the_formula_within_a_nano_dollar(price: Price, usage: Usage) -> None:
    truth = by_the_formula(price, usage)

    assert nano(price, usage) >= 0
    assert abs(nano(price, usage) - truth) <= 1
    assert (nano(price, usage) == 0) == (truth == 0)


@given(token_prices | gpu_prices, tokens, tokens, st.integers(0, 1000), st.integers(0, 1000))
def test_more_tokens_are_never_cheaper(price: Price, ins: int, outs: int, more_in: int, more_out: int) -> None:
    assert nano(price, Usage(ins + more_in, outs + more_out)) >= nano(price, Usage(ins, outs))


@given(token_prices | gpu_prices, usages, usages)
def test_two_halves_cost_what_the_whole_costs(price: Price, one: Usage, other: Usage) -> None:
    one, other = (Usage(u.input_tokens, u.output_tokens) for u in (one, other))
    whole = Usage(one.input_tokens + other.input_tokens, one.output_tokens + other.output_tokens)

    assert abs(nano(price, one) + nano(price, other) - nano(price, whole)) <= 2  # a rounding each


@given(st.lists(st.tuples(st.none() | st.integers(0, 10**12), st.sampled_from(["tokens", "gpu", "estimated"]))), st.randoms())
def test_a_sum_does_not_depend_on_the_order(parts: list[tuple[int | None, str]], shuffle: object) -> None:
    attempts = [Attempt(i, "t", "p", "p/0", "m", "chosen", 0.0, 0.0, None, "failed", cost_nano_usd=n, cost_basis=b)
                for i, (n, b) in enumerate(parts, 1)]
    shuffled = list(attempts)
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]

    assert sum_costs(attempts) == sum_costs(shuffled)
    known = [n for n, _ in parts]
    assert sum_costs(attempts)[0] == (None if None in known else sum(n for n in known if n is not None))
