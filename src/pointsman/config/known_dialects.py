"""Which APIs the engines and providers speak, as far as a client's own bytes can be handed to them, and why.

An endpoint's `dialects` overrides this. What is not listed here is translated, which always works.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

CHAT, MESSAGES, RESPONSES = "chat", "messages", "responses"

BY_ENGINE: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "anthropic": ((MESSAGES,), "Anthropic's own API; its OpenAI-compatible one leaves out caching, thinking and PDFs"),
    "vllm": ((CHAT, MESSAGES, RESPONSES), "events in the order and with the fields that the official SDKs want"),
    "sglang": ((CHAT, MESSAGES, RESPONSES), "as vLLM"),
    "llamacpp": ((CHAT, MESSAGES), "its Responses events have neither `sequence_number` nor `output_index`, on which the "
                                   "official SDK's stream helpers rely, so those are translated"),
    "ollama": ((CHAT,), "older versions have only the chat"),
    "tgi": ((CHAT,), "it has only the chat"),
    "trtllm": ((CHAT,), "nobody has tried the rest here"),
    "openai": ((CHAT,), "anything compatible: the chat is what they have in common"),
}
"""Engine -> (APIs, the reason)."""

ORIGINS: Final[dict[str, tuple[str, ...]]] = {"api.openai.com": (CHAT, RESPONSES)}
"""Hosts of those who made an API: their hosted tools and files work there. (Anthropic's is known by `engine: anthropic`.)"""


def dialects_of(engine: str, url: str) -> tuple[str, ...]:
    """The APIs of an endpoint that says nothing about them."""
    return ORIGINS.get(urlsplit(url).hostname or "") or BY_ENGINE[engine][0]


def is_origin(engine: str, url: str) -> bool:
    """Its maker runs it."""
    return engine == "anthropic" or (urlsplit(url).hostname or "") in ORIGINS
