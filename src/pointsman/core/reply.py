"""What came back."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens as the upstream counted them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int | None = None
    """Of `input_tokens`, read from the prefix cache; None = it did not say."""
    written_tokens: int | None = None
    """Of `input_tokens`, written to a cache that costs extra (Anthropic's); None = it did not say."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A complete, successful answer (every choice has a finish_reason; embeddings: all vectors)."""

    body: bytes = b""
    """Plain replies: the JSON body, byte for byte. Streams: empty (the events have passed already)."""
    usage: Usage | None = None
    """None = the upstream did not say: charged conservatively and counted, never zero."""
    model: str = ""
    """The model name the upstream reported."""
    finish_reasons: tuple[str, ...] = ()
    output_chars: int = 0
    """Characters of content seen: the conservative estimate when `usage` is None."""
    dialect: str = "chat"
    """The API that `body` is written in."""


class Batch(msgspec.Struct, gc=False):
    """What one read of a streaming upstream brought: the data of whole events, ready to be passed on."""

    events: list[bytes]
    """Event data, byte-equal to the upstream's but for stripped injected fields; `[DONE]` is never among them."""
    content: bool
    """At least one of them is content-bearing (or carries a finish_reason)."""


class Heard(msgspec.Struct, frozen=True, gc=False):
    """The answer to a question of our own (a verifier's, a judge's), and what it cost."""

    reply: Reply
    endpoint: str = ""
    cost_nano_usd: int | None = None
    """None = unpriced."""
