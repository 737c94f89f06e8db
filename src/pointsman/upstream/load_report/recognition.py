"""Which engine is it? Told by its own words, cheapest first; what the configuration says is only compared.

Every model list names its owner, most engines have a path of their own, and their metrics carry their name. None of
these questions makes an engine generate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from pointsman.upstream.load_report.dialects import PREFIXES
from pointsman.upstream.load_report.exposition import Exposition
from pointsman.upstream.load_report.parts import as_json

METRICS = "/metrics"
OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp", "tensorrt_llm": "trtllm", "library": "ollama"}
"""`owned_by` in `/v1/models` -> engine."""
SERVERS = {"llama.cpp": "llamacpp"}
"""`server` header -> engine. The others are behind uvicorn and the like."""


class Heard(msgspec.Struct, frozen=True, gc=False):
    """A 200's body and `server` header."""

    body: bytes
    server: str = ""


Ask = Callable[[str], Awaitable[Heard | None]]
"""Path below the server's root -> what was heard; None = nothing of use."""


async def recognise(models: Heard | None, ask: Ask) -> str:
    """The engine's name, or "" when nobody can tell. `models` is the answer to `/v1/models`."""
    engine = by_models(models) if models is not None else ""
    if engine:
        return engine
    page = await ask(METRICS)
    if page is not None and (engine := by_metrics(page)):
        return engine
    for path, tells in _OWN_PATHS.items():
        heard = await ask(path)
        if heard is not None and (value := as_json(heard.body)) is not None and (engine := tells(value)):
            return engine
    return ""


def by_models(heard: Heard) -> str:
    """From the owner of the first model, or who served the list."""
    if heard.server.lower() in SERVERS:
        return SERVERS[heard.server.lower()]
    value = as_json(heard.body)
    cards = value.get("data") if isinstance(value, dict) else None
    for card in cards if isinstance(cards, list) else ():
        owner = card.get("owned_by") if isinstance(card, dict) else None
        if isinstance(owner, str) and owner.lower() in OWNERS:
            return OWNERS[owner.lower()]
    return ""


def by_metrics(heard: Heard) -> str:
    if heard.server.lower() in SERVERS:
        return SERVERS[heard.server.lower()]
    page = Exposition(heard.body, (), prefixes=PREFIXES)
    return next((engine for prefix, engine in PREFIXES.items() if page.says(prefix)), "")


def _llamacpp(value: Any) -> str:
    return "llamacpp" if isinstance(value, dict) and "total_slots" in value else ""


def _sglang(value: Any) -> str:
    return "sglang" if isinstance(value, dict) and ("internal_states" in value or "mem_fraction_static" in value) else ""


def _ollama(value: Any) -> str:
    return "ollama" if isinstance(value, dict) and isinstance(value.get("version"), str) else ""


def _tgi(value: Any) -> str:
    return "tgi" if isinstance(value, dict) and "model_id" in value and "max_concurrent_requests" in value else ""


def _vllm(value: Any) -> str:
    """Asked last: others have a `/version` too, but would have been known by now."""
    return "vllm" if isinstance(value, dict) and isinstance(value.get("version"), str) else ""


_OWN_PATHS: Mapping[str, Callable[[Any], str]] = {
    "/props": _llamacpp, "/server_info": _sglang, "/get_server_info": _sglang, "/api/version": _ollama, "/info": _tgi,
    "/version": _vllm,
}
