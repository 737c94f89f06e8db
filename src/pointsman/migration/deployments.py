"""One entry of LiteLLM's `model_list` as one endpoint: address, key, price, and what it says about its model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pointsman.config.draft import weight_of
from pointsman.config.known_models import CHAT, EMBEDDING, kind_of, size_of, word_of
from pointsman.config.known_prices import published_price
from pointsman.config.problems import Loc
from pointsman.config.sources import url_fault
from pointsman.core.price import TokenPrice
from pointsman.migration.credentials import Credentials
from pointsman.migration.findings import Findings
from pointsman.migration.providers import Nowhere, Place, place_of

_REFERENCE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_MODEL = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?")
_READ: Final = frozenset({
    "model", "api_base", "base_url", "api_key", "custom_llm_provider", "max_parallel_requests", "input_cost_per_token",
    "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost", "tags", "order",
})
_TOLD: Final[Mapping[str, str]] = {
    **dict.fromkeys(("rpm", "tpm"), "there is no limit by the minute; a 429 rests the endpoint for as long as its Retry-After says, "
                                    "and `slots` bounds what is in flight"),
    "weight": "requests go to the less busy of two endpoints drawn at random; there are no weights",
    **dict.fromkeys(("timeout", "stream_timeout"), "time limits belong to routes (`answer_timeout`, `ttft_timeout`), not to endpoints"),
    "cooldown_time": "a pool has one `health`, for all its endpoints; the router-wide value is carried",
    **dict.fromkeys(("max_retries", "num_retries"), "a request has at most 3 attempts over all tiers, within a retry budget"),
    **dict.fromkeys(("temperature", "top_p", "max_tokens", "seed", "stop", "n", "reasoning_effort", "thinking", "extra_body",
                     "max_completion_tokens", "presence_penalty", "frequency_penalty", "response_format"),
                    "what the client sends is passed on untouched; put this into the client's request"),
    **dict.fromkeys(("drop_params", "additional_drop_params", "modify_params", "allowed_openai_params"),
                    "no field is dropped or rewritten on its way; what an endpoint refuses, it refuses"),
    **dict.fromkeys(("extra_headers", "headers", "default_headers"), "endpoints get no headers of your own yet"),
    "organization": "endpoints get no OpenAI-Organization header yet; a key of that organisation's project does the same",
    "api_version": "is for Azure",
    "mock_response": "there are no canned answers; `pointsman simulate` serves whole simulated models",
    **dict.fromkeys(("max_budget", "budget_duration", "budget_limits"), "there are no budgets yet"),
    **dict.fromkeys(("input_cost_per_second", "output_cost_per_second"),
                    "give `gpu: {type, usd_per_hour, tokens_per_s}` for a server of your own"),
    "silent_model": "there is no mirroring yet",
    "region_name": "name it as `region` of the pool, if keys are to be held to it",
    "tag_regex": "write a rule: `when: {header: {user-agent: ...}}`",
    "use_in_pass_through": "there are no pass-through routes",
    "litellm_credential_name": "keys are references; the stored credential must be set as a variable",
    "merge_reasoning_content_in_choices": "answers are passed on untouched",
}
_INFO_READ: Final = frozenset({
    "mode", "max_input_tokens", "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "supports_vision", "supports_function_calling", "supports_response_schema",
})
_INFO_TOLD: Final[Mapping[str, str]] = {
    "id": "endpoints are called `<pool>/<number>`",
    "base_model": "costs go by the price that stands at the endpoint",
    **dict.fromkeys(("max_tokens", "max_output_tokens"), "there is no limit of the answer's length; the client's max_tokens is passed on"),
    **dict.fromkeys(("access_groups", "team_id", "team_public_model_name"), "say what a key may use with its `routes` and `pools`"),
    **dict.fromkeys(("litellm_provider", "version", "description", "created_at", "updated_at", "db_model", "key"), "nothing reads it here"),
    **dict.fromkeys(("health_check_model", "disable_background_health_check", "health_check_timeout", "health_check_interval"),
                    "health comes from real traffic and probes of ejected endpoints"),
}
_FLAGS: Final = {"supports_vision": "vision", "supports_function_calling": "tools", "supports_response_schema": "json_schema"}
_CHAT_MODES: Final = frozenset({"chat", "completion", "responses"})


class Deployment(msgspec.Struct, frozen=True):
    """One endpoint, ready to stand in a pool."""

    group: str
    loc: Loc
    endpoint: dict[str, Any]
    model: str
    is_embedding: bool = False
    context: int | None = None
    flags: dict[str, bool] = {}
    tags: tuple[str, ...] = ()
    order: int | None = None
    price_note: str = ""
    """Where the price comes from, when it is not from their file."""

    @property
    def usd(self) -> float | None:
        """Input and output price of a million tokens each, together: what ladders are put in order by."""
        price = self.endpoint.get("usd_per_million")
        return None if price is None else float(price["input"] + price["output"])

    @property
    def weight(self) -> float | None:
        """Billions of parameters as the name tells them, or what a price or a word in the name says about them."""
        name, price = str(self.endpoint.get("model", self.model)), self.endpoint.get("usd_per_million")
        if (size := size_of(name)) is not None:
            return size
        if price is not None:
            return weight_of(TokenPrice(price["input"], price["output"]))
        word = word_of(name)
        return None if word is None else word[1]


class Deployments:
    """Reads entries of `model_list`."""

    def __init__(self, findings: Findings, credentials: Credentials, environ: Mapping[str, str]) -> None:
        self._findings, self._credentials, self._environ = findings, credentials, environ

    def read(self, entry: dict[str, Any], group: str, loc: Loc) -> Deployment | None:
        """The endpoint, or None after saying why there is none."""
        params, info = _mapping(entry.get("litellm_params")), _mapping(entry.get("model_info"))
        model, at = params.get("model"), (*loc, "litellm_params")
        if not isinstance(model, str) or not model:
            self._findings.dropped(at, "names no `model`")
            return None
        if "*" in model or "*" in group:
            self._findings.dropped(loc, "a wildcard: every model is a pool of its own here; `pointsman serve` without a file finds "
                                        "what a provider lists")
            return None
        kind = _kind(model, info)
        if kind is None:
            self._findings.dropped(loc, f"serves {info.get('mode') or kind_of(model)}: only chat, completions and embeddings are routed")
            return None
        place = self._place(model, params, at)
        if place is None:
            return None
        endpoint = self._endpoint(place, params, info, at)
        deployment = self._described(group, loc, endpoint, place, params, info, kind)
        self._list_the_rest(params, _READ, _TOLD, at)
        self._list_the_rest(info, _INFO_READ, _INFO_TOLD, (*loc, "model_info"))
        return deployment

    # -- where ---------------------------------------------------------------------------------------------

    def _place(self, model: str, params: dict[str, Any], at: Loc) -> Place | None:
        key = "api_base" if params.get("api_base") else "base_url"
        base = params.get(key)
        if base is not None:
            base = self._address(base, (*at, key))
            if base is None:
                return None
        custom = params.get("custom_llm_provider")
        place = place_of(model, base, custom if isinstance(custom, str) else None)
        if isinstance(place, Nowhere):
            self._findings.dropped((*at, "model"), f"{model}: {place.why}")
            return None
        if _MODEL.fullmatch(place.model) is None:
            self._findings.dropped((*at, "model"), "a model's name is printable ASCII, at most 256 characters")
            return None
        if place.note:
            self._findings.changed((*at, "model"), f"{model} at {place.url}: {place.note}")
        else:
            self._findings.carried((*at, "model"), f"{model} at {place.url}")
        return place

    def _address(self, base: object, at: Loc) -> str | None:
        """A URL that may stand in our file. Addresses cannot be references there, so a reference is looked up now."""
        if isinstance(base, str) and (found := _REFERENCE.fullmatch(base)) is not None:
            said = self._environ.get(found[1])
            if not said:
                self._findings.dropped(at, f"the address is in {found[1]}, which is not set here; addresses stand in the file: set "
                                           f"{found[1]} and import again, or enter the endpoint by hand")
                return None
            base = said
            self._findings.changed(at, f"the address is what {found[1]} says now; addresses stand in the file")
        fault = url_fault(base) if isinstance(base, str) else "is not text"
        if fault is None and "$" in str(base):
            fault = "holds a `$`"
        if fault is not None:
            self._findings.dropped(at, f"the address {fault}; the whole entry is left out")
            return None
        return str(base)

    # -- what it costs, what it can ------------------------------------------------------------------------

    def _endpoint(self, place: Place, params: dict[str, Any], info: dict[str, Any], at: Loc) -> dict[str, Any]:
        endpoint: dict[str, Any] = {"url": place.url}
        if place.provider is not None:
            endpoint["provider"] = place.provider
        if place.engine != "openai":
            endpoint["engine"] = place.engine
        endpoint["model"] = place.model
        what = f"the key for {place.url}"
        if params.get("api_key") is not None:
            key = self._credentials.for_endpoint(params["api_key"], (*at, "api_key"), place.url, place.variable, what)
            if key is not None:
                endpoint["api_key"] = key
        elif place.variable is not None:
            endpoint["api_key"] = self._credentials.implied(place.variable, (*at, "model"), what)
        slots = params.get("max_parallel_requests")
        if isinstance(slots, int) and not isinstance(slots, bool) and 1 <= slots <= 1_000_000:
            endpoint["slots"] = slots
            self._findings.carried((*at, "max_parallel_requests"), f"slots: {slots}")
        elif slots is not None:
            self._findings.dropped((*at, "max_parallel_requests"), "is not a number of requests")
        return endpoint

    def _described(self, group: str, loc: Loc, endpoint: dict[str, Any], place: Place, params: dict[str, Any],
                   info: dict[str, Any], kind: str) -> Deployment:
        note = self._price(endpoint, place, params, info, loc, is_embedding=kind == EMBEDDING)
        context = info.get("max_input_tokens")
        if isinstance(context, int) and not isinstance(context, bool) and 1 <= context <= 100_000_000:
            self._findings.carried((*loc, "model_info", "max_input_tokens"), f"capabilities.context: {context}")
        elif context is not None:
            context = None
            self._findings.dropped((*loc, "model_info", "max_input_tokens"), "is not a number of tokens")
        flags = {}
        for theirs, ours in _FLAGS.items():
            if isinstance(info.get(theirs), bool):
                flags[ours] = info[theirs]
                self._findings.carried((*loc, "model_info", theirs), f"capabilities.{ours}: {str(info[theirs]).lower()}")
            elif info.get(theirs) is not None:
                self._findings.dropped((*loc, "model_info", theirs), "is neither true nor false")
        if kind == EMBEDDING and info.get("mode") is not None:
            self._findings.carried((*loc, "model_info", "mode"), "capabilities.embeddings: true")
        elif info.get("mode") is not None:
            self._findings.carried((*loc, "model_info", "mode"), f"{info['mode']}, which is what pools serve")
        order = params.get("order")
        return Deployment(group, loc, endpoint, place.model, kind == EMBEDDING, context, flags, _words(params.get("tags")),
                          order if isinstance(order, int) else None, note)

    def _price(self, endpoint: dict[str, Any], place: Place, params: dict[str, Any], info: dict[str, Any], loc: Loc, *,
               is_embedding: bool) -> str:
        """Sets the price; returns where it comes from when it is not from their file."""
        given = {}
        for name, ours in (("input_cost_per_token", "input"), ("output_cost_per_token", "output"),
                           ("cache_read_input_token_cost", "cached_input"), ("cache_creation_input_token_cost", "cache_write")):
            section, holder = ("litellm_params", params) if _has(params, name) else ("model_info", info)
            if not _has(holder, name):
                continue
            if (dollars := _per_million(holder[name])) is None:
                self._findings.dropped((*loc, section, name), "is not a price")
                continue
            given[ours] = dollars
            self._findings.carried((*loc, section, name), f"usd_per_million.{ours}: {dollars:g}")
        if is_embedding and "input" in given:
            given.setdefault("output", 0.0)
        if "input" in given and "output" in given:
            endpoint["usd_per_million"] = {k: given[k] for k in ("input", "output", "cached_input", "cache_write") if k in given}
            return ""
        if given:
            self._findings.dropped(loc, "only one of the two prices is given: answers would cost an unknown amount, so none is written")
        known = published_price(place.provider, place.model)
        if known is None:
            if not given:
                self._findings.changed(loc, "no price: LiteLLM looks it up in its own list; here answers are counted as unpriced until "
                                            "you give `usd_per_million` or `gpu`")
            return ""
        endpoint["usd_per_million"] = {"input": known.price.input, "output": known.price.output} | (
            {} if known.price.cached_input is None else {"cached_input": known.price.cached_input})
        note = f"{known.source}, {known.as_of}"
        self._findings.changed(loc, f"no price: LiteLLM looks it up in its own list; here it is from {note}: check it")
        return note

    def _list_the_rest(self, said: dict[str, Any], read: frozenset[str], told: Mapping[str, str], at: Loc) -> None:
        for key in said:
            if key in read:
                continue
            if key in told:
                self._findings.dropped((*at, key), told[key])
            elif key.startswith(("supports_", "input_cost_", "output_cost_", "cache_")):
                self._findings.dropped((*at, key), "nothing reads it here")
            elif key.startswith(("aws_", "vertex_", "watsonx_", "azure_")):
                self._findings.dropped((*at, key), "belongs to a provider that cannot be an endpoint here")
            else:
                self._findings.unknown((*at, key))


def _has(holder: dict[str, Any], name: str) -> bool:
    return holder.get(name) is not None


def _kind(model: str, info: dict[str, Any]) -> str | None:
    """Chat or embedding; None = something that is not routed."""
    mode = info.get("mode")
    if mode is not None:
        return CHAT if mode in _CHAT_MODES else EMBEDDING if mode == "embedding" else None
    kind = kind_of(model)
    if kind == "completion without chat" or kind.startswith("another"):
        return CHAT
    return kind if kind in (CHAT, EMBEDDING) else None


def _per_million(value: object) -> float | None:
    """Dollars per million of a price per token. YAML reads `1e-6` as text, so text is taken as well."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        dollars = round(float(value) * 1e6, 9)
    except (ValueError, OverflowError):
        return None
    return dollars if 0 <= dollars < 1e9 else None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else (value,) if isinstance(value, str) else ()
