"""What providers ask for their well-known models, and which three of them make a ladder. Published figures, dated.

Hints for a first configuration, never facts about a bill: the file that is written shows each with its source and date,
and a provider that lists its own prices (OpenRouter, Together) is believed before this. Several price lists charge more
for prompts beyond 100,000 to 272,000 tokens; the figures here are for shorter ones.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pointsman.config.known_models import key_of, size_of
from pointsman.core.price import TokenPrice


class Published(msgspec.Struct, frozen=True):
    """A price with where and when it stood."""

    price: TokenPrice
    source: str
    as_of: str
    """Year and month."""


def _listed(source: str, as_of: str, rows: dict[str, tuple[float, ...]]) -> dict[tuple[str, ...], Published]:
    return {key_of(name): Published(TokenPrice(*figures), source, as_of) for name, figures in rows.items()}


# Dollars per million tokens: input, output, cached input where it is published.
_PRICES: Final = {
    "openai": {
        **_listed("OpenAI's price list", "2026-09", {
            "gpt-6-luna": (0.10, 0.50, 0.01), "gpt-6-sol": (2.0, 10.0, 0.20), "gpt-6-astra": (10.0, 50.0, 1.0)}),
        **_listed("OpenAI's price list", "2026-10", {"gpt-5.6-sol": (4.0, 20.0)}),
        **_listed("OpenAI's price list", "2026-08", {
            "gpt-5.6-luna": (0.20, 1.20, 0.02), "gpt-5.6-terra": (2.0, 12.0, 0.20)}),
        **_listed("OpenAI's price list", "2026-06", {
            "gpt-5.5": (5.0, 30.0, 0.50), "gpt-5.4": (2.50, 15.0, 0.25), "gpt-5.4-mini": (0.75, 4.50, 0.075),
            "gpt-5.4-nano": (0.20, 1.25, 0.02)}),
        **_listed("OpenAI's price list", "2026-03", {
            "gpt-5.2": (1.75, 14.0, 0.175), "gpt-5.1": (1.25, 10.0, 0.125), "gpt-5": (1.25, 10.0, 0.125),
            "gpt-5-mini": (0.25, 2.0, 0.025), "gpt-5-nano": (0.05, 0.40, 0.005), "gpt-4.1": (2.0, 8.0, 0.50),
            "gpt-4.1-mini": (0.40, 1.60, 0.10), "gpt-4.1-nano": (0.10, 0.40, 0.025), "gpt-4o": (2.50, 10.0, 1.25),
            "gpt-4o-mini": (0.15, 0.60, 0.075), "o3": (2.0, 8.0, 0.50), "o4-mini": (1.10, 4.40, 0.275),
            "text-embedding-3-small": (0.02, 0.0), "text-embedding-3-large": (0.13, 0.0)}),
    },
    "anthropic": _listed("Anthropic's price list", "2026-10", {
        "claude-fable-5": (10.0, 50.0, 1.0), "claude-opus-5-5": (4.0, 20.0, 0.20), "claude-opus-5": (5.0, 25.0, 0.50),
        "claude-opus-4-8": (5.0, 25.0, 0.50), "claude-opus-4-7": (5.0, 25.0, 0.50), "claude-opus-4-6": (5.0, 25.0, 0.50),
        "claude-opus-4-5": (5.0, 25.0, 0.50), "claude-opus-4-1": (15.0, 75.0, 1.50), "claude-opus-4": (15.0, 75.0, 1.50),
        "claude-sonnet-5-5": (2.0, 10.0, 0.10), "claude-sonnet-5": (2.0, 10.0, 0.20), "claude-sonnet-4-6": (3.0, 15.0, 0.30),
        "claude-sonnet-4-5": (3.0, 15.0, 0.30), "claude-sonnet-4": (3.0, 15.0, 0.30), "claude-haiku-5-5": (0.10, 0.50, 0.01),
        "claude-haiku-4-5": (1.0, 5.0, 0.10), "claude-3-5-haiku": (0.80, 4.0, 0.08), "claude-3-haiku": (0.25, 1.25, 0.03)}),
    "google": _listed("Google's price list", "2026-09", {
        "gemini-3.8-flash": (0.75, 3.75), "gemini-3.5-flash": (1.50, 9.0, 0.15), "gemini-3.1-pro-preview": (2.0, 12.0, 0.20),
        "gemini-2.5-pro": (1.25, 10.0, 0.125), "gemini-2.5-flash": (0.30, 2.50, 0.03), "gemini-2.5-flash-lite": (0.10, 0.40, 0.01)}),
    "groq": _listed("Groq's price list", "2026-06", {
        "llama-3.3-70b-versatile": (0.59, 0.79), "llama-3.1-8b-instant": (0.05, 0.08), "openai/gpt-oss-120b": (0.15, 0.60)}),
    "deepseek": _listed("DeepSeek's price list", "2025-12", {
        "deepseek-chat": (0.28, 0.42, 0.028), "deepseek-reasoner": (0.28, 0.42, 0.028)}),
    "xai": _listed("xAI's price list", "2026-10", {
        "grok-4.6": (2.0, 6.0, 0.50), "grok-4.5": (2.0, 6.0, 0.50), "grok-4": (3.0, 15.0), "grok-3": (3.0, 15.0),
        "grok-3-mini": (0.30, 0.50), "grok-4-1-fast-non-reasoning": (0.20, 0.50)}),
}
_BY_SIZE: Final = {
    ("together", 70.0): Published(TokenPrice(0.88, 0.88), "Together's price for a 70 B model", "2026-06"),
    ("fireworks", 70.0): Published(TokenPrice(0.90, 0.90), "Fireworks' price for a 70 B model", "2026-06"),
}

TRIOS: Final = {
    "openai": (
        ("gpt-6-luna", "gpt-6-sol", "gpt-6-astra"), ("gpt-5.6-luna", "gpt-5.6-terra", "gpt-5.6-sol"),
        ("gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.4"), ("gpt-5-nano", "gpt-5-mini", "gpt-5"),
        ("gpt-4.1-nano", "gpt-4.1-mini", "gpt-4.1"), ("gpt-4o-mini", "gpt-4o"),
    ),
    "anthropic": (
        ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"), ("claude-haiku-4-5", "claude-sonnet-5", "claude-opus-5"),
        ("claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-6"), ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5"),
        ("claude-3-5-haiku", "claude-sonnet-4", "claude-opus-4-1"),
    ),
    "google": (
        ("gemini-2.5-flash-lite", "gemini-3.8-flash", "gemini-3.1-pro-preview"),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash", "gemini-2.5-pro"),
    ),
    "mistral": (("ministral-8b-latest", "mistral-medium-latest", "mistral-large-latest"),
                ("mistral-small-latest", "mistral-medium-latest", "mistral-large-latest")),
    "xai": (("grok-4-1-fast-non-reasoning", "grok-4.6"), ("grok-3-mini", "grok-4"), ("grok-3-mini", "grok-3")),
    "groq": (("llama-3.1-8b-instant", "llama-3.3-70b-versatile", "openai/gpt-oss-120b"),),
    "together": (("meta-llama/Llama-3.2-3B-Instruct-Turbo", "Qwen/Qwen2.5-7B-Instruct-Turbo", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),),
}
"""Provider -> small, medium and large models that are sold together, the newest family first."""


def published_price(provider: str | None, model: str) -> Published | None:
    """What this provider asks for this model; None = not known here, also for the same model sold by somebody else."""
    if provider is None:
        return None
    exact = _PRICES.get(provider, {}).get(key_of(model))
    size = size_of(model)
    return exact or (_BY_SIZE.get((provider, size)) if size is not None else None)


def trio_of(provider: str | None, models: tuple[str, ...]) -> tuple[str, ...]:
    """Small, medium and large among what a provider lists, the newest complete family; () = none is known.

    OpenRouter sells everybody's: its trio is the first that it has of OpenAI's, Anthropic's and Google's.
    """
    by_key: dict[tuple[str, ...], str] = {}
    for model in sorted(models, key=len):  # the alias before its dated snapshots
        by_key.setdefault(key_of(model), model)
    families = [trio for name in (("openai", "anthropic", "google") if provider == "openrouter" else (provider or "",))
                for trio in TRIOS.get(name, ())]
    found = [tuple(by_key[key_of(name)] for name in trio if key_of(name) in by_key) for trio in families]
    whole = [names for names, trio in zip(found, families, strict=True) if len(names) == len(trio)]
    return whole[0] if whole else max(found, key=len, default=())
