"""Names to addresses: asked off the loop, remembered briefly, and not forgotten when the name server is ill."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

FRESH_S = 30.0
"""How long an answer is used without asking again: an orchestrator moves pods in about that time."""
STALE_S = 600.0
"""How long an old answer is better than none: ten minutes ride out a name server's restart."""
PATIENCE_S = 0.5
"""How long a new answer is awaited while an old one is at hand."""


class Resolver:
    """`addresses` raises OSError when a name has never resolved, or not for `STALE_S`."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._asking: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        known = self._known.get(host)
        loop = asyncio.get_running_loop()
        if known is not None and loop.time() - known[0] < FRESH_S:
            return known[1]
        if _is_address(host):
            return (host,)
        task = self._asking.get(host)
        if task is None:
            task = self._asking[host] = loop.create_task(self._ask(host))
            task.add_done_callback(lambda done: self._asked(host, done))
        if known is None or loop.time() - known[0] > STALE_S:
            return await asyncio.shield(task)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(task)
        except OSError:  # TimeoutError is one
            return known[1]

    async def _ask(self, host: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = tuple(dict.fromkeys(str(info[4][0]) for info in found))
        self._known[host] = (loop.time(), addresses)
        return addresses

    def _asked(self, host: str, task: asyncio.Task[tuple[str, ...]]) -> None:
        self._asking.pop(host, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody waiting is no reason to complain

    async def aclose(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
