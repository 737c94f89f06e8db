"""Hedged requests through the gateway: two attempts at once, one answer, nothing left."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any, cast

import msgspec
import pytest

from pointsman import errors
from pointsman.cascade.events import Call
from pointsman.core.settings import HedgeSettings, RouteSettings, TierSettings
from pointsman.gateway.gateway import Gateway
from pointsman.gateway.race import Ended, Race
from pointsman.testing import virtual_time
from pointsman.testing.factories import a_pool, a_request, a_settings
from pointsman.testing.ports import HeardPort, ListSink
from pointsman.testing.upstream import Play, ScriptedUpstream
from pointsman.testing.virtual_time import LoopClock
from pointsman.wiring import build_graph

ROUTE = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), deadline_s=5.0)
SETTINGS = msgspec.structs.replace(
    a_settings(a_pool("small", "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"), route=ROUTE),
    tiers={"small": TierSettings("small", ("small",), hedge=HedgeSettings(after_s=0.005, max_share=0.5))})

SLOW, GOOD = Play(waits=True), Play()


def played(*plays: Play, stream: bool, leaves: bool = False):
    """Runs one request; leaving happens once both attempts are under way."""
    async def story():
        upstream, sink, port = ScriptedUpstream(list(plays)), ListSink(), HeardPort()
        gateway = Gateway(build_graph(SETTINGS), upstream, sink, LoopClock(), Random(1))
        task = asyncio.ensure_future(gateway.handle(a_request(stream=stream), port))
        while leaves and len(upstream.calls) < 2:
            await asyncio.sleep(0.001)
        if leaves:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (upstream.open_streams, gateway.graph.fleet.in_flight, len(asyncio.all_tasks())) == (0, 0, 1)
        (record,) = sink.records
        return upstream, port, record

    return virtual_time.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_endpoint_is_passed_by_another_one(stream):
    upstream, port, record = played(SLOW, GOOD, stream=stream)

    assert len(set(upstream.calls)) == 2
    assert port.error is None
    assert record.outcome == "answered"
    assert [(a.number, a.reason, a.outcome) for a in record.attempts] == [(1, "chosen", "cancelled"), (2, "hedge", "answered")]


@pytest.mark.parametrize("stream", [False, True])
def test_a_quick_answer_is_not_hedged(stream):
    upstream, _, record = played(GOOD, stream=stream)

    assert len(upstream.calls) == 1
    assert record.outcome == "answered"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_both(stream):
    upstream, _, record = played(SLOW, stream=stream, leaves=True)

    assert len(upstream.calls) == 2
    assert (record.outcome, [a.outcome for a in record.attempts]) == ("cancelled", ["cancelled", "cancelled"])


def test_a_hedge_that_fails_leaves_the_first_alone():
    failure = Play(error=errors.UpstreamFailed("500", upstream_status=500), before=True, events=0)
    _upstream, _, record = played(SLOW, failure, stream=True, leaves=True)

    assert record.outcome == "cancelled"
    assert {a.outcome for a in record.attempts} == {"cancelled", "failed"}


class Journeys:
    """Attempts of a race that take their time to end, and what is discarded of them."""

    def __init__(self) -> None:
        self.ended: list[int] = []
        self.discarded: list[object] = []
        self.race = Race(LoopClock(), self.discarded.append)

    async def perform(self, call: Call) -> Ended:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            self.ended.append(call.attempt)
        raise AssertionError("it waits for ever")

    async def answers_when_cancelled(self, call: Call) -> Ended:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return cast(Any, (f"journey {call.attempt}", None))


def test_a_race_that_is_stopped_twice_leaves_nobody_running():
    """The client leaves, and before both sockets are closed the process is told to stop at once."""
    async def story() -> None:
        journeys = Journeys()
        for attempt in (1, 2):
            journeys.race.start(Call(attempt, "small"), journeys.perform)
        waiting = asyncio.create_task(journeys.race.next())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0.01)

        assert sorted(journeys.ended) == [1, 2]
        assert len(asyncio.all_tasks()) == 1

    virtual_time.run(story())


def test_what_a_loser_came_to_is_discarded_even_when_nobody_waits_for_it_any_more():
    async def story() -> None:
        journeys = Journeys()
        journeys.race.start(Call(1, "small"), journeys.answers_when_cancelled)
        await asyncio.sleep(0)
        cancelling = asyncio.create_task(journeys.race.cancel(1))
        await asyncio.sleep(0)
        cancelling.cancel()
        await asyncio.gather(cancelling, return_exceptions=True)
        await asyncio.sleep(0.01)

        assert journeys.discarded == ["journey 1"]

    virtual_time.run(story())


def test_a_race_that_is_abandoned_ends_by_itself():
    async def story() -> None:
        journeys = Journeys()
        journeys.race.start(Call(1, "small"), journeys.perform)
        journeys.race.start(Call(2, "small"), journeys.answers_when_cancelled)
        await asyncio.sleep(0)
        journeys.race.abandon()
        await asyncio.sleep(0.01)

        assert (journeys.race.is_on, journeys.ended, journeys.discarded) == (False, [1], ["journey 2"])

    virtual_time.run(story())
