"""An operator's own service that looks at answers: it gets request and answer as JSON, and says a score.

Asked: `POST <url>` with `{"version": 1, "request": {"model", "messages": [{"role", "text"}], "tools"}, "answer": {"text",
"refusal", "finish_reason", "tool_calls": [{"name", "arguments"}]}, "pool"}`. To be answered with 200 and `{"score": 0.0 to 1.0}`,
with a `reason` if it likes; `{"score": null}` or 204 abstains. The URL comes from the configuration and from nowhere else.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pointsman.core.answer import Answer
from pointsman.core.fleet import EndpointSpec
from pointsman.core.protocols import Asks
from pointsman.core.request import ChatRequest
from pointsman.core.verdict import ABSTAINS, Traits, Verdict
from pointsman.core.verifying import HttpCheck

TYPICAL_S = 0.1
ANSWER_MAX = 64 * 1024


class Posts(Protocol):
    """Sends JSON and returns the body of a 2xx answer; raises subclasses of `UpstreamError`."""

    async def __call__(self, endpoint: EndpointSpec, suffix: str, body: bytes, *, until: float) -> bytes: ...


class _Said(msgspec.Struct):
    score: float | None = None
    reason: str = ""
    is_hard: bool = False
    """With a low score: reject, whatever others say."""


_decode = msgspec.json.Decoder(_Said).decode


class HttpVerifier:
    """Graded, unless the service says `is_hard`."""

    traits = Traits(latency_s=TYPICAL_S)

    def __init__(self, settings: HttpCheck, posts: Posts) -> None:
        self._settings, self._posts = settings, posts
        self.name, self.rates = settings.name, settings.rates
        self._endpoint = EndpointSpec(id=f"check {settings.name}", pool="", url=settings.url, model="", api_key=settings.token)

    async def consult(self, request: ChatRequest, answer: Answer, asks: Asks, *, pool: str, until: float) -> Verdict:
        body = msgspec.json.encode(told(request, answer, pool, self._settings.max_chars))
        said = await self._posts(self._endpoint, "", body, until=until)
        if not said.strip():
            return ABSTAINS
        try:
            verdict = _decode(said[:ANSWER_MAX])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Verdict(None, "its answer is not the JSON that was asked for", fault="garbage")
        if verdict.score is not None and not 0.0 <= verdict.score <= 1.0:
            return Verdict(None, "its score is not between 0 and 1", fault="garbage")
        return Verdict(verdict.score, verdict.reason[:200] or "as the service says", is_hard=verdict.is_hard, is_graded=not verdict.is_hard)


def told(request: ChatRequest, answer: Answer, pool: str, max_chars: int) -> dict[str, Any]:
    """What the service is sent. Of long texts the ends, with `cut: true`."""
    choice = answer.choices[0] if answer.choices else None
    messages, left = [], max_chars
    for message in reversed(request.messages):
        messages.append({"role": message.role, "text": message.text[:left], "cut": len(message.text) > left})
        left = max(0, left - len(message.text))
    return {
        "version": 1, "pool": pool,
        "request": {"model": request.model, "messages": messages[::-1], "tools": request.tools},
        "answer": {} if choice is None else {
            "text": choice.text[:max_chars], "cut": len(choice.text) > max_chars, "refusal": choice.refusal,
            "finish_reason": choice.finish_reason,
            "tool_calls": [{"name": call.name, "arguments": call.arguments[:max_chars]} for call in choice.tool_calls],
        },
    }
