import re

import pytest

from pointsman.config import known_prices
from pointsman.config.draft import weight_of
from pointsman.config.known_prices import TRIOS, published_price, trio_of
from pointsman.core.price import TokenPrice


def test_a_price_has_its_source_and_its_date() -> None:
    found = published_price("openai", "gpt-4o-mini-2024-07-18")

    assert found is not None
    assert found.price == TokenPrice(0.15, 0.60, 0.075)
    assert found.source == "OpenAI's price list"
    assert re.fullmatch(r"20\d\d-\d\d", found.as_of)


@pytest.mark.parametrize(("provider", "model"), [
    (None, "gpt-4o"), ("together", "gpt-4o"), ("openai", "gpt-99"), ("mistral", "mistral-large-latest"), ("nobody", "x"),
    ("together", "some-13b"),
])
def test_what_is_not_published_by_this_provider_stays_unknown(provider: str | None, model: str) -> None:
    assert published_price(provider, model) is None


def test_a_price_by_size_is_for_that_size_at_that_provider() -> None:
    together = published_price("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo")

    assert together is not None
    assert together.price == TokenPrice(0.88, 0.88)


def test_the_newest_complete_family_is_the_trio() -> None:
    listed = ("gpt-4o", "gpt-4.1-2025-04-14", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5-nano", "o3", "gpt-4o-mini")

    assert trio_of("openai", listed) == ("gpt-4.1-nano", "gpt-4.1-mini", "gpt-4.1")


def test_a_family_with_a_gap_is_better_than_none() -> None:
    assert trio_of("anthropic", ("claude-haiku-4-5-20251001", "claude-opus-4-5")) == ("claude-haiku-4-5-20251001", "claude-opus-4-5")
    assert trio_of("nobody", ("a", "b")) == ()
    assert trio_of(None, ("gpt-4o", "gpt-4o-mini")) == ()


def test_openrouter_has_everybodys() -> None:
    listed = ("anthropic/claude-haiku-4.5", "anthropic/claude-sonnet-5", "anthropic/claude-opus-5", "x-ai/grok-4", "openai/gpt-4o")

    assert trio_of("openrouter", listed) == ("anthropic/claude-haiku-4.5", "anthropic/claude-sonnet-5", "anthropic/claude-opus-5")


@pytest.mark.parametrize("provider", TRIOS)
def test_prices_rise_within_every_family(provider: str) -> None:
    for trio in TRIOS[provider]:
        known = [found.price for name in trio if (found := published_price(provider, name)) is not None]
        weights = [weight_of(price) for price in known]
        if provider not in ("groq",):  # those are placed by their published sizes
            assert weights == sorted(weights), trio


def test_no_price_is_negative_or_absurd() -> None:
    for rows in known_prices._PRICES.values():
        for found in rows.values():
            assert 0 <= found.price.output <= 200
            assert 0 < found.price.input <= 50
            assert found.price.cached_input is None or found.price.cached_input < found.price.input
