"""`pointsman import openrouter`: one request for OpenRouter as a configuration that answers requests like it.

Its list of models becomes a route with fallbacks, through OpenRouter as before. Preferences between providers
(`provider{}`) have no counterpart yet: they are kept as comments, so that nothing is forgotten.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pointsman.config.known_prices import published_price
from pointsman.errors import ConfigError
from pointsman.migration.draft import Draft
from pointsman.migration.findings import Findings, Migrated

URL: Final = "https://openrouter.ai/api/v1"
VARIABLE: Final = "OPENROUTER_API_KEY"
_HEAD = """Written by `pointsman import openrouter` from {source}.
Every setting, its default and the reason for it: `pointsman config schema`, or the configuration reference."""
_PREFERENCES: Final = {
    "order": "providers in this order: give a tier pools in that order, each with the provider's own address and key",
    "only": "these providers alone: give the pool endpoints of these providers only, each with its own address and key",
    "ignore": "none of these providers: leave them out of the pool",
    "sort": "by price, throughput or latency: cheaper models belong on lower tiers; among equal endpoints the less busy one is taken",
    "max_price": "no dearer than this: leave dearer models out of the ladder",
    "allow_fallbacks": "whether another provider may stand in: an endpoint of the pool always may",
    "require_parameters": "the gate sends no request to a model that lacks tools, JSON schema, vision or context, where that is declared",
    "data_collection": "who may keep prompts: choose providers by contract, and hold keys to `regions` or `pools`",
    "zdr": "who keeps nothing: choose providers by contract, and hold keys to `pools`",
    "quantizations": "these precisions: serve or choose the model that you mean",
    "preferred_min_throughput": "is not measured between providers",
    "preferred_max_latency": "`sla.ttft_p95_max` of a tier makes it climb when it is slow",
    "enforce_distillable_text": "choose models by licence",
}
_BODY: Final = {
    "transforms": "prompts are passed on untouched; a prompt that is too long goes to a model whose context holds it",
    "plugins": "OpenRouter's own; it is passed on to OpenRouter with the rest of the body",
    "web_search_options": "is passed on with the rest of the body",
    "usage": "ask with `stream_options: {include_usage: true}`",
    "preset": "presets live in the account; write out what it says",
    "session_id": "every request is decided on its own yet",
    "trace": "the record's id is in every answer",
    "user": "is passed on with the rest of the body",
    "metadata": "rules of a route see its texts (`when: {metadata: {key: pattern}}`)",
    "models": "", "model": "", "route": "", "provider": "",
}
_PASSED: Final = frozenset({
    "messages", "prompt", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "top_a",
    "seed", "stop", "n", "tools", "tool_choice", "parallel_tool_calls", "response_format", "structured_outputs", "logprobs", "top_logprobs",
    "logit_bias", "frequency_penalty", "presence_penalty", "repetition_penalty", "reasoning", "reasoning_effort", "include_reasoning",
    "verbosity", "prediction", "modalities", "image_config", "cache_control", "service_tier",
})
_VARIANT = re.compile(r":(nitro|floor|free|online|thinking|extended|exacto)$")
_MODEL = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?")


def import_openrouter(text: str, source: str) -> Migrated:
    """From the JSON of a request body. Raises ConfigError when it is none."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError((f"{source}:{getattr(exc, 'lineno', 1)}: file: is not JSON; give the body of a request to OpenRouter",)) from exc
    if not isinstance(body, dict) or not ("model" in body or "models" in body):
        raise ConfigError((f"{source}:1: file: has no `model` and no `models`; give the body of a request to OpenRouter",))
    findings, draft = Findings(), Draft()
    models = _models(body, findings)
    for model in models:
        _tier(draft, findings, model)
    tiers = list(draft.tiers)
    _route(body, draft, findings, tiers)
    _preferences(body.get("provider"), draft, findings)
    for key in body:
        if key in _PASSED:
            continue
        if key not in _BODY:
            findings.unknown((key,))
        elif _BODY[key]:
            findings.changed((key,), _BODY[key])
    return Migrated(draft.text(_HEAD.format(source=source)) if tiers else "", tuple(findings.found), draft.variables, source)


def _models(body: dict[str, Any], findings: Findings) -> list[str]:
    """Each model once, `model` first; routers of theirs are no models."""
    listed = body.get("models")
    named: list[tuple[tuple[str | int, ...], object]] = [(("model",), body["model"])] if body.get("model") is not None else []
    named += [(("models", i), model) for i, model in enumerate(listed if isinstance(listed, list) else ())]
    models: list[str] = []
    for loc, model in named:
        if not isinstance(model, str) or not _MODEL.fullmatch(model):
            findings.dropped(loc, "is no model's name")
        elif model.startswith("openrouter/"):
            findings.changed(loc, f"{model} chooses a model; here route `auto` does, among the other models of the request")
        elif model not in models:
            models.append(model)
            findings.carried(loc, f"{model}, through {URL}")
    return models


def _tier(draft: Draft, findings: Findings, model: str) -> None:
    if (variant := _VARIANT.search(model)) is not None:
        findings.carried((model,), f"`{variant[0]}` stays part of the name that OpenRouter is sent")
    name = draft.free_name(model)
    endpoint: dict[str, Any] = {"url": URL, "provider": "openrouter", "api_key": f"${{{VARIABLE}}}"}
    known = published_price("openrouter", model)
    if known is not None:
        endpoint["usd_per_million"] = {"input": known.price.input, "output": known.price.output}
        draft.comments["tiers", name, "endpoints", 0] = f"Price: {known.source}, {known.as_of}. Check it."
    else:
        findings.changed((model,), "no price: answers are counted as unpriced until you give `usd_per_million`")
    draft.tiers[name] = {"model": model, "endpoints": [endpoint]}
    draft.variables[VARIABLE] = f"the key for {URL}"


def _route(body: dict[str, Any], draft: Draft, findings: Findings, tiers: list[str]) -> None:
    """The first model answers, the others stand in; `openrouter/auto` means that the router chooses."""
    if not tiers:
        findings.dropped(("models",), "no model is left, so there is nothing to serve")
        return
    chooses = str(body.get("model", "")).startswith("openrouter/") or any(
        str(model).startswith("openrouter/") for model in body.get("models") or ())
    if chooses:
        draft.routes["auto"] = {"ladder": tiers, "pipeline": ["rules", "heuristic"]}
        draft.comments["routes", "auto"] = "In the order of the request: put the weakest and cheapest first."
        return
    first, *others = tiers
    draft.routes["auto"] = {"ladder": [first], "pipeline": [f"pinned:{first}"]} | ({"fallbacks": others} if others else {})
    draft.comments["routes", "auto"] = ("The first model answers, the others stand in, as in the request. For a choice by difficulty "
                                        "make it a `ladder`.")
    if others:
        findings.carried(("models",), f"fallbacks of route `auto`: {', '.join(others)}")
    if body.get("route") is not None:
        if body["route"] == "fallback":
            findings.carried(("route",), "`fallback` is what the route does")
        else:
            findings.dropped(("route",), "only `fallback` is known")
    findings.changed(("model",), "clients ask for `auto`, or for one model by its name and then without fallbacks")


def _preferences(said: object, draft: Draft, findings: Findings) -> None:
    if said is None:
        return
    if not isinstance(said, dict):
        findings.dropped(("provider",), "is not an object")
        return
    lines = ["Preferences of the request that cannot be said here yet. `provider` in a request's body is not honoured either:"]
    for key, value in said.items():
        lines.append(f"  {key}: {json.dumps(value, ensure_ascii=True)[:200]}")
        if key in _PREFERENCES:
            findings.dropped(("provider", key), f"kept as a comment; {_PREFERENCES[key]}")
        else:
            findings.dropped(("provider", key), "kept as a comment; not known to this importer")
    draft.comments[()] = "\n".join(lines)
