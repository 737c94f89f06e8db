"""Hedged requests through the gateway: two attempts at once, one answer, nothing left."""

from __future__ import annotations

import asyncio
from random import Random

import msgspec
import pytest

from pointsman import errors
from pointsman.core.clock import SystemClock
from pointsman.core.settings import HedgeSettings, RouteSettings, TierSettings
from pointsman.gateway.gateway import Gateway
from pointsman.testing.factories import a_pool, a_request, a_settings
from pointsman.testing.ports import HeardPort, ListSink
from pointsman.testing.upstream import Play, ScriptedUpstream
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
        gateway = Gateway(build_graph(SETTINGS), upstream, sink, SystemClock(), Random(1))
        task = asyncio.ensure_future(gateway.handle(a_request(stream=stream), port))
        while leaves and len(upstream.calls) < 2:
            await asyncio.sleep(0.001)
        if leaves:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (upstream.open_streams, gateway.graph.fleet.in_flight, len(asyncio.all_tasks())) == (0, 0, 1)
        (record,) = sink.records
        return upstream, port, record

    return asyncio.run(story())


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
