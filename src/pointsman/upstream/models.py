"""What an endpoint says about the models it serves, in the engines' dialects of `GET /v1/models`."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.errors import BadAnswer
from pointsman.upstream.client import HttpUpstream

CONTEXT_KEYS = ("max_model_len", "context_length", "max_context_length", "context_window", "n_ctx", "n_ctx_train")
"""vLLM and SGLang · OpenRouter, Together · LM Studio, Mistral · Groq · llama.cpp: what a slot has, else what the model was
trained for."""


class ModelCard(msgspec.Struct, frozen=True, gc=False):
    """One served model; `context` in tokens, None = not said."""

    id: str
    context: int | None


async def fetch_models(
    endpoint: EndpointSpec, timeout_s: float, upstream: HttpUpstream | None = None
) -> tuple[ModelCard, ...]:
    """Asks `endpoint` for its models; without `upstream` over a connection of its own. Raises UpstreamErrors."""
    until = asyncio.get_running_loop().time() + timeout_s
    if upstream is not None:
        return read_models(endpoint.id, await upstream.get(endpoint, "/models", until=until))
    own = HttpUpstream()
    try:
        return read_models(endpoint.id, await own.get(endpoint, "/models", until=until))
    finally:
        await own.aclose()


def read_models(endpoint: str, body: bytes) -> tuple[ModelCard, ...]:
    """The body of `/v1/models` as cards, in its order. BadAnswer when it is no such list."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise BadAnswer(f"endpoint {endpoint}: /models is no JSON: {exc}") from exc
    cards = value.get("data") if isinstance(value, dict) else value  # Together answers a bare list
    if not isinstance(cards, list):
        raise BadAnswer(f"endpoint {endpoint}: /models has no list of models")
    return tuple(ModelCard(card["id"], _context(card)) for card in cards
                 if isinstance(card, dict) and isinstance(card.get("id"), str))


def _context(card: dict[str, Any]) -> int | None:
    for place in (card, card.get("meta"), card.get("top_provider")):
        if isinstance(place, dict):
            for key in CONTEXT_KEYS:
                if type(place.get(key)) is int and place[key] > 0:
                    return int(place[key])
    return None
