"""Wherever a stream breaks off, at whatever byte: the client has one whole answer, as if nothing had happened."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman import errors
from pointsman.core.fleet import EndpointSpec
from pointsman.core.reply import Usage
from pointsman.core.request import ChatRequest
from pointsman.core.settings import RouteSettings
from pointsman.gateway.gateway import Gateway
from pointsman.testing import fault_answers as answers
from pointsman.testing import virtual_time
from pointsman.testing.factories import a_pool, a_request, a_settings, an_endpoint
from pointsman.testing.ports import HeardPort, ListSink
from pointsman.testing.virtual_time import LoopClock
from pointsman.upstream.client import HttpReplyStream
from pointsman.upstream.exchange import OutOfTime
from pointsman.upstream.formats.openai_stream import StreamReader
from pointsman.wiring import build_graph

ROUTE = RouteSettings("auto", ladder=("small",), default_tier="small", pipeline=("pinned:small",), deadline_s=50.0)
SETTINGS = a_settings(a_pool("small", endpoints=tuple(
    an_endpoint(f"small/{n}", f"http://127.0.0.1:{n + 1}/v1", engine="vllm") for n in range(2))), route=ROUTE)
an_end = st.sampled_from(["lost", "clean", "stalled", "died"])
DIED = b'data: {"error":{"message":"EngineDeadError","type":"InternalServerError","code":500}}\n\n'


class Pieces:
    """The body of a response in pieces, and how it ends."""

    status, headers = 200, {}

    def __init__(self, pieces: list[bytes], end: str) -> None:
        self._pieces, self._end = pieces, end

    async def read(self, until: float) -> bytes:
        await asyncio.sleep(0)
        if self._pieces:
            return self._pieces.pop(0)
        if self._end == "lost":
            raise errors.ConnectionLost("reset")
        if self._end == "stalled":
            await asyncio.sleep(until - asyncio.get_running_loop().time())
            raise OutOfTime
        return b""

    def finish(self) -> None: ...

    def abort(self) -> None: ...


class Breaking:
    """An upstream whose first stream ends after so many bytes, in pieces cut anywhere."""

    def __init__(self, id: str, cut: float, end: str, sizes: Random) -> None:
        self.id, self.cut, self.end, self.sizes = id, cut, end, sizes
        self.asked: list[answers.Asked] = []

    async def stream(self, endpoint: EndpointSpec, request: ChatRequest, body: Sequence[bytes], *, until: float) -> HttpReplyStream:
        asked = answers.asked_of(b"".join(body), 1, 1)
        self.asked.append(asked)
        data, end = b"".join(answers.events(asked)), "clean"
        if len(self.asked) == 1:
            data, end = data[: int(len(data) * self.cut)], self.end
            if end == "died":
                data = data[: data.rfind(b"\n\n") + 2] + DIED
        pieces = []
        while data:
            size = self.sizes.randint(1, 400)
            pieces.append(data[:size])
            data = data[size:]
        return HttpReplyStream(endpoint, StreamReader(endpoint.id, request), Pieces(pieces, end))

    async def aclose(self) -> None: ...


@settings(max_examples=100)
@given(number=st.integers(0, 10_000), cut=st.floats(0, 1), end=an_end, seed=st.integers(0, 100), wants_usage=st.booleans())
def test_a_stream_that_breaks_anywhere_is_one_whole_answer(number, cut, end, seed, wants_usage):
    upstream = Breaking(f"r{number}", cut, end, Random(seed))

    async def story():
        sink, port = ListSink(), HeardPort()
        gateway = Gateway(build_graph(SETTINGS), upstream, sink, LoopClock(), Random(1))
        body = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": answers.prompt_of(upstream.id)}], "stream": True,
                                    "stream_options": {"include_usage": True}})
        await gateway.handle(a_request(answers.prompt_of(upstream.id), body=body, fields_end=len(body) - 1, stream=True, include_usage=wants_usage), port)
        assert gateway.graph.fleet.in_flight == 0
        (record,) = sink.records
        return port, record

    port, record = virtual_time.run(story())
    events = [msgspec.json.decode(data) for data in port.events_heard]
    choices = [choice for event in events for choice in event["choices"]]
    whole = len(answers.pieces_of(upstream.id))

    assert (port.error, port.endings, record.outcome) == (None, 1, "answered")
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == answers.text_of(upstream.id)
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
    assert {event["id"] for event in events} == {f"chatcmpl-{upstream.id}"}
    assert sum("role" in choice["delta"] for choice in choices) == 1
    usages = [event["usage"] for event in events if event.get("usage")]
    # A break behind the finish may have taken the usage with it: nobody knows it then.
    is_known = record.usage is not None
    assert len(usages) == (wants_usage and is_known)
    if is_known:
        # The piece at the break may be said twice in the count: once as white space.
        assert record.usage.input_tokens + record.usage.output_tokens in (answers.PROMPT_TOKENS + whole, answers.PROMPT_TOKENS + whole + 1)
        assert all(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] for usage in usages)
    assert record.usage is None or isinstance(record.usage, Usage)
