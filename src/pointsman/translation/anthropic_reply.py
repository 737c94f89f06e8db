"""An OpenAI chat completion as an Anthropic message: content, why it stopped, what it used."""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.surrogates import decoded
from pointsman.translation.anthropic_request import CHARS_PER_TOKEN, Remembered
from pointsman.translation.tool_input import tool_input

_decode = msgspec.json.decode

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use",
          "content_filter": "refusal"}


def message(body: bytes, id: str, remembered: Remembered) -> bytes:
    """The body of a plain reply. `body` is a chat completion that has been found good."""
    answer: dict[str, Any] = decoded(_decode, body)
    choice: dict[str, Any] = answer["choices"][0]
    said: dict[str, Any] = choice.get("message") or {}
    content = list(_thinking(said, remembered)) + _texts(said) + _calls(said, id)
    has_tools = any(block["type"] == "tool_use" for block in content)
    reason, sequence = stopped(choice.get("finish_reason"), matched_by(choice), remembered, has_tools=has_tools,
                               is_refused=bool(said.get("refusal")))
    return msgspec.json.encode({
        "id": id, "type": "message", "role": "assistant", "model": name_of(answer.get("model")), "content": content,
        "stop_reason": reason, "stop_sequence": sequence,
        "usage": usage(answer.get("usage"), remembered, _size(content)),
    })


def stopped(finish: Any, matched: Any, remembered: Remembered, *, has_tools: bool,
            is_refused: bool = False) -> tuple[str, str | None]:
    """`stop_reason` and `stop_sequence`. `matched` is what the engine says ended the text, if it says so.

    An answer with calls stops for them whatever the engine says: some report `stop`.
    """
    if is_refused:
        return "refusal", None
    reason = _STOPS.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    if has_tools and reason == "end_turn":
        return "tool_use", None
    if reason == "tool_use" and not has_tools:
        reason = "end_turn"  # a client would wait for a call that is not there
    if reason == "end_turn" and isinstance(matched, str) and matched in remembered.stop_sequences:
        return "stop_sequence", matched
    return reason, None


def matched_by(choice: dict[str, Any]) -> Any:
    """The stop sequence that was met: vLLM's `stop_reason`, SGLang's `matched_stop`; a number is a token's id."""
    return choice.get("stop_reason") or choice.get("matched_stop")


def usage(found: Any, remembered: Remembered, chars: int) -> dict[str, Any]:
    """Anthropic counts what was read from the cache apart, OpenAI within the input. Missing counts are estimated."""
    given, made = (_count(found, "prompt_tokens"), _count(found, "completion_tokens"))
    cached = _detail(found, "prompt_tokens_details", "cached_tokens")
    written = _detail(found, "prompt_tokens_details", "cache_write_tokens")
    thought = _detail(found, "completion_tokens_details", "reasoning_tokens")
    if given is None:
        given, cached, written = remembered.input_tokens, None, None
    if made is None:
        made = -(-chars // CHARS_PER_TOKEN)
    if (cached or 0) + (written or 0) > given:
        cached = written = None
    counts: dict[str, Any] = {"input_tokens": given - (cached or 0) - (written or 0), "output_tokens": made}
    if written is not None:
        counts["cache_creation_input_tokens"] = written
    if cached is not None:
        counts["cache_read_input_tokens"] = cached
    if thought is not None:
        counts["output_tokens_details"] = {"thinking_tokens": thought}
    return counts


def tool_id(given: Any, id: str, number: int) -> str:
    """The engine's own id of a call; one of ours when it gave none."""
    return given if isinstance(given, str) and given else f"toolu_{id.removeprefix('msg_')}_{number}"


def text_of(value: Any) -> str:
    """Content as text: a string, or the text parts of a list."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


def name_of(model: Any) -> str:
    return model if isinstance(model, str) else ""


def _thinking(said: dict[str, Any], remembered: Remembered) -> list[dict[str, Any]]:
    """No signature: it proves to Anthropic that a thought is its own."""
    text = text_of(said.get("reasoning_content")) or text_of(said.get("reasoning"))
    shown = text and remembered.shows_thinking
    return [{"type": "thinking", "thinking": text, "signature": ""}] if shown else []


def _texts(said: dict[str, Any]) -> list[dict[str, Any]]:
    texts = (text_of(said.get("content")), text_of(said.get("refusal")))
    return [{"type": "text", "text": text} for text in texts if text]


def _calls(said: dict[str, Any], id: str) -> list[dict[str, Any]]:
    calls = said.get("tool_calls")
    blocks = []
    for number, call in enumerate(calls if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            blocks.append({"type": "tool_use", "id": tool_id(call.get("id"), id, number),
                           "name": name_of(function.get("name")), "input": tool_input(function.get("arguments"))})
    return blocks


def _size(content: list[dict[str, Any]]) -> int:
    return sum(len(str(value)) for block in content for key, value in block.items() if key in ("text", "thinking", "input"))


def _count(found: Any, key: str) -> int | None:
    value = found.get(key) if isinstance(found, dict) else None
    return value if type(value) is int and value >= 0 else None


def _detail(found: Any, group: str, key: str) -> int | None:
    return _count(found.get(group), key) if isinstance(found, dict) else None
