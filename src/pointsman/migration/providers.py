"""Where a LiteLLM model name leads: `groq/llama-3.3-70b`, `ollama/llama3`, `gpt-4o`, `openai/x` with an `api_base`.

LiteLLM translates to each provider's own API. Pointsman speaks Anthropic's, and the OpenAI format, which most providers
offer; those that do not (or sign each request, as AWS does) are refused with a sentence.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pointsman.config.sources import PROVIDERS

_BY_NAME: Final = {provider.name: provider for provider in PROVIDERS}
_OURS: Final = {
    "openai": "openai", "text-completion-openai": "openai", "groq": "groq", "together_ai": "together",
    "fireworks_ai": "fireworks", "deepseek": "deepseek", "mistral": "mistral", "openrouter": "openrouter", "xai": "xai",
    "cerebras": "cerebras", "deepinfra": "deepinfra", "gemini": "google",
}
"""Their prefix -> the provider as `config/sources.py` names it."""
_MORE: Final = {
    "perplexity": ("https://api.perplexity.ai", "PERPLEXITYAI_API_KEY"),
    "nvidia_nim": ("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "sambanova": ("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "moonshot": ("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "hyperbolic": ("https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    "anyscale": ("https://api.endpoints.anyscale.com/v1", "ANYSCALE_API_KEY"),
}
_SELF_HOSTED: Final = {
    "hosted_vllm": "vllm", "openai_like": "openai", "custom_openai": "openai", "litellm_proxy": "openai", "lm_studio": "openai",
    "llamafile": "llamacpp", "xinference": "openai", "ollama": "ollama", "ollama_chat": "ollama", "databricks": "openai",
}
"""Prefix -> engine. They need an `api_base`; Ollama has a usual one."""
_OLLAMA: Final = "http://localhost:11434/v1"
_ADDS_V1: Final = frozenset({"hosted_vllm", "ollama", "ollama_chat", "llamafile", "lm_studio"})
"""Their servers have the OpenAI-compatible API below `/v1` only, whatever LiteLLM is given."""

_REFUSED: Final = {
    "azure": "Azure OpenAI wants an api-version and deployments in its URLs, which an endpoint cannot say yet; its newer address "
             "https://<resource>.openai.azure.com/openai/v1 is OpenAI-compatible: enter it by hand",
    "azure_ai": "Azure AI addresses carry an api-version; where the model has an OpenAI-compatible address, enter that by hand",
    "azure_text": "Azure OpenAI wants an api-version and deployments in its URLs, which an endpoint cannot say yet",
    "bedrock": "AWS signs every request, which endpoints cannot; put a gateway that speaks the OpenAI format in front of it",
    "sagemaker": "AWS signs every request, which endpoints cannot; put a gateway that speaks the OpenAI format in front of it",
    "sagemaker_chat": "AWS signs every request, which endpoints cannot; put a gateway that speaks the OpenAI format in front of it",
    "vertex_ai": "Vertex AI wants short-lived tokens, which endpoints cannot renew; Gemini by API key (`gemini/`) can be carried",
    "vertex_ai_beta": "Vertex AI wants short-lived tokens, which endpoints cannot renew; Gemini by API key (`gemini/`) can be carried",
    "watsonx": "watsonx wants short-lived tokens, which endpoints cannot renew",
}
_PLAIN_OPENAI = re.compile(r"(?:ft:)?(?:gpt-|chatgpt-|o[1-9](?:-|$)|text-embedding-|davinci|babbage)")


class Place(msgspec.Struct, frozen=True):
    """Where a model is served."""

    url: str
    model: str
    """As that place knows it."""
    provider: str | None = None
    engine: str = "openai"
    variable: str | None = None
    """The environment variable from which LiteLLM would take the key, were none given."""
    note: str = ""
    """What was assumed or adapted; empty when nothing was."""


class Nowhere(msgspec.Struct, frozen=True):
    """It cannot be an endpoint here."""

    why: str


def place_of(model: str, api_base: str | None = None, custom: str | None = None) -> Place | Nowhere:
    """Where `litellm_params.model` leads. `custom` is `custom_llm_provider`, which stands for a prefix."""
    prefix, name = (custom, model.removeprefix(f"{custom}/")) if custom else _split(model)
    if prefix in _REFUSED:
        return Nowhere(_REFUSED[prefix])
    base, note = _base(prefix, api_base)
    if prefix == "anthropic":
        return _anthropic(name, base)
    if prefix in _OURS:
        return _provided(prefix, name, base, note)
    if prefix in _MORE:
        url, variable = _MORE[prefix]
        return Place(base or url, name, name_of(prefix), variable=variable, note=note)
    if prefix in _SELF_HOSTED:
        if base is None:
            return Nowhere(f"`{prefix}/` needs an api_base here: the address of your server, such as http://10.0.0.10:8000/v1")
        return Place(base, name, engine=_SELF_HOSTED[prefix], note=note)
    if base is not None:
        return Place(base, name if prefix else model, note="taken for an OpenAI-compatible server, since it has an api_base: check that it is")
    what = f"`{prefix}/`" if prefix else "a model name without a known prefix"
    return Nowhere(f"{what} is not known here as an OpenAI-compatible provider; if it is one, enter its address by hand")


def _anthropic(name: str, base: str | None) -> Place:
    """Anthropic's own API, or a server of the same format: LiteLLM adds `/v1/messages` to its address."""
    known = _BY_NAME["anthropic"]
    if base is None:
        return Place(known.url, name, known.name, known.engine, known.variables[0])
    url = base.removesuffix("/messages").rstrip("/")
    if not url.endswith("/v1"):
        url = f"{url}/v1"
    is_theirs = url == known.url
    note = "" if is_theirs else "taken to speak Anthropic's format, as LiteLLM takes it: check that it does"
    return Place(url, name, known.name if is_theirs else None, known.engine, known.variables[0] if is_theirs else None, note)


def _provided(prefix: str, name: str, base: str | None, note: str) -> Place:
    known = _BY_NAME[_OURS[prefix]]
    if base is None:
        note = f"over its OpenAI-compatible address {known.url}" if prefix == "gemini" else ""
        return Place(known.url, name, known.name, variable=known.variables[0], note=note)
    is_theirs = base.split("/")[2] == known.url.split("/")[2]
    return Place(base, name, known.name if is_theirs else None, variable=known.variables[0] if is_theirs else None, note=note)


def _split(model: str) -> tuple[str, str]:
    prefix, slash, name = model.partition("/")
    if slash:
        is_known = prefix in _OURS or prefix in _MORE or prefix in _SELF_HOSTED or prefix in _REFUSED or prefix == "anthropic"
        return (prefix, name) if is_known else (prefix, model)
    if _PLAIN_OPENAI.match(model):
        return "openai", model
    if model.startswith("claude-"):
        return "anthropic", model
    return "", model


def _base(prefix: str, api_base: str | None) -> tuple[str | None, str]:
    """The base URL with its API prefix, and what was done to it."""
    if api_base is None:
        return (_OLLAMA, "at Ollama's usual address") if prefix.startswith("ollama") else (None, "")
    url = re.sub(r"/(?:chat/completions|completions|embeddings)/?$", "", api_base.strip()).rstrip("/")
    if prefix in _ADDS_V1 and re.fullmatch(r"https?://[^/]+(?:/api)?", url):
        return f"{url.removesuffix('/api')}/v1", "`/v1` was added to its address"
    return url, ""


def name_of(prefix: str) -> str:
    """Their prefix as a provider's name."""
    return prefix.removesuffix("_ai").removesuffix("ai").rstrip("_") or prefix
