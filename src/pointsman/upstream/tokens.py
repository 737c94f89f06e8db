"""Asks an engine for the tokens of a prompt as it would read it: vLLM's `/tokenize`, template and tools included."""

from __future__ import annotations

import msgspec

from pointsman.core.fleet import EndpointSpec
from pointsman.core.request import ChatRequest, Kind
from pointsman.errors import BadAnswer, UpstreamFailed
from pointsman.upstream.load_report.line import Line, below, root_of

ASKED = frozenset(("messages", "prompt", "tools", "chat_template_kwargs", "add_generation_prompt", "continue_final_message", "add_special_tokens"))
"""Fields of a request that decide about its tokens. Templates that clients bring along are none of ours."""


class _Answer(msgspec.Struct):
    tokens: tuple[int, ...]


class Tokens:
    """Questions over a line of its own."""

    def __init__(self, line: Line | None = None) -> None:
        self._line = line or Line()

    async def of(self, endpoint: EndpointSpec, request: ChatRequest, until: float) -> tuple[int, ...]:
        """The prompt's tokens. Raises UpstreamErrors; NotSpoken is not among them: who has no such path fails."""
        said = await self._line.post(endpoint, below(root_of(endpoint.url), "/tokenize"), question(endpoint, request), until)
        if said.status != 200:
            raise UpstreamFailed(f"endpoint {endpoint.id} tells no tokens: /tokenize answers {said.status}", upstream_status=said.status)
        try:
            return msgspec.json.decode(said.body, type=_Answer).tokens
        except msgspec.MsgspecError as error:
            raise BadAnswer(f"endpoint {endpoint.id}: /tokenize answers something else than tokens ({error})") from error

    async def aclose(self) -> None:
        await self._line.aclose()


def question(endpoint: EndpointSpec, request: ChatRequest) -> bytes:
    """What is asked: the request's own fields, in its own bytes."""
    fields = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
    asked: dict[str, object] = {name: fields[name] for name in fields if name in ASKED}
    if request.kind is not Kind.CHAT:
        asked.pop("messages", None)
    return msgspec.json.encode({"model": endpoint.model, **asked})
