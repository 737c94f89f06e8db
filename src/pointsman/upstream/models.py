"""What an endpoint says about the models it serves, in the engines' dialects of `GET /v1/models`."""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.errors import BadAnswer

CONTEXT_KEYS = ("max_model_len", "context_length", "max_context_length", "context_window", "n_ctx", "n_ctx_train")
"""vLLM and SGLang · OpenRouter, Together · LM Studio, Mistral · Groq · llama.cpp: what a slot has, else what the model was
trained for."""


def listing_path(engine: str) -> str:
    """Where a server lists its models, below its URL. Anthropic gives twenty a page unless asked for more."""
    return "/models?limit=1000" if engine == "anthropic" else "/models"


class ModelCard(msgspec.Struct, frozen=True, gc=False):
    """One served model; `context` in tokens, None = not said."""

    id: str
    context: int | None
    aliases: tuple[str, ...] = ()
    """Other names that it answers to (llama.cpp)."""


def read_models(endpoint: str, body: bytes) -> tuple[ModelCard, ...]:
    """The body of `/v1/models` as cards, in its order. BadAnswer when it is no such list."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise BadAnswer(f"endpoint {endpoint}: /models is no JSON: {exc}") from exc
    cards = value.get("data") if isinstance(value, dict) else value  # Together answers a bare list
    if not isinstance(cards, list):
        raise BadAnswer(f"endpoint {endpoint}: /models has no list of models")
    return tuple(ModelCard(card["id"], _context(card), _aliases(card)) for card in cards
                 if isinstance(card, dict) and isinstance(card.get("id"), str))


def matches(card: ModelCard, model: str, engine: str = "") -> bool:
    """The card is the model that we would ask for. Ollama's `llama3` is `llama3:latest`."""
    if card.id == model or model in card.aliases:
        return True
    return engine == "ollama" and ":" not in model and card.id == f"{model}:latest"


def _aliases(card: dict[str, Any]) -> tuple[str, ...]:
    said = card.get("aliases")
    return tuple(name for name in said if isinstance(name, str) and name != card["id"]) if isinstance(said, list) else ()


def _context(card: dict[str, Any]) -> int | None:
    for place in (card, card.get("meta"), card.get("top_provider")):
        if isinstance(place, dict):
            for key in CONTEXT_KEYS:
                if type(place.get(key)) is int and place[key] > 0:
                    return int(place[key])
    return None
