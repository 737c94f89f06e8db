"""Bytes through real sockets: what arrives at the engine is the client's but for the splices, what comes back is the engine's."""

from __future__ import annotations

import asyncio
import json
from random import Random

import pytest
import uvloop

from pointsman.config.load import load_text
from pointsman.testing import days
from pointsman.testing.model_server import ModelServer
from pointsman.testing.router import RunningRouter
from pointsman.testing.wire import chunk

SPACES = ("", "", " ", "\n", "\t ", "\r\n  ")
WORDS = ("a", "ключ", "名前", "e\u0301", "👩‍🚀", "\\u00e9", "\\/", "\\\"", "\\\\", "\\ud83d\\ude80", "\u2028", "</script>", "")
NUMBERS = ("0", "-0.0", "1E+2", "1e-400", "12345678901234567890123", "3.14000", "-9007199254740993", "0.1", "1" * 400)
USAGE = b'{"include_usage":true}'


class Writer:
    """Valid JSON in every odd way of writing it. The same seed writes the same."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)

    def space(self) -> str:
        return self._rng.choice(SPACES)

    def string(self) -> str:
        return '"' + "".join(self._rng.choices(WORDS, k=self._rng.randrange(5))) + '"'

    def value(self, depth: int) -> str:
        kind = self._rng.randrange(8 if depth > 0 else 5)
        if kind < 2:
            return self.string()
        if kind < 5:
            return self._rng.choice((*NUMBERS, "true", "false", "null"))
        inner = [self.value(depth - 1) for _ in range(self._rng.randrange(4))]
        if kind == 5:
            return f"[{self.space()}{f'{self.space()},{self.space()}'.join(inner)}]"
        # Keys repeat on purpose: these are values that nobody here reads.
        return "{" + ",".join(f'{self.space()}"{self._rng.choice("kqä")}"{self.space()}:{item}' for item in inner) + "}"

    def deep(self) -> str:
        """Sixty-three levels inside of the body's one."""
        return "[" * 31 + '{"x":' * 32 + self.string() + "}" * 32 + "]" * 31

    def body(self) -> tuple[bytes, bytes, bool]:
        """A chat body, what must arrive of it where the model is called `engine/model`, and whether it streams."""
        rng = self._rng
        turns = ",".join(
            f'{{"role":{self.space()}"user","content":{self.string()},"name":{self.string()},"x":{self.value(3)}}}'
            for _ in range(rng.randrange(1, 4)))
        fields = [("model", '"auto"'), ("messages", f"[{turns}]")]
        fields += [(f"vendor_{i}", self.value(4)) for i in range(rng.randrange(4))]
        if rng.random() < 0.1:
            fields.append(("deep", self.deep()))
        streams = rng.random() < 0.4
        if streams or rng.random() < 0.3:
            fields.append(("stream", "true" if streams else "false"))
        options = rng.random()
        if options < 0.2:
            fields.append(("stream_options", '{ "include_usage" : true , "odd":1.0e0 }'))
        elif options < 0.3:
            fields.append(("stream_options", "null"))
        rng.shuffle(fields)
        given = self._join(fields, state := rng.getstate())
        asked = dict(fields).get("stream_options")
        sent = [(k, '"engine/model"' if k == "model" else v) for k, v in fields]
        if streams and asked == "null":
            sent = [(k, USAGE.decode() if k == "stream_options" else v) for k, v in sent]
        rng.setstate(state)
        expected = self._join(sent, state)
        if streams and asked is None:
            expected = expected[:-1] + b',"stream_options":' + USAGE + b"}"
        return given, expected, streams

    def _join(self, fields: list[tuple[str, str]], state) -> bytes:
        self._rng.setstate(state)
        members = [f"{self.space()}{json.dumps(k)}{self.space()}:{self.space()}{v}" for k, v in fields]
        return ("{" + f"{self.space()},".join(members) + self.space() + "}").encode()


def before(server):
    return RunningRouter(load_text(
        f'tiers: {{only: {{model: m, endpoints: [{{url: "{server.url}", model: engine/model}}], capabilities: {{context: 100000}}}}}}'))


def test_a_thousand_bodies_arrive_as_they_were_but_for_the_splices(client):
    async def story():
        async with ModelServer(days.Answer("ok", in_one_segment=True)) as server, before(server) as router, client() as c:
            for seed in range(1000):
                given, expected, streams = Writer(seed).body()
                json.loads(given)
                heard = await c.post(f"{router.url}/chat/completions", given)
                assert heard.status == 200, (seed, heard.body)
                assert server.requests[-1].body == expected, seed
                assert heard.is_done == streams
            assert len(server.requests) == 1000

    uvloop.run(story())


PLAIN = ('{ "id":"x" ,\r\n "choices" : [ {"index":0,"message":{"role":"assistant","content":"\\u00e9\\/ é 👩‍🚀","dup":1,"dup":2},'
         '"finish_reason":"stop","vendor":12345678901234567890123}], "usage":{"prompt_tokens":1,"completion_tokens":2,'
         '"odd":1.0e0},"timings":{"a":-0.0}, "model" : "engine/model" }\n').encode()
EVENTS = [
    b'{"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}',
    '{ "id" : "x", "choices":[ {"delta":{"content":"\\u00e9 é"},"index":0, "finish_reason":null,"dup":1,"dup":2} ], "n":1.0E0 }'.encode(),
    b'{"vendor":{"progress":0.5},"choices":[]}',
    b'{"choices":[{"index":0,"delta":{"content":"data: not a frame"},"finish_reason":null}],"big":12345678901234567890123}',
    b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
]
COUNTED = b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'


def as_stream(events: list[bytes], *, newline: bytes, size: int) -> days.Raw:
    """The events as one chunked reply, in pieces of `size` bytes that respect nothing."""
    text = b": comment" + newline * 2 + b"".join(b"data: " + e + newline * 2 for e in (*events, b"[DONE]"))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return days.Raw((head, *(chunk(text[i:i + size]) for i in range(0, len(text), size)), chunk(b"")), then="keep")


def test_a_plain_reply_is_the_engines_to_the_byte(client):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(PLAIN)

    async def story():
        async with ModelServer(days.Raw((head + PLAIN,), then="keep")) as server, before(server) as router, client() as c:
            heard = await c.chat(router.url)
            assert (heard.status, heard.body) == (200, PLAIN)
            assert heard.headers["content-type"] == "application/json"

    asyncio.run(story())


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_the_data_of_events_is_the_engines_to_the_byte(client, newline):
    async def story():
        async with ModelServer() as server, before(server) as router, client() as c:
            for size in (1, 7, 64, 100_000):
                server.days = [as_stream([*EVENTS, COUNTED], newline=newline, size=size)]
                heard = await c.chat(router.url, stream=True)
                assert [e.encode() for e in heard.events] == [*EVENTS, b"[DONE]"]
                asked = await c.chat(router.url, stream=True, stream_options={"include_usage": True})
                usage = json.loads(asked.events[-2])
                assert [e.encode() for e in asked.events[:-2]] == EVENTS
                assert usage["usage"]["total_tokens"] == 3

    asyncio.run(story())


def test_a_usage_that_rides_on_content_is_cut_out_and_the_rest_stays(client):
    """Some engines count on every event; without being asked they would look like OpenAI's only on request."""
    riding = [e[:-1] + b',"usage":{"prompt_tokens":1,"completion_tokens":1}}' for e in EVENTS]

    async def story():
        async with ModelServer(as_stream(riding, newline=b"\n", size=50)) as server, before(server) as router, client() as c:
            heard = await c.chat(router.url, stream=True)
            assert all("usage" not in json.loads(e) for e in heard.events[:-1])
            (record,) = router.records()
            assert (record.usage.input_tokens, record.usage.output_tokens) == (1, 1)
            kept = [e.encode() for e in heard.events[:-1]]
            assert kept == [e for e in EVENTS if b'"choices":[]' not in e]

    asyncio.run(story())


def test_embeddings_and_completions_arrive_untouched_too(client):
    async def story():
        async with ModelServer() as server, client() as c:
            text = (f'tiers: {{only: {{model: m, endpoints: [{{url: "{server.url}", model: engine/model}}], capabilities: {{context: 9999}}}}}}\n'
                    f'pools: {{v: {{model: v, endpoints: [{{url: "{server.url}", model: engine/v}}], capabilities: {{embeddings: true}}}}}}')
            async with RunningRouter(load_text(text)) as router:
                for path, given in (("completions", b'{"prompt" : "x\\u00e9" , "model":"auto","z":{"a":1,"a":1.0E1}}'),
                                    ("embeddings", b'{ "input":["a", "b"],"dimensions":8 ,"model" : "v" }')):
                    heard = await c.post(f"{router.url}/{path}", given)
                    assert heard.status == 200
                    name = b'"engine/model"' if path == "completions" else b'"engine/v"'
                    assert server.requests[-1].body == given.replace(b'"auto"', name).replace(b'"v"', name)

    asyncio.run(story())
