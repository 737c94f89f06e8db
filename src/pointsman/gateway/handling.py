"""The handling of one request: the loop around the cascade machine, and everything that must end with it.

Why is the record written before the last byte and not only at the end? Because what the client has seen complete
must survive a kill -9 of this process; `cut` and `settle` cover every other way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import msgspec

from pointsman.cascade.budget import RetryBudget
from pointsman.cascade.deadline import TIMER_SLACK_S
from pointsman.cascade.deferral import BENEFIT, Deferral
from pointsman.cascade.events import (
    Accept,
    Call,
    Cancel,
    ClientGone,
    Command,
    Commit,
    Event,
    GiveUp,
    Tick,
    Verified,
    Verify,
    Wake,
)
from pointsman.cascade.ladder import FAILED, Plan
from pointsman.cascade.machine import Machine
from pointsman.cascade.trail import SATURATED
from pointsman.core.clock import Clock
from pointsman.core.logprobs import stripped
from pointsman.core.protocols import Sink, Upstream
from pointsman.core.record import Escalation
from pointsman.core.settings import RouteSettings
from pointsman.errors import ClientGone as ClientGoneError
from pointsman.errors import DeadlineExceeded, PointsmanError, Shed, Stopped
from pointsman.gateway.admission import Admission
from pointsman.gateway.asking import Asking
from pointsman.gateway.departures import Departures
from pointsman.gateway.dispatch import Dispatch, Journey, shown
from pointsman.gateway.diversion import enter, entered_at, places_to_wait_for
from pointsman.gateway.entrance import Entrance
from pointsman.gateway.examination import Examination
from pointsman.gateway.graph import Graph, Way
from pointsman.gateway.holding import held_as
from pointsman.gateway.names import Meaning
from pointsman.gateway.opening import Opening
from pointsman.gateway.port import Facts, Port
from pointsman.gateway.race import Ended, Race
from pointsman.gateway.trip import Trip
from pointsman.gateway.turns import turn
from pointsman.pools.anteroom import Anteroom
from pointsman.pools.pool import Lease

OVERDUE_S = 0.5
"""How long after the deadline a request may still be sending its end to a slow client."""
LATE_S = 0.1
"""A timer that rings this late tells of a process that stood still."""


class Means(NamedTuple):
    """What the gateway was given, and shares with the handling of each request."""

    upstream: Upstream
    sink: Sink
    clock: Clock
    rng: Random
    budget: RetryBudget
    admission: Admission
    departures: Departures


class Handling:
    """One request from its decision to its record: takes the machine's commands, carries them out, hands back events."""

    def __init__(self, means: Means, graph: Graph, dispatch: Dispatch, trip: Trip, port: Port) -> None:
        """`dispatch` is that of the graph."""
        self._graph, self._trip, self._port = graph, trip, port
        self._sink, self._clock, self._rng, self._budget = means.sink, means.clock, means.rng, means.budget
        self._admission = means.admission
        self._departures = means.departures
        self._dispatch = dispatch
        self._task = asyncio.current_task()
        self._machine: Machine | None = None
        self._current: Journey | None = None
        self._entrance = Entrance(means.admission)
        self._race: Race | None = None
        self._look_at: float | None = None  # when the machine wants to look at a race again
        self._means = means
        self._examination: Examination | None = None
        # Attempt -> what came of it, where answers are judged: the one that is given need not be the last.
        self._journeys: dict[int, Journey] = {}
        self._is_settled = False
        self._overdue: asyncio.TimerHandle | None = None
        self._is_over = self._was_overdue = False
        self._opening = Opening(port, trip)

    @property
    def record_id(self) -> str:
        return self._trip.id

    async def run(self) -> None:
        try:
            await self._run()
        except PointsmanError:
            await self._opening.stop()  # a keep-alive behind the error would be one word too many
            raise

    async def _run(self) -> None:
        trip, request, graph = self._trip, self._trip.request, self._graph
        if request.is_embedding:
            pool = graph.names.embedding_pool(request.model, request.caller)
            named = graph.names.look_up(request.model, request.caller)
            meaning = Meaning(named.route, pools=(pool.name,), home=named.tier or named.home, provider=named.provider)
        else:
            meaning = graph.names.look_up(request.model, request.caller)
        trip.route = route = graph.names.route(meaning)
        trip.ladder = route.ladder
        trip.models = graph.models
        trip.decision = graph.decide(request, meaning, trip.arrived)
        if graph.is_open(trip.decision):
            asking = Asking(self._means.upstream, graph.fleet, self._clock, self._rng, request.caller)
            trip.questions = asking.questions
            trip.decision = await graph.considered(request, meaning, trip.decision, trip.arrived, asking)
        if route.cascade is not None:
            trip.decision = graph.entered(route, request, trip.decision, trip.arrived)
        way = graph.way(request, trip.decision, meaning)
        trip.pools, trip.barred = way.pools, way.barred
        await self._climb(route, way)

    async def _climb(self, route: RouteSettings, way: Way) -> None:
        trip = self._trip
        deadline = self._graph.deadline(trip.request, route, trip.arrived)
        asyncio.get_running_loop().call_soon(self._keep_time, route, deadline)  # while the upstream thinks: nothing is due before
        entry = enter(way, self._graph.fleet, trip.arrived, self._rng, ttft_slo_s=trip.request.limits.ttft_slo_s)
        is_contested = entry.is_stuck or self._admission.is_contested(entry.place)
        has_waited = not self._entrance.step_in(None if is_contested else self._graph.fleet.step_in(entry.place, trip.arrived))
        if has_waited:
            way = await self._stand_in_line(way, deadline)
        elif entry.escalation is not None:
            way, trip.escalations = entry.way, (entry.escalation,)
            trip.entry = trip.escalations
        anteroom = self._graph.anteroom(way)
        if anteroom is not None and anteroom.must_wait(self._clock.now() if has_waited else trip.arrived):
            has_waited = True
            await self._wait_to_be_read(anteroom, way, deadline)
        plan = self._graph.plan(trip.request, route, way, trip.arrived, deadline, trip.decision)
        self._machine = machine = Machine(plan, self._budget, self._rng)
        if plan.deferral is not None:
            self._judges(plan, plan.deferral)
        if plan.hedge is not None or (plan.deferral is not None and plan.deferral.beside_after_s is not None):
            self._race = Race(self._clock, lambda journey: self._dispatch.close(journey, trip, "cancelled"))
        commands = machine.start(self._clock.now() if has_waited else None)
        while True:
            event: Event | None = None
            for command in commands:
                event = await self._perform(command, plan.deadline) or event
            if machine.is_done:
                return
            if event is None and self._race is not None and self._race.is_on:
                event = await self._next_of_race(self._race)
            if event is None:
                raise RuntimeError(f"the machine waits for nothing: {machine!r}")
            commands = machine.on(event)
            if self._journeys and isinstance(event, Verified):
                self._hold_on(event.attempt, commands)
            trip.escalations = trip.entry + machine.escalations

    async def _wait_to_be_read(self, anteroom: Anteroom, way: Way, deadline: float) -> None:
        """Waits until an endpoint of the first rung's pool has less to read. Raises Shed, when the promise cannot be kept any more;
        DeadlineExceeded."""
        trip, tier, now = self._trip, way.rungs[0].tier, self._clock.now()
        self._entrance.unhold()
        limit_s = self._graph.promised_s(tier, trip.request.limits.ttft_slo_s)
        trip.guest = guest = await turn(anteroom, trip.request, self._clock, limit_s=limit_s - (now - trip.arrived), deadline=deadline,
                                        arrived=trip.arrived)
        trip.queued_s = (trip.queued_s or 0.0) + self._clock.now() - now
        if guest.endpoint is None:
            raise self._admission.refusal(tier, f"its first token would come later than the {limit_s:.3g} s that it may take", tier)

    async def _stand_in_line(self, way: Way, deadline: float) -> Way:
        """Waits until the decided tier, or one above it, has room. Raises Shed, DeadlineExceeded."""
        trip, request, admission, fleet = self._trip, self._trip.request, self._admission, self._graph.fleet
        places = places_to_wait_for(way, fleet)
        place, decided = next(iter(places.items()))
        now = self._clock.now()
        if not admission.must_wait(place, now) and fleet.is_served(place, now):
            return way
        tier = self._graph.settings.tiers[decided]
        promise_s = tier.queue.longest_wait_s(tier.sla)
        if tier.queue.max_wait_s is None and fleet.is_starting(place, now):
            promise_s = tier.scale.boot_s
        if request.limits.ttft_slo_s is not None:
            promise_s = min(promise_s, request.limits.ttft_slo_s)
        try:
            entered = await admission.wait(
                decided, tuple(places), tier.queue, tenant=request.share_of, priority=request.priority, size=request.needs.context,
                max_wait_s=max(0.0, min(promise_s, deadline - now)))
        except Shed:
            if self._clock.now() >= deadline - TIMER_SLACK_S:
                raise DeadlineExceeded(f"waiting for a place on tier {decided!r}", round(deadline - trip.arrived, 3)) from None
            raise
        finally:
            trip.queued_s = self._clock.now() - now
        self._entrance.let_in(entered)
        if places[entered] == decided:
            return way
        reason = SATURATED if fleet.is_served(place, self._clock.now()) else FAILED
        trip.entry = trip.escalations = (Escalation(decided, places[entered], reason),)
        return entered_at(way, places[entered], reason)

    async def _perform(self, command: Command, deadline: float) -> Event | None:
        match command:
            case Call(attempt=attempt):
                race = self._race
                if race is not None and (race.is_on or attempt == 1):
                    race.start(command, self._attempt_beside)
                    return None
                self._current, event = await self._attempt(command)
                return event
            case Commit(attempt):
                if self._journeys:
                    self._current = self._journeys.get(attempt, self._current)
                return await self._commit(deadline)
            case Accept():
                await self._accept()
            case GiveUp(error):
                raise error
            case Wake(at):
                if self._race is not None and self._race.is_on:
                    self._look_at = at
                    return None
                await asyncio.sleep(max(0.0, at - self._clock.now()))
                return Tick(self._clock.now())
            case Verify(attempt):
                return await self._verify(attempt, deadline)
            case Cancel(attempt):
                raced = self._race is not None and await self._race.cancel(attempt)
                journey = self._journeys.get(attempt, None if raced else self._current)
                if journey is not None:
                    self._dispatch.close(journey, self._trip, "cancelled")
        return None

    async def _attempt(self, command: Call, leased: Callable[[Lease | None], None] | None = None) -> Ended:
        machine = self._machine
        if machine is None:
            raise RuntimeError("a call without a machine")
        ended = await self._dispatch.call(
            command, self._trip, machine.reason_of(command.attempt), desperate=machine.is_desperate,
            leased=leased or self._entrance.over)
        if self._examination is not None and ended[0] is not None:
            self._journeys[command.attempt] = ended[0]
        return ended

    # -- is the answer good enough? ------------------------------------------------------------------------

    def _judges(self, plan: Plan, deferral: Deferral) -> None:
        """Answers of this request are looked at."""
        trip, of = self._trip, self._graph.cascades.of
        trip.deadline = plan.deadline
        trip.verifications = {tier: found for tier in deferral.holds if (found := of(trip.route.name, tier, deferral.task)) is not None}
        asking = Asking(self._means.upstream, self._graph.fleet, self._clock, self._rng, trip.request.caller)
        self._examination = Examination(self._clock, asking, by_evidence=deferral.mode == BENEFIT)

    async def _verify(self, attempt: int, deadline: float) -> Verified:
        journey = self._journeys.get(attempt)
        verification = self._trip.verifications.get(journey.call.tier) if journey is not None else None
        if journey is None or verification is None or self._examination is None:
            return Verified(attempt, None, self._clock.now())
        if journey.reply is not None:
            self._dispatch.close(journey, self._trip, "answered")  # whatever is said of it, its endpoint is done
        score = await self._examination.examine(journey, verification, self._trip, deadline)
        self._graph.cascades.heard(self._trip.route.name, journey.call.tier, spoke=score is not None)
        return Verified(attempt, score, self._clock.now())

    def _hold_on(self, attempt: int, commands: tuple[Command, ...]) -> None:
        """A beginning that was neither good nor bad enough goes on being held, beside what the machine calls now."""
        journey, race = self._journeys.get(attempt), self._race
        if journey is None or race is None or journey.reply is not None:
            return
        if commands and all(isinstance(command, Call) for command in commands):
            race.go_on(attempt, self._dispatch.hold(journey, self._trip), journey.lease.endpoint.id)

    # -- attempts beside each other ------------------------------------------------------------------------

    async def _attempt_beside(self, command: Call) -> Ended:
        """An attempt of a race: at none of the endpoints that the other one holds."""
        race = self._race
        if race is None:
            raise RuntimeError("an attempt of a race that is none")

        def leased(lease: Lease | None) -> None:
            self._entrance.over(lease)
            if lease is not None:
                race.holds(command.attempt, lease.endpoint.id)

        return await self._attempt(msgspec.structs.replace(command, exclude=command.exclude | race.endpoints), leased)

    async def _next_of_race(self, race: Race) -> Event:
        at, self._look_at = self._look_at, None
        attempt, (journey, event) = await race.next(at)
        if attempt:
            self._current = journey
        return event

    async def _commit(self, deadline: float) -> Event | None:
        """A stream begins to flow; a plain answer is sent by Accept, which always follows at once."""
        trip, current = self._trip, self._current
        is_going_on = trip.committed_at is not None
        if not is_going_on:
            trip.committed_at = self._clock.now()
        if current is None or not trip.request.stream:
            return None
        if current.holding is not None:
            trip.hold = held_as(current.call.hold)
        if is_going_on:
            if trip.told is not None and trip.told.is_departure:
                self._departures.count("continued")
        else:
            trip.told = current.told
            await self._opening.stop()
            await self._port.begin(self._facts_now(current))
        if current.reply is not None:  # it was complete before anything could begin to flow
            await self._port.events(shown(current, current.held) if current.hides_logprobs else current.held, None)
            return None
        return await self._dispatch.flow(current, trip, self._port, deadline)

    async def _accept(self) -> None:
        current, trip = self._current, self._trip
        if current is None or current.reply is None:
            raise RuntimeError("Accept without an answer")
        reply = current.reply
        self._dispatch.close(current, trip, "answered")
        if not trip.request.is_embedding:
            self._graph.answered(trip.request, trip.decision, current.call.tier, current.lease.endpoint.pool, self._clock.now())
        if self._journeys:
            trip.answered = current.call.attempt
            if current.hides_logprobs:
                reply = msgspec.structs.replace(reply, body=stripped(reply.body, current.lease.endpoint.engine))
        last = trip.last.usage if trip.last is not None else None
        trip.usage = last if trip.told is None else trip.told.usage(last)
        if trip.keeps_content and reply.body:
            trip.heard.append(reply.body)
        self.settle(None)
        if trip.request.stream:
            await self._port.end()
        else:
            await self._port.reply(reply, self.facts())

    def _facts_now(self, current: Journey) -> Facts:
        """Facts at the commit of a stream: the running attempt counts, its cost is what it is expected to be."""
        trip = self._trip
        endpoint = current.lease.endpoint
        if current.is_closed:  # it was whole before it was judged
            nano, basis = trip.cost()
            return trip.facts(tier=current.call.tier, pool=endpoint.pool, endpoint=endpoint.id, outside=self._clock.now(),
                              cost_nano_usd=nano, cost_basis=basis, native=current.is_native)
        return trip.facts(tier=current.call.tier, pool=endpoint.pool, endpoint=endpoint.id,
                          attempts=len(trip.attempts) + 1, outside=current.started,
                          cost_nano_usd=self._dispatch.expected_cost(current, trip), cost_basis="expected",
                          native=current.is_native)

    def facts(self) -> Facts:
        """Facts when all is done."""
        trip = self._trip
        last = trip.last
        nano, basis = trip.cost()
        return trip.facts(tier=last.tier if last else "", pool=last.pool if last else "",
                          endpoint=last.endpoint if last else "", cost_nano_usd=nano, cost_basis=basis,
                          outside=self._clock.now())

    # -- cut short -----------------------------------------------------------------------------------------

    def _keep_time(self, route: RouteSettings, deadline: float) -> None:
        """Sets the timers."""
        self._guard(deadline + OVERDUE_S)
        if self._trip.request.stream and self._trip.committed_at is None and not self._is_settled:
            self._opening.set(route.open_after_s)

    def _guard(self, until: float) -> None:
        if not self._is_over:
            self._overdue = asyncio.get_running_loop().call_at(until, self._is_overdue, until)

    def _is_overdue(self, until: float) -> None:
        """Every wait for an upstream ends by the deadline; only a client that does not read can hold us beyond.

        Rung late it was this process that stood still: what else was due by then, such as the proper end, comes first.
        """
        now = asyncio.get_running_loop().time()
        if now - until > LATE_S:
            self._guard(now + OVERDUE_S)
            return
        self._was_overdue = True
        if self._task is not None:
            self._task.cancel()

    async def cut(self) -> None:
        """The task was cancelled: by a leaving client, by the deadline of one that does not read, or by a stop.

        Raises CancelledError again when the client is gone.
        """
        await self._opening.stop()
        if self._was_overdue:
            await self._cut_overdue()
        elif self._port.is_gone:
            self.settle(ClientGoneError())
            raise asyncio.CancelledError
        else:
            error = Stopped()
            self.settle(error)
            await self._port.fail(error, self.facts())

    async def _cut_overdue(self) -> None:
        """Who has been told nothing yet did not refuse to read: it is this process that was late (a machine that stood still),
        and the client gets its error."""
        is_told = self._trip.committed_at is not None or self._opening.is_open
        phase = "sending to a client that does not read" if is_told else "waiting for an answer"
        error = DeadlineExceeded(phase, self._trip.route.deadline_s)
        self.settle(error)
        if is_told:
            self._port.abort()
        else:
            await self._port.fail(error, self.facts())

    # -- the end -------------------------------------------------------------------------------------------

    def settle(self, error: PointsmanError | None) -> None:
        """Closes what is open and writes the one record. Idempotent."""
        if self._is_settled:
            return
        self._is_settled = True
        trip = self._trip
        if self._machine is not None:
            if isinstance(error, ClientGoneError):
                self._machine.on(ClientGone())
            trip.escalations = trip.entry + self._machine.escalations
        if self._current is not None:
            self._dispatch.close(self._current, trip, "cancelled" if error else "answered")
        for journey in self._journeys.values():
            self._dispatch.close(journey, trip, "cancelled")
        if error is not None and trip.told is not None and trip.told.is_departure and not isinstance(error, ClientGoneError):
            self._departures.count("failed")
        if trip.checks:
            self._graph.heard(trip.request, trip.decision, trip.checks)
        if trip.usage is None and (last := trip.last) is not None:
            trip.usage = last.usage
        is_open = trip.committed_at is not None or self._opening.is_open
        is_seen = is_open and trip.request.stream and not isinstance(error, ClientGoneError)
        status = 200 if error is None or is_seen else error.client_status
        self._sink.write(trip.record(self._clock.now(), error, status))

    def close(self) -> None:
        """Last of all: no timer and no task outlives its request."""
        self._is_over = True
        self._entrance.over()
        if self._trip.guest is not None:
            self._trip.guest.leave(self._clock.now())
        if self._race is not None:
            self._race.abandon()
        if self._overdue is not None:
            self._overdue.cancel()
        self._opening.close()
