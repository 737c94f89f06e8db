"""Answers requests: decide, dispatch, verify, remember. The door through which everything above reaches the path."""

from __future__ import annotations

import asyncio
import logging
from random import Random

from pointsman.cascade.budget import RetryBudget
from pointsman.core.clock import Clock
from pointsman.core.decision import Decision
from pointsman.core.protocols import Sink, Upstream
from pointsman.core.record import new_record_id
from pointsman.core.request import Caller, ChatRequest, Kind
from pointsman.core.traces import untraced
from pointsman.errors import Draining, PointsmanError, RequestError
from pointsman.gateway.admission import Admission
from pointsman.gateway.asking import Asking
from pointsman.gateway.departures import Departures
from pointsman.gateway.dispatch import Dispatch
from pointsman.gateway.graph import Graph
from pointsman.gateway.handling import Handling, Means
from pointsman.gateway.port import Port
from pointsman.gateway.service_log import tell_change
from pointsman.gateway.trip import Trip

_log = logging.getLogger(__name__)
_BROKEN_INSIDE = "the router itself failed; the log has the traceback"


class Gateway:
    """Answers requests: decide, dispatch, verify, remember."""

    def __init__(self, graph: Graph, upstream: Upstream, sink: Sink, clock: Clock, rng: Random) -> None:
        self._graph = graph
        self.admission, self.departures = Admission(graph.fleet, clock), Departures()
        graph.fleet.on_release.append(self.admission.wake)
        graph.fleet.on_change.append(tell_change)
        self.is_draining = False
        # Requests under way. Returns to zero when the last one has left its record.
        self.in_flight = 0
        self._sink, self._clock, self._rng = sink, clock, rng
        self._means = Means(upstream, sink, clock, rng, RetryBudget(), self.admission, self.departures)
        self._dispatch = self._dispatch_of(graph)

    @property
    def graph(self) -> Graph:
        """What new requests go by. Setting it leaves those under way on the one they began with."""
        return self._graph

    @graph.setter
    def graph(self, graph: Graph) -> None:
        graph.fleet.on_release.append(self.admission.wake)
        graph.fleet.on_change.append(tell_change)
        self._graph, self.admission.rooms = graph, graph.fleet
        self._dispatch = self._dispatch_of(graph)
        if self.departures.notices:
            self.departures.keep({endpoint.id for pool in graph.fleet.pools.values() for endpoint in pool.endpoints
                                  if endpoint.vitals.is_draining})

    def _dispatch_of(self, graph: Graph) -> Dispatch:
        means = self._means
        return Dispatch(means.upstream, graph.fleet, means.budget, means.departures, means.clock, means.rng)

    async def decide(self, request: ChatRequest) -> Decision:
        """The decision alone, with its table of candidates; leaves a record of kind `decide`. Raises what `handle` would tell the client."""
        trip = self._trip(request)
        try:
            meaning = self.graph.names.look_up(request.model, request.caller)
            trip.route = self.graph.names.route(meaning)
            graph, now = self.graph, self._clock.now()
            trip.decision = decision = graph.decide(request, meaning, now)
            if graph.is_open(decision):
                asking = Asking(self._means.upstream, graph.fleet, self._clock, self._rng, request.caller)
                trip.questions = asking.questions
                trip.decision = decision = await graph.considered(request, meaning, decision, now, asking)
            if trip.route.cascade is not None:
                trip.decision = decision = graph.entered(trip.route, request, decision, now)
            graph.check_alternatives(request)
        except PointsmanError as error:
            self._sink.write(trip.record(self._clock.now(), error, error.client_status, kind="decide"))
            raise
        self._sink.write(trip.record(self._clock.now(), None, 200, kind="decide"))
        return graph.in_detail(request, meaning, decision, now)

    def reject(self, kind: Kind, caller: Caller, error: RequestError, client_request_id: str) -> None:
        """Leaves the record of a request that could not be read."""
        request = ChatRequest(kind, b"", "", caller=caller, client_request_id=client_request_id)
        self._sink.write(self._trip(request).record(self._clock.now(), error, error.client_status))

    def _trip(self, request: ChatRequest) -> Trip:
        settings, wall = self._graph.settings, self._clock.wall()
        first = next(iter(settings.routes.values()))
        trip = Trip(new_record_id(wall, self._rng), request, first, now=self._clock.now(), wall=wall,
                    simulated=settings.simulated)
        trip.keeps_content = settings.records.content == "all"
        return trip

    async def handle(self, request: ChatRequest, port: Port) -> None:
        """Answers one request through `port`, leaving exactly one record.

        Cancelling it means that the client left (`port.is_gone`) or that the process stops.
        """
        handling = Handling(self._means, self._graph, self._dispatch, self._trip(request), port)
        self.in_flight += 1
        try:
            if self.is_draining:
                raise Draining
            await handling.run()
        except PointsmanError as error:
            untraced(error)
            handling.settle(error)
            await port.fail(error, handling.facts())
        except asyncio.CancelledError:
            await handling.cut()
        except Exception:  # noqa: BLE001  a bug: the client gets an end, the log the traceback
            _log.exception("request %s failed inside the router", handling.record_id)
            broken = PointsmanError(_BROKEN_INSIDE)
            handling.settle(broken)
            await port.fail(broken, handling.facts())
        finally:
            handling.close()
            self.in_flight -= 1
