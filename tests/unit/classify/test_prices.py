"""What a typical request costs."""

import pytest

from pointsman.classify.prices import (
    Tariff,
    are_always_in_one_order,
    input_tokens,
    output_tokens,
    tariff,
    tier_usd,
)
from pointsman.core.price import GpuPrice, TokenPrice
from pointsman.core.request import Needs
from pointsman.core.settings import TierSettings
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint


def usd_at(price):
    """What a typical request costs on a tier of one endpoint at that price."""
    return tier_usd(a_settings(a_pool("a", endpoints=(an_endpoint("a/0", price=price),))), "a")


def test_tokens_are_priced_as_500_in_and_200_out():
    assert usd_at(TokenPrice(1.0, 5.0)) == pytest.approx(0.0015)


def test_a_gpu_is_priced_by_the_time_of_700_tokens():
    assert usd_at(GpuPrice("RTX 4090", 0.51, 1, 1000.0)) == pytest.approx(0.7 * 0.51 / 3600)
    assert usd_at(GpuPrice("H100", 2.4, 2, 400.0)) == pytest.approx(1.75 * 4.8 / 3600)


def test_unknown_stays_unknown():
    assert usd_at(None) is None
    assert usd_at(GpuPrice("H100", 2.4)) is None


def test_a_tier_costs_what_its_first_pool_costs_on_average():
    ends = (an_endpoint("a/0", price=TokenPrice(1, 1)), an_endpoint("a/1", price=TokenPrice(3, 3)))
    settings = a_settings(a_pool("a", endpoints=ends))

    assert tier_usd(settings, "a") == pytest.approx(0.0014)


def test_one_unknown_endpoint_makes_a_tier_unknown():
    ends = (an_endpoint("a/0"), an_endpoint("a/1", price=None))

    assert tier_usd(a_settings(a_pool("a", endpoints=ends)), "a") is None
    assert tier_usd(a_settings(a_pool("a"), tiers={"a": TierSettings("a", ())}), "a") is None


def test_a_tariff_counts_what_is_cached_at_its_own_price():
    priced = a_settings(a_pool("a", endpoints=(an_endpoint("a/0", price=TokenPrice(10, 30, cached_input=1)),)))

    assert tariff(priced, "a").usd(1000, 100) == pytest.approx(0.013)
    assert tariff(priced, "a").usd(1000, 100, 900) == pytest.approx(0.0049)


def test_without_a_price_for_it_the_cache_saves_nothing():
    priced = a_settings(a_pool("a", endpoints=(an_endpoint("a/0", price=TokenPrice(10, 30)),)))

    assert tariff(priced, "a").usd(1000, 100, 900) == tariff(priced, "a").usd(1000, 100)


def test_a_gpus_token_costs_the_same_in_and_out():
    assert tariff(a_settings(a_pool("a")), "a").usd(300, 400, 100) == pytest.approx(usd_at(GpuPrice("RTX 4090", 0.51, 1, 1000.0)))


def test_tokens_are_what_the_gate_counts_less_the_room_for_the_answer():
    asked = a_request(max_tokens=50, needs=Needs(context=1050))

    assert (input_tokens(asked), output_tokens(asked)) == (1000, 50)
    assert output_tokens(a_request()) == 200
    assert input_tokens(a_request(needs=Needs())) == 1


def test_lengths_change_the_order_only_where_prices_cross():
    cheap, dear, odd = Tariff(1, 2, 1), Tariff(2, 3, 1), Tariff(3, 1, 1)

    assert are_always_in_one_order((dear, cheap))
    assert are_always_in_one_order((cheap, None))
    assert not are_always_in_one_order((cheap, odd))
