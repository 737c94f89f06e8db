"""The transport for http endpoints: idle connections per address, dialling, and one silent redial.

Why a redial? A server may close a kept-alive connection in the very moment we write to it. Nobody is at fault, so
it is not a failed attempt: a *reused* connection that closes within `RACE_S`, before a byte of response, is replaced
by a fresh one, once per call. Later closes mean that an engine died while working, which is a failure to be seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pointsman.core.fleet import EndpointSpec
from pointsman.core.traces import untraced
from pointsman.errors import ConnectFailed, ConnectionLost
from pointsman.upstream.exchange import Target
from pointsman.upstream.http1 import Connection
from pointsman.upstream.resolver import Resolver

IDLE_S = 20.0
"""Idle connections are closed after this; below the 60-75 s of common load balancers."""
IDLE_MAX = 256
"""Idle connections kept per address; in use there is no limit (admission has it)."""
RACE_S = 1.0


class PlainTransport:
    """Satisfies `Transport`. Lives on the loop of its first `send`."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[Connection]] = {}
        self._open: set[Connection] = set()
        self._resolver = Resolver()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(
        self, endpoint: EndpointSpec, target: Target, method: bytes, suffix: str, accept: bytes,
        body: Sequence[bytes], *, whole: bool, until: float,
    ) -> Connection:
        loop = self._loop = self._loop or asyncio.get_running_loop()
        pieces = (target.head(method, suffix, accept, sum(map(len, body))), *body)
        reused = self._take_idle((target.host, target.port))
        if reused is not None:
            written_at = loop.time()
            try:
                reused.request(endpoint.id, pieces, whole=whole)
                await reused.answered(until)
                return reused
            except ConnectionLost as exc:
                reused.abort()
                if reused.heard or loop.time() - written_at > RACE_S:
                    raise
                untraced(exc)  # the connection keeps it
            except BaseException:  # cancelled or failed: either way the socket goes now
                reused.abort()
                raise
        try:
            fresh = await self._dial(loop, endpoint, target, until)
        except ConnectFailed as exc:
            # The first connection took bytes: nobody can say that none was read.
            exc.sent = reused is not None
            raise
        return await self._exchange(fresh, endpoint, pieces, whole, until)

    async def _exchange(
        self, connection: Connection, endpoint: EndpointSpec, pieces: Sequence[bytes], whole: bool, until: float
    ) -> Connection:
        try:
            connection.request(endpoint.id, pieces, whole=whole)
            await connection.answered(until)
        except BaseException:  # cancelled or failed: either way the socket goes now
            connection.abort()
            raise
        return connection

    async def _dial(
        self, loop: asyncio.AbstractEventLoop, endpoint: EndpointSpec, target: Target, until: float
    ) -> Connection:
        by = min(until, loop.time() + endpoint.connect_timeout_s)
        last: OSError | None = None
        try:
            async with asyncio.timeout_at(by):
                addresses = await self._resolver.addresses(target.host)
                for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
                    # Each address gets its share, so that a broken IPv6 route leaves time for IPv4.
                    share = (by - loop.time()) / left if left > 1 else None
                    try:
                        async with asyncio.timeout(share):
                            return await self._open_to(loop, target, address)
                    except OSError as exc:
                        last = exc
        except TimeoutError as exc:
            error = ConnectFailed(f"endpoint {endpoint.id}: no connection within "
                                  f"{endpoint.connect_timeout_s:g} s", sent=False)
            error.status, error.type = 504, "timeout_error"
            raise error from (last or exc)
        except OSError as exc:
            last = exc
        raise ConnectFailed(f"endpoint {endpoint.id}: cannot connect: "
                            f"{(last.strerror or last) if last else 'no address'}", sent=False) from last

    async def _open_to(self, loop: asyncio.AbstractEventLoop, target: Target, address: str) -> Connection:
        connection = Connection(loop, (target.host, target.port), self._parked, self._lost)
        try:
            await loop.create_connection(lambda: connection, address, target.port)
        except BaseException:  # cancelled while connecting, too: no socket may stay
            connection.close()
            raise
        self._open.add(connection)
        return connection

    # ------------------------------------------------------------------------------------- idle connections

    def _take_idle(self, key: tuple[str, int]) -> Connection | None:
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()  # the latest: the rest can grow old and go
            if connection.usable:
                return connection
        return None

    def _parked(self, connection: Connection) -> None:
        idle = self._idle.setdefault(connection.key, [])
        if self._closed or len(idle) >= IDLE_MAX:
            connection.close()
            return
        idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(IDLE_S / 4, self._sweep_idle)

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        idle = self._idle.get(connection.key)
        if idle and connection in idle:
            idle.remove(connection)

    def _sweep_idle(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - IDLE_S
        for key, idle in list(self._idle.items()):
            for connection in [c for c in idle if c.idle_since < oldest]:
                idle.remove(connection)
                connection.close()
            if not idle:
                del self._idle[key]
        self._sweep = loop.call_later(IDLE_S / 4, self._sweep_idle) if self._idle else None

    def __repr__(self) -> str:
        idle = sum(map(len, self._idle.values()))
        return f"<PlainTransport {len(self._open)} open, {idle} idle>"

    async def aclose(self) -> None:
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in list(self._open):
            connection.close()
        self._idle.clear()
        await self._resolver.aclose()
        for _ in range(8):  # each removes itself when its socket is closed: in the next turns of the loop
            await asyncio.sleep(0)
