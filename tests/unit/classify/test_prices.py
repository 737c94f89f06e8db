"""What a typical request costs."""

import pytest

from pointsman.classify.prices import request_usd, tier_usd
from pointsman.core.price import GpuPrice, TokenPrice
from pointsman.core.settings import TierSettings
from pointsman.testing.factories import a_pool, a_settings, an_endpoint


def test_tokens_are_priced_as_500_in_and_200_out():
    assert request_usd(TokenPrice(1.0, 5.0)) == pytest.approx(0.0015)


def test_a_gpu_is_priced_by_the_time_of_700_tokens():
    assert request_usd(GpuPrice("RTX 4090", 0.51, 1, 1000.0)) == pytest.approx(0.7 * 0.51 / 3600)
    assert request_usd(GpuPrice("H100", 2.4, 2, 400.0)) == pytest.approx(1.75 * 4.8 / 3600)


def test_unknown_stays_unknown():
    assert request_usd(None) is None
    assert request_usd(GpuPrice("H100", 2.4)) is None


def test_a_tier_costs_what_its_first_pool_costs_on_average():
    ends = (an_endpoint("a/0", price=TokenPrice(1, 1)), an_endpoint("a/1", price=TokenPrice(3, 3)))
    settings = a_settings(a_pool("a", endpoints=ends))

    assert tier_usd(settings, "a") == pytest.approx(0.0014)


def test_one_unknown_endpoint_makes_a_tier_unknown():
    ends = (an_endpoint("a/0"), an_endpoint("a/1", price=None))

    assert tier_usd(a_settings(a_pool("a", endpoints=ends)), "a") is None
    assert tier_usd(a_settings(a_pool("a"), tiers={"a": TierSettings("a", ())}), "a") is None
