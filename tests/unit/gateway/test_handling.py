"""Ends that come from outside: the deadline of a request that nothing else has ended."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from pointsman.core.clock import SystemClock
from pointsman.core.settings import RouteSettings
from pointsman.errors import DeadlineExceeded
from pointsman.gateway import handling
from pointsman.gateway.gateway import Gateway
from pointsman.testing.factories import a_pool, a_request, a_settings
from pointsman.testing.ports import HeardPort, ListSink
from pointsman.testing.upstream import Play, ScriptedUpstream
from pointsman.wiring import build_graph

ROUTE = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), deadline_s=0.02)


class Unread(HeardPort):
    """A client that takes nothing once its answer has begun."""

    async def begin(self, facts):
        await super().begin(facts)
        await asyncio.get_running_loop().create_future()


def overdue(monkeypatch, port: HeardPort, play: Play, *, stream: bool):
    """One request that is still there when its deadline has passed: the upstream's own timers are not asked."""
    monkeypatch.setattr(handling, "OVERDUE_S", 0.0)

    async def story():
        sink = ListSink()
        gateway = Gateway(build_graph(a_settings(a_pool("small"), route=ROUTE)), ScriptedUpstream([play]), sink, SystemClock(), Random(1))
        await asyncio.gather(gateway.handle(a_request(stream=stream), port), return_exceptions=True)
        assert gateway.graph.fleet.in_flight == 0
        (record,) = sink.records
        return record

    return asyncio.run(story())


@pytest.mark.parametrize("stream", [False, True])
def test_who_has_been_told_nothing_gets_the_error_and_not_a_cut_connection(monkeypatch, stream):
    port = HeardPort(is_gone=False)
    record = overdue(monkeypatch, port, Play(waits=True), stream=stream)

    assert isinstance(port.error, DeadlineExceeded)
    assert (port.said, port.is_aborted) == (["fail"], False)
    assert (record.error, record.status) == ("deadline_exceeded", 504)


def test_who_does_not_read_is_cut(monkeypatch):
    port = Unread(is_gone=False)
    overdue(monkeypatch, port, Play(), stream=True)

    assert port.is_aborted
    assert port.error is None
