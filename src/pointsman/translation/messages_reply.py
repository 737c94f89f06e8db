"""A message of Anthropic's as a chat completion: what it says, why it stopped, what it used."""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.surrogates import decoded

_decode = msgspec.json.decode

FINISHES = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length",
    "model_context_window_exceeded": "length", "refusal": "content_filter",
}
"""Why Anthropic's models stop, in OpenAI's words; a word that is not here is `stop`."""
THOUGHTS = frozenset(("thinking", "redacted_thinking"))


def completion(body: bytes, created: int) -> bytes:
    """The chat completion for `body`, a message that has been found good. `created`: Unix seconds."""
    answer: dict[str, Any] = decoded(_decode, body)
    blocks = [block for block in answer.get("content") or () if isinstance(block, dict)]
    choice: dict[str, Any] = {"index": 0, "message": _message(blocks), "logprobs": None,
                              "finish_reason": finish_of(answer.get("stop_reason"))}
    if answer.get("stop_sequence"):
        choice["stop_reason"] = answer["stop_sequence"]  # as vLLM names it
    return msgspec.json.encode({
        "id": answer.get("id"), "object": "chat.completion", "created": created, "model": answer.get("model"),
        "choices": [choice], "usage": chat_usage(answer.get("usage")),
    })


def finish_of(reason: Any) -> str:
    return FINISHES.get(reason, "stop") if isinstance(reason, str) else "stop"


class Counted(msgspec.Struct, frozen=True, gc=False):
    """Tokens of a message."""

    given: int
    """All that went in, what was read from the cache or written to it included."""
    made: int
    read: int | None
    """From the cache; None = not said. `written` likewise."""
    written: int | None


def counted(usage: Any) -> Counted | None:
    """Anthropic counts what it read from its cache, and what it wrote to it, apart from the input; OpenAI within it.

    None unless both counts, of input and output, make sense."""
    if not isinstance(usage, dict):
        return None
    fresh, made = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    if fresh is None or made is None:
        return None
    read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    return Counted(fresh + (read or 0) + (written or 0), made, read, written)


def chat_usage(usage: Any) -> dict[str, Any] | None:
    """As a chat completion says it; None = it is not known."""
    found = counted(usage)
    if found is None:
        return None
    said: dict[str, Any] = {"prompt_tokens": found.given, "completion_tokens": found.made, "total_tokens": found.given + found.made}
    details = {"cached_tokens": found.read, "cache_write_tokens": found.written}
    if details := {name: value for name, value in details.items() if value is not None}:
        said["prompt_tokens_details"] = details
    of_output = usage.get("output_tokens_details")
    thought = _count(of_output, "thinking_tokens") if isinstance(of_output, dict) else None
    if thought is not None:
        said["completion_tokens_details"] = {"reasoning_tokens": thought}
    return said


def _count(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if type(value) is int and value >= 0 else None


def _message(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    text = "".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text")
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    said: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    thoughts = [block for block in blocks if block.get("type") in THOUGHTS]
    if thoughts:
        said["reasoning_content"] = "".join(str(block.get("thinking") or "") for block in thoughts)
        if any(block.get("signature") or block.get("data") for block in thoughts):
            said["thinking_blocks"] = thoughts
    if calls:
        said["tool_calls"] = calls
    return said


def _call(block: dict[str, Any]) -> dict[str, Any]:
    arguments = msgspec.json.encode(block.get("input") or {}).decode()
    return {"id": block.get("id"), "type": "function", "function": {"name": block.get("name"), "arguments": arguments}}
