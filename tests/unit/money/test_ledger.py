from __future__ import annotations

import timeit

import pytest

from pointsman.core.price import Cost, GpuPrice, Price, TokenPrice
from pointsman.core.record import Attempt
from pointsman.core.reply import Usage
from pointsman.money.ledger import NOTHING, against, cost_of, estimated_usage, sum_costs, usd


def an_attempt(nano: int | None, basis: str = "tokens", *, sent: bool = True) -> Attempt:
    return Attempt(number=1, tier="small", pool="small", endpoint="small/0", model="m", reason="chosen", started_s=0.0,
                   duration_s=1.0, ttft_s=0.1, outcome="answered", sent=sent, cost_nano_usd=nano, cost_basis=basis)


def test_tokens_cost_what_the_provider_publishes() -> None:
    price = TokenPrice(input=3.0, output=15.0)

    assert cost_of(price, Usage(1500, 500), estimate=None) == Cost(12_000_000, "tokens")


def test_cached_tokens_have_their_own_price() -> None:
    price = TokenPrice(input=3.0, output=15.0, cached_input=0.3)

    assert cost_of(price, Usage(1000, 0, 400), estimate=None).nano_usd == 600 * 3000 + 400 * 300
    assert cost_of(TokenPrice(3.0, 15.0), Usage(1000, 0, 400), estimate=None).nano_usd == 1000 * 3000


def test_more_cached_tokens_than_input_count_as_all_input() -> None:
    price = TokenPrice(input=3.0, output=15.0, cached_input=0.3)

    assert cost_of(price, Usage(100, 0, 999), estimate=None) == cost_of(price, Usage(100, 0, 100), estimate=None)


def test_a_gpu_costs_its_hours_over_its_speed() -> None:
    """100,000 requests of 700 tokens at 300 tokens/s on $2.40/h are 64.81 hours, $155.56."""
    day = Usage(100_000 * 500, 100_000 * 200)

    assert cost_of(GpuPrice("H100", 2.40, 1, 300.0), day, estimate=None) == Cost(155_555_555_556, "gpu")
    assert cost_of(GpuPrice("H100", 2.40, 4, 300.0), day, estimate=None) == Cost(622_222_222_222, "gpu")


def test_without_a_measured_speed_the_catalogue_speaks_and_says_so() -> None:
    one, nominal = GpuPrice("RTX 4090", 0.51, 1, 1000.0), GpuPrice("RTX 4090", 0.51)

    assert cost_of(nominal, Usage(500, 200), estimate=None) == Cost(99_167, "gpu-nominal")
    assert cost_of(one, Usage(500, 200), estimate=None) == Cost(99_167, "gpu")


@pytest.mark.parametrize("price", [
    None, GpuPrice("H200", 4.50), GpuPrice("RTX 4090", 0.51, 1, 0.0), TokenPrice(float("nan"), 1.0), TokenPrice(-1.0, 1.0),
])
def test_what_has_no_usable_price_is_unknown_and_never_zero(price: Price | None) -> None:
    assert cost_of(price, Usage(500, 200), estimate=Usage(1, 1)) == Cost(None, "unpriced")


def test_missing_usage_is_charged_by_the_estimate_and_marked() -> None:
    price = TokenPrice(1.0, 5.0)

    assert cost_of(price, None, estimate=Usage(100, 10)) == Cost(150_000, "estimated")
    assert cost_of(price, None, estimate=None) == Cost(None, "unpriced")


def test_the_estimate_errs_upwards() -> None:
    assert estimated_usage(request_bytes=10, output_chars=100) == Usage(4, 34)
    assert estimated_usage(request_bytes=9, output_chars=10, output_events=66) == Usage(3, 66)


def test_the_smallest_thing_that_costs_costs_one_nano() -> None:
    assert cost_of(TokenPrice(0.0001, 0.0), Usage(1, 0), estimate=None).nano_usd == 1
    assert cost_of(TokenPrice(0.0, 0.0), Usage(1000, 1000), estimate=None) == Cost(0, "tokens")
    assert cost_of(TokenPrice(1.0, 1.0), NOTHING, estimate=None) == Cost(0, "tokens")


def test_halves_round_up() -> None:
    assert cost_of(TokenPrice(0.0025, 0.0), Usage(1, 0), estimate=None).nano_usd == 3


def test_a_sum_is_as_firm_as_its_weakest_attempt() -> None:
    assert sum_costs([an_attempt(5), an_attempt(7, "estimated"), an_attempt(1, "gpu")]) == (13, "estimated")
    assert sum_costs([an_attempt(5), an_attempt(None, "unpriced")]) == (None, "unpriced")
    assert sum_costs([]) == (0, "tokens")


def test_an_attempt_that_never_left_costs_nothing_even_without_a_price() -> None:
    assert sum_costs([an_attempt(None, "unpriced", sent=False), an_attempt(5, "gpu")]) == (5, "gpu")


def test_the_counterfactual_takes_the_same_tokens_to_the_other_price() -> None:
    assert against(TokenPrice(15.0, 75.0), Usage(1500, 500)) == 60_000_000
    assert against(None, Usage(1500, 500)) is None


def test_dollars_are_printed_exactly() -> None:
    assert usd(1) == "0.000000001"
    assert usd(12_000_000) == "0.012000000"
    assert usd(-1_500_000_001) == "-1.500000001"
    assert usd(None) is None


def test_pricing_an_attempt_is_a_matter_of_microseconds() -> None:
    price, usage = GpuPrice("RTX 4090", 0.51, 1, 1000.0), Usage(500, 200, 100)

    best = min(timeit.repeat(lambda: cost_of(price, usage, estimate=None), number=2000, repeat=5)) / 2000

    assert best < 10e-6  # about 1 us; ten leaves room for a busy machine


@pytest.mark.parametrize(("cache_write", "nano"), [(None, 1_000 + 500 + 2_500), (4.0, 1_000 + 500 + 8_000), (0.0, 1_000 + 500)])
def test_what_was_written_to_a_cache_has_a_price_of_its_own(cache_write, nano):
    price = TokenPrice(1.0, 3.0, 0.5, cache_write)

    assert cost_of(price, Usage(4, 0, 1, 2), estimate=None).nano_usd == nano


def test_more_written_than_came_in_makes_nothing_negative():
    price = TokenPrice(1.0, 1.0, 0.0, 0.0)

    assert cost_of(price, Usage(3, 1, 2, 5), estimate=None).nano_usd == 1_000
