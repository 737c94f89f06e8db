"""Where models may be found without a configuration: providers whose key is in the environment, usual local ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from pointsman.core.price import TokenPrice


class Provider(msgspec.Struct, frozen=True):
    """A provider whose API we speak."""

    name: str
    """As the configuration writes it."""
    title: str
    url: str
    variables: tuple[str, ...]
    """Environment variables that hold its key, the first that is set wins."""
    note: str = ""
    engine: str = "openai"
    """The API that it speaks, as an endpoint's `engine`."""


PROVIDERS: Final = (
    Provider("openai", "OpenAI", "https://api.openai.com/v1", ("OPENAI_API_KEY",)),
    Provider("anthropic", "Anthropic", "https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",), engine="anthropic"),
    Provider("google", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta/openai",
             ("GEMINI_API_KEY", "GOOGLE_API_KEY"), "over its OpenAI-compatible endpoint"),
    Provider("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    Provider("groq", "Groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    Provider("together", "Together", "https://api.together.xyz/v1", ("TOGETHER_API_KEY",)),
    Provider("fireworks", "Fireworks", "https://api.fireworks.ai/inference/v1", ("FIREWORKS_API_KEY",)),
    Provider("deepseek", "DeepSeek", "https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",)),
    Provider("mistral", "Mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    Provider("xai", "xAI", "https://api.x.ai/v1", ("XAI_API_KEY",)),
    Provider("cerebras", "Cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",)),
    Provider("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", ("DEEPINFRA_API_KEY",)),
)

USUAL_PORTS: Final = {
    8000: "vLLM", 8001: "vLLM", 8002: "vLLM", 8003: "vLLM", 30000: "SGLang", 8080: "llama.cpp or TGI", 11434: "Ollama",
    1234: "LM Studio", 3000: "TGI", 4000: "LiteLLM",
}
"""Port -> who listens there out of the box. 8001 to 8003 are where our examples put three tiers."""


class Credential:
    """A key that shows as stars wherever it is printed. (pydantic's would tie `upstream/` to pydantic.)"""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Credential('***')"

    def reveal(self) -> str:
        return self._value


class Source(msgspec.Struct, frozen=True):
    """One address to ask for its models. The key shows as stars wherever this is printed."""

    title: str
    url: str
    """Base URL with the API prefix, no trailing slash."""
    provider: str | None = None
    """The configuration's word for whose it is; None = nobody we know, or one's own."""
    variable: str | None = None
    """The environment variable that the address or its key came from."""
    key: Credential | None = None
    fault: str = ""
    """Why it cannot even be asked."""
    note: str = ""
    engine: str = ""
    """What it is known to speak; "" = what it says about itself tells."""

    @property
    def is_local(self) -> bool:
        """On this machine or in a private network: one's own, and not sold by the token."""
        return _is_private(urlsplit(self.url).hostname or "")


class Listed(msgspec.Struct, frozen=True):
    """A model that an address lists, in its own words; None and "" = not said."""

    id: str
    context: int | None = None
    price: TokenPrice | None = None
    kind: str = ""
    """`chat`, `embedding`, or what else it is."""
    owned_by: str = ""
    size_b: float | None = None
    """Billions of parameters."""


class Finding(msgspec.Struct, frozen=True):
    """What came of asking one source."""

    source: Source
    models: tuple[Listed, ...] = ()
    error: str = ""
    """Why there are no models, for the person; never holds a key."""
    status: int | None = None
    """The HTTP status of a refusal."""
    is_silent: bool = False
    """Nothing answered as a model server would; at a usual port that is no news."""


def local_sources(ports: Iterable[int], own_port: int) -> tuple[Source, ...]:
    """Loopback addresses to try, without the router's own."""
    return tuple(Source(USUAL_PORTS.get(port, f"127.0.0.1:{port}"), f"http://127.0.0.1:{port}/v1") for port in ports if port != own_port)


def probe_source(text: str) -> Source:
    """`10.0.0.5:8000`, `:8000`, `8000` or a whole base URL as a source. Raises ValueError with a sentence."""
    text = text.strip()
    url = text if "://" in text else f"http://{'127.0.0.1:' + text.lstrip(':') if text.lstrip(':').isdecimal() else text}"
    if (fault := url_fault(url)) is not None:
        raise ValueError(f"{fault}; write host:port or a URL such as http://10.0.0.5:8000/v1")
    parts = urlsplit(url)
    path = parts.path.rstrip("/") or "/v1"
    return Source(parts.netloc, f"{parts.scheme}://{parts.netloc}{path}")


def url_fault(url: str) -> str | None:
    """Why this is no base URL we may use; never repeats it, since it may hold a secret."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        return "is not an http or https URL"
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return "holds credentials, a query or a fragment"
    return None


def provider_at(url: str) -> Provider | None:
    """The known provider that lives at this host."""
    host = urlsplit(url).hostname
    return next((provider for provider in PROVIDERS if urlsplit(provider.url).hostname == host), None)


def distinct(sources: Iterable[Source], own_port: int) -> tuple[Source, ...]:
    """Each address once, the first naming of it; one that is this router's own gets a fault."""
    kept: dict[tuple[str, int | None, str], Source] = {}
    for source in sources:
        parts = urlsplit(source.url)
        host = "127.0.0.1" if parts.hostname in ("localhost", "::1") else parts.hostname or ""
        if host == "127.0.0.1" and parts.port == own_port and not source.fault:
            source = msgspec.structs.replace(source, fault="is this router's own address")
        kept.setdefault((host, parts.port, parts.path) if not source.fault else (source.url, None, ""), source)
    return tuple(kept.values())


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or "." not in host
