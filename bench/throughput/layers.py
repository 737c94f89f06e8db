"""Small ASGI apps that show what each layer of a Python router costs. Bench only: no errors handled, nothing decided.

  echo      the server alone: answers by itself, calls nobody
  aiohttp   the server and an aiohttp client, bytes passed through
  http1     the server and our own upstream client, without deciding, records or metrics

`python layers.py echo --port 9000 --upstream http://127.0.0.1:9001` serves one under uvicorn (uvloop, httptools);
`granian layers:echo` serves the first under Granian. The rows between them and Pointsman tell where time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

PLAIN = (
    b'{"id":"chatcmpl-echo","object":"chat.completion","created":1760000000,"model":"echo","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"' + b"word " * 64 + b'"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":80,"completion_tokens":64,"total_tokens":144}}'
)
EVENT = (b'data: {"id":"chatcmpl-echo","object":"chat.completion.chunk","created":1760000000,"model":"echo",'
         b'"choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}\n\n')
EVENTS = 66
JSON_HEADERS = [(b"content-type", b"application/json")]
STREAM_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


async def read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    headers = [*JSON_HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The server alone."""
    body = await read_body(receive)
    if scope["method"] != "POST":
        await answer(send, b"{}")
    elif b'"stream":true' not in body:
        await answer(send, PLAIN)
    else:
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        events = [EVENT * EVENTS] if b'"user":"burst"' in body else [EVENT] * EVENTS
        for event in events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def through_aiohttp(upstream: str) -> App:
    """The server and an aiohttp client."""
    import aiohttp

    sessions: list[aiohttp.ClientSession] = []

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if scope["method"] != "POST":
            return await answer(send, b"{}")
        if not sessions:
            sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False,
                                                  timeout=aiohttp.ClientTimeout(total=600)))
        async with sessions[0].post(upstream + scope["path"], data=body,
                                    headers={"content-type": "application/json"}) as reply:
            if b'"stream":true' not in body:
                return await answer(send, await reply.read(), reply.status)
            await send({"type": "http.response.start", "status": reply.status, "headers": STREAM_HEADERS})
            async for chunk in reply.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            return await send({"type": "http.response.body", "body": b""})

    return app


def through_http1(upstream: str) -> App:
    """The server and our own upstream client: events parsed and usage read, nothing decided or recorded."""
    import msgspec

    from pointsman.core.fleet import EndpointSpec
    from pointsman.core.request import ChatRequest, Kind
    from pointsman.upstream.client import HttpUpstream

    endpoint = EndpointSpec(id="bench/0", pool="bench", url=upstream + "/v1", model="bench-model")
    clients: list[HttpUpstream] = []
    plain = ChatRequest(kind=Kind.CHAT, body=b"", model="auto")
    streamed = msgspec.structs.replace(plain, stream=True)

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if scope["method"] != "POST":
            return await answer(send, b"{}")
        if not clients:
            clients.append(HttpUpstream())
        until = asyncio.get_running_loop().time() + 600
        if b'"stream":true' not in body:
            reply = await clients[0].ask(endpoint, plain, [body], until=until)
            return await answer(send, reply.body)
        stream = await clients[0].stream(endpoint, streamed, [body], until=until)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
            while (batch := await stream.next(until)) is not None:
                data = b"".join([b"data: %b\n\n" % event for event in batch.events])
                await send({"type": "http.response.body", "body": data, "more_body": True})
            return await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
        finally:
            stream.close()

    return app


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("app", choices=("echo", "aiohttp", "http1"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    options = parser.parse_args()
    import uvicorn

    makers: dict[str, Callable[[str], App]] = {"echo": lambda _: echo, "aiohttp": through_aiohttp, "http1": through_http1}
    app = makers[options.app](options.upstream)
    uvicorn.run(app, host="127.0.0.1", port=options.port, loop="uvloop", http="httptools", lifespan="off",
                access_log=False, log_level="warning", backlog=4096, server_header=False)
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
