"""Every day of the model server, seen by a client that reads raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from openai import APIStatusError, OpenAI

from pointsman.testing import days
from pointsman.testing.model_server import ModelServer, ServerThread

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


class Client:
    """One socket, raw."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def post(self, path: str = "/v1/chat/completions", **fields: Any) -> None:
        body = json.dumps(CHAT | fields).encode()
        self.writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Odd: Yes\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def get(self, path: str) -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        lines = raw.split("\r\n")
        return int(lines[0].split()[1]), dict(line.lower().split(": ", 1) for line in lines[1:-2])

    async def reply(self) -> tuple[int, bytes]:
        """Status and body of a complete reply."""
        status, headers = await self.head()
        if "content-length" in headers:
            return status, await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            return status, await self.reader.read()
        return status, b"".join([c async for c in self.chunks()])

    async def chunks(self) -> Any:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    async def events(self) -> list[str]:
        """The data of every event of a complete stream."""
        _, body = await self.reply()
        return [e.removeprefix("data: ") for e in body.decode().split("\n\n") if e]

    async def end(self) -> bytes:
        """What is left until the server closes."""
        return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


Talk = Callable[[ModelServer, Client], Awaitable[None]]


def talk(talking: Talk, *script: days.Day, **options: Any) -> None:
    """Runs a dialogue between a client and a server with these days."""

    async def main() -> None:
        async with asyncio.timeout(5), ModelServer(*script, **options) as server:
            client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
            try:
                await talking(server, client)
            finally:
                await client.close()

    asyncio.run(main())


def test_a_plain_answer_has_the_openai_shape() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(n=2, logprobs=True, top_logprobs=2)
        status, body = await client.reply()
        answer = json.loads(body)

        assert (status, answer["model"], len(answer["choices"])) == (200, "m", 2)
        assert answer["choices"][1]["message"]["content"] == "Hello there"
        assert answer["choices"][1]["finish_reason"] == "stop"
        assert len(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2
        assert answer["usage"]["completion_tokens"] == 2 * 3

    talk(talking, days.Answer("Hello there"))


def test_a_streamed_answer_is_one_chunk_per_event_and_counts_usage_only_when_asked() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(stream=True)
        events = await client.events()
        chunks = [json.loads(e) for e in events[:-1]]

        assert events[-1] == "[DONE]"
        assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == "Hello there"
        assert [c["choices"][0]["finish_reason"] for c in chunks] == [None, None, None, "stop"]
        client.post(stream=True, stream_options={"include_usage": True})
        with_usage = [json.loads(e) for e in (await client.events())[:-1]]
        assert with_usage[-1]["choices"] == []
        assert with_usage[-1]["usage"]["completion_tokens"] == 3
        assert server.connections_total == 1

    talk(talking, days.Answer("Hello there"))


def test_requests_are_kept_as_they_came() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(path="/v1/chat/completions?q=1", odd="ü")
        await client.reply()
        seen = server.requests[0]

        assert (seen.method, seen.path, seen.connection) == ("POST", "/v1/chat/completions?q=1", 1)
        assert ("X-Odd", "Yes") in seen.headers
        assert seen.body == json.dumps(CHAT | {"odd": "ü"}).encode()
        assert seen.closed_at is None
        await client.close()
        await server.wait_for(lambda: seen.closed_at)
        assert seen.closed_by == "client"

    talk(talking)


def test_days_are_played_in_order_and_the_last_one_stays() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        statuses = []
        for _ in range(4):
            client.post()
            statuses.append((await client.reply())[0])

        assert statuses == [429, 503, 200, 200]

    talk(talking, days.rate_limited("7"), days.queue_full(), days.Answer())


def test_probes_are_answered_beside_the_script() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.get("/v1/models")
        _, models = await client.reply()
        client.get("/metrics")
        status, _ = await client.reply()
        server.is_healthy = False
        client.get("/health")
        health, _ = await client.reply()

        assert json.loads(models)["data"][0]["max_model_len"] == 32768
        assert (status, health) == (404, 503)
        assert (len(server.probes), len(server.requests), len(server.days)) == (3, 0, 2)

    talk(talking, days.Reset(), days.Answer())


@pytest.mark.parametrize("stream", [True, False])
def test_a_silent_server_says_nothing_and_notices_the_client_leaving(stream: bool) -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(stream=stream)
        await server.wait_for(lambda: server.requests)
        await client.close()
        await server.wait_for(lambda: not server.open_connections)

        assert server.requests[0].closed_by == "client"
        assert server.requests[0].answered_at is None

    talk(talking, days.Hang())


def test_a_server_that_does_not_read_still_notices_the_client_leaving() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post()
        await server.wait_for(lambda: server.open_connections)
        await client.close()
        await server.wait_for(lambda: not server.open_connections)

        assert server.requests == []

    talk(talking, days.AcceptOnly())


def test_close_at_once_ends_a_connection_before_anything_is_read() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        assert await client.end() == b""
        assert server.requests == []

    talk(talking, days.CloseAtOnce())


@pytest.mark.parametrize("day", [days.Reset(), days.CutAfter(1, "rst"), days.Raw((b"HTTP/1.1 200", 0.0), then="reset")])
def test_a_reset_reaches_the_client_as_one(day: days.Day) -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(stream=True)
        with pytest.raises(ConnectionResetError):
            await client.end()

    talk(talking, day)


def test_refuse_holds_the_port_until_somebody_listens() -> None:
    async def main() -> None:
        async with ModelServer(days.Refuse(), days.Answer()) as server:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)
            await server.start_listening()
            client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
            client.post()
            assert (await client.reply())[0] == 200
            await client.close()

    asyncio.run(main())


def test_a_script_may_come_to_refuse_later() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post()
        assert (await client.reply())[0] == 200
        assert await client.end() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)

    talk(talking, days.Answer(), days.Refuse())


def test_a_restart_resets_connections_and_keeps_the_port() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post()
        await client.reply()
        port = server.port
        await server.restart()
        with pytest.raises(ConnectionResetError):
            await client.end()
        again = Client(*await asyncio.open_connection("127.0.0.1", port))
        again.post()
        assert (await again.reply())[0] == 200
        await again.close()

    talk(talking)


def test_slow_headers_come_a_byte_at_a_time_and_end_right() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post()
        assert len(await client.reader.read(65536)) < 5
        rest = await client.reader.readuntil(b"\r\n\r\n")
        assert rest.endswith(b"\r\n\r\n")
        assert json.loads(await read_json(client))["choices"]

    talk(talking, days.SlowHeaders(0.0005))


def test_no_first_token_is_headers_and_silence() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(stream=True)
        status, headers = await client.head()

        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.02)

    talk(talking, days.NoFirstToken())


@pytest.mark.parametrize(("day", "content", "clean"), [
    (days.CutAfter(2, "fin"), "Pari", False),
    (days.CutAfter(2, "chunked-truncated"), "Pari", False),
    (days.EndWithoutFinish(done=True), "Paris is the capital of France.", True),
    (days.EndWithoutFinish(done=False), "Paris is the capital of France.", True),
    (days.InBandError(after=2), "Pari", True),
    (days.GarbageSse(events=2), "Pari", True),
])
def test_spoilt_streams_are_spoilt_where_the_script_says(day: days.Day, content: str, clean: bool) -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(stream=True)
        await client.head()
        client.writer.write_eof()
        raw = await client.end()

        assert content[:4].encode() in raw
        assert raw.endswith(b"0\r\n\r\n") is clean
        assert b'"finish_reason":"stop"' not in raw

    talk(talking, day)


def test_an_in_band_error_ends_with_done_as_vllm_does() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(stream=True)
        events = await client.events()

        assert json.loads(events[-2])["error"]["code"] == 500
        assert events[-1] == "[DONE]"
        assert len(events) == 1 + 2 + 2

    talk(talking, days.InBandError(after=2))


def test_a_stall_keeps_the_socket_open_after_its_events() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(stream=True)
        await client.head()
        got = [await client.reader.readuntil(b"\n\n") for _ in range(3)]

        assert b"Pari" in got[1]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.readuntil(b"\n\n"), 0.02)
        assert server.open_connections == 1

    talk(talking, days.StallAfter(2))


@pytest.mark.parametrize("stream", [True, False])
def test_split_utf8_arrives_in_single_bytes_and_whole(stream: bool) -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        client.post(stream=stream)
        assert len(await client.reader.read(65536)) < 10
        await client.reader.readuntil(b"\r\n\r\n")
        if stream:
            body = b"".join([c async for c in client.chunks()]).decode()
            text = "".join(json.loads(e[6:])["choices"][0]["delta"].get("content") or "" for e in body.split("\n\n") if e and "DONE" not in e)
        else:
            text = json.loads(await read_json(client))["choices"][0]["message"]["content"]
        assert text == "Zürich, 東京 и Αθήνα: 👩‍🚀 नमस्ते ✓"

    talk(talking, days.SplitUtf8())


async def read_json(client: Client) -> bytes:
    """A JSON body whose length was in a head already read."""
    raw = b""
    while True:
        raw += await client.reader.read(1024)
        try:
            json.loads(raw)
        except ValueError:
            continue
        return raw


def test_bodies_may_be_short_long_empty_and_wrong() -> None:
    async def short(server: ModelServer, client: Client) -> None:
        client.post()
        with pytest.raises(asyncio.IncompleteReadError):
            await client.reply()

    async def extra(server: ModelServer, client: Client) -> None:
        client.post()
        assert (await client.reply())[0] == 200
        assert (await client.reader.readexactly(4)) == b"HTTP"

    async def empty(server: ModelServer, client: Client) -> None:
        client.post()
        assert await client.reply() == (200, b"")

    async def html(server: ModelServer, client: Client) -> None:
        client.post()
        status, headers = await client.head()
        assert (status, headers["content-type"]) == (200, "text/html")

    async def error(server: ModelServer, client: Client) -> None:
        client.post(stream=True)
        status, body = await client.reply()
        assert (status, "error" in json.loads(body)) == (200, True)

    async def json_for_stream(server: ModelServer, client: Client) -> None:
        client.post(stream=True)
        assert json.loads((await client.reply())[1])["object"] == "chat.completion"

    talk(short, days.ShortBody())
    talk(extra, days.ExtraBytes())
    talk(empty, days.EmptyBody())
    talk(html, days.WrongContentType())
    talk(error, days.ErrorIn200())
    talk(json_for_stream, days.JsonForStream())


def test_a_mistake_in_a_script_is_raised_at_the_end() -> None:
    class Broken(days.Day):
        async def serve(self, exchange: days.Exchange) -> None:
            raise ZeroDivisionError

    async def talking(server: ModelServer, client: Client) -> None:
        client.post()
        with pytest.raises(ConnectionResetError):
            await client.end()

    with pytest.raises(ZeroDivisionError):
        talk(talking, Broken())


def test_waiting_for_what_never_comes_times_out() -> None:
    async def talking(server: ModelServer, client: Client) -> None:
        with pytest.raises(TimeoutError):
            await server.wait_for(lambda: False, 0.01)

    talk(talking)


def test_the_official_sdk_is_answered_from_a_thread() -> None:
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    script = (days.Answer("Hi"), days.Answer("Hi"), days.Answer(tool_calls=(("weather", '{"city":"Rome"}'),)), days.Answer(), days.Answer("x y"), days.bad_request())
    with ServerThread(ModelServer(*script)) as thread, OpenAI(base_url=thread.server.url, api_key="k", max_retries=0) as client:
        messages: Any = CHAT["messages"]

        assert client.chat.completions.create(model="m", messages=messages).choices[0].message.content == "Hi"
        with client.chat.completions.create(model="m", messages=messages, stream=True) as stream:
            assert "".join(c.choices[0].delta.content or "" for c in stream) == "Hi"
        with client.chat.completions.create(model="m", messages=messages, tools=tools, stream=True) as stream:
            calls = [c.choices[0].delta.tool_calls[0].function for c in stream if c.choices[0].delta.tool_calls]
        assert "".join(c.arguments or "" for c in calls if c) == '{"city":"Rome"}'
        assert len(client.embeddings.create(model="m", input=["a", "b"]).data[1].embedding) == 8
        assert client.completions.create(model="m", prompt="p").choices[0].text == "x y"
        with pytest.raises(APIStatusError):
            client.chat.completions.create(model="m", messages=messages)
        assert thread.server.requests[0].header("authorization") == "Bearer k"
