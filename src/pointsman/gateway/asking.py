"""Questions of our own to the models of the fleet, on behalf of one request: a verifier's, a judge's.

They are attempts like any other to the endpoint that serves them (leased, counted in flight, ejected with it when it fails),
and none to the request: no retry, no climb, and what they cost is told to whoever asked, and kept in `questions`. A caller whose key may not reach a
pool is not judged there either, for the answer would travel to it.
"""

from __future__ import annotations

from random import Random

import msgspec

from pointsman.core.clock import Clock
from pointsman.core.dialect import body_for
from pointsman.core.fleet import EndpointSpec
from pointsman.core.protocols import Upstream
from pointsman.core.record import Outcome, Question
from pointsman.core.reply import Heard, Usage
from pointsman.core.request import Caller, ChatRequest, Kind, Message, Span
from pointsman.core.scan import members
from pointsman.errors import Forbidden, NoEndpoint, UpstreamError
from pointsman.money.ledger import cost_of, estimated_usage
from pointsman.pools.fleet import Fleet


class Asking:
    """Satisfies `core.protocols.BilledAsks`."""

    def __init__(self, upstream: Upstream, fleet: Fleet, clock: Clock, rng: Random, caller: Caller) -> None:
        self._upstream, self._fleet, self._clock, self._rng, self._caller = upstream, fleet, clock, rng, caller
        self.questions: list[Question] = []

    async def __call__(self, pool: str, body: bytes, *, until: float) -> Heard:
        """One attempt at one endpoint of `pool`. Raises Forbidden, NoEndpoint and other subclasses of UpstreamError."""
        allowed = self._caller.pools
        if allowed is not None and pool not in allowed:
            raise Forbidden(f"the key may not reach pool {pool!r}, so that nothing of this request is sent there")
        if pool not in self._fleet.pools:
            raise NoEndpoint(pool)
        request = asked(body, self._caller)
        lease = self._fleet.lease_pool(pool, request, (), self._clock.now(), self._rng)
        endpoint, begun = lease.endpoint, self._clock.now()
        try:
            reply = await self._upstream.ask(endpoint, request, (body_for(endpoint, request),), until=until)
        except UpstreamError as error:
            error.endpoint = endpoint.id
            lease.close("failed" if error.sent else "rejected", self._clock.now(), error=error)
            is_refused = error.upstream_status is not None and error.upstream_status >= 400
            estimate = None if is_refused else estimated_usage(request_bytes=len(body))
            self._note(endpoint, begun, "failed" if error.sent else "rejected", None, estimate)
            raise
        except BaseException:  # cancelled: nobody waits for it any more
            lease.close("cancelled", self._clock.now())
            self._note(endpoint, begun, "cancelled", None, estimated_usage(request_bytes=len(body)))
            raise
        usage = reply.usage
        lease.close("answered", self._clock.now(), output_tokens=usage.output_tokens if usage else None)
        estimate = None if usage is not None else estimated_usage(request_bytes=len(body), output_chars=reply.output_chars)
        return Heard(reply, endpoint.id, self._note(endpoint, begun, "answered", usage, estimate))

    def _note(self, endpoint: EndpointSpec, begun: float, outcome: Outcome, usage: Usage | None, estimate: Usage | None) -> int | None:
        """What it cost: an engine that was cut short has read the prompt, one that refused by status (`estimate` None) has not."""
        is_free = outcome == "rejected" or (usage is None and estimate is None)
        nano = 0 if is_free else cost_of(endpoint.price, usage, estimate=estimate).nano_usd
        self.questions.append(Question(endpoint.pool, endpoint.id, self._clock.now() - begun, outcome, usage, nano))
        return nano


def asked(body: bytes, caller: Caller) -> ChatRequest:
    """A chat request of our own making (`question`, `resampled`) as the request that upstreams take."""
    fields = msgspec.json.decode(body, type=_Own)
    named = body if fields.model is not msgspec.UNSET else body[:-1] + b',"model":""}'
    start, end = _model_span(named)
    messages = tuple(Message(str(turn.get("role", "")), said if isinstance(said := turn.get("content"), str) else "")
                     for turn in fields.messages)
    return ChatRequest(
        kind=Kind.CHAT, body=named, model="", messages=messages, max_tokens=fields.max_tokens,
        spans={"model": Span(start, end)}, fields_end=len(named) - 1, caller=caller,
    )


class _Own(msgspec.Struct):
    model: str | msgspec.UnsetType = msgspec.UNSET
    messages: list[dict[str, object]] = []
    max_tokens: int | None = None


def _model_span(body: bytes) -> tuple[int, int]:
    field = next(field for field in members(body)[0] if field.key == "model")
    return field.start, field.end
