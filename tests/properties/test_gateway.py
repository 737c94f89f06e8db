"""Whatever upstreams do and whenever the client leaves: one ending, one record, no lease and no stream left."""

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman import errors
from pointsman.core.settings import RouteSettings
from pointsman.gateway.gateway import Gateway
from pointsman.testing import virtual_time
from pointsman.testing.factories import a_pool, a_request, a_settings
from pointsman.testing.ports import HeardPort, ListSink
from pointsman.testing.upstream import Play, ScriptedUpstream
from pointsman.testing.virtual_time import LoopClock
from pointsman.wiring import build_graph

ROUTE = RouteSettings("auto", ladder=("small", "large"), default_tier="small", pipeline=("pinned:small",),
                      deadline_s=5.0, open_after_s=60.0)
SETTINGS = a_settings(a_pool("small", "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"),
                      a_pool("large", "http://127.0.0.1:3/v1"), route=ROUTE)

an_error = st.sampled_from([
    lambda: errors.ConnectFailed("refused", sent=False),
    lambda: errors.ConnectionLost("cut"),
    lambda: errors.FirstTokenTimeout("slow"),
    lambda: errors.StreamStalled("stalled"),
    lambda: errors.BadAnswer("html"),
    lambda: errors.UpstreamFailed("500", upstream_status=500),
    lambda: errors.UpstreamOverloaded("full", upstream_status=503),
    lambda: errors.RateLimited("slow down", upstream_status=429, retry_after_s=3.0),
    lambda: errors.CredentialRefused("401", upstream_status=401),
    lambda: errors.Misconfigured("404", upstream_status=404),
    lambda: errors.RequestRefused("bad", upstream_status=422),
])
a_play = st.builds(
    lambda events, error, before: Play(events, error() if error else None, before),
    st.integers(0, 3), st.none() | an_error, st.booleans(),
)


async def run(plays, stream, leave_after):
    upstream, sink, port = ScriptedUpstream(plays), ListSink(), HeardPort()
    gateway = Gateway(build_graph(SETTINGS), upstream, sink, LoopClock(), Random(1))
    task = asyncio.ensure_future(gateway.handle(a_request(stream=stream), port))
    for _ in range(leave_after if leave_after is not None else 0):
        await asyncio.sleep(0)
    if leave_after is not None:
        task.cancel()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    return gateway, upstream, sink, port, result


@settings(max_examples=400, deadline=None)
@given(st.lists(a_play, min_size=1, max_size=6), st.booleans(), st.none() | st.integers(0, 30))
def test_one_request_one_record_and_nothing_left(plays, stream, leave_after):
    gateway, upstream, sink, port, result = virtual_time.run(run(plays, stream, leave_after))

    assert not isinstance(result, Exception), repr(result)
    left = isinstance(result, asyncio.CancelledError)
    assert gateway.in_flight == 0
    assert gateway.graph.fleet.in_flight == 0
    assert upstream.open_streams == 0
    assert port.endings == (0 if left and port.endings == 0 else 1)
    started = left and not sink.records  # cancelled before it could begin at all
    assert len(sink.records) == (0 if started else 1)
    if sink.records:
        (record,) = sink.records
        assert len(record.attempts) == len(upstream.calls)
        assert sum(a.sent for a in record.attempts) <= 3
        assert (record.outcome == "answered") == (port.error is None and record.error is None)
        if port.error is not None:
            assert record.error == port.error.code
        if record.cost_nano_usd is not None:
            assert record.cost_nano_usd == sum(a.cost_nano_usd for a in record.attempts)


def test_a_waiting_request_that_is_left_is_cancelled_everywhere():
    async def story():
        upstream, sink, port = ScriptedUpstream([Play(waits=True)]), ListSink(), HeardPort()
        gateway = Gateway(build_graph(SETTINGS), upstream, sink, LoopClock(), Random(1))
        task = asyncio.ensure_future(gateway.handle(a_request(stream=True), port))
        for _ in range(1000):  # turns
            if upstream.open_streams:
                break
            await asyncio.sleep(0)
        assert upstream.open_streams
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (upstream.open_streams, gateway.graph.fleet.in_flight) == (0, 0)
        assert [(r.outcome, r.status) for r in sink.records] == [("cancelled", 499)]

    virtual_time.run(story())
