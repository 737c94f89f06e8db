"""Performs one attempt: lease an endpoint, splice the body, call, watch the answer come, account for it.

What to do next is never decided here: every end of an attempt is an event for the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Literal, TypeVar

import msgspec

from pointsman.cascade.budget import RetryBudget
from pointsman.cascade.events import Began, Call, Event, Failed, Held, Replied
from pointsman.core.clock import Clock
from pointsman.core.dialect import CHAT, body_for, is_native
from pointsman.core.logprobs import asking, stripped
from pointsman.core.protocols import ReplyStream, Upstream
from pointsman.core.record import Attempt, Outcome
from pointsman.core.reply import Batch, Reply, Usage
from pointsman.core.request import ChatRequest, Native
from pointsman.core.traces import untraced
from pointsman.errors import (
    EndpointLeaving,
    NoEndpoint,
    NotSpoken,
    RequestRefused,
    UpstreamError,
)
from pointsman.gateway.continuation import ENGINES, Told, may_continue
from pointsman.gateway.departures import Departures
from pointsman.gateway.holding import Holding, logprobs_of
from pointsman.gateway.port import Port
from pointsman.gateway.succession import Succession, is_of_endpoint
from pointsman.gateway.trip import Trip
from pointsman.money.ledger import cost_of, estimated_usage
from pointsman.pools.fleet import Fleet
from pointsman.pools.pool import NOBODY, Lease

TYPICAL_OUTPUT_TOKENS = 200
"""Typical traffic: 500 tokens in, 200 out (the published mix of routed traffic)."""

NEVER = float("inf")

T = TypeVar("T")
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
        self.told: Told | None = None
        """What it will have told can go on elsewhere. The request's once it commits: another attempt may run beside it."""
        self.is_native = False
        """It answers in the client's own API, not in a chat."""
        self.holding: Holding | None = None
        """Set for a stream that is kept back while it is judged."""
        self.reading: asyncio.Task[Batch | None] | None = None
        """The next read of such a stream, when it was not waited for."""
        self.hides_logprobs = False
        """The verifiers asked for log-probabilities, the client did not."""

    @property
    def output_chars(self) -> int:
        reply = self.reply or (self.stream.reply if self.stream else None)
        return reply.output_chars if reply else 0


class Dispatch:
    """Performs the machine's calls for the requests of one graph."""

    def __init__(self, upstream: Upstream, fleet: Fleet, budget: RetryBudget, departures: Departures, clock: Clock,
                 rng: Random) -> None:
        self._upstream, self._fleet, self._budget, self._clock, self._rng = upstream, fleet, budget, clock, rng
        self._departures, self._succession = departures, Succession(fleet, departures, clock)
        self._no_logprobs = fleet.without_logprobs

    async def call(self, command: Call, trip: Trip, reason: str, *, desperate: bool,
                   leased: Callable[[Lease | None], None]) -> tuple[Journey | None, Event]:
        """One attempt up to its first event: Began (streams), Replied or Failed.

        `desperate`: endpoints that are out of service may be leased, no other way being left. `leased` is called once
        the endpoint is held, or none was to be had.
        """
        now = self._clock.now()
        try:
            lease = self._lease(command, trip, now, desperate=desperate)
        except NoEndpoint as error:
            leased(None)
            return None, Failed(command.attempt, error, False, now)
        leased(lease)
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
        wants_cost, told = trip.request.include_usage, trip.told
        try:
            events = journey.held
            while True:
                if events:
                    if journey.hides_logprobs:
                        events = shown(journey, events)
                    if told is not None:
                        events = told.hear(events)
                    if trip.keeps_content:
                        trip.heard += events
                    await port.events(events, self._usage_cost(journey, trip) if wants_cost else None)
                until = min(self._clock.now() + stall, deadline)
                if self._departures.notices:
                    until = self._succession.bounded(journey.lease.endpoint, journey.call.tier, trip, until)
                batch = await (stream.next(until) if journey.reading is None else self._read(journey, trip))
                if batch is None:
                    return self._replied(journey, stream.reply)
                events = batch.events if told is None or not told.turns else told.adapted(batch.events)
        except UpstreamError as error:
            return await self._broken_off(journey, trip, port, error)
        except BaseException:  # cancelled: the client left
            self.close(journey, trip, "cancelled")
            raise

    async def _broken_off(self, journey: Journey, trip: Trip, port: Port, error: UpstreamError) -> Event:
        """The answer is with the client in part: it had said all that it may, or somebody can go on with it, or that is the end."""
        endpoint, told, now = journey.lease.endpoint, trip.told, self._clock.now()
        is_announced = isinstance(error, EndpointLeaving)
        if not is_announced and error.retryable:
            self._budget.broke(endpoint.id, now)
        counted = journey.stream.reply.usage if journey.stream is not None else None
        if told is not None and is_of_endpoint(error) and told.is_of(trip.request) and told.is_used_up(trip.request, counted):
            cost = self._usage_cost(journey, trip) if trip.request.include_usage else None
            self._failed(journey, trip, error, goes_on=True)
            last_words = told.last_words(trip.request, counted)
            if trip.keeps_content:
                trip.heard += last_words
            await port.events(last_words, cost)
            return self._replied(journey, Reply(b"", counted, "", ("length",), journey.output_chars))
        goes_on = is_announced or self._succession.goes_on(endpoint, journey.call.tier, trip, error)
        if told is not None and goes_on:
            told.hand_over(counted, is_departure=is_announced or endpoint.spot)
        return self._failed(journey, trip, error, goes_on=goes_on)

    def close(self, journey: Journey, trip: Trip, how: How, error: UpstreamError | None = None, *, goes_on: bool = False) -> None:
        """Ends an attempt in every book: socket, lease, record. Idempotent. `goes_on`: its answer does not end with it."""
        if journey.is_closed:
            return
        journey.is_closed = True
        now = self._clock.now()
        if journey.reading is not None:
            journey.reading.cancel()
        if journey.stream is not None:
            journey.stream.close()
        first = journey.first_content_at
        ttft = None if first is None else first - journey.started
        attempt = self._attempt(journey, trip, how, error, now, ttft)
        give_back = partial(journey.lease.close, how, now, error=error, ttft_s=ttft if journey.stream is None else None,
                            output_tokens=attempt.usage.output_tokens if attempt.usage else None)
        if how == "answered":
            asyncio.get_running_loop().call_soon(give_back)  # the endpoint's books can wait for the client's last byte
        else:
            give_back()
        trip.attempts.append(attempt)
        if how == "answered":
            self._budget.completed(journey.lease.endpoint.id)
        if self._departures.notices and journey.lease.endpoint.id in self._departures.notices:
            if how == "answered":
                self._departures.count("drained")
            elif how == "failed" and not goes_on:
                self._departures.count("failed")

    def _lease(self, command: Call, trip: Trip, now: float, *, desperate: bool) -> Lease:
        """An endpoint of the rung's pools, in their order. Raises NoEndpoint."""
        names, exclude = trip.pools.get(command.tier, ()), command.exclude
        if trip.told is not None and trip.told.turns:
            names = (trip.told.pool,)  # another model would go on in another voice
            exclude |= frozenset(self._fleet.pools[trip.told.pool].of_other_engines(ENGINES))  # and those would begin anew
        if trip.barred:
            exclude |= trip.barred.get(command.tier, NOBODY)
        guest, trip.guest = trip.guest, None
        try:
            lease = None
            if guest is not None and guest.endpoint and guest.endpoint not in exclude:
                lease = self._fleet.offer_at(guest.endpoint, trip.request, now, self._rng)
            if lease is None:
                lease = self._fleet.lease_among(command.tier, names, trip.request, exclude, now, self._rng, desperate=desperate)
        finally:
            if guest is not None:
                guest.leave(now)
        self._budget.started(lease.endpoint.pool, now)
        return lease

    async def _ask(self, journey: Journey, trip: Trip) -> Event:
        endpoint = journey.lease.endpoint
        body = body_for(endpoint, trip.request, trip.decision.system if trip.decision else None)
        reply = await (self._put if not trip.verifications else self._put_asking)(self._upstream.ask, journey, trip, body)
        journey.first_content_at = now = self._clock.now()
        self._budget.answered(endpoint.id, now)
        return self._replied(journey, reply)

    async def _begin(self, journey: Journey, trip: Trip) -> Event:
        endpoint = journey.lease.endpoint
        body = body_for(endpoint, trip.request, trip.decision.system if trip.decision else None)
        until, told = journey.call.until, trip.told
        is_continuing = told is not None and told.turns > 0
        if told is not None and is_continuing:
            engine = journey.lease.engine
            body = told.body(body, engine)
            if endpoint.spot:
                body = told.counting(trip.request, body, engine)
        elif may_continue(trip.request, endpoint, journey.lease.engine, trip.route.continue_streams):
            journey.told = Told(endpoint.pool)
            if endpoint.spot:
                body = journey.told.counting(trip.request, body, journey.lease.engine)
        stream = await (self._put if not trip.verifications else self._put_asking)(self._upstream.stream, journey, trip, body)
        journey.stream = stream
        if journey.call.hold is not None:
            return await self._hold(journey, trip)
        while True:
            batch = await stream.next(until)
            if batch is None:
                return self._replied(journey, stream.reply)
            journey.held += told.adapted(batch.events) if told is not None and is_continuing else batch.events
            if batch.content:
                journey.first_content_at = now = self._clock.now()
                self._budget.answered(endpoint.id, now)
                journey.lease.began(now, now - journey.started)
                return Began(journey.call.attempt, now)

    async def hold(self, journey: Journey, trip: Trip) -> tuple[Journey, Event]:
        """Goes on holding an answer of which the beginning was doubtful, until it is whole (Replied) or broken (Failed)."""
        try:
            return journey, await self._held_whole(journey, trip)
        except UpstreamError as error:
            return journey, self._failed(journey, trip, error)
        except BaseException:  # cancelled: the other one has answered, or the client left
            self.close(journey, trip, "cancelled")
            raise

    async def _hold(self, journey: Journey, trip: Trip) -> Event:
        """Keeps an answer back until enough of it is there to be judged (Held), or all of it (Replied)."""
        call, stream = journey.call, journey.stream
        if stream is None or call.hold is None:
            raise RuntimeError("_hold() before a stream began")
        dialect = trip.request.native.dialect if journey.is_native and trip.request.native is not None else CHAT
        holding = journey.holding = Holding(dialect, call.hold)
        while journey.first_content_at is None:
            batch = await stream.next(call.until)
            if batch is None:
                return self._replied(journey, stream.reply)
            self._keep(journey, batch)
        ends = journey.first_content_at + call.hold_s
        while not holding.is_enough(journey.output_chars):
            if call.hold_s < NEVER and not await self._reads(journey, trip, ends):
                break
            batch = await self._read(journey, trip)
            if batch is None:
                return self._replied(journey, stream.reply)
            self._keep(journey, batch)
        answer = holding.answer(is_whole=False)
        return Held(call.attempt, answer.text, logprobs_of(answer), self._clock.now())

    async def _held_whole(self, journey: Journey, trip: Trip) -> Event:
        while (batch := await self._read(journey, trip)) is not None:
            self._keep(journey, batch)
        return self._replied(journey, journey.stream.reply if journey.stream is not None else Reply())

    def _keep(self, journey: Journey, batch: Batch) -> None:
        journey.held += batch.events
        if journey.holding is not None:
            journey.holding.hear(batch.events)
        if batch.content and journey.first_content_at is None:
            journey.first_content_at = now = self._clock.now()
            self._budget.answered(journey.lease.endpoint.id, now)
            journey.lease.began(now, now - journey.started)

    async def _reads(self, journey: Journey, trip: Trip, ends: float) -> bool:
        """The next events are there by `ends`. A read that takes longer is not broken off: it goes on beside."""
        now = self._clock.now()
        if now >= ends:
            return False
        if journey.reading is None:
            journey.reading = asyncio.get_running_loop().create_task(self._next(journey, trip))
            journey.reading.add_done_callback(_is_known)
        done, _ = await asyncio.wait((journey.reading,), timeout=ends - now)
        return bool(done)

    async def _read(self, journey: Journey, trip: Trip) -> Batch | None:
        """What the read that was begun brings, or the next one."""
        reading, journey.reading = journey.reading, None
        return await (self._next(journey, trip) if reading is None else reading)

    async def _next(self, journey: Journey, trip: Trip) -> Batch | None:
        if journey.stream is None:
            raise RuntimeError("a read before a stream began")
        return await journey.stream.next(min(self._clock.now() + trip.route.stall_timeout_s, trip.deadline))

    async def _put_asking(self, put: Callable[..., Awaitable[T]], journey: Journey, trip: Trip, body: bytes) -> T:
        """As `_put`, asking for the log-probabilities that the rung's verifiers read. An endpoint that refuses the question
        gets it without, and from then on."""
        endpoint, request = journey.lease.endpoint, trip.request
        verification = trip.verifications.get(journey.call.tier)
        if (verification is None or not verification.traits.needs_logprobs or (request.stream and journey.call.hold is None)
                or endpoint.id in self._no_logprobs
                or CHAT not in endpoint.dialects or is_native(endpoint, request)
                or self._fleet.pools[endpoint.pool].settings.capabilities.logprobs is False):
            return await self._put(put, journey, trip, body)
        asked = asking(request, body, verification.traits.top_logprobs)
        if asked is None:
            return await self._put(put, journey, trip, body)
        journey.hides_logprobs = True
        try:
            return await self._put(put, journey, trip, asked)
        except RequestRefused:
            journey.hides_logprobs = False
            answer = await self._put(put, journey, trip, body)
            self._no_logprobs.add(endpoint.id)
            return answer

    def _put(self, put: Callable[..., Awaitable[T]], journey: Journey, trip: Trip, body: bytes) -> Awaitable[T]:
        """Puts the request to the endpoint."""
        if trip.request.native is None:
            return put(journey.lease.endpoint, trip.request, (body,), until=journey.call.until)
        return self._put_native(put, journey, trip, body, trip.request.native)

    async def _put_native(self, put: Callable[..., Awaitable[T]], journey: Journey, trip: Trip, body: bytes, native: Native) -> T:
        """In the client's own API where the endpoint speaks that, and else, or where it turns out not to, translated."""
        endpoint, request = journey.lease.endpoint, trip.request
        journey.is_native = is_native(endpoint, request)
        try:
            return await put(endpoint, request, (body,), until=journey.call.until)
        except NotSpoken:
            if native.only_at_origin:
                raise
            journey.is_native = False
            plain = msgspec.structs.replace(request, native=None)
            body = body_for(endpoint, plain, trip.decision.system if trip.decision else None)
            return await put(endpoint, plain, (body,), until=journey.call.until)

    def _replied(self, journey: Journey, reply: Reply) -> Replied:
        journey.reply = reply
        return Replied(journey.call.attempt, reply, self._clock.now())

    def _failed(self, journey: Journey, trip: Trip, error: UpstreamError, *, goes_on: bool = False) -> Failed:
        error.endpoint = endpoint = journey.lease.endpoint.id
        untraced(error)  # the machine keeps it
        if error.sent and error.retryable and not isinstance(error, EndpointLeaving):
            self._budget.failed(endpoint, self._clock.now())
        self.close(journey, trip, "failed" if error.sent else "rejected", error, goes_on=goes_on)
        return Failed(journey.call.attempt, error, error.sent, self._clock.now(), goes_on)

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


def shown(journey: Journey, events: list[bytes]) -> list[bytes]:
    """Events as the client would have had them without verifiers."""
    return [stripped(event, journey.lease.endpoint.engine) for event in events]


def _is_known(reading: asyncio.Task[Batch | None]) -> None:
    """A read that nobody waits for any more may fail: its stream is given up."""
    if not reading.cancelled():
        reading.exception()
