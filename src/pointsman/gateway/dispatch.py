"""Performs one attempt: lease an endpoint, splice the body, call, watch the answer come, account for it.

What to do next is never decided here: every end of an attempt is an event for the machine.
"""

from __future__ import annotations

from random import Random
from typing import Literal

from pointsman.cascade.budget import RetryBudget
from pointsman.cascade.events import Began, Call, Event, Failed, Replied
from pointsman.core.clock import Clock
from pointsman.core.protocols import ReplyStream, Upstream
from pointsman.core.record import Attempt, Outcome
from pointsman.core.reply import Reply, Usage
from pointsman.core.request import ChatRequest
from pointsman.core.splice import spliced
from pointsman.errors import NoEndpoint, UpstreamError
from pointsman.gateway.port import Port
from pointsman.gateway.trip import Trip
from pointsman.money.ledger import cost_of, estimated_usage
from pointsman.pools.fleet import Fleet
from pointsman.pools.pool import NOBODY, Lease

TYPICAL_OUTPUT_TOKENS = 200
"""Typical traffic: 500 tokens in, 200 out (the published mix of routed traffic)."""

How = Literal["answered", "failed", "rejected", "cancelled"]


class Journey:
    """An attempt under way: its lease, its stream, and what is held until the commit."""

    def __init__(self, call: Call, lease: Lease, reason: str, now: float) -> None:
        self.call, self.lease, self.reason, self.started = call, lease, reason, now
        self.stream: ReplyStream | None = None
        self.held: list[bytes] = []
        self.reply: Reply | None = None
        self.first_content_at: float | None = None
        self.is_closed = False

    @property
    def output_chars(self) -> int:
        reply = self.reply or (self.stream.reply if self.stream else None)
        return reply.output_chars if reply else 0


class Dispatch:
    """Performs the machine's calls for the requests of one graph."""

    def __init__(self, upstream: Upstream, fleet: Fleet, budget: RetryBudget, clock: Clock, rng: Random) -> None:
        self._upstream, self._fleet, self._budget, self._clock, self._rng = upstream, fleet, budget, clock, rng

    async def call(self, command: Call, trip: Trip, reason: str, *, desperate: bool) -> tuple[Journey | None, Event]:
        """One attempt up to its first event: Began (streams), Replied or Failed.

        `desperate`: endpoints that are out of service may be leased, no other way being left.
        """
        now = self._clock.now()
        try:
            lease = self._lease(command, trip, now, desperate=desperate)
        except NoEndpoint as error:
            return None, Failed(command.attempt, error, False, now)
        journey = Journey(command, lease, reason, now)
        try:
            begin = self._begin if trip.request.stream else self._ask
            return journey, await begin(journey, trip)
        except UpstreamError as error:
            return journey, self._failed(journey, trip, error)
        except BaseException:  # cancelled: the client left
            self.close(journey, trip, "cancelled")
            raise

    async def flow(self, journey: Journey, trip: Trip, port: Port, deadline: float) -> Event:
        """After the commit: passes events on until the answer is complete (Replied) or broken (Failed)."""
        stream, stall = journey.stream, trip.route.stall_timeout_s
        if stream is None:
            raise RuntimeError("flow() before a stream began")
        wants_cost = trip.request.include_usage
        try:
            events = journey.held
            while True:
                if events:
                    if trip.keeps_content:
                        trip.heard += events
                    await port.events(events, self._usage_cost(journey, trip) if wants_cost else None)
                batch = await stream.next(min(self._clock.now() + stall, deadline))
                if batch is None:
                    return self._replied(journey, stream.reply)
                events = batch.events
        except UpstreamError as error:
            return self._failed(journey, trip, error)
        except BaseException:  # cancelled: the client left
            self.close(journey, trip, "cancelled")
            raise

    def close(self, journey: Journey, trip: Trip, how: How, error: UpstreamError | None = None) -> None:
        """Ends an attempt in every book: socket, lease, record. Idempotent."""
        if journey.is_closed:
            return
        journey.is_closed = True
        now = self._clock.now()
        if journey.stream is not None:
            journey.stream.close()
        first = journey.first_content_at
        ttft = None if first is None else first - journey.started
        journey.lease.close(how, now, error=error, ttft_s=ttft if journey.stream is None else None)
        trip.attempts.append(self._attempt(journey, trip, how, error, now, ttft))

    def _lease(self, command: Call, trip: Trip, now: float, *, desperate: bool) -> Lease:
        """An endpoint of the rung's pools, in their order. Raises NoEndpoint."""
        names, exclude = trip.pools.get(command.tier, ()), command.exclude
        if trip.barred:
            exclude |= trip.barred.get(command.tier, NOBODY)
        lease = self._fleet.lease_among(command.tier, names, trip.request, exclude, now, self._rng, desperate=desperate)
        self._budget.started(lease.endpoint.pool, now)
        return lease

    async def _ask(self, journey: Journey, trip: Trip) -> Event:
        endpoint = journey.lease.endpoint
        body = spliced(trip.request, endpoint.model, trip.decision.system if trip.decision else None)
        reply = await self._upstream.ask(endpoint, trip.request, (body,), until=journey.call.until)
        journey.first_content_at = now = self._clock.now()
        self._budget.answered(endpoint.id, now)
        return self._replied(journey, reply)

    async def _begin(self, journey: Journey, trip: Trip) -> Event:
        endpoint = journey.lease.endpoint
        body = spliced(trip.request, endpoint.model, trip.decision.system if trip.decision else None)
        until = journey.call.until
        stream = await self._upstream.stream(endpoint, trip.request, (body,), until=until)
        journey.stream = stream
        while True:
            batch = await stream.next(until)
            if batch is None:
                return self._replied(journey, stream.reply)
            journey.held += batch.events
            if batch.content:
                journey.first_content_at = now = self._clock.now()
                self._budget.answered(endpoint.id, now)
                journey.lease.began(now, now - journey.started)
                return Began(journey.call.attempt, now)

    def _replied(self, journey: Journey, reply: Reply) -> Replied:
        journey.reply = reply
        return Replied(journey.call.attempt, reply, self._clock.now())

    def _failed(self, journey: Journey, trip: Trip, error: UpstreamError) -> Failed:
        error.endpoint = endpoint = journey.lease.endpoint.id
        if error.sent and error.retryable:
            self._budget.failed(endpoint, self._clock.now())
        self.close(journey, trip, "failed" if error.sent else "rejected", error)
        return Failed(journey.call.attempt, error, error.sent, self._clock.now())

    def expected_cost(self, journey: Journey, trip: Trip) -> int | None:
        """What a stream that has just begun will cost with earlier attempts, if its answer is of typical length."""
        request = trip.request
        output = TYPICAL_OUTPUT_TOKENS if request.max_tokens is None else min(TYPICAL_OUTPUT_TOKENS, request.max_tokens)
        usage = Usage(estimated_usage(request_bytes=len(request.body)).input_tokens, output * request.choices)
        return self._with_earlier(journey, trip, usage)

    def _usage_cost(self, journey: Journey, trip: Trip) -> int | None:
        """The request's cost so far, once the usage of this attempt is known."""
        usage = journey.stream.reply.usage if journey.stream else None
        return None if usage is None else self._with_earlier(journey, trip, usage)

    def _with_earlier(self, journey: Journey, trip: Trip, usage: Usage) -> int | None:
        earlier, _ = trip.cost()
        this = cost_of(journey.lease.endpoint.price, usage, estimate=None).nano_usd
        return None if this is None or earlier is None else earlier + this

    def _attempt(self, journey: Journey, trip: Trip, how: Outcome, error: UpstreamError | None, now: float,
                 ttft_s: float | None) -> Attempt:
        endpoint = journey.lease.endpoint
        sent = error is None or error.sent
        usage, nano, basis = self._spent(journey, trip.request, error, sent)
        return Attempt(
            number=journey.call.attempt, tier=journey.call.tier, pool=endpoint.pool, endpoint=endpoint.id,
            model=endpoint.model, reason=journey.reason, started_s=journey.started - trip.arrived,
            duration_s=now - journey.started, ttft_s=ttft_s, outcome=how, error=error.code if error else None,
            upstream_status=error.upstream_status if error else None, sent=sent, usage=usage,
            cost_nano_usd=nano, cost_basis=basis,
        )

    def _spent(self, journey: Journey, request: ChatRequest, error: UpstreamError | None,
               sent: bool) -> tuple[Usage | None, int | None, str]:
        """What the attempt used and cost. A refusal costs nothing; a broken answer what it must have cost."""
        if not sent:
            return None, 0, "unsent"
        refused = error is not None and error.upstream_status is not None and error.upstream_status >= 400
        if refused and journey.first_content_at is None:
            return None, 0, "tokens"
        reply = journey.reply or (journey.stream.reply if journey.stream else None)
        usage = reply.usage if reply else None
        estimate = None
        if usage is None:
            estimate = estimated_usage(request_bytes=len(request.body), output_chars=journey.output_chars)
        cost = cost_of(journey.lease.endpoint.price, usage, estimate=estimate)
        return usage, cost.nano_usd, cost.basis
