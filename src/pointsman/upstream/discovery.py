"""Asks addresses for their models, all at once: what `pointsman serve` and `init` know when nobody wrote a file.

Each source gets one `GET /models` and a short wait. What an engine or provider says beside the names (context, price,
kind, owner) is kept in its own words; nothing is generated, and a key goes nowhere but to the address it belongs to.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from pointsman.config.sources import Finding, Listed, Source
from pointsman.core.fleet import EndpointSpec
from pointsman.core.price import TokenPrice
from pointsman.errors import BadAnswer, ConnectFailed, CredentialRefused, Misconfigured, UpstreamError, UpstreamTimeout
from pointsman.upstream.client import HttpUpstream
from pointsman.upstream.models import listing_path, read_models

LOCAL_TIMEOUT_S = 5.0
"""A port where nobody listens refuses at once. Who listens may be loading a model on a busy machine; five seconds, as a provider has."""
PROVIDER_TIMEOUT_S = 5.0
"""Providers are far away, and some of them list hundreds of models."""
_VERSION = re.compile(r"/v\d")
OURS = "pointsman"
"""Owner of every model that a router like this one lists; routing to a router would go in circles."""


async def discover(
    sources: Iterable[Source], *, local_timeout_s: float = LOCAL_TIMEOUT_S,
) -> tuple[Finding, ...]:
    """What each source lists, in their order; a source in trouble becomes a finding that says so. Raises nothing."""
    upstream = HttpUpstream()
    try:
        return tuple(await asyncio.gather(*(
            _ask(upstream, source, local_timeout_s if source.is_local else PROVIDER_TIMEOUT_S) for source in sources)))
    finally:
        await upstream.aclose()


async def _ask(upstream: HttpUpstream, source: Source, timeout_s: float) -> Finding:
    if source.fault:
        return Finding(source, error=source.fault)
    endpoint = EndpointSpec(
        id=source.title, pool="discovery", url=source.url, model="", connect_timeout_s=min(1.0, timeout_s),
        api_key=source.key.reveal() if source.key is not None else None, engine=source.engine or "openai")
    try:
        body = await upstream.get(endpoint, listing_path(endpoint.engine), until=asyncio.get_running_loop().time() + timeout_s)
        return _found(source, _listed(source, body))
    except UpstreamError as error:
        return _failed(source, error)


def _found(source: Source, models: tuple[Listed, ...]) -> Finding:
    if any(model.owned_by == OURS for model in models):
        return Finding(source, error="is a Pointsman router, and routing to a router would go in circles")
    how = ": `ollama pull llama3.2`" if source.title == "Ollama" else ""
    return Finding(source, models, error="" if models else f"answers, but lists no model: load one there{how}")


def _failed(source: Source, error: UpstreamError) -> Finding:
    """The sentence never repeats what a provider wrote: it may quote the key."""
    status = error.upstream_status
    match error:
        case CredentialRefused():
            whose = f"the key in ${source.variable}" if source.key is not None else "us without a key"
            what = (f"put one that it takes into ${source.variable}" if source.key is not None
                    else f"OPENAI_BASE_URL={source.url} and OPENAI_API_KEY=... give it one")
            return Finding(source, error=f"refuses {whose} (status {status}): {what}", status=status)
        case ConnectFailed():
            return Finding(source, error="cannot be reached", is_silent=True)
        case UpstreamTimeout():
            return Finding(source, error="listens, but did not list its models in time: try again, or write a file")
        case BadAnswer() | Misconfigured():
            hint = "" if _VERSION.search(source.url) else f"; is it {source.url}/v1?"
            return Finding(source, error=f"answers, but not as a model server: no list of models below this URL{hint}",
                           status=status, is_silent=True)
        case _:
            said = f"status {status}" if status is not None else "the connection broke"
            return Finding(source, error=f"cannot list its models ({said})", status=status)


def _listed(source: Source, body: bytes) -> tuple[Listed, ...]:
    """`read_models`' cards, with what else the engine or provider says about each."""
    cards = read_models(source.title, body)
    value = msgspec.json.decode(body)
    said = {raw["id"]: raw for raw in (value.get("data") if isinstance(value, dict) else value) or []
            if isinstance(raw, dict) and isinstance(raw.get("id"), str)}
    return tuple(Listed(card.id, card.context, _price(said[card.id]), _kind(said[card.id]), _owner(said[card.id]),
                        _size_b(said[card.id])) for card in cards)


def _size_b(card: dict[str, Any]) -> float | None:
    """llama.cpp counts the parameters of what it has loaded."""
    meta = card.get("meta")
    count = meta.get("n_params") if isinstance(meta, dict) else None
    return count / 1e9 if type(count) is int and count > 0 else None


def _owner(card: dict[str, Any]) -> str:
    owner = card.get("owned_by")
    return owner if isinstance(owner, str) else ""


def _kind(card: dict[str, Any]) -> str:
    """Together says `type`; OpenRouter lists what comes out."""
    said = card.get("type")
    if said in ("chat", "embedding"):
        return str(said)
    if said in ("image", "audio", "video", "rerank", "moderation", "transcribe", "language", "code"):
        return {"language": "completion without chat", "code": "completion without chat"}.get(str(said), str(said))
    architecture = card.get("architecture")
    made = architecture.get("output_modalities") if isinstance(architecture, dict) else None
    if isinstance(made, list) and made and "text" not in made:
        return "/".join(str(kind) for kind in made)[:40]
    return ""


def _price(card: dict[str, Any]) -> TokenPrice | None:
    """OpenRouter: `prompt` and `completion` as text, dollars a token. Together: `input` and `output`, dollars a million."""
    pricing = card.get("pricing")
    if not isinstance(pricing, dict):
        return None
    for given, made, cached, times in (("prompt", "completion", "input_cache_read", 1e6), ("input", "output", "cached_input", 1.0)):
        figures = [_dollars(pricing.get(key), times) for key in (given, made, cached)]
        if figures[0] is not None and figures[1] is not None:
            # Together writes 0 and 0 for what it sells by the hour: that is no price.
            return TokenPrice(figures[0], figures[1], figures[2] or None) if figures[0] + figures[1] > 0 else None
    return None


def _dollars(value: object, times: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        dollars = float(value) * times
    except ValueError:
        return None
    # OpenRouter writes -1 where the price depends on the model that its own router picks.
    return round(dollars, 9) if math.isfinite(dollars) and dollars >= 0 else None
