import asyncio

import pytest

from pointsman.testing.factories import a_request, an_endpoint
from pointsman.upstream import plain
from pointsman.upstream.exchange import JSON, Target
from pointsman.upstream.http1 import Connection
from pointsman.upstream.plain import PlainTransport


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not reader.at_eof():
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        if reader.at_eof():
            return


async def exchanges(transport: PlainTransport, port: int, count: int) -> list[Connection]:
    endpoint = an_endpoint(url=f"http://127.0.0.1:{port}/v1")
    target, body = Target(endpoint), (a_request().body,)
    until = asyncio.get_running_loop().time() + 5
    return await asyncio.gather(*(
        transport.send(endpoint, target, b"POST", "/x", JSON, body, whole=True, until=until) for _ in range(count)))


def scene(count: int) -> tuple[str, list[Connection], PlainTransport]:
    """`count` exchanges at once, all finished: what the pool says then."""

    async def main() -> tuple[str, list[Connection], PlainTransport]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await echo(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        transport = PlainTransport()
        connections = await exchanges(transport, server.sockets[0].getsockname()[1], count)
        for connection in connections:
            connection.finish()
        [latest] = await exchanges(transport, server.sockets[0].getsockname()[1], 1)
        assert latest is connections[min(count, plain.IDLE_MAX) - 1]
        latest.finish()
        for _ in range(20):
            await asyncio.sleep(0.005)
        state = repr(transport)
        await transport.aclose()
        server.close()
        return state, connections, transport

    return asyncio.run(main())


def test_idle_connections_are_reused_latest_first() -> None:
    state, _, transport = scene(3)

    assert state == "<PlainTransport 3 open, 3 idle>"
    assert repr(transport) == "<PlainTransport 0 open, 0 idle>"


def test_only_so_many_connections_stay_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "IDLE_MAX", 2)

    assert scene(4)[0] == "<PlainTransport 2 open, 2 idle>"


def test_idle_connections_grow_old_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "IDLE_S", 0.02)

    assert scene(3)[0] == "<PlainTransport 0 open, 0 idle>"


def test_a_call_that_is_over_has_no_hold_on_its_connection() -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await echo(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        transport = PlainTransport()
        [connection] = await exchanges(transport, server.sockets[0].getsockname()[1], 1)
        connection.finish()
        connection.abort()
        connection.finish()
        assert repr(transport) == "<PlainTransport 1 open, 1 idle>"
        await transport.aclose()
        server.close()

    asyncio.run(main())
