"""A plain answer as the events of a stream: for upstreams that ignore `stream: true`."""

from __future__ import annotations

from typing import Any

import msgspec

from pointsman.core.request import ChatRequest
from pointsman.core.surrogates import decoded

_KEPT = ("id", "created", "model", "system_fingerprint", "service_tier")


def as_events(request: ChatRequest, body: bytes) -> list[bytes]:
    """Event data of `body`, a valid plain answer: per choice its content and its end, then usage if it was asked for."""
    answer: dict[str, Any] = decoded(msgspec.json.decode, body)
    chat = any("message" in choice for choice in answer["choices"])
    kind = "chat.completion.chunk" if chat else "text_completion"
    frame = {key: answer[key] for key in _KEPT if key in answer} | {"object": kind}
    chunks: list[dict[str, Any]] = []
    for position, choice in enumerate(answer["choices"]):
        place = {"index": choice.get("index", position)}
        said = {"logprobs": choice.get("logprobs"), "finish_reason": None}
        end: dict[str, Any] = {"logprobs": None, "finish_reason": choice["finish_reason"]}
        if chat:
            chunks.append(frame | {"choices": [place | {"delta": _delta(choice.get("message") or {})} | said]})
            chunks.append(frame | {"choices": [place | {"delta": {}} | end]})
        else:
            chunks.append(frame | {"choices": [place | {"text": choice.get("text") or ""} | said | {
                "finish_reason": choice["finish_reason"]}]})
    if request.include_usage and answer.get("usage") is not None:
        chunks.append(frame | {"choices": [], "usage": answer["usage"]})
    return [msgspec.json.encode(chunk) for chunk in chunks]


def _delta(message: dict[str, Any]) -> dict[str, Any]:
    delta = {"role": "assistant"} | {key: value for key, value in message.items() if value is not None}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):  # in a delta each call carries its place
        delta["tool_calls"] = [{"index": i} | c if isinstance(c, dict) else c for i, c in enumerate(calls)]
    return delta
