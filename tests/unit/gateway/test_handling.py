from __future__ import annotations

import asyncio
from random import Random

import msgspec

from pointsman.core.request import Needs
from pointsman.core.settings import QueueSettings, RouteSettings, TierSettings
from pointsman.errors import PointsmanError, Shed
from pointsman.gateway import handling
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.port import Facts
from pointsman.pools.shared_count import SharedCount
from pointsman.testing import virtual_time
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint
from pointsman.testing.ports import HeardPort, ListSink
from pointsman.testing.upstream import Play, ScriptedUpstream
from pointsman.testing.virtual_time import LoopClock
from pointsman.wiring import build_graph

ROUTE = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), open_after_s=0.01)
SETTINGS = msgspec.structs.replace(
    a_settings(a_pool("small", endpoints=(an_endpoint(slots=1),)), route=ROUTE),
    tiers={"small": TierSettings("small", ("small",), queue=QueueSettings(max_wait_s=0.03))})


class SlowToHear(HeardPort):
    """A client that takes its time to read the error."""

    async def fail(self, error: PointsmanError, facts: Facts) -> None:
        await super().fail(error, facts)
        await asyncio.sleep(0.05)


def test_no_keep_alive_follows_the_error_of_a_stream_that_waited_in_vain():
    async def story() -> None:
        sink, port, busy = ListSink(), SlowToHear(), HeardPort()
        gateway = Gateway(build_graph(SETTINGS), ScriptedUpstream([Play(waits=True)]), sink, LoopClock(), Random(1))
        running = asyncio.ensure_future(gateway.handle(a_request(), busy))
        await asyncio.sleep(0)

        await gateway.handle(a_request(stream=True), port)

        assert isinstance(port.error, Shed)
        assert port.said[0] == "open"
        assert port.said[-1] == "fail"
        (record,) = sink.records
        assert (record.outcome, record.error, record.attempts) == ("rejected", "overloaded", ())
        assert record.queued_s is not None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert (gateway.in_flight, gateway.graph.fleet.in_flight, len(asyncio.all_tasks())) == (0, 0, 1)

    virtual_time.run(story())


def test_who_found_a_slot_free_is_not_recorded_as_having_waited():
    async def story() -> None:
        sink, port = ListSink(), HeardPort()
        gateway = Gateway(build_graph(SETTINGS), ScriptedUpstream(), sink, LoopClock(), Random(1))

        await gateway.handle(a_request(stream=True), port)

        assert [record.queued_s for record in sink.records] == [None]

    virtual_time.run(story())


class Deaf(HeardPort):
    """A client that never takes its first event."""

    async def begin(self, facts: Facts) -> None:
        await super().begin(facts)
        await asyncio.Event().wait()


def is_cut(monkeypatch, *, late_s):
    """Whether a stream to a deaf client is cut at its deadline, where a timer may ring so late."""
    monkeypatch.setattr(handling, "OVERDUE_S", 0.001)
    monkeypatch.setattr(handling, "LATE_S", late_s)
    route = msgspec.structs.replace(ROUTE, deadline_s=0.01)
    settings = msgspec.structs.replace(SETTINGS, routes={"auto": route})

    async def story():
        port = Deaf()
        gateway = Gateway(build_graph(settings), ScriptedUpstream(), ListSink(), LoopClock(), Random(1))
        running = asyncio.ensure_future(gateway.handle(a_request(stream=True), port))
        await asyncio.wait((running,), timeout=0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return port.is_aborted

    return virtual_time.run(asyncio.wait_for(story(), 5))


def test_a_client_that_does_not_read_is_cut_when_its_time_is_over(monkeypatch):
    assert is_cut(monkeypatch, late_s=60.0)


def test_a_process_that_stood_still_lets_what_else_was_due_come_first(monkeypatch):
    assert not is_cut(monkeypatch, late_s=-1.0)


def beside_another_process(slots: int):
    """A gateway before one endpoint that is known to read 5,000 tokens a second, and what another process sees there."""
    tier = TierSettings("small", ("small",), queue=QueueSettings(max_wait_s=30.0))
    settings = msgspec.structs.replace(
        a_settings(a_pool("small", endpoints=(an_endpoint(slots=slots),), balancer="prefix"), route=ROUTE), tiers={"small": tier})
    upstream = ScriptedUpstream([Play(waits=True) for _ in range(3)])
    gateway = Gateway(build_graph(settings), upstream, ListSink(), LoopClock(), Random(1))
    (endpoint,) = gateway.graph.fleet.pools["small"].endpoints
    for ahead in range(100, 3_000, 100):
        endpoint.vitals.forecast.learn(ahead, 0.05 + ahead * 0.0002)
    board = memoryview(bytearray(16)).cast("q")
    endpoint.vitals.share(SharedCount.at(board, 0, 0, 2))
    return gateway, endpoint, SharedCount.at(board, 0, 1, 2)


def ask(gateway: Gateway, tokens: int, *, stream: bool = True):
    return asyncio.ensure_future(gateway.handle(a_request("word " * tokens, stream=stream, needs=Needs(context=tokens)), HeardPort()))


def test_who_waits_to_be_read_holds_no_place_in_sight_of_other_processes():
    async def story() -> None:
        gateway, endpoint, other = beside_another_process(slots=2)
        reading = ask(gateway, 5_000)
        await asyncio.sleep(0.01)
        waiting = ask(gateway, 100)
        await asyncio.sleep(0.01)

        room = gateway.graph.fleet.pools["small"].anteroom
        assert (len(room), other.elsewhere(), endpoint.vitals.held) == (1, 1, 0)

        reading.cancel()
        await asyncio.sleep(0.01)
        assert (len(room), other.elsewhere(), endpoint.vitals.in_flight, endpoint.vitals.held) == (0, 1, 1, 0)
        waiting.cancel()
        await asyncio.gather(reading, waiting, return_exceptions=True)
        assert (other.elsewhere(), endpoint.vitals.held) == (0, 0)

    virtual_time.run(story())


def test_who_was_let_in_and_waits_to_be_read_is_counted_here_and_hidden_from_others():
    async def story() -> None:
        gateway, endpoint, other = beside_another_process(slots=2)
        plain = ask(gateway, 10, stream=False)
        await asyncio.sleep(0.01)
        reading = ask(gateway, 5_000)
        await asyncio.sleep(0.01)
        in_line = [ask(gateway, 100) for _ in range(2)]
        await asyncio.sleep(0.01)
        admission, room = gateway.admission, gateway.graph.fleet.pools["small"].anteroom
        assert (admission.waiting("small"), len(room)) == (2, 0)

        plain.cancel()
        await asyncio.sleep(0.01)
        assert (admission.waiting("small"), len(room), admission._entering["small"]) == (1, 1, 1)
        assert (other.elsewhere(), endpoint.vitals.held) == (1, 0)

        reading.cancel()
        await asyncio.sleep(0.6)
        assert (other.elsewhere(), endpoint.vitals.held, endpoint.vitals.in_flight) == (2, 0, 2)
        for task in in_line:
            task.cancel()
        await asyncio.gather(reading, plain, *in_line, return_exceptions=True)
        assert (other.elsewhere(), endpoint.vitals.held, admission._entering["small"], len(room)) == (0, 0, 0, 0)

    virtual_time.run(story())
